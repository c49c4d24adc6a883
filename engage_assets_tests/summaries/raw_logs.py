"""Writes raw log records where summaries read them: NDJSON and OTLP JSON, one file or folder per UTC day of arrival."""

import json
from collections import defaultdict
from datetime import date, datetime
from pathlib import Path
from typing import Any

Record = dict[str, Any]


def write_raw_logs(logs: Path, records: list[Record]) -> None:
    """Write records below `<logs>/<service>`; those of every other UTC day, by their own time, as OTLP.

    So a copy of a record has the form of the record, on whatever day it arrives.
    """
    days: dict[tuple[str, date], list[Record]] = defaultdict(list)
    for record in records:
        days[record["service"], record["arrival"]].append(record)
    for (service, arrival), own in days.items():
        folder = logs / service / arrival.isoformat()
        exported = [record for record in own if instant(record).toordinal() % 2]
        lines = [ndjson_line(record) for record in own if not instant(record).toordinal() % 2]
        if not exported:
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.with_suffix(".ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
            continue
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "lines.ndjson").write_text("\n".join(lines) + "\n", encoding="utf-8")
        (folder / "export.json").write_text(json.dumps(otlp(service, exported), ensure_ascii=False), encoding="utf-8")


def instant(record: Record) -> datetime:
    return datetime.fromisoformat(record["timestamp"])


def ndjson_line(record: Record) -> str:
    fields = ("timestamp", "body", "attributes", "resource", "record_id")
    return json.dumps({name: record[name] for name in fields}, ensure_ascii=False)


def otlp(service: str, records: list[Record]) -> dict[str, Any]:
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    logs = [otlp_record(record) for record in records]
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {}, "logRecords": logs}]}]}


def otlp_record(record: Record) -> dict[str, Any]:
    at = instant(record)
    micros = int(at.timestamp()) * 1_000_000 + at.microsecond
    uid = {} if record["record_id"] is None else {"log.record.uid": record["record_id"]}
    made: dict[str, Any] = {
        "timeUnixNano": str(micros * 1000),
        "attributes": [
            {"key": key, "value": otlp_value(value)} for key, value in {**record["attributes"], **uid}.items()
        ],
    }
    return made if record["body"] is None else {**made, "body": {"stringValue": record["body"]}}


def otlp_value(value: str | None) -> dict[str, str]:
    """A text; one that is a number as numbers are written becomes one; null is an empty value."""
    if value is None:
        return {}
    is_number = value.isascii() and value.isdigit() and str(int(value)) == value
    return {"intValue" if is_number else "stringValue": value}
