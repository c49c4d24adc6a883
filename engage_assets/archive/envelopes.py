"""From the bytes of a stream's record to one change: what DynamoDB Streams and its Kinesis destination write."""

import base64
import binascii
from typing import Any, Final, NamedTuple

import orjson

from engage_assets.archive.ports import Record
from engage_assets.archive.refusals import Refused
from engage_assets.archive.times import EARLIEST, LATEST

LARGEST_RECORD: Final = 10 * 2**20
"""Bytes of one record: what Kinesis takes at most."""
EVENT_NAMES: Final = frozenset({"INSERT", "MODIFY", "REMOVE"})
_MICROSECONDS: Final = {"SECOND": 1_000_000, "MILLISECOND": 1_000, "MICROSECOND": 1}
_OTHER_ENVELOPES: Final = {
    "Records": "a whole Lambda event; write each of its Records as a line of its own",
    "records": "a whole Firehose event; write the data of each of its records as a line of its own",
    "recordId": "a Firehose record; write its decoded data as a line",
    "messageId": "an SQS message, not a change of a table",
    "detail-type": "an EventBridge event, not a change of a table",
}


class Payload(NamedTuple):
    """What a record carries, out of its Kinesis wrapping."""

    body: dict[str, Any]
    sequence: str | None
    arrived_at: int | None


class Change(NamedTuple):
    """One change of a table's item."""

    event_name: str
    event_id: str | None
    keys: dict[str, Any] | None
    image: dict[str, Any]
    """The item in DynamoDB's JSON: after the change, or before it where the change removed it."""
    changed_at: int
    """ApproximateCreationDateTime in µs."""
    sequence: str
    """Sequence number in the shard; the record's position where there is none."""


def open_record(record: Record) -> Payload:
    """Parse a record, bare or wrapped as a Kinesis record of a Lambda event. Raises Refused."""
    if record.size is not None or len(record.data) > LARGEST_RECORD:
        raise Refused("oversize", f"record: larger than {LARGEST_RECORD} bytes")
    body = _parse(record.data, "record")
    if "kinesis" not in body:
        return Payload(body, record.sequence, record.arrived_at)
    return _unwrap(body["kinesis"], record)


def _parse(data: bytes, what: str) -> dict[str, Any]:
    if not data.strip():
        raise Refused("not-json", f"{what}: empty")
    try:
        body = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise Refused("not-json", f"{what}: not JSON in UTF-8") from None
    if type(body) is not dict:
        raise Refused("not-an-envelope", f"{what}: JSON, but not an object")
    return body


def _unwrap(kinesis: Any, record: Record) -> Payload:
    if type(kinesis) is not dict or type(kinesis.get("data")) is not str:
        raise Refused("not-an-envelope", "kinesis.data: missing, or not a text")
    try:
        data = base64.b64decode(kinesis["data"], validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not-an-envelope", "kinesis.data: not base64") from None
    number, arrival = kinesis.get("sequenceNumber"), kinesis.get("approximateArrivalTimestamp")
    sequence = record.sequence or (number if type(number) is str and number else None)
    arrived_at = record.arrived_at if record.arrived_at is not None else _plausible(arrival, 1_000_000)
    return Payload(_parse(data, "kinesis.data"), sequence, arrived_at)


def _plausible(number: Any, factor: int) -> int | None:
    """The instant in µs, or None where the number is none or lies outside of what a change can have."""
    if type(number) is not int and type(number) is not float:
        return None
    if not abs(number) <= LATEST:
        return None
    instant = round(number * factor)
    return instant if EARLIEST <= instant <= LATEST else None


def read_change(payload: Payload, position: str) -> Change:
    """The change that a payload states. Raises Refused."""
    body = payload.body
    dynamodb = body.get("dynamodb")
    if type(dynamodb) is not dict or body.get("eventSource", "aws:dynamodb") != "aws:dynamodb":
        raise Refused("not-an-envelope", f"record: {_what_else(body)}")
    name = body.get("eventName")
    if type(name) is not str or name not in EVENT_NAMES:
        raise Refused("not-an-envelope", "eventName: not INSERT, MODIFY or REMOVE")
    event_id, keys, number = body.get("eventID"), dynamodb.get("Keys"), dynamodb.get("SequenceNumber")
    event_id = event_id if type(event_id) is str and event_id else None
    keys = keys if type(keys) is dict and keys else None
    if event_id is None and keys is None:
        raise Refused("not-an-envelope", "record: neither eventID nor Keys, so its copies could not be told apart")
    return Change(
        event_name=name,
        event_id=event_id,
        keys=keys,
        image=_image(dynamodb, "OldImage" if name == "REMOVE" else "NewImage", name),
        changed_at=created_at(payload),
        sequence=payload.sequence or (number if type(number) is str and number else position),
    )


def _what_else(body: dict[str, Any]) -> str:
    for key, words in _OTHER_ENVELOPES.items():
        if key in body:
            return words
    return "not a change of a DynamoDB table (no dynamodb, or another eventSource)"


def _image(dynamodb: dict[str, Any], which: str, name: str) -> dict[str, Any]:
    image = dynamodb.get(which)
    if type(image) is not dict:
        raise Refused(
            "not-an-envelope", f"dynamodb.{which}: missing in {name} (view type NEW_AND_OLD_IMAGES is needed)"
        )
    return image


def created_at(payload: Payload) -> int:
    """When the change was made, in µs.

    Without a stated precision the number counts seconds in a record of DynamoDB Streams, and milliseconds in one of
    the Kinesis destination (known by tableName or recordFormat). Raises Refused.
    """
    body, dynamodb = payload.body, payload.body["dynamodb"]
    field = "dynamodb.ApproximateCreationDateTime"
    if "ApproximateCreationDateTime" not in dynamodb:
        raise Refused("missing-field", f"{field}: missing")
    number = dynamodb["ApproximateCreationDateTime"]
    if type(number) is not int and type(number) is not float:
        raise Refused("wrong-type", f"{field}: not a number")
    is_destination = "tableName" in body or "recordFormat" in body
    precision = dynamodb.get("ApproximateCreationDateTimePrecision", "MILLISECOND" if is_destination else "SECOND")
    factor = _MICROSECONDS.get(precision) if type(precision) is str else None
    if factor is None:
        raise Refused("wrong-type", f"{field}Precision: not SECOND, MILLISECOND or MICROSECOND")
    instant = _plausible(number, factor)
    if instant is None:
        raise Refused("impossible-date", f"{field}: lies before 2000 or after 2100, counted in {precision.lower()}s")
    return instant
