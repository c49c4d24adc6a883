"""What makes two things the same: keys of campaigns and sends, in one place."""

import hashlib
import re
from datetime import date, datetime
from typing import Final

from engage_assets.domain.errors import EngageError

_LONGEST_SEGMENT: Final = 80
_NOT_PLAIN: Final = re.compile(r"[^A-Za-z0-9-]")


def campaign_id(program: str, channel: str, partition: date, *segments: str) -> str:
    """A campaign: a channel list of one partition for one segment, `product-reviews:email:2026-11-20:US`."""
    return ":".join([program, channel, partition.isoformat(), *segments])


def segment(value: str) -> str:
    """A value as the part of a campaign's id: letters, digits, `-`, `_` and `~` only, and different for each value.

    ASCII letters, digits and hyphens stay, a blank becomes `_`, every other byte of UTF-8 `~` and two hex digits:
    `Indie Rock` is `Indie_Rock`, `R&B` is `R~26B`. Empty text is `~`. What would be longer than 80 characters is cut,
    and ends in `~~` and 16 hex digits of its hash.
    """
    slug = _NOT_PLAIN.sub(_escaped, value) or "~"
    if len(slug) <= _LONGEST_SEGMENT:
        return slug
    digest = hashlib.sha256(value.encode()).hexdigest()[:16]
    return f"{slug[: _LONGEST_SEGMENT - len(digest) - 2]}~~{digest}"


def _escaped(found: re.Match[str]) -> str:
    return "_" if found[0] == " " else "".join(f"~{byte:02X}" for byte in found[0].encode())


def is_part_of(campaign: str, target: str) -> bool:
    """Whether `target` is the campaign's id or how it begins: a program, its channel, a partition, a marketplace."""
    return campaign == target or campaign.startswith(f"{target}:")


def partition_of(campaign: str) -> date:
    """The partition that a campaign's id names. Raises EngageError for text that is no campaign's id."""
    parts = campaign.split(":")
    try:
        return date.fromisoformat(parts[2])
    except (IndexError, ValueError):
        raise EngageError(f"{campaign!r} is no campaign's id; one reads programId:email:2026-11-20:US") from None


BETWEEN_PARTS: Final = "\x1f"


def send_id(program: str, campaign: str, customer_id: str, subject_id: str, channel: str, slot_at: datetime) -> str:
    """32 hex digits of SHA-256 over the parts of a send's unique key."""
    return id_of_parts(BETWEEN_PARTS.join((program, campaign, customer_id, subject_id, channel, slot_at.isoformat())))


def id_of_parts(parts: str) -> str:
    """The id of a send whose key's parts, in the order of `send_id`, stand with BETWEEN_PARTS between them."""
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
