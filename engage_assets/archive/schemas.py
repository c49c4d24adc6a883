"""The committed Avro schemas of the four types, and the check that a new version keeps files of the old readable."""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any, Final

import fastavro

TYPES: Final = ("demand", "notification", "event", "sale")
_NONE: Final = object()
Schema = dict[str, Any]


def committed(name: str) -> Schema:
    """The schema of a type as its file states it."""
    text = files("engage_assets.archive").joinpath("schemas", f"{name}.avsc").read_text(encoding="utf-8")
    schema: Schema = json.loads(text)
    return schema


SCHEMAS: Final = {name: committed(name) for name in TYPES}
PARSED: Final = {name: fastavro.parse_schema(schema) for name, schema in SCHEMAS.items()}


def is_added(field: Mapping[str, Any]) -> bool:
    """Whether the worker adds the field, so that no image brings it."""
    return field.get("from") == "worker"


def is_nullable(kind: Any) -> bool:
    """Whether a type is `["null", T]`."""
    return isinstance(kind, list) and kind[0] == "null"


def inner(kind: Any) -> Any:
    """T of `["null", T]`, else the type itself."""
    return kind[1] if is_nullable(kind) else kind


def refuse_evolution(old: Schema, new: Schema) -> list[str]:
    """Why files of `old` and of `new` could not lie side by side; empty where they can.

    Allowed are new fields that are nullable with null as default, and other words in a doc.
    """
    return list(_faults(old, new, old["name"]))


def _faults(old: Any, new: Any, where: str) -> Iterator[str]:
    if not (isinstance(old, dict) and isinstance(new, dict)) or old["type"] != new["type"]:
        if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
            for one, other in zip(old, new, strict=True):
                yield from _faults(one, other, where)
        elif old != new:
            yield f"{where}: its type changed; add a new nullable field beside it"
    elif old["type"] == "record":
        yield from _record_faults(old, new, where)
    elif old["type"] == "array":
        yield from _faults(old["items"], new["items"], f"{where}[]")
    elif old != new:
        yield f"{where}: its type changed; add a new nullable field beside it"


def _record_faults(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before, after = ({field["name"]: field for field in schema["fields"]} for schema in (old, new))
    if old["name"] != new["name"]:
        yield f"{where}: the record's name changed; keep {old['name']}"
    for name, field in before.items():
        if name not in after:
            yield f"{where}.{name}: removed; keep it, empty from now on"
        else:
            yield from _field_faults(field, after[name], f"{where}.{name}")
    for name in after.keys() - before.keys():
        if not is_nullable(after[name]["type"]) or after[name].get("default", _NONE) is not None:
            yield f'{where}.{name}: new; make it ["null", …] with "default": null'


def _field_faults(old: Mapping[str, Any], new: Mapping[str, Any], where: str) -> Iterator[str]:
    yield from _faults(old["type"], new["type"], where)
    if old.get("default", _NONE) != new.get("default", _NONE):
        yield f"{where}: its default changed; keep it"
