"""Sends: what is planned, claimed, handed over and answered, in words that ledger, delivery and channels share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from engage_assets.domain.errors import EngageError
from engage_assets.domain.keys import send_id


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
    marketplace: str = ""
    subject_type: str = "product"
    subject_name: str | None = None
    subject_maker: str | None = None
    locale: str | None = None
    priority: int = 100
    """The program's programPriority: 1 wins."""
    kind: str | None = None
    """What a notice tells (domain.notices); None: no notice."""
    sequence: int | None = None
    """Which of a person's notices of its kind about the subject."""

    @cached_property
    def send_id(self) -> str:
        """The unique key of the send, passed on as the provider's idempotency key (32 hex digits)."""
        return send_id(self.program, self.campaign_id, self.customer_id, self.subject_id, self.channel, self.slot_at)


@dataclass(frozen=True)
class Cap:
    """At most `maximum` solicitations of a cap scope in `(slot - window, slot]`, counted as distinct subjects."""

    maximum: int
    window: timedelta


@dataclass(frozen=True)
class ClaimRules:
    """What a claim checks again, in the transaction that claims."""

    cap: Cap | None = None
    """None: no limit."""
    addresses: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Hash of the address by customer, where it is known: what an imported suppression list may name."""
    barred: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Sends that facts outside the ledger bar, by send_id: the reason with which they are skipped."""
    once_with: frozenset[str] = frozenset()
    """Other channels, by channelId: a question that the program asked there is not asked again (ALREADY_ASKED)."""
    types: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Type of each channel by its channelId: opt-outs may name either."""


@dataclass(frozen=True)
class Claims:
    """What a claim gave."""

    won: list[str]
    """Now the caller's, in the order asked."""
    refused: Mapping[str, str]
    """Skipped for good in the same transaction, with the reason."""


@dataclass(frozen=True)
class Move:
    """The next state of one send."""

    send_id: str
    state: str
    reason: str | None = None


@dataclass(frozen=True)
class Letter:
    """One message as it goes to a transport: envelope and bytes."""

    send_id: str
    campaign_id: str
    sender: str
    recipient: str = field(repr=False)
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Answer:
    """What is known after a hand-over."""

    state: Literal["sent", "failed", "in_doubt"]
    reason: str | None = None
    """Never holds an address: codes and classes only."""
    receipt: str | None = None
    """Where it went: a path, or the provider's id."""


class TransientRefusal(EngageError):
    """The transport surely did not take the message, and may take it later: the same message may be tried again.

    `cause` is a short code without personal data (`SMTP 421`, `CONNECT`); `is_rate_limit` says that the transport asks
    for patience, so that waiting is no failure. `otherwise` is how the send ends where it is not tried again (None: it
    failed): some of its recipient's devices may have it.
    """

    def __init__(self, cause: str, *, is_rate_limit: bool = False, otherwise: Answer | None = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.is_rate_limit = is_rate_limit
        self.otherwise = otherwise
