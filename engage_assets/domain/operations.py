"""What operators do, and what the system tells them."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Stop:
    """A stop of a program or a pause of a campaign that holds."""

    target: str
    reason: str
    who: str
    at: datetime


@dataclass(frozen=True)
class Approval:
    """A person's word for a campaign's audience."""

    campaign_id: str
    digest: str
    members: bytes = field(repr=False)
    """8 bytes per member, sorted: how much a later audience differs."""
    who: str
    at: datetime


@dataclass(frozen=True)
class Alert:
    """Something that a person should know: told once per cause."""

    cause: str
    text: str
    at: datetime


def address_hash(address: str) -> str:
    """SHA-256 of an address, trimmed and in lower case: how suppression lists name it without holding it."""
    return hashlib.sha256(address.strip().lower().encode()).hexdigest()
