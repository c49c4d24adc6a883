"""Error files as they lie in the root for errors: read, cleaned of a fan, marked."""

import base64
import binascii
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final, get_args

from engage_assets.archive.batches import Form
from engage_assets.archive.mentions import Mention, Unreadable
from engage_assets.archive.ports import Record, Root, Stored
from engage_assets.domain.errors import EngageError

Stated = dict[str, Any]
"""An error file as it was parsed."""
CORRECTED: Final = "corrected"
"""Where a corrected copy of the events stands, beside the originals."""
FORMS: Final = "forms"
"""Where the form of each event stands."""
_FORMS: Final = frozenset(get_args(Form))
_HOLDERS: Final = ("events", CORRECTED)


def stored_errors(errors: Root) -> Iterator[Stored]:
    """All error files, by key. Raises OSError."""
    return (file for file in errors.stored() if file.key.endswith(".json") and "/" not in file.key)


def error_keys(errors: Root) -> list[str]:
    """The keys of all error files, the oldest first."""
    return [file.key for file in stored_errors(errors)]


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


def events_of(stated: Stated, name: str = "events") -> list[tuple[Any, Form | None]]:
    """Events of an error file with their forms; None where none is stated: files of an older form, corrected copies."""
    forms: Any = stated.get(FORMS) if name == "events" else None
    known = forms if isinstance(forms, list) else []
    return [(event, form if form in _FORMS else None) for event, form in zip_longest(stated[name], known)][
        : len(stated[name])
    ]


def event_record(event: Any, form: Form | None, position: str, sequence: str | None) -> Record:
    """An event of an error file as the record that it was; of one that was cut off, its beginning and size.

    Without a form it is taken for what it looks like.
    """
    if form in {None, "beginning"} and _is_beginning(event):
        return Record(position, _raw(event["beginning"], None), sequence, size=event["size"])
    return Record(position, _raw(event, form), sequence)


def _is_beginning(event: Any) -> bool:
    return isinstance(event, dict) and event.keys() == {"beginning", "size"} and type(event["size"]) is int


def _raw(event: Any, form: Form | None) -> bytes:
    if isinstance(event, str) and form != "json":
        return event.encode("utf-8", "surrogatepass")
    is_packed = isinstance(event, dict) and event.keys() == {"base64"} and isinstance(event["base64"], str)
    if is_packed and form != "json":
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
    cleaned = cleaned_error(stated, mention, done)
    if cleaned != stated:
        errors.put(key, error_bytes(cleaned))
        done.files += 1
    return cleaned


def cleaned_error(stated: Stated, mention: Mention, done: Cleaned) -> Stated:
    """An error file without the personal values of a fan; the same where it has none; pure."""
    changed: Stated = {}
    for name in _HOLDERS:
        if isinstance(stated.get(name), list):
            before = events_of(stated, name)
            after = [_cleaned(*one, stated["position"], mention, done) for one in before]
            if after != before:
                changed[name] = [event for event, _ in after]
                if name == "events" and FORMS in stated:
                    changed[FORMS] = [form for _, form in after]
    return {**stated, **changed}


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


def _cleaned(event: Any, form: Form | None, position: Any, mention: Mention, done: Cleaned) -> tuple[Any, Form | None]:
    try:
        data = _redacted(event_record(event, form, "", None), mention)
    except Unreadable:
        done.records, done.replaced = done.records + 1, done.replaced + 1
        return {"erased": position}, "json"
    if data is None:
        return event, form
    done.records += 1
    return (data.decode(), form) if isinstance(event, str) else (json.loads(data), "json")


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
    cleaned_error(stated, mention, done)
    return done.records
