"""What makes two things the same: keys of campaigns and sends, in one place."""

import hashlib
from datetime import date, datetime


def campaign_id(program: str, channel: str, partition: date, *segments: str) -> str:
    """A campaign: a channel list of one partition for one segment, `product-reviews:email:2026-11-20:US`."""
    return ":".join([program, channel, partition.isoformat(), *segments])


def send_id(program: str, campaign: str, customer_id: str, subject_id: str, channel: str, slot_at: datetime) -> str:
    """32 hex digits of SHA-256 over the parts of a send's unique key."""
    parts = f"{program}\x1f{campaign}\x1f{customer_id}\x1f{subject_id}\x1f{channel}\x1f{slot_at.isoformat()}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
