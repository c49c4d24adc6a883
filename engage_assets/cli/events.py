"""The commands events: the event catalogue, whom an event has, and who came."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engage_assets.cli.desk import launcher, operator, plain_errors
from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.events import Event
    from engage_assets.domain.program import Program
    from engage_assets.domain.registrations import Seats
    from engage_assets.events.catalogue import Catalogue

CLOCK = click.DateTime(formats=["%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M"])
_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class EventDesk:
    """The deployment, and its catalogue as it is known now."""

    launcher: "Launcher"
    catalogue: "Catalogue"
    now: datetime

    @property
    def programs(self) -> "list[Program]":
        """Those about events."""
        return [one for one in self.launcher.folder.programs.values() if one.event_config]

    def event(self, event_id: str) -> "Event":
        """An event as it is known now. Raises EngageError."""
        known = self.catalogue.known(self.now)
        if event_id not in known:
            raise EngageError(f"the catalogue has no event {event_id!r}; `engage events list --all` shows those it has")
        return known[event_id]

    def add(self, event: "Event", act: str, details: str) -> None:
        """Append a version, newer than all of its event, and note who did it."""
        from engage_assets.events.writing import append  # noqa: PLC0415 - as in launcher

        last = max((one.known_at for one in self.catalogue.versions if one.event_id == event.event_id), default=None)
        known_at = self.now if last is None else max(self.now, last + _TICK)
        append(self.launcher.home.warehouse, replace(event, known_at=known_at))
        self.launcher.parts["operations"].note(act, event.event_id, details, operator(), self.now)
        if known_at > self.now:
            click.echo(
                f"known from {known_at:%Y-%m-%d %H:%M:%S.%f} UTC on, as the version before it is of now", err=True
            )

    def seats(self, program: "Program", event: "Event") -> "Seats":
        """What the event offers to a program's people."""
        from engage_assets.events.openings import seats_of  # noqa: PLC0415 - as in launcher
        from engage_assets.serving.registration_events import WarehouseFacts  # noqa: PLC0415 - as in launcher

        facts = WarehouseFacts(self.launcher.parts["warehouse"])
        return seats_of(program, event, facts.elsewhere(event.event_id, self.now))


def event_desk() -> EventDesk:
    """The deployment of this environment; rows of the catalogue that are set aside are said."""
    from engage_assets.domain.events import EVENTS  # noqa: PLC0415 - as in launcher
    from engage_assets.events.catalogue import Catalogue  # noqa: PLC0415 - as in launcher

    desk = launcher()
    table = desk.parts["warehouse"].scan(EVENTS, str(EVENTS.database))
    catalogue = Catalogue.of(table.collect()) if table is not None else Catalogue(())
    for one in catalogue.set_aside:
        click.echo(f"row {one.row} of the catalogue is set aside ({one.event_id}): {one.reason}", err=True)
    return EventDesk(desk, catalogue, desk.clock.now())


@click.group()
def events() -> None:
    """The event catalogue, registrations and attendance."""


@events.command()
@click.argument("event_id")
@click.option("--name", required=True, help="Shown in messages.")
@click.option("--topic", "topics", multiple=True, required=True, help="What it is about; repeatable.")
@click.option("--starts", type=CLOCK, required=True, help="Start on the event's own clock: '2026-12-09 18:00'.")
@click.option("--zone", default="UTC", show_default=True, help="IANA zone of its clock.")
@click.option("--minutes", type=int, required=True, help="How long it takes.")
@click.option("--type", "event_type", help="webinar, workshop, conference, …")
@click.option("--speaker", "speakers", multiple=True, help="Repeatable.")
@click.option("--region", "target_regions", multiple=True, help="Whose customers are invited; repeatable.")
@click.option("--capacity", type=int, help="Seats; default: the program's capacityLimit.")
@click.option("--join-link", help="Where it takes place.")
@click.option("--language", "languages", multiple=True, help="In which it is held; repeatable.")
def add(event_id: str, starts: datetime, zone: str, minutes: int, **told: Any) -> None:
    """Add an event to the catalogue. Warns where the batch that would invite for it has passed."""
    from engage_assets.domain.events import Event  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = event_desk()
        if event_id in desk.catalogue.known(desk.now):
            raise EngageError(f"event {event_id} is there already; `engage events move` changes it")
        start = start_of(starts, zone)
        event = Event(
            event_id=event_id, known_at=desk.now, starts_at=start, time_zone=zone, duration_minutes=minutes, **told
        )
        desk.add(event, "add_event", f"starts {start:%Y-%m-%d %H:%M} UTC")
        click.echo(f"added {event_id}: {when(event)}")
        _tell_batches(desk, event)


@events.command()
@click.argument("event_id")
@click.option("--starts", type=CLOCK, help="New start on the event's own clock.")
@click.option("--zone", help="New IANA zone.")
@click.option("--minutes", type=int, help="New length.")
@click.option("--capacity", type=int, help="New number of seats. Fewer remove nobody; more go to the line at once.")
@click.option("--join-link", help="New place.")
def move(event_id: str, starts: datetime | None, zone: str | None, minutes: int | None, **told: Any) -> None:
    """Change an event's time, length, seats or place: a new version of it."""
    with plain_errors():
        desk = event_desk()
        before = desk.event(event_id)
        changes = {name: value for name, value in told.items() if value is not None}
        changes |= {"duration_minutes": minutes} if minutes is not None else {}
        if starts or zone:
            wanted = zone or before.time_zone
            changes |= {"starts_at": start_of(starts or before.local_start, wanted), "time_zone": wanted}
        after = replace(before, **changes)
        if after == before:
            raise EngageError(f"event {event_id} is so already; name what changes: see `engage events move --help`")
        desk.add(after, "move_event", ", ".join(sorted(changes)))
        click.echo(f"{event_id}: {when(before)} → {when(after)}")
        _tell_people(desk, after)


@events.command()
@click.argument("event_id")
def cancel(event_id: str) -> None:
    """Call an event off: nobody is invited or registered any more."""
    with plain_errors():
        desk = event_desk()
        event = desk.event(event_id)
        if event.is_cancelled:
            raise EngageError(f"event {event_id} is cancelled already")
        desk.add(replace(event, status="cancelled"), "cancel_event", "")
        click.echo(f"{event_id} is cancelled")
        _tell_people(desk, replace(event, status="cancelled"))


@events.command(name="list")
@click.option("--all", "is_all", is_flag=True, help="Events that are over too.")
def list_events(is_all: bool) -> None:
    """List events, next first: seats that are taken, seats, people in line."""
    with plain_errors():
        desk = event_desk()
        known = sorted(desk.catalogue.known(desk.now).values(), key=lambda one: (one.starts_at, one.event_id))
        shown = [one for one in known if is_all or one.ends_at > desk.now]
        for event in shown:
            state = "  CANCELLED" if event.is_cancelled else ""
            click.echo(f"{event.event_id}  {when(event)}  {event.name}{state}")
            for program in desk.programs:
                click.echo(f"    {program.program_id}: {_fill(desk, program, event)}")
        if not shown:
            click.echo("no events" if is_all else "no events to come; `--all` shows those that are over")


@events.command()
@click.argument("event_id")
@click.option("--program", "program_id", help="Only registrations through this program.")
def show(event_id: str, program_id: str | None) -> None:
    """Show an event: its versions, registrations by status, and the line in its order."""
    with plain_errors():
        desk = event_desk()
        event = desk.event(event_id)
        click.echo(f"{event_id}  {event.name}{'  CANCELLED' if event.is_cancelled else ''}")
        for version in desk.catalogue.history(event_id, desk.now):
            state = "  cancelled" if version.is_cancelled else ""
            click.echo(f"  known {version.known_at:%Y-%m-%d %H:%M} UTC: {when(version)}{state}")
        for program in chosen(desk, program_id):
            found = desk.launcher.parts["registrations"].of_event(program.program_id, event_id)
            click.echo(f"{program.program_id}: {_fill(desk, program, event)}")
            counts = {status: sum(one.status == status for one in found) for status in {one.status for one in found}}
            click.echo("  " + (", ".join(f"{count} {status}" for status, count in sorted(counts.items())) or "nobody"))
            line = [one for one in found if one.status == "wait_listed"]
            for place, one in enumerate(line, start=1):
                click.echo(f"  {place}. {one.customer_id}  since {one.registered_at:%Y-%m-%d %H:%M} UTC")


@events.command()
@click.argument("event_id")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--platform", required=True, help="Whose export it is: engage, zoom, teams, webex.")
@click.option("--zone", help="IANA zone of times without an offset; default: the event's.")
@click.option("--program", "program_id", help="Only registrations through this program.")
def attendance(event_id: str, file: Path, platform: str, zone: str | None, program_id: str | None) -> None:
    """Import who came, from a CSV export of the event platform. Again, or of a later export: as often as you like."""
    from engage_assets.events.attendance import of_customers, read_export, watched  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = event_desk()
        event = desk.event(event_id)
        try:
            text = file.read_text(encoding="utf-16" if file.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
        except UnicodeError:
            raise EngageError(f"{file}: no text in UTF-8 or UTF-16; export it once more") from None
        sheet = read_export(text, platform, zone or event.time_zone)
        joins, strangers = of_customers(sheet.joins, *_customers(desk))
        minutes = watched(joins, event)
        for refused in sheet.refused:
            click.echo(f"line {refused.line} is left out: {refused.reason}", err=True)
        click.echo(f"{len(sheet.joins)} stays of {len(minutes)} customers and {strangers} unknown people")
        for program in chosen(desk, program_id):
            desk.launcher.parts["attendances"].put(program.program_id, event_id, joins, desk.now)
            click.echo(f"{program.program_id}: {_attend(desk, program, event, minutes)}")


@events.command()
@click.argument("program_id", required=False)
@click.option("--confirm", is_flag=True, help="You mean it: without the sensor, a delivery needs a person's word.")
def notices(program_id: str | None, confirm: bool) -> None:
    """Tell people now what is due: confirmations, places in line, moves, reminders, surveys. Each at most once."""
    with plain_errors():
        desk = event_desk()
        for program in chosen(desk, program_id):
            said = told(desk.launcher, program.program_id, confirm=confirm)
            click.echo(f"{program.program_id}: {said or 'nothing was due'}")


def told(desk: "Launcher", program_id: str, *, confirm: bool) -> str:
    """Run the notices job here: what it did, in words; empty: nothing was due."""
    tags = {"engage/deliver": "confirmed"} if confirm else {}
    result = desk.run(f"{desk.program(program_id).key}_notices", tags=tags)
    return "; ".join(str(event.materialization.description) for event in result.get_asset_materialization_events())


def _attend(desk: EventDesk, program: "Program", event: "Event", minutes: Mapping[str, float]) -> str:
    """Record who came, and who did not once it is time; what became of it in words."""
    from engage_assets.domain.registrations import SEATED  # noqa: PLC0415 - as in launcher
    from engage_assets.events.attendance import NO_SHOW_AFTER, statuses  # noqa: PLC0415 - as in launcher

    registrations = desk.launcher.parts["registrations"]
    found = registrations.of_event(program.program_id, event.event_id)
    seated = [one.customer_id for one in found if one.status in SEATED]
    said = statuses(minutes, seated, event, desk.now)
    there = {customer: minutes[customer] for customer, status in said.items() if status == "attended"}
    changed = registrations.attend(program.program_id, event.event_id, said, desk.now, there)
    uninvited = sum(customer not in set(seated) for customer, time in minutes.items() if time > 0)
    summary = f"{len(there)} attended, {len(said) - len(there)} no-shows, {changed} changed, {uninvited} without a seat"
    desk.launcher.parts["operations"].note("import_attendance", event.event_id, summary, operator(), desk.now)
    if desk.now < event.ends_at + NO_SHOW_AFTER:
        summary += f"; no-shows from {event.ends_at + NO_SHOW_AFTER:%Y-%m-%d %H:%M} UTC on: import once more then"
    return summary


def _customers(desk: EventDesk) -> tuple[set[str], dict[str, str]]:
    """Keys of customers, and keys by address. Addresses stay in memory."""
    import polars as pl  # noqa: PLC0415 - as in launcher

    from engage_assets.domain.tables import CUSTOMERS  # noqa: PLC0415 - as in launcher

    table = desk.launcher.parts["warehouse"].scan(CUSTOMERS, str(CUSTOMERS.database), required=True)
    keys = set(table.select("customer_id").collect()["customer_id"].drop_nulls())
    if "email" not in table.collect_schema().names():
        return keys, {}
    named = table.select(pl.col("email").str.strip_chars().str.to_lowercase(), "customer_id").drop_nulls().collect()
    return keys, dict(named.unique("email", keep="none").iter_rows())


def chosen(desk: EventDesk, program_id: str | None) -> "Sequence[Program]":
    """The program that is meant, else all about events. Raises EngageError."""
    if program_id is None:
        return desk.programs
    program = desk.launcher.program(program_id)
    if program.event_config is None:
        raise EngageError(f"{program_id} is not about events: it has no section `eventConfig:`")
    return [program]


def start_of(local: datetime, zone: str) -> datetime:
    """A start on a clock as UTC. Raises EngageError for an unknown zone."""
    from engage_assets.domain.slots import instant_of, known_zones  # noqa: PLC0415 - as in launcher

    if zone not in known_zones():
        raise EngageError(f"--zone {zone!r} is no IANA zone such as Europe/Berlin")
    return instant_of(local, zone)


def when(event: "Event") -> str:
    """Start and length, in words."""
    return f"{event.local_start:%Y-%m-%d %H:%M} {event.time_zone}, {event.duration_minutes} min"


def _fill(desk: EventDesk, program: "Program", event: "Event") -> str:
    """How full an event is, in words."""
    seats = desk.seats(program, event)
    room = desk.launcher.parts["registrations"].room(seats)
    if seats.seats is None or room.free is None:
        return f"no limit, {room.waiting} in line"
    return f"{seats.seats - room.free} of {seats.seats} seats taken, {room.waiting} in line"


def _tell_batches(desk: EventDesk, event: "Event") -> None:
    """Say which batch invites for an event, or that it has passed."""
    from engage_assets.events.catalogue import batch_of  # noqa: PLC0415 - as in launcher

    for program in desk.programs:
        assert program.event_config
        monday = batch_of(event, program.event_config.invite_lead_days)
        if monday is None:
            first, last = program.event_config.invite_lead_days
            click.echo(f"warning: no Monday lies {first} to {last} days before it: {program.program_id} never invites")
        elif monday < desk.now.date():
            click.echo(
                f"warning: the batch of {monday} has passed: {program.program_id} invites nobody for it any more"
            )
        else:
            click.echo(f"{program.program_id} invites for it in the batch of {monday}")


def _tell_people(desk: EventDesk, event: "Event") -> None:
    """Give seats that a change made free to the line, and say whom the change concerns."""
    from engage_assets.domain.registrations import Fit  # noqa: PLC0415 - as in launcher

    registrations = desk.launcher.parts["registrations"]
    for program in desk.programs:
        (applied,) = registrations.take([Fit(desk.seats(program, event))], desk.now)
        counts = registrations.counts(program.program_id, [event.event_id])[event.event_id]
        concerned = counts.get("registered", 0) + counts.get("wait_listed", 0)
        click.echo(f"{program.program_id}: concerns {concerned} people, {len(applied.promoted)} got a seat by it")
