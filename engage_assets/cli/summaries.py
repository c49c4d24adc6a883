"""`engage summaries run`, `status`: tables of a service and day by hand, and which there are."""

import os
import sys
from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

import click

from engage_assets.cli.desk import DAY, plain_errors
from engage_assets.domain.errors import EngageError
from engage_assets.home import Home

if TYPE_CHECKING:
    import polars as pl

    from engage_assets.defs.summary_desk import ServiceDesk
    from engage_assets.domain.summary_spec import Family


@click.group()
def summaries() -> None:
    """Commerce and behaviour tables of log events."""


@summaries.command()
@click.argument("service")
@click.argument("day", metavar="DATE", type=DAY)
@click.option(
    "--family", type=click.Choice(["commerce", "behaviour"]), help="Only these tables; default: both families."
)
def run(service: str, day: datetime, family: "Family | None") -> None:
    """Make the tables of a SERVICE as of a business DATE, and the dashboard's page.

    Silver and atoms are made where they are missing or their logs have changed. Exit code 1 where a table failed.
    """
    from engage_assets.defs.summary_dashboard import write_dashboard  # noqa: PLC0415 - --help opens nothing
    from engage_assets.defs.summary_families import FAMILIES  # noqa: PLC0415 - as above
    from engage_assets.defs.summary_services import desk_of, read_spec  # noqa: PLC0415 - as above

    with plain_errors():
        desk = desk_of(read_spec(os.environ), Home.read(os.environ), service)
        failed = _run(desk, day.date(), [family] if family else list(FAMILIES))
        page = write_dashboard(desk.spec, desk.home, day.date())
        click.echo(f"dashboard: {page}")
        sys.exit(1 if failed else 0)


def _run(desk: "ServiceDesk", day: date, families: list["Family"]) -> int:
    """Make and say what was made; returns how many tables failed."""
    from engage_assets.clocks import read_clock  # noqa: PLC0415 - --help opens nothing
    from engage_assets.defs.summary_desk import Made  # noqa: PLC0415 - as above
    from engage_assets.domain.summary_spec import day_is_over  # noqa: PLC0415 - as above

    now = read_clock(os.environ).now()
    if not desk.has_begun(day, now):
        raise EngageError(
            f"{day} has not begun in {desk.service.time_zone} (it is {now:%Y-%m-%d %H:%M} UTC): there is nothing to"
            " summarise yet"
        )
    if day_is_over(day, desk.service.time_zone) > now:
        click.echo(f"note: {day} is not over yet in {desk.service.time_zone}: more events may come", err=True)
    prepared = desk.prepare(day)
    for made, built in prepared.days.items():
        click.echo(f"{made}: {built.events:,} events, {built.duplicates:,} duplicates left out")
    for month in prepared.months:
        click.echo(f"{month:%Y-%m}: rolled up")
    failed = 0
    for family in families:
        for one in desk.make(family, day):
            name = desk.table_name(one.table)
            if isinstance(one, Made):
                click.echo(f"  {name:<58} {one.rows:>7,} rows {one.seconds:>7.2f} s")
            else:
                click.echo(click.style("error: ", fg="red") + f"{name}: {one.why}", err=True)
                failed += 1
    return failed


@summaries.command()
def status() -> None:
    """Say which logs, days and tables there are, and which tables are missing."""
    from engage_assets.clocks import read_clock  # noqa: PLC0415 - as above
    from engage_assets.defs.summary_services import desks, read_spec  # noqa: PLC0415 - as above
    from engage_assets.defs.summary_state import table_states  # noqa: PLC0415 - as above

    with plain_errors():
        spec, home = read_spec(os.environ), Home.read(os.environ)
        if not home.logs.is_dir():
            raise EngageError(f"{home.logs}: there are no logs; put <day>.ndjson into {home.logs}/<service>")
        for desk in desks(spec, home):
            days = desk.days.days()
            click.echo(f"{desk.service.service}: {_span('logs', desk.arrivals())}, {_span('silver', days)}")
        for line in _state_lines(table_states(spec, home, read_clock(os.environ).now())):
            click.echo(line)


def _span(what: str, days: list[date]) -> str:
    return f"{what} {days[0]} to {days[-1]} ({len(days):,} days)" if days else f"no {what}"


def _state_lines(states: "pl.DataFrame") -> Iterator[str]:
    yield f"\n{'table':<58} {'newest':<10} {'rows':>7} {'kept':>5}  last run (UTC)"
    for row in states.iter_rows(named=True):
        rows = "–" if row["row_count"] is None else f"{row['row_count']:,}"
        missing = f"  missing: {row['expected_date']}" if row["is_missing"] else ""
        missing += f"  gaps: {row['gaps']}, the newest {row['last_gap']}" if row["gaps"] else ""
        newest, ran = (str(row[name] or "–") for name in ("last_date", "last_run"))
        yield f"{row['table_name']:<58} {newest:<10} {rows:>7} {row['dates_kept']:>5}  {ran}{missing}"
    count = states["is_missing"].sum()
    gaps = states["gaps"].sum()
    yield f"\n{states.height} tables, {count or 'none'} missing" + (f"; {gaps} earlier dates missing" if gaps else "")
