"""The candidate store's figures, in process.

usage: python bench/store.py put|fill|queries PLACE ROWS
PLACE is a file or a URL. `put` stores ROWS candidates in an empty PLACE as one partition: all new, the same again, all
with another score. `fill` brings PLACE up to ROWS candidates in partitions of 200,000, five a customer, programs
`program-00` to `program-19`. `queries` fills, then times what the service asks while another process writes.
"""

import random
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import measure
import numpy as np
import polars as pl

DAY, NOW = date(2026, 11, 19), datetime.fromisoformat("2026-11-20 02:45")
CREATED = datetime.fromisoformat("2026-11-20 02:00")
A_PARTITION, PER_CUSTOMER, PROGRAMS = 200_000, 5, 20


def candidates(rows: int, first: int = 0, seed: int = 7) -> pl.DataFrame:
    """Scored candidates in random order, five a customer, customers from number `first`."""
    dice = np.random.default_rng(seed)
    probability = dice.beta(2, 5, rows).round(6)
    number = pl.int_range(rows)
    frame = pl.DataFrame({"customer": first + np.arange(rows) // PER_CUSTOMER, "item": dice.integers(0, 10**6, rows)})
    return frame.select(
        customer_id=pl.format("customer-{}", pl.col("customer").cast(pl.String).str.zfill(8)),
        marketplace=pl.lit("DE"),
        subject_type=pl.lit("product"),
        subject_id=pl.format("product-{}", number % PER_CUSTOMER * 10**6 + pl.col("item")),
        record_id=pl.format("delivery-{}", first * PER_CUSTOMER + number),
        event_at=pl.lit(CREATED - timedelta(hours=26)) + pl.duration(seconds=pl.Series(dice.integers(0, 86_400, rows))),
        time_zone=pl.lit("Europe/Berlin"),
        locale=pl.lit("de-DE"),
        connector_id=pl.lit("athena-deliveries"),
        created_at=pl.lit(CREATED),
        expires_at=pl.lit(CREATED + timedelta(days=30)),
        email_eligible=pl.Series(dice.random(rows) < 0.9),
        in_app_eligible=pl.lit(value=True),
        push_eligible=pl.Series(dice.random(rows) < 0.3),
        voice_eligible=pl.lit(None, pl.Boolean),
        probability=pl.Series(probability),
        score=pl.Series((probability.argsort().argsort() / rows).round(6)),
        band=pl.lit("high"),
        model_version=pl.lit("review-propensity-v2"),
    ).sample(fraction=1, shuffle=True, seed=seed)


def program(number: int) -> Any:
    """A program named `program-<number>`."""
    from engage_assets.programs import load_folder

    real = load_folder(Path("programs")).programs["product-reviews"]
    return real.model_copy(update={"program_id": f"program-{number:02d}"})


def timed(call: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, CPU seconds, result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = call()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def put(store: Any, rows: int) -> dict[str, Any]:
    """All new, the same again, all with another score."""
    frames = list(candidates(rows).iter_slices(100_000))
    rescored = [frame.with_columns(score=1 - pl.col("score")) for frame in frames]
    facts = {}
    for name, given in {"new": frames, "unchanged": frames, "rescored": rescored}.items():
        wall, cpu, counts = timed(lambda given=given: store.put(program(0), DAY, given, NOW))
        facts[name] = {"wall": round(wall, 2), "cpu": round(cpu, 2)}
        assert counts.inserted == (rows if name == "new" else 0), f"{name}: PLACE was not empty: {counts}"
    return facts


def fill(store: Any, rows: int) -> dict[str, Any]:
    """Add the partitions that PLACE lacks."""
    began, added = time.perf_counter(), 0
    for part in range(rows // A_PARTITION):
        first = part * A_PARTITION // PER_CUSTOMER
        if not store.of_customer(f"customer-{first:08d}", None, NOW):
            frames = candidates(A_PARTITION, first, seed=part).iter_slices(100_000)
            store.put(program(part % PROGRAMS), DAY - timedelta(days=part // PROGRAMS), frames, NOW)
            added += A_PARTITION
    return {"added": added, "fill_seconds": round(time.perf_counter() - began, 1)}


def write(store: Any, rows: int) -> None:
    """Until it is ended: change statuses of 100 random candidates, then put 500 rows of a small program."""
    from engage_assets.domain.ports import CandidateKey, StatusChange

    dice, minute = random.Random(5), 0
    while True:
        found = [
            store.of_customer(f"customer-{dice.randrange(rows // PER_CUSTOMER):08d}", None, NOW) for _ in range(100)
        ]
        keys = [CandidateKey(*(row[name] for name in CandidateKey.__dataclass_fields__)) for (row, *_) in found if row]
        store.advance([StatusChange(key, "delivered", NOW + timedelta(minutes=minute)) for key in keys])
        small = candidates(500, first=10**7, seed=minute)
        store.put(program(99), DAY + timedelta(days=minute % 3), [small], NOW)
        minute += 1


def milliseconds(calls: int, call: Callable[[], Any]) -> dict[str, float]:
    """Percentiles of a call's time."""
    times = sorted(timed(call)[0] * 1000 for _ in range(calls))
    return {"p50": round(times[calls // 2], 3), "p99": round(times[calls * 99 // 100], 3), "max": round(times[-1], 2)}


def queries(store: Any, place: str, rows: int) -> dict[str, Any]:
    """What the service asks, in process, while another process writes."""
    facts = fill(store, rows)
    warm_seconds, _, warm_bytes = timed(store.warm)
    dice, reviews = random.Random(3), "program-00"
    _, deep = store.page(reviews, "email", 0.0, min(rows, A_PARTITION) // 2, NOW)
    writer = subprocess.Popen([sys.executable, __file__, "write", place, str(rows)])
    try:
        time.sleep(3)

        def customer() -> Any:
            return store.of_customer(f"customer-{dice.randrange(rows // PER_CUSTOMER):08d}", None, NOW)

        def stream() -> int:
            return sum(map(len, store.stream(reviews, "email", 0.0, 50_000, NOW)))

        streams = [timed(stream) for _ in range(3)]
        return {
            **facts,
            "warm_seconds": round(warm_seconds, 2),
            "warm_mib": warm_bytes >> 20,
            "customer_ms": milliseconds(5_000, customer),
            "first_page_ms": milliseconds(300, lambda: store.page(reviews, "email", 0.0, 100, NOW)),
            "deep_page_ms": milliseconds(300, lambda: store.page(reviews, "email", 0.0, 100, NOW, after=deep)),
            "undelivered_page_ms": milliseconds(
                300, lambda: store.page(reviews, "email", 0.0, 100, NOW, exclude=frozenset({"delivered"}))
            ),
            "stream_50000": {
                "wall": round(sorted(one[0] for one in streams)[1], 2),
                "cpu": round(sorted(one[1] for one in streams)[1], 2),
                "rows": streams[0][2],
            },
        }
    finally:
        writer.terminate()
        writer.wait()


def main() -> None:
    """Run what the command line says."""
    from engage_assets.stores.opening import open_store

    way, place, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
    store = open_store(place)
    if way == "write":
        write(store, rows)
    else:
        ways = {"put": put, "fill": fill, "queries": lambda store, rows: queries(store, place, rows)}
        measure.report(**ways[way](store, rows))


if __name__ == "__main__":
    main()
