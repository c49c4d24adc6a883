"""Items in DynamoDB's JSON → plain values as a schema wants them, checked on the way, in one pass."""

from collections.abc import Callable
from typing import Any, Final

from engage_assets.archive.refusals import Refused
from engage_assets.archive.schemas import Schema, inner, is_added, is_nullable
from engage_assets.archive.times import read_time

LARGEST_TEXT: Final = 400 * 1024
"""Bytes of one text: what an item of DynamoDB can hold at most."""
_TYPES: Final = frozenset({"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"})

Read = Callable[[Any, int], Any]
"""(value in DynamoDB's JSON, last time allowed in µs) → plain value; None for NULL. Raises Refused."""


def image_reader(schema: Schema) -> Read:
    """How to read an item of a type: the fields that the schema takes from an image; all others are dropped."""
    return _fields_reader(schema, "")


def _reader(kind: Any, where: str) -> Read:
    if kind == "string":
        return _text_reader(where)
    if kind == "boolean":
        return _flag_reader(where)
    if kind["type"] == "record":
        return _map_reader(kind, where)
    if kind["type"] == "array":
        return _list_reader(kind["items"], where)
    if kind.get("logicalType") == "timestamp-micros":
        return _time_reader(where)
    raise TypeError(f"{where}: no image brings {kind}")


def _absent(value: Any, wanted: str, where: str) -> None:
    """Refuse a value that is not of the wanted type, unless it is NULL."""
    if value == {"NULL": True}:
        return
    is_one = isinstance(value, dict) and len(value) == 1
    found = next((kind for kind in value if kind in _TYPES), "") if is_one else ""
    # a known type that is not the wanted one was read wrongly only if its content is of another JSON type
    words = f"found {found}" if found and found not in wanted.split(" or ") else "found no such value"
    raise Refused("wrong-type", f"{where}: expected {wanted}, {words}")


def _text_reader(where: str) -> Read:
    def read(value: Any, _until: int) -> Any:
        try:
            text = value["S"]
        except (KeyError, TypeError):
            return _absent(value, "S", where)
        if type(text) is not str or len(value) != 1:
            return _absent(value, "S", where)
        if len(text) * 4 > LARGEST_TEXT and len(text.encode()) > LARGEST_TEXT:
            raise Refused("oversize", f"{where}: a text of more than {LARGEST_TEXT} bytes")
        return text

    return read


def _time_reader(where: str) -> Read:
    read_text = _text_reader(where)

    def read(value: Any, until: int) -> Any:
        text = read_text(value, until)
        return None if text is None else read_time(text, where, until)

    return read


def _flag_reader(where: str) -> Read:
    def read(value: Any, _until: int) -> Any:
        flag = value.get("BOOL") if type(value) is dict and len(value) == 1 else None
        return flag if type(flag) is bool else _absent(value, "BOOL", where)

    return read


def _map_reader(schema: Schema, where: str) -> Read:
    read_fields = _fields_reader(schema, f"{where}.")

    def read(value: Any, until: int) -> Any:
        fields = value.get("M") if type(value) is dict and len(value) == 1 else None
        return read_fields(fields, until) if type(fields) is dict else _absent(value, "M", where)

    return read


def _list_reader(items: Any, where: str) -> Read:
    read_item = _reader(items, f"{where}[]")
    takes_sets = items == "string"

    def required(value: Any, until: int) -> Any:
        item = read_item(value, until)
        if item is None:
            raise Refused("wrong-type", f"{where}[]: NULL in a list")
        return item

    def read(value: Any, until: int) -> Any:
        only = value if type(value) is dict and len(value) == 1 else {}
        if type(only.get("L")) is list:
            return [required(one, until) for one in only["L"]]
        if takes_sets and type(only.get("SS")) is list:
            return [required({"S": one}, until) for one in only["SS"]]
        return _absent(value, "L or SS" if takes_sets else "L", where)

    return read


def _fields_reader(schema: Schema, prefix: str) -> Read:
    plan = [
        (field["name"], _reader(inner(field["type"]), prefix + field["name"]), not is_nullable(field["type"]))
        for field in schema["fields"]
        if not is_added(field)
    ]

    def read(item: Any, until: int) -> dict[str, Any]:
        found = {}
        for name, read_value, is_required in plan:
            if name in item:
                value = found[name] = read_value(item[name], until)
            else:
                value = found[name] = None
            if value is None and is_required:
                raise Refused("missing-field", f"{prefix}{name}: missing")
        return found

    return read
