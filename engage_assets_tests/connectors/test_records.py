"""Names of input records: the declared key, else a hash; each name once, whatever the order of the rows."""

import hashlib
from datetime import date

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.connectors.records import canonical, number
from engage_assets_tests.builders import instant


def test_canonical_json_is_that_of_rfc_8785_with_instants_in_utc_to_the_microsecond():
    row = {
        "b": 10.0,
        "a": None,
        "at": instant("2026-11-19 14:30"),
        "on": date(2026, 11, 19),
        "é": "\u20ac\n",
        "big": 2**60,
        "endless": float("inf"),
        "is": True,
    }
    assert canonical(row).decode() == (
        '{"a":null,"at":"2026-11-19T14:30:00.000000Z","b":10,"big":"1152921504606846976","endless":"inf","is":true,'
        '"on":"2026-11-19","é":"€\\n"}'
    )


def test_a_row_without_a_key_is_named_by_the_hash_of_its_canonical_json():
    row = {"listener_id": "l-1", "played_at": instant("2026-11-19 14:30")}
    text = rfc8785.dumps({"listener_id": "l-1", "played_at": "2026-11-19T14:30:00.000000Z"})
    name = hashlib.sha256(text).hexdigest()
    assert number([row, row, row], None) == [name, f"{name}#2", f"{name}#3"]


@pytest.mark.parametrize("key", [None, "", " ", "\t\n"])
def test_a_blank_key_is_no_key(key):
    row = {"id": key, "x": 1}
    assert number([row], "id") == number([row], None)


def test_repeats_are_numbered_in_the_order_of_their_canonical_json():
    rows = [{"id": "d", "x": 9}, {"id": "d", "x": 10}, {"id": "e", "x": 1}, {"id": "d", "x": None}]
    assert number(rows, "id") == ["d#2", "d", "e", "d#3"]


def test_a_number_that_is_another_rows_own_key_is_passed_over():
    rows = [{"id": "d", "x": 1}, {"id": "d", "x": 2}, {"id": "d#2", "x": 1}]
    assert number(rows, "id") == ["d", "d#3", "d#2"]


KEYS = st.sampled_from(["d", "d#2", "d#2#2", "d#3", "", " ", None])
ROWS = st.lists(st.fixed_dictionaries({"id": KEYS, "x": st.integers(0, 3)}), max_size=12)


@given(ROWS, st.randoms(use_true_random=False))
def test_names_are_unique_and_do_not_depend_on_the_order_of_the_rows(rows, chance):
    names = number(rows, "id")
    assert len(set(names)) == len(rows)
    order = list(range(len(rows)))
    chance.shuffle(order)
    again = number([rows[place] for place in order], "id")

    def named(names, rows):
        return sorted((name, canonical(row)) for name, row in zip(names, rows, strict=True))

    assert named(again, [rows[place] for place in order]) == named(names, rows)
