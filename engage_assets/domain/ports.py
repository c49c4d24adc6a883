"""The protocols through which rooms are joined upstairs. Words of the domain, two to four methods each."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from email.message import EmailMessage
from typing import Protocol

import polars as pl
import pyarrow as pa

from engage_assets.domain.keys import send_id
from engage_assets.domain.program import Program


class Clock(Protocol):
    """What time it is, UTC without a zone attached."""

    def now(self) -> datetime:
        """The present instant."""

    @property
    def is_declared(self) -> bool:
        """Whether a demonstration declared the time (shown wherever results are)."""


class Connector(Protocol):
    """Reads the input records of a partition out of a warehouse."""

    def read(self, program: Program, partition: date) -> Iterator[pa.RecordBatch]:
        """The records of `partition`: declared columns of the source table, `record_id`, `is_late`.

        Sorted by customer, subject and record id, nulls first; keys as strings, NaN as null.
        Raises WarehouseError or QueryError.
        """

    def unread(self, program: Program, partition: date) -> dict[str, int]:
        """Rows of the source that no batch reads, by cause, as known at this partition's instant."""


class Scorer(Protocol):
    """Gives candidates a calibrated probability and its rank."""

    @property
    def version(self) -> str:
        """The model version, part of every decision."""

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        """`probability` and `score` (both 0–1, 6 decimals, null where refused), one row per input row, in order.

        Raises ModelError when a feature that the model takes is missing.
        """


@dataclass(frozen=True)
class StoreCounts:
    """What an upsert of candidates did. All fields but `removed` add up to the rows given."""

    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    kept_newer: int = 0
    expired: int = 0
    removed: int = 0
    """Items that an earlier build of the partition had stored, this one lacks, and nothing had come of."""


class CandidateStore(Protocol):
    """Candidates by customer, with two indexes and a time to live."""

    def put(self, program: Program, partition: date, candidates: Iterable[pl.DataFrame], now: datetime) -> StoreCounts:
        """Upsert a partition's scored candidates, all of them or none. Idempotent: the same rows again change nothing.

        Columns: those of CANDIDATES plus SCORES plus one `<channel>_eligible` flag per channel type
        (`email_eligible`, `in_app_eligible`, `push_eligible`, `voice_eligible`). An existing row keeps
        its status and created_at, and its version rises by 1 when anything changed. Rows of a newer
        partition are never overwritten; rows expired at `now` are never written. Active items that an earlier
        build of the partition stored and this one lacks are removed.
        """

    def of_customer(self, customer_id: str, program_id: str | None, now: datetime) -> list[dict[str, object]]:
        """Live candidates of a customer, best score first."""

    def top(
        self, program_id: str, channel: str, min_score: float, limit: int, now: datetime
    ) -> list[dict[str, object]]:
        """Live, active candidates eligible for `channel`, best first (GSI1)."""

    def of_partition(self, program_id: str, partition: date) -> pl.DataFrame:
        """customer_id, marketplace, subject_id, score of all rows whose latest partition this is (GSI2)."""

    def delete_expired(self, now: datetime) -> int:
        """Delete what has expired; returns how many."""


@dataclass(frozen=True)
class Send:
    """One recipient, one channel, one slot."""

    program: str
    campaign_id: str
    customer_id: str
    subject_id: str
    channel: str
    slot_at: datetime
    cap_scope: str
    is_solicitation: bool = True

    @property
    def send_id(self) -> str:
        """The unique key of the send, passed on as the provider's idempotency key (32 hex digits)."""
        return send_id(self.program, self.campaign_id, self.customer_id, self.subject_id, self.channel, self.slot_at)


class Ledger(Protocol):
    """What was planned, claimed, handed over and answered: the operational record. Append-only states."""

    def plan(self, sends: Sequence[Send], now: datetime) -> int:
        """Write sends as `planned`; those already known are left as they are. Returns how many are new.

        A program asks a customer about a subject once on a channel: a solicitation that was already claimed for
        another slot is not planned again, and one that was only planned for another slot is given up for the new.
        """

    def claim(self, send_ids: Sequence[str], now: datetime) -> list[str]:
        """Move `planned` sends to `claimed`, in one transaction; returns those that are now the caller's.

        A send is claimed at most once, however many processes ask.
        """

    def move(self, send_ids: Sequence[str], state: str, now: datetime, reason: str | None = None) -> None:
        """Record the next state of claimed sends (`handed_over`, `sent`, `failed`, `in_doubt`, `skipped`)."""

    def overdue(self, program: str, before: datetime) -> list[str]:
        """Planned sends of a program whose slot lies before `before`."""

    def states(self, campaign_id: str) -> dict[str, int]:
        """Sends of a campaign by present state."""

    def opt_out(self, customer_id: str, now: datetime, program: str | None = None, channel: str | None = None) -> None:
        """Record an opt-out; None means all."""

    def send_events(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """SENDS_LOG rows with `at` in (after, until], sorted; waits for writers that began before `until`."""

    def first_event_at(self) -> datetime | None:
        """When the first send was planned: from that day on mirrors must exist. None for an empty ledger."""

    def opt_outs(self, until: datetime) -> pl.DataFrame:
        """OPT_OUT_LOG rows with `at` up to `until`, sorted."""

    def record_batch(self, program: str, partition: date, seconds: float, records: int, at: datetime) -> None:
        """Keep the duration of a partition's first completed batch; later ones change nothing."""

    def batch(self, program: str, partition: date) -> tuple[float, int] | None:
        """Seconds and input records of a partition's first completed batch."""


class Sender(Protocol):
    """Hands one message to a transport."""

    @property
    def transport(self) -> str:
        """Its name in the ledger and in reports."""

    @property
    def leaves_machine(self) -> bool:
        """Whether messages may leave this machine; a declared clock is then refused."""

    def hand_over(self, send_id: str, campaign_id: str, message: EmailMessage) -> str:
        """Hand over; returns where it went (a path, or the provider's id). Idempotent by `send_id`."""
