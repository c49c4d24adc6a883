"""Durable claims a second, every check at the send included.

usage: python bench/ledger.py sqlite|postgresql|URL [BATCH] [PROCESSES]
`postgresql` starts a server of its own, as durable as it is by default. Processes claim the same sends.
"""

import multiprocessing
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import measure

from engage_assets.domain.sends import Cap, ClaimRules, Send
from engage_assets.ledger.ledger import SqlLedger

NOW = datetime.fromisoformat("2026-11-20 09:00")
ROOT = Path(__file__).parent.parent
SENDS = 50_000
RULES = ClaimRules(cap=Cap(3, timedelta(days=30)))


def a_send(number: int) -> Send:
    return Send(
        "product-reviews", "bench:email:2026-11-19:US", f"c-{number:07}", f"p-{number % 997}", "email", NOW, "reviews",
        marketplace="US", subject_name="A product", locale="en",
    )  # fmt: skip


def claim_all(url: str, ids: list[str], batch: int, start: Any, told: Any) -> None:
    ledger = SqlLedger(url)
    ledger.states("none")
    start.wait()
    began, won, slowest = time.perf_counter(), 0, 0.0
    for at in range(0, len(ids), batch):
        one = time.perf_counter()
        won += len(ledger.claim(ids[at : at + batch], NOW, RULES).won)
        slowest = max(slowest, time.perf_counter() - one)
    told.put((won, time.perf_counter() - began, slowest))


def main(database: str, batch: int = 500, processes: int = 1) -> None:
    """Plan, claim in batches, and report; the wins must add up."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as open_ones:
        url = f"sqlite:///{folder}/ledger.db" if database == "sqlite" else database
        if database == "postgresql":
            sys.path.insert(0, str(ROOT))
            from engage_assets_tests.postgres import find_binaries, running_server

            binaries = find_binaries()
            assert binaries, "PostgreSQL is missing: make parts"
            server = open_ones.enter_context(running_server(binaries))
            url = server.url(server.create())
        ledger = SqlLedger(url)
        sends = [a_send(number) for number in range(SENDS)]
        began = time.perf_counter()
        for at in range(0, SENDS, 5_000):
            ledger.plan(sends[at : at + 5_000], NOW - timedelta(hours=1))
        planned = time.perf_counter() - began
        ids = sorted(send.send_id for send in sends)
        spawn = multiprocessing.get_context("spawn")
        start, told = spawn.Barrier(processes), spawn.Queue()
        workers = [spawn.Process(target=claim_all, args=(url, ids, batch, start, told)) for _ in range(processes)]
        for worker in workers:
            worker.start()
        results = [told.get() for _ in workers]
        for worker in workers:
            worker.join()
        counted = ledger.states("bench:email:2026-11-19:US")
        ledger.close()
    won = sorted(one for one, _, _ in results)
    assert sum(won) == SENDS == counted.get("claimed"), (won, counted)
    measure.report(
        claims_per_second=round(SENDS / max(one for _, one, _ in results)),
        plans_per_second=round(SENDS / planned),
        won=won,
        slowest_batch_ms=round(1e3 * max(one for _, _, one in results), 1),
    )


if __name__ == "__main__":
    main(sys.argv[1], *(int(one) for one in sys.argv[2:]))
