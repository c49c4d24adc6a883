"""The protocols through which rooms are joined upstairs. Words of the domain, two to four methods each."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol

import polars as pl
import pyarrow as pa

from engage_assets.domain.operations import Alert, Approval, Stop
from engage_assets.domain.program import Program
from engage_assets.domain.prompts import Issued, Prompt, Recorded, Reply, Wish
from engage_assets.domain.responses import (
    ApiKey,
    Interaction,
    KnownSend,
    OutboxEntry,
    Preferences,
    Response,
    Said,
    ServiceMinute,
)
from engage_assets.domain.sends import Answer, ClaimRules, Claims, Letter, Move, Send
from engage_assets.domain.source import Asked

NO_RULES: Final = ClaimRules()
"""Nothing to check again."""


class Clock(Protocol):
    """What time it is, UTC without a zone attached."""

    def now(self) -> datetime:
        """The present instant."""

    @property
    def is_declared(self) -> bool:
        """Whether a demonstration declared the time (shown wherever results are)."""


class Connector(Protocol):
    """Reads the input records of a partition out of a warehouse."""

    def read(self, program: Program, partition: date, asked: Sequence[Asked] | None = None) -> Iterator[pa.RecordBatch]:
        """The records of `partition`: declared columns of the source table, `record_id`, `is_late`.

        `asked`: the subjects that every row meets, where the source adds them; None where records name their own.
        Sorted by customer, subject and record id, nulls first; keys as strings, NaN as null.
        Raises WarehouseError or QueryError.
        """

    def unread(self, program: Program, partition: date) -> dict[str, int]:
        """Rows of the source that no batch reads, by cause, as known at this partition's instant."""


class FeatureStore(Protocol):
    """Features as they were known at an instant. The one way to them, for learning and for scoring."""

    def join(self, entities: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
        """The rows of `entities`, in their order, with the features `names` and a flag `<name>_missing` for each.

        `entities` has customer_id, subject_id and as_of (Datetime us, UTC). Seen is what happened and was known at or
        before a row's own as_of; where that is nothing, the row has the feature's default and its flag is true.
        Numbers are Float64, texts String. Raises ModelError for a feature that is unknown or cannot be computed.
        """


class Scorer(Protocol):
    """Gives candidates a calibrated probability and its rank."""

    @property
    def version(self) -> str:
        """The model version, part of every decision; of several models all versions."""

    @property
    def features(self) -> tuple[str, ...]:
        """Columns that it takes; others change nothing."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that it gives: probability and score; several models add both of each, see `score`."""

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        """`probability` and `score` (both 0–1, 6 decimals, null where refused), one row per input row, in order.

        A row's result depends on that row alone. Several models add `<model>_probability` and `<model>_score` of each,
        model ids with underscores. Raises ModelError when a feature is missing, or of another type than learned from.
        """

    def unseen_categories(self, features: pl.DataFrame) -> dict[str, int]:
        """By text feature the rows whose category was not met in training; they are scored as if it were unknown."""


class ScoreCache(Protocol):
    """Scores that were made before, by model version, customer, subject and hash of the features."""

    def get(self, version: str, keys: pl.DataFrame, *, now: datetime, ttl: timedelta) -> pl.Series:
        """What was put under each row of `keys`, in order; null where nothing is kept.

        `keys`: customer_id and subject_id (String), features_hash (Binary), none null. Given is only what is younger
        than `ttl` and than the time to live that it was put with.
        """

    def put(self, version: str, keys: pl.DataFrame, scores: pl.Series, *, now: datetime, ttl: timedelta) -> None:
        """Keep `scores` (Binary, without nulls), one per row of `keys`, for `ttl`; all of them or none."""

    def purge(self, now: datetime) -> int:
        """Delete what has expired; returns how many."""


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

    def of_partition(self, program_id: str, partition: date) -> pl.DataFrame:
        """customer_id, marketplace, subject_id, score of all rows whose latest partition this is (GSI2)."""

    def delete_expired(self, now: datetime) -> int:
        """Delete what has expired; returns how many."""


@dataclass(frozen=True)
class CandidateKey:
    """What makes a candidate: one row of the store."""

    customer_id: str
    program: str
    marketplace: str
    subject_type: str
    subject_id: str


@dataclass(frozen=True)
class StatusChange:
    """A candidate's next status."""

    key: CandidateKey
    status: str
    """delivered, consumed, suppressed, …: domain/statuses.py."""
    at: datetime
    channel: str | None = None


class CandidateReader(Protocol):
    """The store as the serving service asks it. Nothing expired at `now` is served."""

    def of_customer(
        self, customer_id: str, program_id: str | None, now: datetime, *, channel: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Live candidates of a customer in any status, best score first; `channel`: only those it may reach."""

    def page(
        self,
        program_id: str,
        channel: str,
        min_score: float,
        limit: int,
        now: datetime,
        *,
        exclude: frozenset[str] = frozenset(),
        after: str | None = None,
    ) -> tuple[list[tuple[Any, ...]], str | None]:
        """Live candidates eligible for `channel`, best first (GSI1), and the cursor of the next page (None: the last).

        Rows in the order of `columns`; instants and dates as such, flags as booleans.
        `exclude`: statuses left out; by default all but ended ones are served. `after` is a cursor that this method
        gave (opaque text). Keyset pages: a deep page costs what the first costs. Raises EngageError for another text.
        """

    def stream(
        self, program_id: str, channel: str, min_score: float, limit: int, now: datetime, *, exclude: frozenset[str]
    ) -> Iterator[pl.DataFrame]:
        """The same rows as frames of the schema `columns`, some thousand at a time, from one snapshot."""

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        """Columns of `page` and `stream`, in order, and their types in Polars; instants are UTC without a zone."""

    def version(self) -> Hashable | None:
        """Changes whenever the store does: what was read at one version is what would be read now.

        None where the store cannot tell; but for what expires.
        """

    def with_status(
        self, program_id: str, statuses: frozenset[str], on: date | None, limit: int, now: datetime
    ) -> list[dict[str, Any]]:
        """Candidates of a program in some statuses (GetRegisteredCandidates), `on`: those whose event is that day."""

    def get(self, key: CandidateKey, now: datetime) -> dict[str, Any] | None:
        """One live candidate."""

    def statuses(self, keys: Sequence[CandidateKey], now: datetime) -> dict[CandidateKey, str]:
        """Statuses of the live candidates among `keys`."""

    def expired(self, now: datetime, limit: int) -> list[CandidateKey]:
        """Some candidates that have expired and are not deleted yet: none of them may be served."""

    def warm(self) -> int:
        """Read what queries need into memory; returns bytes. The service is not ready before."""


class CandidateWriter(Protocol):
    """Changes of single candidates: what the outbox's relay and the query API apply."""

    def advance(self, changes: Sequence[StatusChange]) -> int:
        """Set statuses in one transaction; returns how many changed. Idempotent; a status never moves backwards.

        A change whose candidate is not there changes nothing.
        """

    def suppress(self, customer_ids: Sequence[str], now: datetime, *, program: str | None, channel: str | None) -> int:
        """Opt-out: remove the customers' waiting candidates (active, delivered) of a program (None: all).

        With `channel` only that channel's eligibility goes. Returns how many rows changed.
        """

    def delete(self, key: CandidateKey) -> bool:
        """Delete one candidate; False when it was not there."""


class Ledger(Protocol):
    """What was planned, claimed, handed over and answered: the operational record. States are only ever added."""

    def plan(self, sends: Sequence[Send], now: datetime) -> int:
        """Write sends as `planned`; those already known are left as they are. Returns how many are new.

        A program asks a customer about a subject once on a channel: a solicitation that was already claimed for
        another slot is not planned again, and one that was only planned for another slot is given up for the new.
        """

    def claim(self, send_ids: Sequence[str], now: datetime, rules: ClaimRules = NO_RULES) -> Claims:
        """Move `planned` sends to `claimed` or, where a rule refuses, to `skipped` with its reason; one transaction.

        A send is claimed by one owner at a time, however many processes ask; one that another process is claiming at
        this moment is left out. Checked, first reason wins:
        SEND_WINDOW_MISSED, `rules.barred`, SUPPRESSED, OPTED_OUT; of solicitations only: ALREADY_ANSWERED,
        ALREADY_ASKED (`rules.once_with`), FREQUENCY_CAP. The cap counts, over the scope, what is claimed or further,
        and what programs of higher priority have planned.
        """

    def release(self, send_ids: Sequence[str], now: datetime) -> None:
        """Give claims back: `claimed` to `planned`. Those already handed over stay."""

    def renew(self, send_ids: Sequence[str], now: datetime) -> None:
        """Extend the lease of sends that are claimed or handed over."""

    def settle(self, moves: Sequence[Move], now: datetime) -> frozenset[str]:
        """Record the next states of sends, all in one durable transaction or none; returns the hand-overs lost.

        `handed_over` is entered at most once per send: one whose claim is no longer there (its lease ended and
        another process took it) is left out and returned; it must not be handed over. A `sent` solicitation
        leaves an outbox entry that makes its candidate `delivered`. Raises EngageError for an illegal move, naming
        send and states.
        """

    def move(self, send_ids: Sequence[str], state: str, now: datetime, reason: str | None = None) -> None:
        """`settle` for sends that all enter the same state."""

    def recover(self, program: str, now: datetime) -> tuple[int, list[str]]:
        """What owners whose lease is over left behind: how many claims are `planned` again, which sends are `in_doubt`.

        A send that was handed over, and whose answer its owner never recorded, is in doubt.
        """

    def due(self, program: str, channel: str, since: datetime, until: datetime) -> list[str]:
        """Planned sends of a channel whose slot lies in [since, until], by slot and key."""

    def is_planned(self, campaign_id: str, digest: str) -> bool:
        """Whether the list with this digest is what was planned last for a campaign."""

    def mark_planned(self, campaign_id: str, digest: str, now: datetime) -> None:
        """Remember which list was planned last for a campaign."""

    def overdue(self, program: str, before: datetime) -> list[str]:
        """Planned sends of a program, notices left out, whose slot lies before `before`."""

    def in_doubt(self, program: str | None = None) -> pl.DataFrame:
        """SENDS_LOG rows of sends that are in doubt now, oldest first."""

    def states(self, campaign_id: str) -> dict[str, int]:
        """Sends of a campaign by present state."""

    def opt_out(self, customer_id: str, now: datetime, program: str | None = None, channel: str | None = None) -> None:
        """Record an opt-out; None means all."""

    def send_events(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """SENDS_LOG rows with `at` in (after, until], sorted; waits for writers that began before `until`."""

    def health(self, campaign_id: str, since: datetime | None = None) -> tuple[int, int, int]:
        """Sends of a campaign that were answered for by the transport, that bounced, and that brought complaints.

        What the transport refused for good has bounced. `since`: only what happened after it. All are 0 while nothing
        went wrong.
        """

    def first_sent_on(self, program: str) -> date | None:
        """Day (UTC) of the first slot of a program that was sent."""

    def last_event_at(self) -> datetime | None:
        """When the newest state of any send began. None for an empty ledger."""

    def first_event_at(self) -> datetime | None:
        """When the first send was planned: from that day on mirrors must exist. None for an empty ledger."""

    def opt_outs(self, until: datetime) -> pl.DataFrame:
        """OPT_OUT_LOG rows with `at` up to `until`, sorted."""

    def interactions(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """INTERACTIONS_LOG rows with `received_at` in (after, until], sorted; waits as `send_events`."""

    def responses(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """RESPONSES_LOG rows with `received_at` in (after, until], sorted; waits as `send_events`. No texts."""

    def registrations(self, until: datetime, after: datetime | None = None) -> pl.DataFrame:
        """REGISTRATIONS_LOG rows with `received_at` in (after, until], sorted; waits as `send_events`."""

    def survey_answers(self, until: datetime) -> pl.DataFrame:
        """SURVEY_LOG rows with `received_at` up to `until`, sorted; waits as `send_events`. No texts."""

    def record_batch(self, program: str, partition: date, seconds: float, records: int, at: datetime) -> None:
        """Keep the duration of a partition's first completed batch; later ones change nothing."""

    def batch(self, program: str, partition: date) -> tuple[float, int] | None:
        """Seconds and input records of a partition's first completed batch."""


class Contacts(Protocol):
    """The ledger as the serving service writes it: each call is one transaction."""

    def known_sends(self, send_ids: Sequence[str]) -> list[KnownSend | None]:
        """Some sends in the order in which they are asked for; None for one that is not there."""

    def send(self, send_id: str) -> KnownSend | None:
        """A send by its key."""

    def record(self, interactions: Sequence[Interaction], now: datetime) -> int:
        """Keep interactions; those whose event_id is known change nothing. Returns how many are new.

        A permanent bounce or a complaint suppresses the customer; `delivered`, `bounce` and `complaint` resolve a send
        that is in doubt. Interactions of unknown sends are left out.
        """

    def respond(self, response: Response, now: datetime, *, may_edit: bool = False) -> Said:
        """Keep a response, its subject's rating, and outbox entries.

        `new`: the customer's first about the subject. Later ones are `edited` where `may_edit` and something other is
        said than before, submitted no earlier; else `unchanged`. An answer counts once, on the day of the first.
        """

    def answer(self, program: str, customer_id: str, subject_type: str, subject_id: str) -> Response | None:
        """The answer as it stands now, with its words; `at` is when it was changed last. None: there is none."""

    def answered(self, program: str, customer_id: str, subject_type: str, subject_id: str) -> bool:
        """Whether a response is there."""

    def preferences(self, customer_id: str) -> Preferences:
        """What the customer wants no more of."""

    def set_preferences(self, customer_id: str, wanted: Preferences, now: datetime) -> None:
        """Make the preferences so: opt-outs that are new are added, those no longer wished are revoked. Idempotent."""

    def rating(self, subject_type: str, subject_id: str) -> tuple[int, int]:
        """Number and sum of the ratings of a subject."""

    def api_key(self, key_id: str) -> ApiKey | None:
        """A key of the query API."""

    def measured(self, minutes: Sequence[ServiceMinute]) -> None:
        """Add what a process of the service measured; the same minute and instance again replaces it."""


class Prompts(Protocol):
    """Questions asked on demand: asked, and answered, in one transaction each round; `settle` makes it durable."""

    def take(self, acts: Sequence[Wish | Reply], now: datetime) -> list[Issued | Recorded]:
        """What became of each, in order; all of them in one transaction.

        A wish is granted where no claim would refuse its send (`Ledger.claim`), where the program is not stopped, and
        where the session was not asked before; the send is then `sent`, its candidate becomes `delivered`. A session
        that was asked gets the same prompt again until it is answered or expired. A reply is an answer like any other
        (`Contacts.respond`): the same again changes nothing, another one edits it until the prompt expires.

        Nobody may be told before `settle`: a power cut could take the round with it, as a whole.
        """

    def settle(self) -> None:
        """Wait until what was taken, or can be read, is durable. Raises EngageError where the disk does not take it.

        Calls of other threads may take the next round meanwhile.
        """

    def of_session(self, session: str) -> Prompt | None:
        """The prompt of a session."""

    def find(self, send_id: str) -> Prompt | None:
        """A prompt by its id."""


class AccountLinks(Protocol):
    """Whose account an assistant speaks for."""

    def customer(self, access_token: str, now: datetime) -> str | None:
        """The customer whom an access token of account linking names; None: nobody, or not any more."""


class CertificateSource(Protocol):
    """Fetches the certificates with which an assistant's requests are signed."""

    def fetch(self, url: str) -> bytes:
        """The PEM chain at an address that was checked before. Raises EngageError where there is none."""


class Outbox(Protocol):
    """What must still happen outside the ledger."""

    def waiting(self, topics: Sequence[str], limit: int, after: int = 0) -> list[OutboxEntry]:
        """The oldest entries that are not done, of those after the entry `after`."""

    def done(self, entry_ids: Sequence[int], now: datetime) -> None:
        """Mark entries as done."""

    def purge(self, before: datetime) -> int:
        """Delete entries that were done before an instant; returns how many."""


class Operations(Protocol):
    """What operators do, and what the system tells them. Every act is kept in the audit log with who and when."""

    def stop(self, target: str, reason: str, who: str, now: datetime) -> bool:
        """Stop a program, or pause a campaign, until it is resumed; False when it is stopped already."""

    def resume(self, target: str, who: str, now: datetime) -> bool:
        """Lift the stop; False when there is none."""

    def stopped(self, targets: Sequence[str]) -> list[Stop]:
        """The stops that hold, of some programs and campaigns."""

    def resumed_at(self, target: str) -> datetime | None:
        """When the last stop of a program or campaign was lifted; None: none was."""

    def approve(self, approval: Approval) -> None:
        """Keep a person's approval."""

    def approval(self, campaign_id: str) -> Approval | None:
        """The latest approval of a campaign."""

    def suppress(self, customers: Iterable[str], addresses: Iterable[str], who: str, source: str, now: datetime) -> int:
        """Import a suppression list; addresses are kept as hashes. Returns how many are new."""

    def resolve(self, send_ids: Sequence[str], state: str, who: str, now: datetime) -> int:
        """Say what became of sends in doubt: `sent` or `failed`; all or none. Raises EngageError for others."""

    def raise_alert(self, cause: str, text: str, now: datetime) -> bool:
        """Something that a person should know; False when its cause is known already."""

    def untold(self) -> list[Alert]:
        """Alerts that no destination has yet, oldest first."""

    def told(self, causes: Sequence[str], now: datetime) -> None:
        """Mark alerts as told."""

    def audit(self) -> pl.DataFrame:
        """AUDIT_LOG rows, oldest first."""

    def note(self, act: str, target: str, details: str, who: str, now: datetime) -> None:
        """Keep an act that changes nothing in the ledger itself."""

    def add_key(self, key: ApiKey, who: str) -> None:
        """Keep a key of the query API."""

    def revoke_key(self, key_id: str, who: str, now: datetime) -> bool:
        """Revoke a key; False when there is none to revoke."""

    def api_keys(self) -> list[ApiKey]:
        """All keys, oldest first."""

    def service_minutes(self, since: datetime, until: datetime) -> pl.DataFrame:
        """SERVICE_MINUTES rows with `minute` in [since, until)."""

    def check(self) -> dict[str, str]:
        """Write nothing, but as a writer would: database and schema versions. Raises what the database says."""


class Line(Protocol):
    """One open connection of a transport; one message at a time."""

    def hand_over(self, letter: Letter) -> Answer:
        """Hand over once. Raises TransientRefusal when the message was surely not taken and may be tried again.

        A connection that breaks after the content began to go out gives `in_doubt`. Reconnects by itself at the next
        call.
        """

    def close(self) -> None:
        """Close the connection."""


class Sender(Protocol):
    """A transport for messages."""

    @property
    def transport(self) -> str:
        """Its name in the ledger and in reports."""

    @property
    def leaves_machine(self) -> bool:
        """Whether messages may leave this machine; a declared clock is then refused."""

    @property
    def lines(self) -> int:
        """Connections to keep open at once."""

    @property
    def per_second(self) -> float | None:
        """Messages a second that the transport allows; None: no limit."""

    def open(self) -> Line:
        """A new line; nothing connects before its first message."""
