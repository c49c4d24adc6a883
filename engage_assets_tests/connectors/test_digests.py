"""What the engine makes of a row is what `records` makes of it, or nothing."""

from datetime import date, datetime

import duckdb
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.connectors import digests, records
from engage_assets.domain.tables import POLARS_TYPES, Column, Kind

KINDS: dict[Kind, st.SearchStrategy] = {
    "key": st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    "text": st.sampled_from(["", "Rock & Roll", 'a"b', "a\\b", "é\u20ac", "🎁", "\x7f", "\x1f", "a/b"]),
    "texts": st.lists(st.none() | st.sampled_from(["rock", "new wave", "", 'a"b', "a,b", "\x1f"]), max_size=3),
    "date": st.dates() | st.sampled_from([date(1, 1, 1), date(9999, 12, 31), date(999, 12, 31)]),
    "instant": st.datetimes() | st.sampled_from([datetime(1, 1, 1), datetime(2026, 11, 19, 14, 30)]),  # noqa: DTZ001
    "number": st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, 0.95, 1.0, 1e-3, 0.1 + 0.2, 1e15, 5e-324, 97]),
    "integer": st.integers(-(2**63), 2**63 - 1) | st.sampled_from([0, 2**53 - 1, 2**53, -(2**53)]),
    "flag": st.booleans(),
}
COLUMNS = [Column(f"{letter}_{kind}", kind, "") for letter, kind in zip("hgfedcba", KINDS, strict=True)]
ROWS = st.lists(
    st.fixed_dictionaries({column.name: st.none() | KINDS[column.kind] for column in COLUMNS}), min_size=1, max_size=20
)
CONNECTION = duckdb.connect(config={"threads": 1})
PLAIN = {
    "h_key": "l-1", "g_text": "indie rock", "f_texts": ["rock", "new wave"], "e_date": date(2026, 11, 19),
    "d_instant": datetime(2026, 11, 19, 14, 30, 0, 5), "c_number": 0.97, "b_integer": 3, "a_flag": True,  # noqa: DTZ001
}  # fmt: skip


def written(rows, hole=None):
    schema = {column.name: POLARS_TYPES[column.kind] for column in COLUMNS}
    CONNECTION.register("rows", pl.DataFrame(rows, schema=schema).with_row_index("_place").to_arrow())
    found = CONNECTION.sql(f"SELECT {digests.canonical(COLUMNS, hole)} FROM rows ORDER BY _place").fetchall()
    return [value for (value,) in found]


@given(ROWS)
def test_a_row_is_written_as_canonical_json_or_not_at_all(rows):
    for made, row in zip(written(rows), rows, strict=True):
        assert made in (None, records.canonical(row).decode()), row


@given(ROWS)
def test_a_value_that_is_put_in_later_makes_the_same_json(rows):
    for made, row in zip(written(rows, "h_key"), rows, strict=True):
        text = records.text(row["h_key"]) if row["h_key"] is not None else "null"
        assert made is None or made.replace(digests.HOLE, text) == records.canonical(row).decode(), row


def test_the_usual_row_and_one_of_nulls_need_no_hand():
    rows = [PLAIN, dict.fromkeys(PLAIN)]
    assert written(rows) == [records.canonical(row).decode() for row in rows]
