"""Delivery: messages whose slot has come are claimed in the ledger and handed to a transport, once.

Never part of a batch or a backfill: an op in a job of its own, run by a tick or with a person's confirmation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from math import ceil
from typing import Any, Final

import polars as pl

from engage_assets.channels.message import build_message
from engage_assets.defs.batch import Batch, email_channel
from engage_assets.domain.errors import DeliveryRefused, EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Clock, Ledger, Send, Sender
from engage_assets.domain.program import Program
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.domain.tables import EMAIL_CAMPAIGNS
from engage_assets.lake import Lake

BATCH: Final = 100
"""Sends that are claimed at a time."""
LAST_MORNING: Final = timedelta(hours=25)
"""A local time comes round within this, also on the day on which clocks go back."""


@dataclass(frozen=True)
class Postman:
    """What a delivery needs."""

    program: Program
    marketplaces: Mapping[str, Marketplace]
    lake: Lake
    ledger: Ledger
    sender: Sender
    clock: Clock


def require_permission(program: Program, tags: Mapping[str, str], sender: Sender, clock: Clock) -> None:
    """Refuse a delivery that nobody confirmed, in a backfill, of a disabled program, or of a demonstration to outside.

    Raises DeliveryRefused with the remedy.
    """
    if not program.enabled:
        raise DeliveryRefused(f"{program.program_id} is disabled (enabled: false), so nothing of it is sent")
    if "dagster/backfill" in tags:
        raise DeliveryRefused("a backfill never sends: deliveries run by their schedule")
    if "dagster/schedule_name" not in tags and tags.get("engage/deliver") != "confirmed":
        raise DeliveryRefused(
            "nobody confirmed this delivery: let its schedule run it, say --confirm on the command line, or give the"
            " run the tag engage/deliver=confirmed"
        )
    if clock.is_declared and sender.leaves_machine:
        raise DeliveryRefused(
            f"the clock is declared (ENGAGE_NOW) and the transport {sender.transport} leaves this machine:"
            " unset ENGAGE_NOW, or deliver to the outbox"
        )


def deliver_due(postman: Postman, batch: Batch) -> dict[date, Counter[str]]:
    """Deliver what is due now, over the partitions that may have slots now; returns what became of them by partition.

    Sends of any partition whose window has passed are skipped with `SEND_WINDOW_MISSED`, and counted under the newest.
    """
    cadence, now = postman.program.cadence, postman.clock.now()
    reach = postman.program.deadline + LAST_MORNING + SEND_WINDOW
    newest = cadence.partition_of(now)
    outcomes: dict[date, Counter[str]] = {}
    for step in reversed(range(ceil(reach / cadence.step) + 1)):
        partition = newest - step * cadence.step
        if postman.lake.path((postman.program.key, EMAIL_CAMPAIGNS.name), partition.isoformat()).is_file():
            outcomes[partition] = deliver_partition(postman, batch, partition)
    outcomes.setdefault(newest, Counter())
    outcomes[newest] += _skip_missed(postman, now)
    return outcomes


def deliver_partition(postman: Postman, batch: Batch, partition: date) -> Counter[str]:
    """Plan the partition's sends, and hand over those whose slot has come."""
    now = postman.clock.now()
    campaigns = postman.lake.scan((postman.program.key, EMAIL_CAMPAIGNS.name), partition.isoformat())
    done: Counter[str] = Counter()
    if email_channel(postman.program) is None:
        return done
    _plan(postman, campaigns, now)
    due = campaigns.filter(pl.col("slot_at").is_between(now - SEND_WINDOW, now)).sort("slot_at", "send_id")
    for rows in due.collect_batches(chunk_size=BATCH, maintain_order=True):
        for some in rows.iter_slices(BATCH):
            done += _hand_over(postman, batch, some, now)
    return done


def _skip_missed(postman: Postman, now: datetime) -> Counter[str]:
    """Skip every planned send of the program whose window has passed, also those that no campaign holds any more."""
    done: Counter[str] = Counter()
    for part in _parts(postman.ledger.overdue(postman.program.program_id, now - SEND_WINDOW)):
        claimed = postman.ledger.claim(part, now)
        postman.ledger.move(claimed, "skipped", now, "SEND_WINDOW_MISSED")
        done["skipped"] += len(claimed)
    return done


def _plan(postman: Postman, messages: pl.LazyFrame, now: datetime) -> None:
    """Write the sends as planned, so that claims of several programs can be compared."""
    channel = email_channel(postman.program)
    assert channel is not None
    keys = messages.select("campaign_id", "customer_id", "subject_id", "slot_at")
    for rows in keys.collect_batches(chunk_size=5_000):
        sends = [
            Send(
                program=postman.program.program_id,
                channel=channel.channel_id,
                cap_scope=postman.program.scope,
                **row,
            )
            for row in rows.iter_rows(named=True)
        ]
        postman.ledger.plan(sends, now)


def _hand_over(postman: Postman, batch: Batch, rows: pl.DataFrame, now: datetime) -> Counter[str]:
    """Claim, then hand over one by one; what the ledger does not give to us is another's."""
    mine = set(postman.ledger.claim(rows["send_id"].to_list(), now))
    people = _people(batch, rows)
    done: Counter[str] = Counter()
    for row in rows.filter(pl.col("send_id").is_in(list(mine))).iter_rows(named=True):
        state, reason = _send(postman, row, people.get(row["customer_id"], (None, None)), batch, now)
        postman.ledger.move([row["send_id"]], state, now, reason)
        done[state] += 1
    return done


def _send(
    postman: Postman, row: Mapping[str, Any], person: tuple[str | None, str | None], batch: Batch, now: datetime
) -> tuple[str, str | None]:
    """Hand one message over; returns the send's state and, where it needs one, the reason."""
    name, address = person
    if address is None and "customers.email" not in batch.available and not postman.sender.leaves_machine:
        # A deployment without addresses can still rehearse: the outbox takes a key for an address.
        address = f"{row['customer_id']}@example.invalid"
    if address is None:
        return "skipped", "CHANNEL_INELIGIBLE"
    try:
        message = build_message(row, marketplace=postman.marketplaces[row["marketplace"]], name=name, address=address)
    except EngageError:
        return "failed", "MESSAGE_INVALID"
    postman.ledger.move([row["send_id"]], "handed_over", now)
    try:
        postman.sender.hand_over(row["send_id"], row["campaign_id"], message)
    except OSError as error:
        # Nobody can tell whether it went out: never again by itself.
        return "in_doubt", f"{postman.sender.transport}: {error.strerror}"
    return "sent", None


def _people(batch: Batch, rows: pl.DataFrame) -> dict[str, tuple[str | None, str | None]]:
    """Name and address of the recipients, read now and kept nowhere."""
    customers = batch.tables["customers"]
    there = customers.collect_schema().names()
    columns = [
        pl.col(name) if name in there else pl.lit(None, dtype=pl.String).alias(name) for name in ("name", "email")
    ]
    wanted = rows.lazy().select("customer_id").unique()
    found = customers.select("customer_id", *columns).join(wanted, on="customer_id", how="semi").collect()
    return {customer: (name, email if email and email.strip() else None) for customer, name, email in found.iter_rows()}


def _parts(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(ids), BATCH):
        yield ids[start : start + BATCH]
