"""What a record without a key is named by, in the engine itself: its canonical JSON (RFC 8785), as SQL of DuckDB.

The same as `records.canonical` gives, for rows whose values every engine writes alike; the others are left to it.
"""

from collections.abc import Sequence
from typing import Final

from engage_assets.domain.tables import Column, Kind

_ODD_TEXT: Final = r"[\x00-\x1f\"\\]"
"""What JSON escapes."""
HOLE: Final = "\x1f"
"""What stands in a text where a value is put in later: no text of ours holds it, as JSON escapes it."""
_EXACT: Final = 2**53
"""Integers from here on are no JSON numbers."""


def canonical(columns: Sequence[Column], hole: str | None = None) -> str:
    """SQL for the canonical JSON of a row of `columns`; null where it is to be written by hand.

    By hand: texts that JSON escapes, also in lists, numbers that need an exponent, instants and dates before the year
    1000 or after 9999, infinite ones among them. `hole`: a column whose value is put in later, which is written `HOLE`.
    """
    given = [column for column in columns if column.name != hole]
    texts = [_name(column) for column in given if column.kind in ("key", "text")]
    odd = [_is_odd(column) for column in given if column.kind not in ("key", "text", "flag")]
    if texts:
        odd.append(f"regexp_matches(concat({', '.join(texts)}), '{_ODD_TEXT}')")
    is_whole = " AND ".join(f"{_name(column)} IS NOT NULL" for column in given)
    ordered = sorted(columns, key=lambda column: column.name)
    # Most rows lack nothing, and then fewer pieces are put together.
    written = [_object(ordered, hole, may_lack=may_lack) for may_lack in (False, True)]
    return (
        f"CASE WHEN NOT ({' OR '.join(odd) or 'false'}) THEN"
        f" CASE WHEN {is_whole or 'true'} THEN {written[0]} ELSE {written[1]} END END"
    )


def _name(column: Column) -> str:
    return f'"{column.name}"'


def _object(columns: Sequence[Column], hole: str | None, *, may_lack: bool) -> str:
    """SQL for the JSON of a row in one piece: each `||` would copy what is there so far."""
    pieces, open_text = [], "{"
    for place, column in enumerate(columns):
        open_text += f'{"," if place else ""}"{column.name}":'
        mark = '"' if column.kind in ("key", "text", "date", "instant") and column.name != hole else ""
        value = "chr(31)" if column.name == hole else _written(column)
        if may_lack and column.name != hole:
            quoted = f"'{mark}' || {value} || '{mark}'" if mark else value
            value, mark = f"coalesce({quoted}, 'null')", ""
        pieces += [f"'{open_text}{mark}'", value]
        open_text = mark
    return f"concat({', '.join(pieces)}, '{open_text}}}')"


def _written(column: Column) -> str:
    """SQL for a column's value in canonical JSON, without quotes; null for null."""
    value = _name(column)
    forms: dict[Kind, str] = {
        "key": value,
        "text": value,
        "date": f"CAST({value} AS VARCHAR)",
        "instant": f"strftime({value}, '%Y-%m-%dT%H:%M:%S.%fZ')",
        "number": f"CASE WHEN {value} = trunc({value}) THEN CAST(TRY_CAST({value} AS BIGINT) AS VARCHAR)"
        f" ELSE CAST({value} AS VARCHAR) END",
        "integer": f"CAST({value} AS VARCHAR)",
        "flag": f"CAST({value} AS VARCHAR)",
        "texts": "'[' || array_to_string("
        f"list_transform({value}, lambda one: coalesce('\"' || one || '\"', 'null')), ',') || ']'",
    }
    return forms[column.kind]


def _is_odd(column: Column) -> str:
    """SQL for whether a value is not written alike everywhere; never null."""
    value = _name(column)
    forms: dict[Kind, str] = {
        "date": f"NOT {value} BETWEEN DATE '1000-01-01' AND DATE '9999-12-31'",
        "instant": f"NOT {value} BETWEEN TIMESTAMP '1000-01-01' AND TIMESTAMP '9999-12-31'",
        "number": f"NOT ({value} = 0 OR abs({value}) BETWEEN 0.001 AND 1e15)",
        "integer": f"abs({value}::HUGEINT) >= {_EXACT}",
        "texts": f"regexp_matches(array_to_string({value}, ' '), '{_ODD_TEXT}')",
    }
    return f"coalesce({forms[column.kind]}, false)"
