"""The demonstration's events: from a Monday's batch to the survey, and what became of each event."""

from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import click
import polars as pl

from engage_assets.cli.batch import run_partition
from engage_assets.cli.demo_agenda import Agenda
from engage_assets.cli.events import told
from engage_assets.cli.operate import approve_quietly, delivered

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.events import Event
    from engage_assets.domain.program import Program

LASTS: Final = timedelta(days=8, hours=21, minutes=59)
"""From a Monday's batch on until those who came to its first event were asked how it was."""
_TOGETHER: Final = timedelta(minutes=90)
"""What is due within this time is delivered together: the demonstration has no schedules that look each minute."""
_LOOK: Final = timedelta(hours=12)


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
    asked = _asked(timed, program, monday)
    for slot in together(asked["slot_at"].unique()):
        agenda.put(slot, partial(_deliver, timed, program))


def _plan_events(timed: "Launcher", program: "Program", monday: date, agenda: Agenda) -> None:
    """Tell people what is due twice a day, and when they are reminded or asked; record who did not come."""
    asked = _asked(timed, program, monday)
    dues: set[datetime] = set()
    for event in events_of(timed, program, monday):
        zones = asked.filter(pl.col("subject_id") == event.event_id)["time_zone"].unique()
        if not event.is_cancelled:
            dues |= _due(program, event, zones)
            agenda.put(event.ends_at + timedelta(hours=24, minutes=1), partial(_attend, timed, program, event))
    begins = program.cadence.batch_instant(monday)
    regular = [begins + turn * _LOOK for turn in range(1, 20)]
    for at in [*together(dues), *regular]:
        agenda.put(at, partial(tell, timed, program))


def _asked(timed: "Launcher", program: "Program", monday: date) -> pl.DataFrame:
    """Whom a partition asks about which event, and when, by mail and in an app."""
    frames = [
        timed.lake.scan((program.key, name), monday.isoformat()) for name in ("email_campaigns", "in_app_banners")
    ]
    return pl.concat([frame.select("subject_id", "time_zone", "slot_at").collect() for frame in frames])


def together(instants: Iterable[datetime]) -> list[datetime]:
    """So few of some instants that each of them is one, or is followed by one soon."""
    found: list[datetime] = []
    for at in sorted(instants, reverse=True):
        if not found or found[-1] - at > _TOGETHER:
            found.append(at)
    return found


def _due(program: "Program", event: "Event", zones: Iterable[str]) -> set[datetime]:
    """When people who may have registered are reminded, and asked how it was, where they live."""
    from engage_assets.events.notices import reminder_at, survey_at  # noqa: PLC0415 - as in launcher

    assert program.event_config
    rules, places = program.event_config.reminder_schedule, list(zones)
    reminders = {reminder_at(event, rule, zone) for rule in rules for zone in places}
    return reminders | {survey_at(event, zone) for zone in places}


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


def _attend(timed: "Launcher", program: "Program", event: "Event") -> str | None:
    name = f"{program.key}_attendance"
    config = {"ops": {f"{program.key}__attendance": {"config": {"event_ids": [event.event_id]}}}}
    result = timed.run(name, config=config)
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
