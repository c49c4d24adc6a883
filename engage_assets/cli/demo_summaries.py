"""The demonstration's second half: two shops' log events, their summary tables, and the dashboard."""

from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

import click

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher

LOG_DAYS: Final = 14
EVENTS: Final = 8_000
"""Of both shops, about."""


def show_summaries(desk: "Launcher", day: date, seed: int) -> None:
    """Invent logs up to two days after `day`, when its last late event is in, and make the tables up to `day`."""
    spec = desk.folder.summaries
    if spec is None:
        return
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.summary_families import FAMILIES  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.summary_jobs import CLOSE, job_name  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.summary_services import desks  # noqa: PLC0415 - as in launcher
    from engage_assets.sample.logs import Plan, write_logs  # noqa: PLC0415 - as in launcher

    last = day + timedelta(days=2)
    plan = Plan(seed, last - timedelta(days=LOG_DAYS - 1), last, EVENTS, form="ndjson")
    summary = write_logs(desk.home.warehouse, plan)
    click.echo(f"7. log events of two shops: {summary.records:,} in {LOG_DAYS} days, below {desk.home.logs}")
    morning = desk.changed(ENGAGE_NOW=f"{day + timedelta(days=1)}T06:00:00")
    for shop in desks(spec, desk.home):
        with progress(f"summaries of {shop.service.service} as of {day}"):
            for family in FAMILIES:
                morning.run(job_name(shop.service, family), day)
                list(shop.make(family, day - timedelta(days=1)))
    morning.run(CLOSE, day)
    table = desks(spec, desk.home)[0].table_name("product_ranking")
    click.echo(f"  {desk.home.lake / 'commerce_dashboard' / f'{day}.html'}  (the dashboard: open it in a browser)")
    click.echo(f'  engage sql "FROM {table}"  (the tables; SHOW TABLES lists them)')
