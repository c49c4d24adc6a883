"""Durable claims a second: `ledger.py DATABASE BATCH PROCESSES`. DATABASE is sqlite or a PostgreSQL URL."""

import json
import multiprocessing
import sys
import tempfile
import time
from datetime import datetime, timedelta
from typing import Any

from engage_assets.domain.sends import Cap, ClaimRules, Send
from engage_assets.ledger.ledger import SqlLedger

NOW = datetime.fromisoformat("2026-11-20 09:00")
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


def main() -> None:
    database, batch, processes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.db" if database == "sqlite" else database
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
    seconds = max(one for _, one, _ in results)
    print(
        json.dumps(
            {
                "claims_per_second": round(SENDS / seconds),
                "plans_per_second": round(SENDS / planned),
                "won": sorted(won for won, _, _ in results),
                "counts_close": sum(won for won, _, _ in results) == SENDS == counted.get("claimed"),
                "slowest_batch_ms": round(1e3 * max(one for _, _, one in results), 1),
            }
        )
    )


if __name__ == "__main__":
    main()
