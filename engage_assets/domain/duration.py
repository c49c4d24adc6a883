"""Durations as files state them."""

import re
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

_WRITTEN: Final = re.compile(r"^(\d+) ?(d|h|min)$")
_UNITS: Final = {"d": timedelta(days=1), "h": timedelta(hours=1), "min": timedelta(minutes=1)}


def _duration(value: Any) -> Any:
    """Read "90d", "2h" or "90min"."""
    if isinstance(value, timedelta):
        return value
    match = _WRITTEN.match(value) if isinstance(value, str) else None
    if not match:
        raise ValueError('write a duration as "90d", "2h" or "90min"')
    return int(match[1]) * _UNITS[match[2]]


def _minutes(value: timedelta) -> str:
    return f"{int(value.total_seconds()) // 60}min"


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    PlainSerializer(_minutes),
    WithJsonSchema({"type": "string", "pattern": _WRITTEN.pattern, "examples": ["90d", "2h", "90min"]}),
]
