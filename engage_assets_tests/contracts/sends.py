"""Sends for the suites of the ledger, and what a second process does with them. Light: processes import it."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any

from engage_assets.domain.sends import Send
from engage_assets.ledger.ledger import SqlLedger
from engage_assets_tests.builders import instant

CAMPAIGN = "product-reviews:email:2026-11-19:DE"
SLOT = instant("2026-11-20 09:00")
NOW = instant("2026-11-20 02:40")
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
TICK = timedelta(microseconds=1)


def a_send(customer: str = "c-1", **changes: Any) -> Send:
    good = {
        "program": "product-reviews",
        "campaign_id": CAMPAIGN,
        "customer_id": customer,
        "subject_id": "p-1",
        "channel": "email",
        "slot_at": SLOT,
        "cap_scope": "product-reviews",
        "marketplace": "DE",
    }
    return Send(**(good | changes))


def ids(sends: Iterable[Send]) -> list[str]:
    return [send.send_id for send in sends]


def hand_over(ledger: SqlLedger, *sends: Send, now: datetime = NOW, then: str | None = None) -> None:
    """Plan, claim and hand over sends, and let them enter a state where `then` says so."""
    ledger.plan(sends, now)
    ledger.claim(ids(sends), now)
    ledger.move(ids(sends), "handed_over", now)
    if then:
        ledger.move(ids(sends), then, now)


_start: Barrier | None = None


def meet_at(start: Barrier) -> None:
    """Initialise a process whose claims begin together with another's."""
    global _start  # noqa: PLW0603 – how a pool's process keeps what it was given
    _start = start


def meet() -> None:
    """Wait until the other process is there too."""
    assert _start is not None
    _start.wait()


def claim_in_tens(url: str, send_ids: list[str]) -> list[str]:
    """Together with the other process claim ten at a time; what was won."""
    ledger = SqlLedger(url)
    ledger.states("none")
    meet()
    won = [one for at in range(0, len(send_ids), 10) for one in ledger.claim(send_ids[at : at + 10], NOW).won]
    ledger.close()
    return won
