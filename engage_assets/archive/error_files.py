"""Error files as they lie in the root for errors: read, cleaned of a fan, marked."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from engage_assets.archive.mentions import Mention, Unreadable
from engage_assets.archive.ports import Record, Root
from engage_assets.domain.errors import EngageError

Stated = dict[str, Any]
"""An error file as it was parsed."""
CORRECTED: Final = "corrected"
"""Where a corrected copy of the events stands, beside the originals."""


def error_keys(errors: Root) -> list[str]:
    """The keys of all error files, the oldest first."""
    return [file.key for file in errors.stored() if file.key.endswith(".json") and "/" not in file.key]


def read_error(errors: Root, key: str) -> Stated:
    """An error file. Raises FileNotFoundError; EngageError where it is none."""
    return parse_error(errors.get(key), key)


def parse_error(content: bytes, key: str) -> Stated:
    """An error file from its bytes. Raises EngageError where it is none."""
    try:
        stated = json.loads(content)
        if isinstance(stated["events"], list) and isinstance(stated["position"], dict):
            return dict(stated)
    except (ValueError, KeyError, TypeError):
        pass
    raise EngageError(f"{key}: not an error file ({{timestamp, error, position, events}}); mend it or take it away")


def error_bytes(stated: Stated) -> bytes:
    """An error file's content."""
    return json.dumps(stated, separators=(",", ":")).encode() + b"\n"


def event_record(event: Any, position: str, sequence: str | None) -> Record:
    """An event of an error file as the record that it was; of one that was cut off, its beginning and size."""
    if isinstance(event, dict) and event.keys() == {"beginning", "size"} and type(event["size"]) is int:
        return Record(position, _raw(event["beginning"]), sequence, size=event["size"])
    return Record(position, _raw(event), sequence)


def _raw(event: Any) -> bytes:
    if isinstance(event, str):
        return event.encode("utf-8", "surrogatepass")
    if isinstance(event, dict) and event.keys() == {"base64"} and isinstance(event["base64"], str):
        try:
            return base64.b64decode(event["base64"], validate=True)
        except binascii.Error:
            pass
    return json.dumps(event, separators=(",", ":")).encode()


def corrected_events(copy: bytes, key: str) -> list[Any]:
    """The events of a corrected copy: NDJSON, or an error file of which the events were edited. Raises EngageError."""
    try:
        events = [json.loads(line) for line in copy.splitlines() if line.strip()]
    except ValueError:
        events = _edited(copy)
    if len(events) == 1 and isinstance(events[0], dict) and isinstance(events[0].get("events"), list):
        events = events[0].get(CORRECTED) or events[0]["events"]
    if not events:
        raise EngageError(f"{key}: its corrected copy holds no event; write one JSON object a line")
    return events


def _edited(copy: bytes) -> list[Any]:
    """A copy that a person spread over lines."""
    try:
        return [json.loads(copy)]
    except ValueError:
        return []


@dataclass
class Cleaned:
    """What cleaning did."""

    files: int = 0
    """Files that were written again."""
    records: int = 0
    """Events or lines that lost what is personal."""
    replaced: int = 0
    """Of these: of which only the position is left."""


def clean_errors(errors: Root, mention: Mention, renew: Callable[[], None]) -> Cleaned:
    """Take a fan's personal values out of every error file that names the fan; `renew` prolongs the lease.

    Raises OSError, EngageError, LeaseLost.
    """
    done = Cleaned()
    for key, stated in errors_naming(errors, mention):
        renew()
        clean_error(errors, key, stated, mention, done)
    return done


def clean_error(errors: Root, key: str, stated: Stated, mention: Mention, done: Cleaned) -> Stated:
    """Clean one error file of a fan; returns what it states now. Raises OSError."""
    changed = {name: _clean(events, stated["position"], mention, done) for name, events in _events(stated)}
    if changed == dict(_events(stated)):
        return stated
    cleaned = {**stated, **changed}
    errors.put(key, error_bytes(cleaned))
    done.files += 1
    return cleaned


def errors_naming(errors: Root, mention: Mention) -> Iterator[tuple[str, Stated]]:
    """Error files that may name a fan. Raises OSError; EngageError where one that does is not readable as one."""
    for key in error_keys(errors):
        try:
            content = errors.get(key)
            if mention.may_be_in(content):
                yield key, parse_error(content, key)
        except FileNotFoundError:
            continue
        except EngageError:
            if mention.is_in(content.decode("utf-8", "replace")):
                raise


def _events(stated: Stated) -> Iterator[tuple[str, list[Any]]]:
    return ((name, stated[name]) for name in ("events", CORRECTED) if isinstance(stated.get(name), list))


def _clean(events: list[Any], position: Any, mention: Mention, done: Cleaned) -> list[Any]:
    return [_cleaned(event, position, mention, done) for event in events]


def _cleaned(event: Any, position: Any, mention: Mention, done: Cleaned) -> Any:
    record = event_record(event, "", None)
    try:
        data = _redacted(record, mention)
    except Unreadable:
        done.records, done.replaced = done.records + 1, done.replaced + 1
        return {"erased": position}
    if data is None:
        return event
    done.records += 1
    return data.decode() if isinstance(event, str) else json.loads(data)


def _redacted(record: Record, mention: Mention) -> bytes | None:
    """As `Mention.redacted`; a beginning cannot be taken apart. Raises Unreadable."""
    if record.size is None:
        return mention.redacted(record.data)
    if mention.is_in(record.data.decode("utf-8", "replace")):
        raise Unreadable
    return None


def has_left(stated: Stated, mention: Mention) -> int:
    """How many events of an error file still hold something personal of the fan."""
    done = Cleaned()
    for _, events in _events(stated):
        _clean(events, stated["position"], mention, done)
    return done.records
