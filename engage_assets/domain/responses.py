"""What comes back from people and providers: interactions, responses, preferences."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, get_args

Said = Literal["new", "edited", "unchanged"]
"""What a submission made of the answer that the ledger keeps."""
InteractionKind = Literal["delivered", "displayed", "open", "click", "bounce", "complaint"]
INTERACTION_KINDS: Final[tuple[InteractionKind, ...]] = get_args(InteractionKind)


@dataclass(frozen=True)
class KnownSend:
    """A send as the ledger knows it: what a page or a tracking address needs."""

    send_id: str
    program: str
    campaign_id: str
    customer_id: str
    marketplace: str
    subject_type: str
    subject_id: str
    subject_name: str | None
    channel: str
    locale: str | None
    slot_at: datetime
    state: str
    handed_over_at: datetime | None
    subject_maker: str | None = None
    """Who made what is asked about, where known."""
    kind: str | None = None
    """What a notice tells (domain.notices); None: no notice."""
    is_solicitation: bool = True


@dataclass(frozen=True)
class Interaction:
    """One thing that happened to a message. Counted once by `event_id`, however often it comes, in any order."""

    event_id: str
    """The provider's id, else a key of ours: 1 to 200 characters."""
    send_id: str
    kind: InteractionKind
    at: datetime
    """When it happened, UTC."""
    source: str
    """`pixel`, `redirect`, `page`, `app`, `worker`, `ses`, `generic`."""
    machine_rule: str | None = None
    """The rule by which it is a machine's; None: a person's."""
    is_permanent: bool | None = None
    """Bounces: whether the address will never take mail."""


@dataclass(frozen=True)
class Response:
    """An answer: one per program, customer and subject, with a version for each time that it was changed."""

    program: str
    customer_id: str
    marketplace: str
    subject_type: str
    subject_id: str
    rating: int | None
    """1 to 5; None: the form asks for none."""
    at: datetime
    """When this was submitted, UTC."""
    send_id: str | None = None
    text: str | None = field(default=None, repr=False)
    """As long as its form allows; stays in the operational database."""
    photos: tuple[str, ...] = ()
    """Names of files in the home's photos folder."""
    is_positive: bool | None = None
    """Thumbs up, or yes; None: the form does not ask so."""
    tags: tuple[str, ...] = ()
    """Words that were picked among those offered."""
    channel: str | None = None
    """channelId through which it came."""


@dataclass(frozen=True)
class Preferences:
    """What a customer wants no more of. Both empty and `everything` False: all is wanted."""

    everything: bool = False
    programs: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset()


@dataclass(frozen=True)
class ApiKey:
    """A key of the query API as it is stored: only a hash of the secret."""

    key_id: str
    name: str
    secret_hash: str
    """SHA-256 of the secret, hex: secrets have 256 random bits, so no slow hash is needed."""
    scopes: frozenset[str]
    created_at: datetime
    revoked_at: datetime | None = None
    per_minute: int = 60_000


@dataclass(frozen=True)
class ServiceMinute:
    """What one process of the service measured in one minute."""

    minute: datetime
    instance: str
    requests: int
    errors: int
    """Answers with status 500 and above."""
    buckets: Mapping[str, int]
    """Requests by upper bound of their seconds: bounds of LATENCY_BUCKETS as text, `inf` last."""


LATENCY_BUCKETS: Final = (0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds in seconds."""


@dataclass(frozen=True)
class OutboxEntry:
    """Something that must happen outside the ledger because of something in it; applied at least once, idempotently."""

    entry_id: int
    topic: Literal["candidate_status", "customer_opted_out", "response", "notice"]
    payload: Mapping[str, str]
    """candidate_status: customer_id, program, marketplace, subject_type, subject_id, status, channel, at (ISO).
    customer_opted_out: customer_id, at, and program and channel where it is not all. response: program, subject_id,
    subject_type, marketplace, at: what assets are told; never a text. notice: as candidate_status, and `sequence` of
    the registration's change, `was`: the status that it left (empty: none)."""
    created_at: datetime
