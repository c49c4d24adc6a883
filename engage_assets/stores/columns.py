"""The columns of a stored candidate, by name and kind, the same in every database; and its lane in the score index."""

from collections.abc import Collection
from typing import Final

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.errors import EngageError
from engage_assets.domain.statuses import ACTIVE, SERVED
from engage_assets.domain.tables import POLARS_TYPES, Kind


def flag_of(channel: str) -> str:
    """The column that says whether a candidate may be reached through `channel`: `in_app_eligible`.

    Raises EngageError when `channel` is none of email, in-app, push, voice.
    """
    if channel not in CHANNEL_TYPES:
        raise EngageError(f"no channel {channel!r}: one of {', '.join(CHANNEL_TYPES)}")
    return f"{channel.replace('-', '_')}_eligible"


ELIGIBILITY: Final = tuple(flag_of(channel) for channel in CHANNEL_TYPES)
GIVEN: Final[dict[str, Kind]] = {
    "customer_id": "key",
    "marketplace": "text",
    "subject_type": "text",
    "subject_id": "key",
    "record_id": "key",
    "event_at": "instant",
    "time_zone": "text",
    "locale": "text",
    "connector_id": "text",
    "created_at": "instant",
    "expires_at": "instant",
    **dict.fromkeys(ELIGIBILITY, "flag"),
    "probability": "number",
    "score": "number",
    "band": "text",
    "model_version": "text",
}
"""What a put takes out of each frame. A change here is a new version of the schema."""

KEY: Final = ("customer_id", "program", "marketplace", "subject_type", "subject_id")
KEY_GIVEN: Final = tuple(name for name in KEY if name != "program")
STORED: Final[dict[str, Kind]] = {
    **{name: GIVEN.get(name, "key") for name in KEY},
    **{name: kind for name, kind in GIVEN.items() if name not in KEY},
    "partition_date": "date",
    "status": "text",
    "version": "integer",
    "updated_at": "instant",
}
"""Every column that readers see, in order."""
TYPES: Final = {name: POLARS_TYPES[kind] for name, kind in STORED.items()}
"""Their types in Polars."""
FILLED_GIVEN: Final = (*KEY_GIVEN, "record_id", "created_at", "expires_at")
"""Those of GIVEN that are never null."""
FILLED: Final = frozenset({*FILLED_GIVEN, "program", "partition_date", "status", "version", "updated_at"})
REPLACED: Final = tuple(name for name in (*GIVEN, "partition_date") if name not in (*KEY, "created_at"))
"""What a later put may change: created_at is the first batch's."""

_SERVED: Final = (ACTIVE, *sorted(SERVED - {ACTIVE}))
_MASKS: Final = 1 << len(ELIGIBILITY)
_MASK: Final = " + ".join(f"CASE WHEN {flag} THEN {1 << place} ELSE 0 END" for place, flag in enumerate(ELIGIBILITY))
LANE: Final = (
    f"nullif({_MASK}, 0)"
    f" + CASE status {' '.join(f'WHEN {status!r} THEN {_MASKS * at}' for at, status in enumerate(_SERVED))} END"
)
"""A number for the channels and the status of a candidate that may be served; null for others.

The score index holds each lane in order, so that one entry a candidate serves every channel: a channel's page merges
its lanes. An index for each channel costs twice the time at each put.
"""


def lanes_of(channel: str, exclude: Collection[str] = ()) -> list[int]:
    """The lanes of the candidates eligible for `channel` in the served statuses but `exclude`."""
    place = ELIGIBILITY.index(flag_of(channel))
    return [
        _MASKS * at + mask
        for at, status in enumerate(_SERVED)
        if status not in exclude
        for mask in range(_MASKS)
        if mask >> place & 1
    ]


def listed(names: Collection[str], of: str = "") -> str:
    """Names for a statement: `a, b`, or `t.a, t.b`."""
    return ", ".join(f"{of}.{name}" if of else name for name in names)
