"""Raw log files of an arrival day: where they lie, what form they have, and which of their lines are no records."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

from engage_assets.domain.errors import EngageError

_FORMS: Final = (".ndjson", ".json", ".parquet")
_OTLP: Final = b'"resourceLogs"'
_BEGINNING: Final = 65_536
"""Bytes in which an OTLP export names its `resourceLogs`."""
_LONE: Final = "malformed: lone surrogate"
_ODD: Final = re.compile(rb'"attributes"\s*:\s*["\[0-9tf-]')
_WORDS: Final[Mapping[type, str]] = {str: "text", list: "a list", bool: "a truth value"}


@dataclass(frozen=True)
class SetAside:
    """Records of a file that no event is made of; `line` where one line is meant."""

    file: str
    line: int | None
    reason: str
    records: int


def raw_files(logs: Path, service: str, day: date) -> list[Path]:
    """The files of the UTC day `day`, sorted: `<logs>/<service>/<day>.ndjson` (.json, .parquet), or a folder of such.

    Raises EngageError for a file of another form or name.
    """
    folder = logs / service
    beside = [path for path in folder.glob(f"{day}*") if not (path.name == str(day) and path.is_dir())]
    if odd := [path for path in beside if path.name not in {f"{day}{form}" for form in _FORMS}]:
        raise EngageError(
            f"{min(odd)}: the log of a day is called {day}.ndjson (or .json, .parquet), or lies in a folder {day};"
            " unpack or rename it, or move it elsewhere"
        )
    parts = [path for path in (folder / str(day)).rglob("*") if path.is_file() and path.name[0] not in "._"]
    if odd := [path for path in parts if path.suffix not in _FORMS]:
        raise EngageError(f"{odd[0]}: a log file ends in {', '.join(_FORMS)}; rename it, or move it elsewhere")
    return sorted([*beside, *parts])


def is_otlp(path: Path) -> bool:
    """Whether a JSON file holds OTLP exports: its first JSON object, or the whole of a .json file, is one."""
    if path.suffix == ".parquet":
        return False
    with path.open("rb") as file:
        if _OTLP not in file.read(_BEGINNING):
            return False
        file.seek(0)
        objects = (value for line in file if line.strip() and isinstance(value := _read(line), dict))
        if is_export(next(objects, None)):
            return True
    return path.suffix == ".json" and is_export(_read(path.read_bytes()))


def is_export(value: Any) -> bool:
    """Whether a JSON value is an OTLP export of logs."""
    return isinstance(value, dict) and isinstance(value.get("resourceLogs"), list)


def flatten_otlp(path: Path, into: Path, name: str) -> list[SetAside]:
    """Write an OTLP JSON export (one a line, or one in all) as one record a line; returns the lines that are none.

    Records that stand among the exports are written as they are.
    """
    wrong: list[SetAside] = []
    with into.open("wb") as file:
        for line, export in _exports(path):
            if isinstance(export, str):
                wrong.append(SetAside(name, line, export, 1))
                continue
            for record in otlp_records(export) if is_export(export) else (export,):
                try:
                    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
                except UnicodeEncodeError:
                    wrong.append(SetAside(name, line, _LONE, 1))
                else:
                    file.write(text + b"\n")
    return wrong


def _exports(path: Path) -> Iterator[tuple[int, Any]]:
    """Line and export or record; a line that is none comes as the text of what is wrong with it."""
    if path.suffix == ".json" and is_export(document := _read(path.read_bytes())):
        yield 1, document
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield number, _export_or_record(line.rstrip())


def _export_or_record(line: bytes) -> Any:
    value = _read(line)
    if isinstance(value, str) or is_export(value):
        return value
    return value if "timestamp" in value and "resourceLogs" not in value else "malformed: no resourceLogs"


def _read(line: bytes) -> dict[str, Any] | str:
    """A JSON object, or what is wrong with it, without quoting it."""
    try:
        value = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        return "malformed: not UTF-8"
    except json.JSONDecodeError as error:
        return f"malformed: {error.msg} at column {error.colno}"
    except (ValueError, RecursionError):
        return "malformed: not readable as JSON"
    return value if isinstance(value, dict) else "malformed: not a JSON object"


def why_malformed(line: bytes) -> str | None:
    """Why a line is no record, without quoting it; None where it is one."""
    value = _read(line)
    if isinstance(value, str):
        return value
    if is_export(value):
        return "malformed: an OTLP export among records"
    if b"\\u" in line and _has_lone_surrogate(value):
        return _LONE
    attributes = value.get("attributes")
    if attributes is None or isinstance(attributes, dict):
        return None
    return f"malformed: attributes are {_WORDS.get(type(attributes), 'a number')}, not an object"


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def has_odd_attributes(path: Path) -> bool:
    """Whether a line of a file may have attributes that are no object; a text that looks so counts, too."""
    if path.suffix == ".parquet" or not path.stat().st_size:
        return False
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as held:
        return _ODD.search(held) is not None


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


def explain_lines(path: Path, name: str, places: Sequence[int], fault: str) -> list[SetAside]:
    """Say of lines what is wrong with them; `places` counts from 1 and leaves blank lines out, ascending.

    `fault` is what the engine takes them for: malformed or no_time.
    """
    wanted, found, place = set(places), [], 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            place += bool(line.strip())
            if line.strip() and place in wanted:
                found.append(SetAside(name, number, why_malformed(line.rstrip()) or _otherwise(line, fault), 1))
    return found


def _otherwise(line: bytes, fault: str) -> str:
    has_time = b'"timestamp"' in line
    if fault == "no_time" or not has_time:
        return "no_time" if has_time else "no_time: no timestamp"
    return "malformed: not readable as a record"
