"""Parts of a partition: each customer in one, taken in order, though some are worked on together."""

from collections.abc import Iterator
from threading import Event, Lock

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.defs.ranges import AT_ONCE, customer_ranges, in_turn


@given(st.lists(st.one_of(st.none(), st.text("abc", max_size=2))), st.integers(1, 5))
def test_each_row_lies_in_one_range_and_no_customer_in_two(customers: list[str | None], rows: int) -> None:
    given_rows = pl.LazyFrame({"customer_id": customers}, schema={"customer_id": pl.String}).sort("customer_id")
    parts = [part.of(given_rows).collect() for part in customer_ranges(given_rows, "customer_id", rows)]
    assert pl.concat(parts).equals(given_rows.collect())
    seen = [set(part["customer_id"]) for part in parts]
    assert sum(map(len, seen)) == len(set(customers))


def test_ranges_are_of_one_size() -> None:
    customers = pl.LazyFrame({"customer_id": [f"{n:04d}" for n in range(1_000)]})
    sizes = [part.of(customers).collect().height for part in customer_ranges(customers, "customer_id", 600)]
    assert sizes == [500, 500]


def test_parts_are_worked_on_together_and_given_in_order() -> None:
    second_is_done = Event()

    def work(part: int) -> int:
        if part == 1:
            assert second_is_done.wait(30), "the second part waits for the first"
        if part == 2:
            second_is_done.set()
        return part * 10

    assert list(in_turn(work, range(1, 6))) == [10, 20, 30, 40, 50]


def test_no_more_than_the_stated_number_is_under_way_or_waits() -> None:
    begun, lock = [], Lock()

    def work(part: int) -> int:
        with lock:
            begun.append(part)
        return part

    for taken in in_turn(work, range(10)):
        assert len(begun) <= taken + AT_ONCE


def test_a_fault_is_raised_in_its_turn_and_no_further_part_is_begun() -> None:
    begun: list[int] = []

    def parts() -> Iterator[int]:
        for part in range(10):
            begun.append(part)
            yield part

    def work(part: int) -> int:
        if part == 3:
            raise ValueError("part 3")
        return part

    with pytest.raises(ValueError, match="part 3"):
        list(in_turn(work, parts()))
    assert begun[-1] < 3 + AT_ONCE
