"""What is looked up at the send and kept nowhere: recipients, and facts outside the ledger that bar a send now."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import polars as pl

from engage_assets.defs.batch import Batch, as_frame
from engage_assets.dispatch.pace import is_quiet
from engage_assets.domain.channel_specs import ListSection
from engage_assets.domain.claim_rules import claim_rules
from engage_assets.domain.operations import address_hash
from engage_assets.domain.ports import CandidateKey, CandidateReader, Ledger
from engage_assets.domain.sends import ClaimRules
from engage_assets.domain.statuses import ASKED_BY
from engage_assets.filters import bars
from engage_assets.filters.asking import Asking
from engage_assets.filters.facts import join_changing, opted_out_of
from engage_assets.lake import Lake

_OF_CANDIDATE: Final = ("customer_id", "marketplace", "subject_type", "subject_id")
_PERSON: Final = ("customer_id", "name", "email", "is_test")


@dataclass(frozen=True)
class Recipient:
    """A person as he stands in the customers table now. Never logged."""

    name: str | None = field(repr=False)
    address: str | None = field(repr=False)
    is_test: bool


def recipients(batch: Batch, rows: pl.DataFrame, *, rehearses: bool) -> dict[str, Recipient]:
    """Name and address of the recipients of `rows` by customer_id, read now.

    `rehearses`: where the deployment declares no addresses, a key stands for one, so that the outbox can be filled.
    """
    customers = batch.tables["customers"]
    there = customers.collect_schema().names()
    wanted = rows.lazy().select("customer_id").unique()
    found = customers.select(name for name in _PERSON if name in there).join(wanted, on="customer_id", how="semi")
    people = {}
    for row in found.collect().iter_rows(named=True):
        address = (row.get("email") or "").strip() or None
        if address is None and rehearses and "email" not in there:
            address = f"{row['customer_id']}@example.invalid"
        people[row["customer_id"]] = Recipient(row.get("name"), address, bool(row.get("is_test")))
    return people


def hashes(people: Mapping[str, Recipient]) -> dict[str, str]:
    """Hash of the address by customer, where it is known."""
    return {customer: address_hash(one.address) for customer, one in people.items() if one.address}


def rules_now(
    batch: Batch,
    rows: pl.DataFrame,
    people: Mapping[str, Recipient],
    *,
    channel: ListSection,
    ledger: Ledger,
    store: CandidateReader,
    lake: Lake,
    now: datetime,
) -> ClaimRules:
    """What the claims of `rows` (a channel's campaigns) ask: the program's rules, and facts as of `now`."""
    registers = batch.source.form == "registration"
    registrations = ledger.registrations(now).lazy() if registers else None
    reasons = barred(batch, rows, people, channel=channel, store=store, lake=lake, now=now, registrations=registrations)
    return replace(claim_rules(batch.program, channel), addresses=hashes(people), barred=reasons)


def barred(
    batch: Batch,
    rows: pl.DataFrame,
    people: Mapping[str, Recipient],
    *,
    channel: ListSection,
    store: CandidateReader,
    lake: Lake,
    now: datetime,
    registrations: pl.LazyFrame | None = None,
) -> dict[str, str]:
    """By send_id: why facts outside the ledger bar a send of `rows` (a channel's campaigns) now; see SEND_REASONS.

    `registrations`: REGISTRATIONS_LOG up to now, where people register for what the program asks about.
    """
    facts = {row["send_id"]: row for row in _facts_now(batch, rows, lake, now, registrations).iter_rows(named=True)}
    asked = rows.select("send_id", *_OF_CANDIDATE, "time_zone").rows(named=True)
    statuses = store.statuses([_key(row, batch) for row in asked], now)
    reasons = {}
    for row in asked:
        reason = (
            _of_person(people.get(row["customer_id"]), channel)
            or _of_facts(facts[row["send_id"]], channel)
            or _of_candidate(statuses.get(_key(row, batch)), channel)
            or _of_program(row, batch, now)
        )
        if reason:
            reasons[row["send_id"]] = reason
    return reasons


def _of_person(person: Recipient | None, channel: ListSection) -> str | None:
    if person is None:
        return "UNKNOWN_CUSTOMER"
    if person.is_test:
        return "TEST_ACCOUNT"
    return None if person.address or not channel.needs_address else "CHANNEL_INELIGIBLE"


def _of_facts(facts: Mapping[str, Any], channel: ListSection) -> str | None:
    """What the filters' facts say as of now; a fact that the deployment lacks bars nobody here, as in the chain."""
    reason: str | None = facts["reason"]
    return reason or ("OPTED_OUT" if facts.get(opted_out_of(channel.type)) else None)


def _of_candidate(status: str | None, channel: ListSection) -> str | None:
    return None if status in ASKED_BY[channel.type] else "CANDIDATE_ENDED"


def _key(row: Mapping[str, Any], batch: Batch) -> CandidateKey:
    return CandidateKey(program=batch.program.program_id, **{name: row[name] for name in _OF_CANDIDATE})


def _of_program(row: Mapping[str, Any], batch: Batch, now: datetime) -> str | None:
    zone = row["time_zone"] or batch.marketplaces[row["marketplace"]].time_zone
    return "QUIET_HOURS" if is_quiet(batch.program.quiet_hours, now, zone) else None


def _facts_now(
    batch: Batch, rows: pl.DataFrame, lake: Lake, now: datetime, registrations: pl.LazyFrame | None
) -> pl.DataFrame:
    """`rows` by send_id with the filters' facts as of now, out of the warehouse's tables."""
    keys = rows.lazy().select("send_id", "record_id", "customer_id", "subject_id")
    partition = batch.partition.isoformat()
    path = lake.path((batch.program.key, "candidates"), partition)
    if path.is_file():
        carried = pl.scan_parquet(path).select("record_id", *batch.source.carried)
        keys = keys.join(carried, on="record_id", how="left")
    given = keys.collect().lazy()
    subjects = rows["subject_id"].unique().to_list()
    tables = {name: as_frame(frame) for name, frame in batch.stated(now, registrations, subjects).items()}
    facts = join_changing(as_frame(given), tables, Asking(batch.program, now))
    barred_now: pl.DataFrame = bars(facts, batch.program, batch.available).to_native().collect()
    return barred_now
