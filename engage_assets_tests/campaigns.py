"""A campaign of any size in a home of its own, and its delivery in a process that dies where it is told to."""

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.channels.email import render
from engage_assets.channels.smtp import smtp_sender
from engage_assets.clocks import RealClock
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch, email_channel
from engage_assets.defs.delivery import Delivered, Postman, deliver_due
from engage_assets.dispatch.relay import Relay
from engage_assets.domain.sends import Answer, Letter
from engage_assets.domain.tables import LIST_COLUMNS, frame_schema
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.programs import load_folder
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets.watermark import Watermark
from engage_assets_tests.builders import a_candidate, a_program, candidates

PROGRAMS = Path(__file__).parent.parent / "programs"
PROGRAM = a_program()
LEASE = timedelta(seconds=1)
LINES = 4
FAULTS = ("after_claim", "inside_hand_over", "after_answer", "inside_status_update")
"""Where a delivery may be told to die."""


def now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def partition() -> date:
    """The newest partition: its list may be sent now."""
    return PROGRAM.cadence.partition_of(now())


def make_campaign(root: Path, recipients: int) -> None:
    """Customers, stored candidates and rendered messages that are due now."""
    home, day = Home(root), partition()
    ids = [f"c-{number:07}" for number in range(recipients)]
    people = pl.DataFrame({"customer_id": ids, "email": [f"{one}@example.invalid" for one in ids]})
    people = people.with_columns(marketplace=pl.lit("DE"), name=pl.lit("Ada"), is_test=pl.lit(False))
    path = home.warehouse / "crm" / "customers.parquet"
    path.parent.mkdir(parents=True)
    people.write_parquet(path)
    deliveries = home.warehouse / "ecommerce" / "deliveries.parquet"
    deliveries.parent.mkdir(parents=True)
    pl.DataFrame(
        schema={
            **dict.fromkeys(("delivery_id", "order_id", "customer_id", "product_id", "status"), pl.String),
            "delivery_date": pl.Date,
        }
    ).write_parquet(deliveries)
    keys = pl.DataFrame({"customer_id": ids})
    one = candidates(a_candidate(marketplace="DE", expires_at=now() + timedelta(days=30)))
    SqliteCandidateStore(home.candidates).put(PROGRAM, day, [keys.join(one.drop("customer_id"), how="cross")], now())
    Lake(home.lake).write((PROGRAM.key, "email_campaigns"), day.isoformat(), _messages(keys, day))


def _messages(keys: pl.DataFrame, day: date) -> pl.DataFrame:
    slot = now().replace(microsecond=0)
    row = {
        "record_id": "r",
        "marketplace": "DE",
        "subject_type": "product",
        "subject_id": "p-1",
        "rank": 1,
        "score": 0.9,
        "event_at": slot,
        "locale": "de-DE",
        "time_zone": "Europe/Berlin",
        "campaign_id": f"{PROGRAM.program_id}:email:{day}:DE",
        "template_id": "review-request-v3",
        "slot_local": slot,
        "slot_at": slot,
        "subject_name": "Kettle",
    }
    schema = {**frame_schema(LIST_COLUMNS), "subject_name": pl.String()}
    del schema["customer_id"]
    listed = keys.join(pl.DataFrame([row], schema=schema), how="cross")
    channel = email_channel(PROGRAM)
    assert channel is not None
    return render(listed, program=PROGRAM, channel=channel, marketplaces=load_folder(PROGRAMS).marketplaces)


class NoChecks:
    """The checks before a delivery have tests of their own; here nothing is kept back."""

    def findings(self, *_: object) -> list[Any]:
        return []


def postman(root: Path, port: int, lease: timedelta = LEASE) -> tuple[Postman, Batch]:
    """A delivery of the campaign to the SMTP server at `port`."""
    home = Home(root)
    database = Database(home.ledger_url, random.Random())
    store = SqliteCandidateStore(home.candidates)
    marketplaces = load_folder(PROGRAMS).marketplaces
    return (
        Postman(
            program=PROGRAM,
            marketplaces=marketplaces,
            lake=Lake(home.lake),
            ledger=SqlLedger(database, lease=lease),
            operations=SqlOperations(database),
            store=store,
            checker=NoChecks(),  # type: ignore[arg-type]
            sender=smtp_sender(f"smtp://127.0.0.1:{port}", None, lines=LINES),
            clock=RealClock(),
            watermark=Watermark(home.watermark),
        ),
        Batch(PROGRAM, partition(), marketplaces, Warehouse(home.warehouse)),
    )


def deliver(
    root: Path, port: int, lease: timedelta = LEASE, fault: str | None = None, after: int = 0, seed: int = 0
) -> Delivered:
    """Deliver what is due; with a fault this process kills itself there, after `after` such moments."""
    made, batch = postman(root, port, lease)
    outbox, store = SqlOutbox(made.ledger.database), made.store  # type: ignore[attr-defined]
    if fault:
        made = replace(
            made, ledger=_Mortal(made.ledger, fault, after, seed), sender=_MortalSender(made.sender, fault, after, seed)
        )
    with Relay(outbox, store, made.clock):  # type: ignore[arg-type]
        return deliver_due(made, batch)


def die() -> None:
    """As the kernel's out-of-memory killer would have it."""
    os.kill(os.getpid(), signal.SIGKILL)


def _die_soon(chance: random.Random, most_seconds: float) -> None:
    """Die while what begins now goes on."""
    delay = chance.uniform(0, most_seconds)
    threading.Thread(target=lambda: (time.sleep(delay), die()), daemon=True).start()


class _Mortal:
    """A ledger whose process dies after a claim, or while a status is updated."""

    def __init__(self, ledger: Any, fault: str, after: int, seed: int) -> None:
        self._ledger, self._fault, self._left, self._chance = ledger, fault, after, random.Random(seed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def claim(self, *arguments: Any) -> Any:
        claims = self._ledger.claim(*arguments)
        if self._fault == "after_claim":
            self._left -= len(claims.won)
            if self._left <= 0:
                die()
        return claims

    def settle(self, moves: Any, at: Any) -> Any:
        if self._fault == "inside_status_update":
            self._left -= sum(move.state == "sent" for move in moves)
            if self._left <= 0:
                _die_soon(self._chance, 0.004)
        return self._ledger.settle(moves, at)


class _MortalSender:
    """A transport whose process dies inside a hand-over, or right after an answer."""

    def __init__(self, sender: Any, fault: str, after: int, seed: int) -> None:
        self._sender, self.fault, self.left, self.chance = sender, fault, after, random.Random(seed)
        self.lock = threading.Lock()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)

    def open(self) -> "_MortalLine":
        return _MortalLine(self._sender.open(), self)


class _MortalLine:
    def __init__(self, line: Any, sender: _MortalSender) -> None:
        self._line, self._sender = line, sender

    def close(self) -> None:
        self._line.close()

    def hand_over(self, letter: Letter) -> Answer:
        sender = self._sender
        with sender.lock:
            sender.left -= 1
            is_time = sender.left <= 0
        if is_time and sender.fault == "inside_hand_over":
            _die_soon(sender.chance, 0.006)
        answer: Answer = self._line.hand_over(letter)
        if is_time and sender.fault == "after_answer":
            die()
        return answer


def outcome(root: Path) -> tuple[dict[str, set[str]], Counter[str]]:
    """Send ids by present state, and how often each state was entered."""
    ledger = SqlLedger(Home(root).ledger_url)
    events = ledger.send_events(None, now() + timedelta(hours=1))
    ledger.close()
    last = events.group_by("send_id", maintain_order=True).last()
    states = {state: set(rows["send_id"]) for (state,), rows in last.group_by("state")}
    return states, Counter(events["state"].to_list())
