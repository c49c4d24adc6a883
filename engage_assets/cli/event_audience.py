"""Commands of the group events: whom a draft would reach, and what those who came say."""

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from engage_assets.cli.desk import plain_errors
from engage_assets.cli.events import CLOCK, EventDesk, chosen, event_desk, start_of, when
from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    from engage_assets.defs.event_audience import Audience
    from engage_assets.domain.events import Event
    from engage_assets.domain.program import Program

SHOWN = 12
"""Regions and zones that are listed by name."""


@click.command()
@click.argument("event_id")
@click.option("--topic", "topics", multiple=True, help="What a draft is about; repeatable.")
@click.option("--starts", type=CLOCK, help="Start of a draft on the event's own clock: '2026-12-09 18:00'.")
@click.option("--zone", help="IANA zone of a draft's clock; default: the event's, else UTC.")
@click.option("--minutes", type=int, help="How long a draft takes; default: the event's, else 60.")
@click.option("--region", "target_regions", multiple=True, help="Whose customers a draft invites; repeatable.")
@click.option("--capacity", type=int, help="Seats of a draft.")
@click.option("--program", "program_id", help="Only through this program.")
def audience(event_id: str, program_id: str | None, **told: Any) -> None:
    """Show whom an event would reach: counts by filter and reason, by region and time zone. Keeps nothing.

    Of an event in the catalogue as it stands, of one with changes, or of a draft that is not there yet.
    """
    from engage_assets.defs.event_audience import audience as find  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = event_desk()
        draft = _draft(desk, event_id, told)
        parts = desk.launcher.parts
        for program in chosen(desk, program_id):
            found = find(
                program,
                draft,
                warehouse=parts["warehouse"],
                connector=parts["connector"],
                ledger=parts["ledger"],
                marketplaces=desk.launcher.folder.marketplaces,
                now=desk.now,
            )
            _show(program, found, desk.now)


def _draft(desk: EventDesk, event_id: str, told: dict[str, Any]) -> "Event":
    """The event with what was told of it. Raises EngageError where it is neither known nor described, or is wrong."""
    from engage_assets.domain.events import Event  # noqa: PLC0415 - as in launcher
    from engage_assets.events.catalogue import fault_of  # noqa: PLC0415 - as in launcher

    before = desk.catalogue.known(desk.now).get(event_id)
    starts, zone = told.pop("starts"), told.pop("zone")
    named = {"minutes": "duration_minutes"}
    changes = {named.get(name, name): value for name, value in told.items() if value not in (None, ())}
    if before is None:
        if not starts or not told["topics"]:
            raise EngageError(
                f"the catalogue has no event {event_id!r}: describe the draft with --starts and --topic, or see"
                " `engage events list --all`"
            )
        place = zone or "UTC"
        draft = Event(
            **{"duration_minutes": 60, **changes}, event_id=event_id, known_at=desk.now, name=event_id,
            starts_at=start_of(starts, place), time_zone=place,
        )  # fmt: skip
    else:
        place = zone or before.time_zone
        start = start_of(starts or before.local_start, place) if starts or zone else before.starts_at
        draft = replace(before, **changes, starts_at=start, time_zone=place)
    fault = fault_of(draft)
    if fault:
        raise EngageError(f"event {event_id}: {fault}")
    return draft


def _show(program: "Program", found: "Audience", now: datetime) -> None:
    event, reached = found.event, found.reached
    click.echo(f"{event.event_id}  {when(event)}{'  CANCELLED' if event.is_cancelled else ''}")
    passed = (
        " – it has passed: nobody is invited any more" if program.cadence.batch_instant(found.monday) <= now else ""
    )
    click.echo(f"{program.program_id}: the batch of {found.monday} invites for it{passed}")
    click.echo(f"{found.records:>10,}  profiles that the program's query returns for it")
    for stage, reason, count in found.refused:
        click.echo(f"{-count:>10,}  {stage}: {reason}")
    click.echo(f"{reached.height:>10,}  would be reached")
    for channel in program.list_channels:
        flag = f"{channel.type.replace('-', '_')}_eligible"
        most = f", at most {channel.limit:,} of them" if channel.limit else ""
        click.echo(f"{reached[flag].sum():>10,}    by {channel.channel_id}: from score {channel.min_score:g} on{most}")
    _list("by region", [(region, "", count) for region, count in found.by_region()])
    zones = [(zone, f"  starts at {at:%H:%M}" if at else "", count) for zone, at, count in found.by_zone()]
    _list("by time zone", zones)
    for reason, facts in found.not_evaluated:
        click.echo(f"not evaluated: {reason} (no table declares {facts})")


def _list(head: str, rows: list[tuple[str, str, int]]) -> None:
    if not rows:
        return
    click.echo(head)
    for name, more, count in rows[:SHOWN]:
        click.echo(f"{count:>10,}    {name}{more}")
    if len(rows) > SHOWN:
        click.echo(f"{sum(count for _, _, count in rows[SHOWN:]):>10,}    in {len(rows) - SHOWN} others")


@click.command()
@click.argument("event_id")
@click.option("--program", "program_id", help="Only through this program.")
def survey(event_id: str, program_id: str | None) -> None:
    """Show what those who came say: answers by rating, and their mean. No texts."""
    with plain_errors():
        desk = event_desk()
        desk.event(event_id)
        for program in chosen(desk, program_id):
            ratings = desk.launcher.parts["surveys"].ratings(program.program_id, [event_id])[event_id]
            counts = desk.launcher.parts["registrations"].counts(program.program_id, [event_id])[event_id]
            answers, came = sum(ratings.values()), counts.get("attended", 0)
            if not answers:
                click.echo(f"{program.program_id}: no answers yet; {came} attended")
                continue
            mean = sum(rating * count for rating, count in ratings.items()) / answers
            click.echo(f"{program.program_id}: {mean:.2f} of 5, the mean of {answers}; {came} attended")
            for rating in range(5, 0, -1):
                click.echo(f"{ratings.get(rating, 0):>10,}    {rating}")
