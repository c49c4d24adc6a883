"""Where a page ended, as the opaque text that asks for the next one: base64url of the last row's place in the order."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import Any, Final

from engage_assets.domain.errors import EngageError

EPOCH: Final = datetime.fromtimestamp(0, UTC).replace(tzinfo=None)
PLACE: Final = ("score", "event_at", "subject_id", "customer_id", "marketplace", "subject_type")
"""The total order of a channel: score and event descending, undated last, then texts ascending by code point."""


def micros(instant: datetime) -> int:
    """Microseconds since 1970 UTC."""
    return (instant - EPOCH) // timedelta(microseconds=1)


def cursor_of(row: Mapping[str, Any]) -> str:
    """The cursor of the page that begins after `row`."""
    place = [row[name] for name in PLACE]
    place[1] = None if place[1] is None else micros(place[1])
    return urlsafe_b64encode(json.dumps(place, separators=(",", ":")).encode()).decode().rstrip("=")


def place_of(cursor: str) -> dict[str, Any]:
    """The columns PLACE of the row that `cursor` was made of. Raises EngageError for any other text."""
    try:
        place = json.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        score, event, *texts = place
        event_at = None if event is None else EPOCH + timedelta(microseconds=event)
        row = dict(zip(PLACE, (score, event_at, *texts), strict=True))
        is_ours = _is_place(score, texts) and cursor_of(row) == cursor
    except (ValueError, TypeError, OverflowError, RecursionError):
        is_ours = False
    if not is_ours:
        raise EngageError("this cursor is of no page of ours; begin without one, then pass on what each page gives")
    return row


def _is_place(score: object, texts: list[object]) -> bool:
    return (
        isinstance(score, float)
        and isfinite(score)
        and all(isinstance(text, str) and b"\0" not in text.encode() for text in texts)
    )
