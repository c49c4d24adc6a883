"""Approval: bound to an audience's hash, void when the audience changes too much."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.dispatch.approval import Audience, change, is_void

PAIRS = st.sets(st.tuples(st.text("abc", max_size=3), st.text("abc", max_size=3)), min_size=1, max_size=40)


def crowd(*numbers):
    return Audience.of((f"c{number}", "p") for number in numbers)


def test_the_digest_is_of_the_sorted_lines():
    audience = Audience.of([("c2", "p1"), ("c1", "p2"), ("c2", "p1")])

    assert audience.digest == sha256(b"c1\x1fp2\nc2\x1fp1\n").hexdigest()
    assert audience.size == 2
    assert len(audience.members) == 16
    assert "c1" not in repr(audience)


@given(PAIRS, PAIRS)
def test_change_is_the_symmetric_difference(approved, present):
    old, new = Audience.of(approved), Audience.of(present)

    assert change(old, new) == len(approved ^ present) / len(approved)
    assert (old.digest == new.digest) == (approved == present)
    assert change(Audience(old.digest, old.members), old) == 0


@pytest.mark.parametrize(
    ("present", "void"),
    [
        (range(100), False),
        (range(20, 100), False),
        (range(120), False),
        (range(10, 110), False),
        (range(21, 100), True),
        (range(121), True),
        (range(11, 111), True),
        (range(0), True),
    ],
)
def test_more_than_a_fifth_voids(present, void):
    assert is_void(crowd(*range(100)), crowd(*present)) == void


def test_an_empty_audience_approves_nobody():
    assert not is_void(crowd(), crowd())
    assert is_void(crowd(), crowd(1))
