"""The demonstration's events: from a Monday's batch to the survey, and what became of each event."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from engage_assets.cli.batch import run_partition
from engage_assets.cli.demo_agenda import Agenda
from engage_assets.cli.events import told
from engage_assets.cli.operate import approve_quietly, delivered

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.events import Event
    from engage_assets.domain.program import Program

LASTS: Final = timedelta(days=9, hours=21, minutes=59)
"""From a Monday's batch on until the last simulated survey is answered."""
_TOGETHER: Final = timedelta(hours=1)
"""Notices that are due within this time are told together: the demonstration has no sensor that looks each minute."""
_LOOK: Final = timedelta(hours=12)
_AFTER: Final = timedelta(minutes=30)


def plan_week(timed: "Launcher", program: "Program", monday: date, agenda: Agenda) -> None:
    """Put the batch of a Monday on the agenda, and with it all that follows."""

    def begin() -> str:
        run_partition(timed, program.program_id, monday, with_report=False)
        approve_quietly(timed, program.program_id, monday)
        _plan_deliveries(timed, program, monday, agenda)
        _plan_events(timed, program, monday, agenda)
        return f"{program.program_id}: the batch of {monday} is made"

    agenda.put(program.cadence.batch_instant(monday), begin)


def _plan_deliveries(timed: "Launcher", program: "Program", monday: date, agenda: Agenda) -> None:
    for name in ("email_campaigns", "in_app_banners"):
        rows = timed.lake.scan((program.key, name), monday.isoformat())
        for slot in rows.select("slot_at").unique().collect()["slot_at"].sort():
            agenda.put(slot, partial(_deliver, timed, program))
            agenda.put(slot, partial(tell, timed, program))


def _plan_events(timed: "Launcher", program: "Program", monday: date, agenda: Agenda) -> None:
    """Look for notices twice a day and whenever some are due; record who came when an event is over."""
    begins = program.cadence.batch_instant(monday)
    dues = [begins + turn * _LOOK for turn in range(1, 20)]
    for event in events_of(timed, program, monday):
        if not event.is_cancelled:
            dues += together(_due(timed, program, event))
            for at in (event.ends_at + _AFTER, event.ends_at + timedelta(hours=24, minutes=1)):
                agenda.put(at, partial(_attend, timed, program))
    for at in dues:
        agenda.put(at, partial(tell, timed, program))


def together(instants: Iterable[datetime]) -> list[datetime]:
    """So few of some instants that each of them is followed by one within an hour."""
    found: list[datetime] = []
    for at in sorted(instants, reverse=True):
        if not found or found[-1] - at > _TOGETHER:
            found.append(at)
    return found


def _due(timed: "Launcher", program: "Program", event: "Event") -> set[datetime]:
    """When people who may have registered are reminded, and asked how it was, where they live."""
    from engage_assets.events.notices import reminder_at, survey_at  # noqa: PLC0415 - as in launcher

    assert program.event_config
    places = {timed.folder.marketplaces[one].time_zone for one in program.marketplaces}
    rules = program.event_config.reminder_schedule
    zones = places | {"America/Chicago", "America/Denver", "America/Los_Angeles"}
    return {
        *(reminder_at(event, rule, zone) for rule in rules for zone in zones),
        *(survey_at(event, zone) for zone in zones),
    }


def events_of(timed: "Launcher", program: "Program", monday: date) -> "list[Event]":
    """The events that a Monday's batch invited for, as they are known in the end."""
    from engage_assets.domain.events import EVENTS  # noqa: PLC0415 - as in launcher
    from engage_assets.events.catalogue import Catalogue  # noqa: PLC0415 - as in launcher

    invited = timed.lake.scan((program.key, "email_list"), monday.isoformat()).select("subject_id").unique().collect()
    table = timed.parts["warehouse"].scan(EVENTS, str(EVENTS.database), required=True)
    known = Catalogue.of(table.collect()).known(datetime.max)  # noqa: DTZ901 - UTC without a zone attached
    return sorted((known[one] for one in invited["subject_id"]), key=lambda one: (one.starts_at, one.event_id))


def _deliver(timed: "Launcher", program: "Program") -> str | None:
    said = delivered(timed, program.program_id, confirm=True)
    return f"{program.program_id}: {'; '.join(said)}" if said else None


def tell(timed: "Launcher", program: "Program") -> str | None:
    """Tell what is due, where something is."""
    if not _is_due(timed, program):
        return None
    said = told(timed, program.program_id, confirm=True)
    return f"{program.program_id}: {said}" if said else None


def _is_due(timed: "Launcher", program: "Program") -> bool:
    """As the sensor looks: whether there is anything to tell."""
    from engage_assets.defs.event_due import Lookout  # noqa: PLC0415 - as in launcher

    parts, now = timed.parts, timed.clock.now()
    names = ("warehouse", "registrations", "notices", "outbox")
    lookout = Lookout(program, timed.folder.marketplaces, *(parts[name] for name in names))
    return bool(lookout.entries() or parts["notices"].waiting(program.program_id, now) or lookout.due(now))


def _attend(timed: "Launcher", program: "Program") -> str | None:
    result = timed.run(f"{program.key}_attendance")
    said = [event.materialization.description for event in result.get_asset_materialization_events()]
    return f"{program.program_id}: {'; '.join(str(one) for one in said)}" if said else None


def show_events(desk: "Launcher", program_id: str, monday: date) -> None:
    """Print what became of the events that a Monday's batch invited for; nothing where the program has none."""
    program = desk.program(program_id)
    if program.event_config is None:
        return
    for event in events_of(desk, program, monday):
        found = desk.parts["registrations"].of_event(program_id, event.event_id)
        counts = Counter(one.status for one in found)
        state = " (called off)" if event.is_cancelled else ""
        click.echo(f"\n{event.event_id}  {event.name}, {event.local_start:%Y-%m-%d %H:%M} {event.time_zone}{state}")
        click.echo("  " + (", ".join(f"{counts[one]} {one}" for one in sorted(counts)) or "nobody registered"))
        minutes = [one.watch_minutes for one in found if one.watch_minutes is not None]
        if minutes:
            click.echo(f"  watched {sum(minutes) / len(minutes):.0f} of {event.duration_minutes} minutes in the mean")
