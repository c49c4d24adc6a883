"""The same conversion as bench/archive.py in the usual way: boto3's TypeDeserializer and fastavro.validate.

usage: python bench/archive_rival.py CHANGES.ndjson [RECORDS]
Same input, schema and result. It does less: no duplicates, no limits of times, no refusal by field.
"""

import io
import json
import sys
import uuid
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fastavro
import measure
from archive import RECORDS, generate, measured
from boto3.dynamodb.types import TypeDeserializer

SCHEMA = Path(__file__).parent.parent / "engage_assets" / "archive" / "schemas" / "demand.avsc"
PERSONAL = ("phoneNumber", "email", "messageBody")


def record(line: bytes, number: int, deserialize: Callable[[Any], Any], schema: Any) -> dict[str, Any]:
    """The row of a change of a demand, validated."""
    body = json.loads(line)
    change, is_removed = body["dynamodb"], body["eventName"] == "REMOVE"
    image = change["OldImage" if is_removed else "NewImage"]
    values = {name: deserialize(value) for name, value in image.items()}
    created = datetime.fromtimestamp(change["ApproximateCreationDateTime"] / 1000, UTC)
    values["requestedDateTime"] = datetime.fromisoformat(values["requestedDateTime"])
    values["date"] = {name: datetime.fromisoformat(text) for name, text in values["date"].items()}
    values["isDeleted"] = is_removed
    if is_removed:
        values["date"]["deleted"] = created
        values.update({name: "[redacted]" for name in PERSONAL if name in values})
    user, rest = values["systemUserId"].split("-")
    database, member = rest.split(".")
    values["system"] = {"id": user, "databaseId": database, "memberId": member}
    reference = f"{values['eventId']}_{values['saleId']}_{values['fanId']}"
    values["reference"] = {"id": reference, "timestamp": max(values["date"].values())}
    values["lineage"] = {
        "stream": "bench", "shard": "0", "sequenceNumber": str(number), "eventId": body["eventID"],
        "eventName": body["eventName"], "changeTime": created,
    }  # fmt: skip
    fastavro.validate(values, schema)
    return values


def usual_files() -> Callable[[list[bytes]], dict[str, tuple[int, bytes]]]:
    """Lines → records and bytes of each file."""
    schema = fastavro.parse_schema(json.loads(SCHEMA.read_text()))
    deserialize = TypeDeserializer().deserialize

    def convert(lines: list[bytes]) -> dict[str, tuple[int, bytes]]:
        groups = defaultdict(list)
        errors = []
        for number, line in enumerate(lines):
            try:
                values = record(line, number, deserialize, schema)
                groups["demand", f"{values['date']['requested'].astimezone(UTC):%Y-%m-%d}"].append(values)
            except Exception as error:  # noqa: BLE001 - as it is usually written
                errors.append((str(error), line))
        files = {}
        for (kind, day), rows in groups.items():
            out = io.BytesIO()
            fastavro.writer(out, schema, rows, codec="deflate")
            files[f"data/{kind}/partition_date={day}/{uuid.uuid4()}.avro"] = len(rows), out.getvalue()
        return files

    return convert


def usual() -> Callable[[list[bytes]], tuple[int, int, int]]:
    convert = usual_files()

    def count(lines: list[bytes]) -> tuple[int, int, int]:
        files = convert(lines).values()
        return sum(rows for rows, _ in files), len(files), sum(len(content) for _, content in files)

    return count


def main() -> None:
    path, records = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else RECORDS
    if not path.exists():
        generate(path)
    measure.report(**measured(path, records, usual()))


if __name__ == "__main__":
    main()
