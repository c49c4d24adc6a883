"""Silver out of NDJSON, beside DuckDB that merely parses the same file: CPU seconds of both in one run.

usage: python bench/summaries_silver.py [events] [folder]
"""

import resource
import sys
import tempfile
import time
from datetime import date
from multiprocessing import get_context
from pathlib import Path

import duckdb
from measure import report

from engage_assets.domain.summary_spec import AttributeNames, EventNames
from engage_assets.sample.logs import Plan, write_logs
from engage_assets.summaries.atoms import DAILY, build_atoms
from engage_assets.summaries.silver import build_silver
from engage_assets.summaries.silver_arrivals import Names, read_arrivals
from engage_assets.summaries.silver_engine import bounded

SERVICE, ZONE, DAY = "theshop-brand", "UTC", date(2025, 10, 28)
FIELDS = "timestamp: 'VARCHAR', body: 'VARCHAR', record_id: 'VARCHAR'"
MAPS = f"{{{FIELDS}, attributes: 'MAP(VARCHAR, VARCHAR)', resource: 'MAP(VARCHAR, VARCHAR)'}}"


def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def timed(name, work):
    before, start = cpu(), time.perf_counter()
    result = work()
    print(f"{name:40} cpu {cpu() - before:6.2f} s  wall {time.perf_counter() - start:6.2f} s  {result}", flush=True)
    return cpu() - before


def parse(path, columns):
    with duckdb.connect(config={"threads": 2}) as connection:
        reader = f"read_json('{path}', format = 'newline_delimited'{columns})"
        return connection.execute(f"SELECT count(COLUMNS(*)) FROM {reader}").fetchone()[0]


def main():
    events = int(float(sys.argv[1])) if len(sys.argv) > 1 else 1_000_000
    folder = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="engage-bench-"))
    raw = folder / "logs" / SERVICE / f"{DAY}.ndjson"
    if not raw.is_file():
        # In a process of its own, whose memory is not ours.
        plan = Plan(seed=1, first=DAY, last=DAY, events=int(events / 0.6), form="ndjson")
        writer = get_context("spawn").Process(target=write_logs, args=(folder, plan))
        writer.start()
        writer.join()
    print(f"{raw.stat().st_size / 1e6:.0f} MB of NDJSON")
    names = Names(SERVICE, EventNames(), AttributeNames())
    arrivals, silver, set_aside = (
        folder / name for name in ("arrivals.parquet", "silver.parquet", "set_aside.parquet")
    )
    atoms = {name: folder / f"{name}.parquet" for name in DAILY}
    with bounded() as connection:
        steps = [
            timed("arrivals", lambda: read_arrivals(connection, [raw], arrivals, set_aside, names, DAY)),
            timed("silver", lambda: build_silver(connection, [arrivals], silver, service=SERVICE, zone=ZONE, day=DAY)),
        ]
        made = timed("atoms", lambda: build_atoms(connection, silver, atoms))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    guessed = timed("parse, columns as DuckDB guesses them", lambda: parse(raw, ""))
    maps = timed("parse, attributes as a map of texts", lambda: parse(raw, f", columns = {MAPS}"))
    both = sum(steps)
    report(
        silver_to_parse_as_map=round(both / maps, 2),
        silver_to_parse_as_guessed=round(both / guessed, 2),
        silver_cpu=round(both, 2),
        atoms_cpu=round(made, 2),
        silver_max_rss_mib=round(peak / 1024),
        silver_mb=round(silver.stat().st_size / 1e6, 1),
    )


if __name__ == "__main__":
    main()
