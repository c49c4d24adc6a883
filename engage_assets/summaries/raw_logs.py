"""Raw log files of an arrival day: where they lie, what form they have, and which of their lines are no records."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from engage_assets.domain.errors import EngageError

_FORMS: Final = (".ndjson", ".json", ".parquet")
_OTLP: Final = b'"resourceLogs"'
_BEGINNING: Final = 65_536
"""Bytes in which an OTLP export names its `resourceLogs`."""


@dataclass(frozen=True)
class SetAside:
    """Records of a file that no event is made of; `line` where one line is meant."""

    file: str
    line: int | None
    reason: str
    records: int


def raw_files(logs: Path, service: str, day: date) -> list[Path]:
    """The files of the UTC day `day`, sorted: `<logs>/<service>/<day>.ndjson` (.json, .parquet), or a folder of such.

    Raises EngageError for a file of another form.
    """
    folder = logs / service
    single = [path for form in _FORMS if (path := folder / f"{day}{form}").is_file()]
    parts = [path for path in (folder / str(day)).rglob("*") if path.is_file() and path.name[0] not in "._"]
    if odd := [path for path in parts if path.suffix not in _FORMS]:
        raise EngageError(f"{odd[0]}: a log file ends in {', '.join(_FORMS)}; rename it, or move it elsewhere")
    return sorted([*single, *parts])


def is_otlp(path: Path) -> bool:
    """Whether a JSON file holds OTLP exports rather than one record a line."""
    with path.open("rb") as file:
        return path.suffix != ".parquet" and _OTLP in file.read(_BEGINNING)


def flatten_otlp(path: Path, into: Path, name: str) -> list[SetAside]:
    """Write an OTLP JSON export (one a line, or one in all) as one record a line; returns the lines that are none."""
    wrong: list[SetAside] = []
    with into.open("w", encoding="utf-8") as file:
        for line, export in _exports(path):
            if isinstance(export, str):
                wrong.append(SetAside(name, line, export, 1))
                continue
            for record in otlp_records(export):
                file.write(json.dumps(record, ensure_ascii=False, separators=(",", ":")))
                file.write("\n")
    return wrong


def _exports(path: Path) -> Iterator[tuple[int, Any]]:
    """Line and export; a line that is none comes as the text of what is wrong with it."""
    whole = path.read_bytes() if path.suffix == ".json" else b""
    if whole and not isinstance(document := _parsed(whole), str):
        yield 1, document
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _parsed(line.rstrip())


def _parsed(line: bytes) -> Any:
    """An OTLP export, or what is wrong with it."""
    reason = why_malformed(line)
    if reason:
        return reason
    export = json.loads(line)
    return export if isinstance(export.get("resourceLogs"), list) else "malformed: no resourceLogs"


def why_malformed(line: bytes) -> str | None:
    """Why a line is no JSON object, without quoting it; None where it is one."""
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "malformed: not UTF-8"
    except json.JSONDecodeError as error:
        return f"malformed: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError):
        return "malformed: not readable as JSON"
    return None if isinstance(value, dict) else "malformed: not a JSON object"


def otlp_records(export: Any) -> Iterator[dict[str, Any]]:
    """The log records of an OTLP export; typed values become text, `log.record.uid` the record id."""
    for group in _items(export, "resourceLogs"):
        resource = _texts(_items(group.get("resource"), "attributes"))
        for scope in _items(group, "scopeLogs"):
            for record in _items(scope, "logRecords"):
                attributes = _texts(_items(record, "attributes"))
                found = {
                    "timestamp": _first(record.get("timeUnixNano"), record.get("observedTimeUnixNano")),
                    "body": _text(record.get("body")) or record.get("eventName"),
                    "attributes": attributes,
                    "resource": resource,
                    "record_id": attributes.get("log.record.uid"),
                }
                yield {name: value for name, value in found.items() if value is not None}


def _first(*instants: Any) -> str | None:
    """The first instant that is set; OTLP writes 0 for none."""
    return next((str(instant) for instant in instants if instant not in (None, "", 0, "0")), None)


def _items(holder: Any, key: str) -> list[dict[str, Any]]:
    found = holder.get(key) if isinstance(holder, dict) else None
    return [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []


def _texts(pairs: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Attributes as text; of a name that stands twice the first."""
    found: dict[str, str] = {}
    for pair in pairs:
        value = _text(pair.get("value"))
        if value is not None:
            found.setdefault(str(pair.get("key")), value)
    return found


def _text(value: Any) -> str | None:
    """An OTLP AnyValue as text: numbers and truth values as JSON writes them, lists and maps as JSON."""
    plain = _plain(value)
    if plain is None or isinstance(plain, str):
        return plain
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if not isinstance(value, dict):
        return None
    if "arrayValue" in value:
        return [_plain(item) for item in _items(value["arrayValue"], "values")]
    if "kvlistValue" in value:
        return {str(pair.get("key")): _plain(pair.get("value")) for pair in _items(value["kvlistValue"], "values")}
    return next(
        (value[kind] for kind in ("stringValue", "intValue", "doubleValue", "boolValue") if kind in value), None
    )


def explain_lines(path: Path, name: str, places: Sequence[int]) -> list[SetAside]:
    """Say of lines what is wrong with them; `places` counts from 1 and leaves blank lines out, ascending."""
    wanted, found, place = set(places), [], 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            place += bool(line.strip())
            if line.strip() and place in wanted:
                reason = why_malformed(line.rstrip()) or (
                    "no_time" if b'"timestamp"' in line else "no_time: no timestamp"
                )
                found.append(SetAside(name, number, reason, 1))
    return found
