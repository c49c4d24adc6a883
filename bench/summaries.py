"""The summary tables of one service and day beside rivals, the cost of a day, silver beside merely parsing its logs.

usage: python bench/summaries.py WAY FOLDER [EVENTS]

WAY is make (logs of 180 days, silver and atoms; once), tables, decode (merely read the columns that the tables need),
spark (the same SQL on PySpark, two threads), raw (the same definitions out of raw attribute maps), daily (a new day in
homes that keep 90 and 180 days), silver (out of NDJSON; EVENTS are those of the file), or memory (90 days from logs to
tables in this process, for its peak).
EVENTS (10,000,000) are those of two services in 90 days; made are the larger one's 60 %, at the same rate for 180 days.
Figures are CPU seconds of all threads, the least of three, imports left out.
"""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import measure

SERVICE, ZONE, SHARE = "theshop-brand", "Asia/Seoul", 0.6
LAST = date(2026, 3, 20)
LONG, SHORT = 180, 90
DAY = timedelta(days=1)
RELATIONS = ("events", "session_day", "user_day", "purchase_ledger")
ROLLED = {
    "user_first_seen": ("month_user", "user_day", "user_id"),
    "order_first_seen": ("month_order", "purchase_ledger", "order_id"),
}
"""Roll-ups that tables read: what months and days they are made of, and the key."""


def desk(root: Path) -> Any:
    """The product's own way to a service's days and tables, in a home at `root`."""
    from engage_assets.defs.summary_desk import ServiceDesk
    from engage_assets.domain.summary_spec import CommerceAnalytics, Service
    from engage_assets.home import Home

    spec = CommerceAnalytics(services=(Service(service=SERVICE, time_zone=ZONE),))
    return ServiceDesk(spec, spec.service(SERVICE), Home(root))


def make(folder: Path, events: int) -> None:
    """Homes that keep 180 days and the last 90 of them, where they are missing or were made by other SQL."""
    long, short = folder / str(LONG), folder / str(SHORT)
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        write_logs(long, LONG, events * LONG // SHORT)
    desk(long).prepare(LAST)
    if not (folder / "made").exists():
        first = str(LAST - SHORT * DAY)
        link(long, short, lambda path: path.stem >= first and not path.parent.name.startswith("month_"))
    desk(short).prepare(LAST)
    (folder / "made").touch()


def write_logs(home: Path, days: int, events: int) -> None:
    """The logs of some days up to the last, `events` of both services together."""
    from engage_assets.sample.logs import Plan, service_logs, write_parquet

    logs = desk(home).home.logs / SERVICE
    logs.mkdir(parents=True)
    for day, table in service_logs(SERVICE, Plan(7, LAST - days * DAY, LAST, events)):
        write_parquet(logs / f"{day}.parquet", table)


def memory(folder: Path, events: int) -> dict[str, int]:
    """Everything of 90 days, from logs to tables: rows of silver; the process tells its peak."""
    import polars as pl

    from engage_assets.defs.summary_families import FAMILIES

    shutil.rmtree(folder, ignore_errors=True)
    write_logs(folder, SHORT, events)
    today = desk(folder)
    days = today.prepare(LAST).days
    made = [one for family in FAMILIES for one in today.make(family, LAST)]
    assert all(hasattr(one, "rows") for one in made), made
    paths = [today.days.path("events", day) for day in days]
    return {"days": len(days), "tables": len(made), "events": pl.scan_parquet(paths).select(pl.len()).collect().item()}


def link(source: Path, target: Path, is_kept: Callable[[Path], bool]) -> None:
    """Another home of the same files, as far as they are kept; nothing of the product writes into a file."""
    shutil.rmtree(target, ignore_errors=True)
    for path in source.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and is_kept(path):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)


def inputs(days: Any) -> dict[str, Any]:
    known = [day for day in days.days() if day <= LAST]
    return {name: [days.path(name, day) for day in known] for name in RELATIONS} | days.rollup_views(LAST)


def tables(folder: Path) -> tuple[float, str]:
    """All 16 tables, published; and their rows' digest."""
    import polars as pl

    from engage_assets.summaries.engine import Engine
    from engage_assets.summaries.tables import TABLES, values

    given, out = inputs(desk(folder / str(SHORT)).days), folder / "tables"

    def work() -> None:
        with Engine(given) as engine:
            for name, table in TABLES.items():
                engine.run(table, values(table, SERVICE, LAST), out / f"{name}.parquet")

    spent = least(work)
    return spent, digest((name, pl.read_parquet(out / f"{name}.parquet").rows()) for name in TABLES)


def decode(folder: Path) -> dict[str, float]:
    """Read what each table needs, into nothing; and what all of them need, once."""
    from engage_assets.summaries.queries import plan
    from engage_assets.summaries.tables import TABLES, values

    days = desk(folder / str(SHORT)).days
    reads: list[tuple[Path, tuple[str, ...]]] = []
    for table in TABLES.values():
        todo = plan(table, values(table, SERVICE, LAST))
        trees = [todo.query, *todo.views.values()]
        for name, span in todo.spans.items():
            if span:
                own = [days.path(name, day) for day in days.days() if span.first <= day <= span.last]
                reads += [(path, needed(trees, name)) for path in own]
            elif name in ROLLED:
                reads += rolled(days, *ROLLED[name])
    once: dict[Path, set[str]] = {}
    for path, columns in reads:
        once.setdefault(path, set()).update(columns)
    return {
        "cpu": least(lambda: read(reads)),
        "once": least(lambda: read((path, tuple(columns)) for path, columns in once.items())),
    }


def rolled(days: Any, monthly: str, daily: str, key: str) -> list[tuple[Path, tuple[str, ...]]]:
    parts = days.parts(LAST)
    months = [(days.path(monthly, month.isoformat()[:7]), (key, "first_date")) for month in parts.months]
    return months + [(days.path(daily, day), (key, "date")) for day in parts.days]


def needed(trees: Sequence[Any], relation: str) -> tuple[str, ...]:
    """Columns of a relation that queries name, where they read it."""
    from sqlglot import exp

    from engage_assets.summaries.relations import RELATIONS as KNOWN

    found = {
        column.name
        for tree in trees
        for table in tree.find_all(exp.Table)
        if table.name == relation and (select := table.find_ancestor(exp.Select))
        for column in select.find_all(exp.Column)
    }
    return tuple(sorted(found & KNOWN[relation].columns.keys()))


def read(reads: Iterable[tuple[Path, Sequence[str]]]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    for path, columns in reads:
        pq.read_table(path, columns=list(columns), partitioning=None)
    pa.default_memory_pool().release_unused()


def daily(folder: Path) -> dict[str, Any]:
    """A day's run where its log has just come: silver and atoms of the days that it changes, roll-ups, all tables."""
    from engage_assets.defs.summary_families import FAMILIES
    from engage_assets.summaries.silver import days_of_arrival

    new = {str(LAST)} | {str(day) for day in days_of_arrival(LAST, ZONE)}

    def is_kept(path: Path) -> bool:
        is_of_new = path.stem in new if path.parent.name == "made_of" else path.stem >= str(LAST)
        return "logs" in path.parts or path.stem == "oldest_arrival" or not is_of_new

    spent: dict[int, list[float]] = {SHORT: [], LONG: []}
    silver: dict[int, list[float]] = {SHORT: [], LONG: []}
    for kept in (SHORT, LONG) * 3:
        link(folder / str(kept), folder / "daily", is_kept)
        today, start = desk(folder / "daily"), time.process_time()
        made = today.prepare(LAST)
        silver[kept].append(time.process_time() - start)
        found = [one for family in FAMILIES for one in today.make(family, LAST)]
        spent[kept].append(time.process_time() - start)
        assert all(hasattr(one, "rows") for one in found), found
    return {
        "days_made": len(made.days),
        **{f"cpu_{kept}": round(min(found), 2) for kept, found in spent.items()},
        **{f"silver_cpu_{kept}": round(min(found), 2) for kept, found in silver.items()},
        "ratio": round(min(spent[LONG]) / min(spent[SHORT]), 2),
    }


def silver(folder: Path, events: int) -> dict[str, Any]:
    """Silver of a day out of NDJSON, and DuckDB that parses the file and does nothing with it."""
    import duckdb

    from engage_assets.domain.summary_spec import AttributeNames, EventNames
    from engage_assets.sample.logs import Plan, service_logs, write_ndjson
    from engage_assets.summaries.silver import build_silver
    from engage_assets.summaries.silver_arrivals import Names, read_arrivals
    from engage_assets.summaries.silver_engine import bounded

    raw, names = folder / f"{LAST}.ndjson", Names(SERVICE, EventNames(), AttributeNames())
    folder.mkdir(parents=True, exist_ok=True)
    if not raw.exists():
        ((_, table),) = service_logs(SERVICE, Plan(1, LAST, LAST, round(events / SHARE)))
        write_ndjson(raw, table)
    arrivals, out = folder / "arrivals.parquet", folder / "silver.parquet"
    fields = "timestamp: 'VARCHAR', body: 'VARCHAR', record_id: 'VARCHAR'"
    maps = f", columns = {{{fields}, attributes: 'MAP(VARCHAR, VARCHAR)', resource: 'MAP(VARCHAR, VARCHAR)'}}"

    def parse(columns: str) -> None:
        with duckdb.connect(config={"threads": 2}) as connection:
            reader = f"read_json('{raw}', format = 'newline_delimited'{columns})"
            connection.execute(f"SELECT count(COLUMNS(*)) FROM {reader}").fetchall()

    def ours() -> None:
        with bounded() as connection:
            read_arrivals(connection, [raw], arrivals, folder / "set_aside.parquet", names, LAST)
            build_silver(connection, [arrivals], out, service=SERVICE, zone="UTC", day=LAST)

    found = {"maps": least(lambda: parse(maps)), "guessed": least(lambda: parse("")), "silver": least(ours)}
    return {
        "megabytes": round(raw.stat().st_size / 1e6),
        **{name: round(spent, 2) for name, spent in found.items()},
        "to_maps": round(found["silver"] / found["maps"], 2),
        "to_guessed": round(found["silver"] / found["guessed"], 2),
    }


def least(work: Callable[[], object]) -> float:
    """CPU seconds of this process, the least of three."""
    found = []
    for _ in range(3):
        before = time.process_time()
        work()
        found.append(time.process_time() - before)
    return min(found)


def digest(rows: Iterable[tuple[str, Any]]) -> str:
    """The same for the same rows, whichever engine they come from."""
    text = json.dumps([(name, [plain(value) for value in found]) for name, found in rows], ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def plain(value: Any) -> Any:
    """A value as JSON; a map is its sorted pairs, whatever an engine's reader makes of it."""
    if isinstance(value, dict) and value.keys() == {"key", "value"}:
        return [value["key"], value["value"]]
    if isinstance(value, dict):
        return sorted(map(list, value.items()))
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def main() -> None:
    """Run one way and report."""
    way, folder = sys.argv[1], Path(sys.argv[2]).absolute()
    events = int(float(sys.argv[3])) if len(sys.argv) > 3 else 10_000_000
    place = folder / str(events)
    if way == "silver":
        return measure.report(**silver(folder / f"ndjson-{events}", events))
    if way == "make":
        return measure.report(done=make(place, events))
    if way == "memory":
        return measure.report(**memory(folder / f"memory-{events}", events))
    if way == "daily":
        return measure.report(**daily(place))
    if way == "decode":
        return measure.report(**{name: round(spent, 2) for name, spent in decode(place).items()})
    import summaries_rivals

    spent, answer = {"tables": tables, "spark": summaries_rivals.spark, "raw": summaries_rivals.raw}[way](place)
    return measure.report(cpu=round(spent, 2), answer=answer)


if __name__ == "__main__":
    main()
