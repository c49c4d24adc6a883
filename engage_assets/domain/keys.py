"""What makes two things the same: keys of campaigns and sends, in one place."""

import hashlib
from datetime import date, datetime

from engage_assets.domain.errors import EngageError


def campaign_id(program: str, channel: str, partition: date, *segments: str) -> str:
    """A campaign: a channel list of one partition for one segment, `product-reviews:email:2026-11-20:US`."""
    return ":".join([program, channel, partition.isoformat(), *segments])


def partition_of(campaign: str) -> date:
    """The partition that a campaign's id names. Raises EngageError for text that is no campaign's id."""
    parts = campaign.split(":")
    try:
        return date.fromisoformat(parts[2])
    except (IndexError, ValueError):
        raise EngageError(f"{campaign!r} is no campaign's id; one reads product-reviews:email:2026-11-20:US") from None


def send_id(program: str, campaign: str, customer_id: str, subject_id: str, channel: str, slot_at: datetime) -> str:
    """32 hex digits of SHA-256 over the parts of a send's unique key."""
    parts = f"{program}\x1f{campaign}\x1f{customer_id}\x1f{subject_id}\x1f{channel}\x1f{slot_at.isoformat()}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
