"""Changes as streams write them, of people who do not exist."""

import json
from datetime import datetime

from engage_assets.archive.batches import Range, read_range, write_files
from engage_assets.archive.ports import Record

AT = datetime.fromisoformat("2026-11-20T09:00:00.123+00:00")
RANGE = Range("changes", "shard-1", "1", "9")

DEMAND = {
    "type": "demand",
    "fanId": "fan-1",
    "eventId": "event-1",
    "saleId": "sale-1",
    "requestedDateTime": "2026-11-19T23:30:00-05:00",
    "phoneNumber": "+1 555 0100",
    "email": "one@example.org",
    "systemUserId": "17-db2.99",
    "date": {"requested": "2026-11-19T23:30:00.000001-05:00", "triggered": "2026-11-20T05:00:00Z"},
}
NOTIFICATION = {
    "type": "notification",
    "fanId": "fan-1",
    "eventId": "event-1",
    "saleId": "sale-1",
    "messageBody": "Tickets are on sale",
    "email": "one@example.org",
    "date": {"created": "2026-11-20T08:00:00Z", "updated": "2026-11-20T08:30:00Z"},
}
EVENT = {
    "type": "event",
    "id": "event-1",
    "name": "Open Air",
    "isSuppressed": False,
    "eventDate": {"start": {"dateTime": "2027-06-01T18:00:00+02:00", "localDate": "2027-06-01"}},
    "venues": [{"id": "venue-1", "name": "Am See", "capacity": "9000"}],
}
SALE = {
    "type": "sale",
    "id": "sale-1",
    "eventId": "event-1",
    "saleStartDateTime": "2027-01-10T10:00:00Z",
    "saleTypes": ["presale", "public"],
}
ITEMS = (DEMAND, NOTIFICATION, EVENT, SALE)


def dynamo(value):
    """A plain value in DynamoDB's JSON."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [dynamo(one) for one in value]}
    if isinstance(value, dict):
        return {"M": {name: dynamo(one) for name, one in value.items()}}
    return value if value is not None else {"NULL": True}


class Raw(dict):
    """A value that is in DynamoDB's JSON already."""


def image(item):
    return {name: dict(value) if isinstance(value, Raw) else dynamo(value) for name, value in item.items()}


def change(item=DEMAND, name="INSERT", event_id="change-1", at=AT, **dynamodb):
    """A change as the Kinesis destination writes it."""
    which = {"INSERT": ["NewImage"], "MODIFY": ["NewImage", "OldImage"], "REMOVE": ["OldImage"]}[name]
    return {
        "eventID": event_id,
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "recordFormat": "application/json",
        "tableName": item["type"] if isinstance(item.get("type"), str) else "table",
        "dynamodb": {
            "ApproximateCreationDateTime": int(at.timestamp() * 1000),
            "Keys": {"pk": {"S": event_id}},
            **{one: image(item) for one in which},
            **dynamodb,
        },
    }


def line(body):
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def records(*bodies):
    return [Record(str(number), line(body)) for number, body in enumerate(bodies, 1)]


def archived(*bodies, where=RANGE):
    """The files of one range of these."""
    return write_files(read_range(where, records(*bodies)))


def refusal(body):
    """(kind, message) of a record that must be refused."""
    reading = read_range(RANGE, records(body))
    assert not reading.entries
    (refused,) = reading.refusals
    return refused.kind, refused.message


def row(body):
    """(type, partition date, values) of a record that must be archived."""
    reading = read_range(RANGE, records(body))
    assert not reading.refusals, reading.refusals
    (entry,) = reading.entries
    return entry.row.type, entry.row.partition_date, entry.row.values
