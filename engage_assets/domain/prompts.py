"""Prompts: questions asked on demand, by voice, and what was said to them. Each is a send of the ledger."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from engage_assets.domain.sends import ClaimRules, Send


@dataclass(frozen=True)
class Prompt:
    """A question that was asked."""

    send_id: str
    """Its id."""
    program: str
    customer_id: str
    marketplace: str
    subject_type: str
    subject_id: str
    subject_name: str | None
    channel: str
    locale: str | None
    issued_at: datetime
    expires_at: datetime
    """No answer is taken from then on."""
    answer: bool | None = None
    """Whether it was yes; None: not answered yet."""


@dataclass(frozen=True)
class Wish:
    """That a customer's session be asked about one of some subjects, or about none."""

    session: str
    """What makes two sessions the same: `session_key`."""
    customer_id: str
    sends: tuple[Send, ...]
    """Solicitations that would ask him now, the best first: the first that nothing speaks against is made."""
    rules: ClaimRules
    expires_at: datetime
    subject_id: str | None = None
    """The only subject that he may be asked about; None: any."""


@dataclass(frozen=True)
class Issued:
    """What became of a wish: a prompt, or the reason why there is none."""

    prompt: Prompt | None
    reason: str | None = None
    """SESSION_ASKED, STOPPED, or as of a claim (SEND_REASONS)."""


@dataclass(frozen=True)
class Reply:
    """What a customer said to a prompt."""

    send_id: str
    customer_id: str
    is_positive: bool


@dataclass(frozen=True)
class Recorded:
    """What became of a reply."""

    result: Literal["recorded", "unknown", "expired"]
    """`unknown`: no prompt of this customer has the id."""


def session_key(customer_id: str, session_id: str) -> str:
    """What makes two sessions the same, 32 hex digits: a customer's session of an assistant."""
    return hashlib.sha256(f"{customer_id}\x1f{session_id}".encode()).hexdigest()[:32]
