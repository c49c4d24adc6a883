"""Command of the group events: how many are expected to come, from the opening of registration on."""

from datetime import datetime
from typing import TYPE_CHECKING

import click
import polars as pl

from engage_assets.cli.desk import plain_errors
from engage_assets.cli.events import CLOCK, EventDesk, chosen, event_desk, when

if TYPE_CHECKING:
    from engage_assets.domain.events import Event
    from engage_assets.domain.program import Program


@click.command()
@click.argument("event_id")
@click.option("--as-of", type=CLOCK, help="As it was known at an instant, UTC; default: now.")
@click.option("--program", "program_id", help="Only through this program.")
def forecast(event_id: str, as_of: datetime | None, program_id: str | None) -> None:
    """Show how many of those with a seat will come, moment by moment since registration opened. Keeps nothing."""
    with plain_errors():
        desk = event_desk()
        event = desk.event(event_id)
        click.echo(f"{event_id}  {when(event)}{'  CANCELLED' if event.is_cancelled else ''}")
        for program in chosen(desk, program_id):
            for line in _lines(desk, program, event, min(as_of or desk.now, desk.now)):
                click.echo(line)


def _lines(desk: EventDesk, program: "Program", event: "Event", until: datetime) -> list[str]:
    """What is to be expected of a program's people, in words."""
    from engage_assets.defs.batch import Batch  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.event_forecast import forecasts  # noqa: PLC0415 - as in launcher
    from engage_assets.events.catalogue import batch_of  # noqa: PLC0415 - as in launcher
    from engage_assets.outcomes.event_forecasts import BASES  # noqa: PLC0415 - as in launcher

    assert program.event_config
    before = [one for one in desk.catalogue.history(event.event_id, until) if not one.is_cancelled]
    mondays = {batch_of(one, program.event_config.invite_lead_days) for one in before}
    opened = sorted(one for one in mondays if one and program.cadence.batch_instant(one) <= until)
    if not opened:
        return [f"{program.program_id}: registration has not opened; no batch has invited for it"]
    parts = desk.launcher.parts
    log = parts["ledger"].registrations(until).lazy().filter(program=program.program_id)
    for monday in opened:
        batch = Batch(program, monday, desk.launcher.folder.marketplaces, parts["warehouse"])
        rows, learned = forecasts(batch, log, until)
        rows = rows.filter(event_id=event.event_id)
        if learned is None:
            return [f"{program.program_id}: no forecast, as of no past event it is known who came"]
        if rows.height:
            said = [f"{program.program_id}: {BASES[rows['basis'][-1]]}; {learned.examples:,} past registrations"]
            return [*said, f"{'known by (UTC)':<18}{'registered':>12}{'expected':>10}  interval", *_table(rows)]
    return [f"{program.program_id}: no batch has invited for it"]


def _table(rows: pl.DataFrame) -> list[str]:
    found = []
    for row in rows.iter_rows(named=True):
        line = (
            f"{row['at']:%Y-%m-%d %H:%M}  {row['registered']:>12,}{row['expected']:>10,.1f}  {row['low']}–{row['high']}"
        )
        found.append(line if row["attended"] is None else f"{line}, {row['attended']:,} came")
    return found
