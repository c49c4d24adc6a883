"""One change → one row of its type: what the worker adds to an image, and what a deletion takes away."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from engage_assets.archive.envelopes import Change
from engage_assets.archive.images import image_reader
from engage_assets.archive.refusals import Refused
from engage_assets.archive.schemas import SCHEMAS, TYPES
from engage_assets.archive.times import ten_years_after, utc_date

REDACTED: Final = "[redacted]"
PERSONAL: Final = ("phoneNumber", "email", "messageBody")
"""Fields that a deleted record shows as `[redacted]`."""
_SYSTEM_USER: Final = re.compile(r"(.+)-([^-.]+)\.([^-.]+)", re.DOTALL)
_READERS: Final = {name: image_reader(schema) for name, schema in SCHEMAS.items()}

Values = dict[str, Any]


class Row(NamedTuple):
    """A change as it is archived."""

    type: str
    partition_date: str
    changed_at: int
    is_redacted: bool
    """Whether a personal field was there and made unreadable."""
    values: Values
    """As the schema of the type has them; times in µs."""


def row_of(change: Change, stream: str, shard: str) -> Row:
    """The row of a change. Raises Refused."""
    kind = _type_of(change.image)
    values = _READERS[kind](change.image, ten_years_after(change.changed_at))
    is_removed = change.event_name == "REMOVE"
    is_redacted = _delete(values, change.changed_at) if is_removed else False
    values["isDeleted"] = is_removed
    if kind == "demand":
        values["system"] = _system(values["systemUserId"])
    values["reference"] = _REFERENCES[kind](values, change.changed_at)
    values["lineage"] = {
        "stream": stream,
        "shard": shard,
        "sequenceNumber": change.sequence,
        "eventId": change.event_id,
        "eventName": change.event_name,
        "changeTime": change.changed_at,
    }
    return Row(kind, utc_date(_PARTITIONS[kind](values, change.changed_at)), change.changed_at, is_redacted, values)


def _type_of(image: Mapping[str, Any]) -> str:
    value = image.get("type")
    kind = value.get("S") if type(value) is dict else None
    if type(kind) is not str:
        raise Refused("unknown-type", "type: missing, or not a text")
    if kind not in _READERS:
        raise Refused("unknown-type", f"type: not one of {', '.join(TYPES)}")
    return kind


def _delete(values: Values, changed_at: int) -> bool:
    """Mark a row as deleted and make its personal fields unreadable; says whether there was one."""
    values["date"] = {**(values["date"] or {}), "deleted": changed_at}
    return redact(values)


def redact(values: Values) -> bool:
    """Make the personal fields of a row unreadable where they are present; says whether one still was readable."""
    present = [name for name in PERSONAL if values.get(name) not in (None, REDACTED)]
    values.update(dict.fromkeys(present, REDACTED))
    return bool(present)


def _system(user_id: str | None) -> dict[str, str] | None:
    """The parts of `{id}-{databaseId}.{memberId}`, or None where it does not match."""
    found = _SYSTEM_USER.fullmatch(user_id) if user_id is not None else None
    if not found:
        return None
    number, database, member = found.groups()
    return {"id": number, "databaseId": database, "memberId": member}


def _fan_reference(values: Values) -> str:
    return f"{values['eventId']}_{values['saleId']}_{values['fanId']}"


def _demand(values: Values, _changed_at: int) -> Values:
    latest = max(at for at in values["date"].values() if at is not None)
    return {"id": _fan_reference(values), "timestamp": latest}


def _notification(values: Values, changed_at: int) -> Values:
    return {"id": _fan_reference(values), "timestamp": _last_touched(values, changed_at)}


def _event(values: Values, changed_at: int) -> Values:
    return {"id": values["id"], "timestamp": _last_touched(values, changed_at)}


def _sale(values: Values, _changed_at: int) -> Values:
    deleted = (values["date"] or {}).get("deleted")
    at = values["saleStartDateTime"] if deleted is None else deleted
    return {"id": f"{values['eventId']}_{values['id']}", "timestamp": at}


def _last_touched(values: Values, changed_at: int) -> int:
    date = values["date"] or {}
    return int(next((at for at in (date.get("deleted"), date.get("updated")) if at is not None), changed_at))


def _event_partition(values: Values, changed_at: int) -> int:
    seen = (values["date"] or {}).get("firstSeen")
    start = ((values["eventDate"] or {}).get("start") or {}).get("dateTime")
    return int(next((at for at in (seen, start) if at is not None), changed_at))


_REFERENCES: Final[dict[str, Callable[[Values, int], Values]]] = {
    "demand": _demand,
    "notification": _notification,
    "event": _event,
    "sale": _sale,
}
_PARTITIONS: Final[dict[str, Callable[[Values, int], int]]] = {
    "demand": lambda values, _: values["date"]["requested"],
    "notification": lambda values, _: values["date"]["created"],
    "event": _event_partition,
    "sale": lambda values, _: values["saleStartDateTime"],
}
