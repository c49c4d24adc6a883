"""CPU of all 16 summary tables of one service and day, beside merely decoding the columns that they need.

    python bench/summaries_tables.py [--events 10000000] [--days 90] [--folder .bench/summaries] [--each]

Logs are generated and silver and atoms built where the folder does not hold them yet. Times are CPU seconds of the
whole process (all threads), best of three; the floor reads the same files with Arrow, once per table.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from engage_assets.domain.summary_spec import CommerceAnalytics, Service
from engage_assets.lake import Lake
from engage_assets.sample.logs import Plan, write_logs
from engage_assets.summaries.engine import Engine
from engage_assets.summaries.queries import plan
from engage_assets.summaries.relations import RELATIONS
from engage_assets.summaries.silver_days import ServiceDays, service_days
from engage_assets.summaries.tables import TABLES, SummaryTable, values

SERVICE = "theshop-brand"
LAST = date(2026, 3, 20)
DAILY = ("events", "session_day", "user_day", "purchase_ledger")
ROLLED = {
    "user_first_seen": ("month_user", "user_day", "user_id"),
    "order_first_seen": ("month_order", "purchase_ledger", "order_id"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--folder", type=Path, default=Path(".bench/summaries"))
    parser.add_argument("--each", action="store_true", help="also every table by itself")
    asked = parser.parse_args()
    days = build(asked.folder / f"{asked.events}-{asked.days}", asked.events, asked.days)
    inputs = inputs_of(days)
    every = list(TABLES.values())
    for tables in ([[table] for table in every] if asked.each else []) + [every]:
        made, floor = best(partial(run, inputs, tables)), best(partial(decode, days, tables))
        name = tables[0].name if len(tables) == 1 else f"all {len(tables)} tables"
        print(f"{name:22} {made:6.2f} s CPU   decoding {floor:6.2f} s   {made / floor:4.2f}x")


def build(folder: Path, events: int, count: int) -> ServiceDays:
    """The days of the service, made where they are missing."""
    first = LAST - timedelta(days=count - 1)
    spec = CommerceAnalytics(services=(Service(service=SERVICE, time_zone="Asia/Seoul"),))
    days = service_days(Lake(folder / "lake"), folder / "logs", spec, SERVICE)
    if not (folder / "logs").is_dir():
        # A business day of Seoul begins on the UTC day before, and late events come for three days more.
        written = Plan(7, first - timedelta(days=1), LAST + timedelta(days=3), events)
        print("generated", write_logs(folder, written))
    known = set(days.days())
    for number in range(count):
        if (day := first + timedelta(days=number)) not in known:
            days.build(day)
    days.roll_up(LAST)
    return days


def inputs_of(days: ServiceDays) -> dict[str, list[Path] | str]:
    known = [one for one in days.days() if one <= LAST]
    return {name: [days.path(name, one) for one in known] for name in DAILY} | days.rollup_views(LAST)


def run(inputs: dict[str, list[Path] | str], tables: Sequence[SummaryTable]) -> None:
    with Engine(inputs) as engine:
        for table in tables:
            engine.result(table, values(table, SERVICE, LAST))


def decode(days: ServiceDays, tables: Sequence[SummaryTable]) -> None:
    """Read what each table needs, into nothing."""
    for table in tables:
        todo = plan(table, values(table, SERVICE, LAST))
        trees = [todo.query, *todo.views.values()]
        for name, span in todo.spans.items():
            if span:
                own = [days.path(name, day) for day in days.days() if span.first <= day <= span.last]
                read(own, needed(trees, name))
            elif name in ROLLED:
                monthly, daily, key = ROLLED[name]
                parts = days.parts(LAST)
                read([days.path(monthly, one.isoformat()[:7]) for one in parts.months], [key, "first_date"])
                read([days.path(daily, one) for one in parts.days], [key, "date"])


def needed(trees: Sequence[exp.Expr], relation: str) -> list[str]:
    """Columns of a relation that queries name, where they read it."""
    found = {
        column.name
        for tree in trees
        for table in tree.find_all(exp.Table)
        if table.name == relation and (select := table.find_ancestor(exp.Select))
        for column in select.find_all(exp.Column)
    }
    return sorted(found & RELATIONS[relation].columns.keys())


def read(paths: Sequence[Path], columns: Sequence[str]) -> None:
    for path in paths:
        pq.read_table(path, columns=list(columns), partitioning=None)
    pa.default_memory_pool().release_unused()


def best(work: Callable[[], object]) -> float:
    """CPU seconds of the quickest of three."""
    found = []
    for _ in range(3):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found)


if __name__ == "__main__":
    main()
