from collections.abc import Callable
from datetime import timedelta
from typing import Any

import narwhals as nw
import polars as pl
import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from engage_assets.domain.facts import latest_known, stated_once
from engage_assets.domain.tables import CUSTOMER_TRUST
from engage_assets_tests.builders import instant

AT = instant("2026-11-19 12:00")
FACTS = ["account_status", "fraud_score", "trust_score"]


def on_polars(made: Callable[..., Any], frame: pl.DataFrame, *how: Any) -> pl.DataFrame:
    return made(nw.from_native(frame.lazy()), *how).to_native().collect()


@pytest.mark.parametrize(
    ("rows", "stated"),
    [
        ([("k", 1)], [("k", 1)]),
        ([("k", 1), ("k", 1), ("k", 1)], [("k", 1)]),
        ([("k", 1), ("k", 2)], []),
        ([("k", 1), ("k", None)], []),
        ([("k", None), ("k", None)], [("k", None)]),
        ([("k", 1), ("l", 1), ("l", 1), ("m", 2), ("m", 3)], [("k", 1), ("l", 1)]),
    ],
)
def test_what_contradicts_itself_states_nothing(rows, stated):
    frame = pl.DataFrame(rows, schema=["key", "value"], orient="row")
    assert sorted(on_polars(stated_once, frame, "key").rows()) == stated


def test_a_key_of_two_columns_is_stated_for_both_together():
    frame = pl.DataFrame(
        [("k", 1, "x"), ("k", 2, "y"), ("l", 1, "x"), ("l", 1, "z")], schema=["a", "b", "value"], orient="row"
    )
    assert sorted(on_polars(stated_once, frame, "a", "b").rows()) == [("k", 1, "x"), ("k", 2, "y")]


texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=3)
shares = st.sampled_from([0.0, 1.0, 0.5, 0.55, 0.00001, 0.000015, 0.001]) | st.floats(1e-6, 1).map(
    lambda value: round(value, 9)
)
versions = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from(["c-1", "c-2"]),
        "known_at": st.sampled_from([AT, AT - timedelta(days=1)]),
        "account_status": st.none() | st.sampled_from(["active", 'active"', "active!", "a\\"]) | texts,
        "fraud_score": st.none() | shares,
        "trust_score": st.none() | shares,
    }
)


def canonical(row: dict[str, Any]) -> bytes:
    return rfc8785.dumps({**row, "known_at": row["known_at"].isoformat()})


def a_version(**facts: Any) -> dict[str, Any]:
    return {"customer_id": "c-1", "known_at": AT, **dict.fromkeys(FACTS), **facts}


# JSON writes a quote as backslash and quote, which lies between X and a, and a backslash as two.
@example([a_version(account_status='a"'), a_version(account_status="aX")])
@example([a_version(account_status="a\\"), a_version(account_status='a"-')])
# A comma follows the fraud score and a brace the trust score: of two numbers that begin alike, the longer is
# greater there and the shorter here.
@example([a_version(fraud_score=0.5), a_version(fraud_score=0.55)])
@example([a_version(trust_score=0.5), a_version(trust_score=0.55)])
@example([a_version(trust_score=0.0), a_version(trust_score=0.5)])
@example([a_version(fraud_score=0.00001), a_version(fraud_score=0.001)])
@given(st.lists(versions, min_size=1, max_size=8))
def test_the_latest_row_counts_and_of_several_the_greatest_as_canonical_json(rows):
    frame = pl.DataFrame(rows, schema=CUSTOMER_TRUST.schema)
    expected = [
        max((row for row in rows if row["customer_id"] == customer), key=lambda row: (row["known_at"], canonical(row)))
        for customer in sorted({row["customer_id"] for row in rows})
    ]
    found = on_polars(latest_known, frame, "customer_id", "known_at", FACTS).sort("customer_id")
    assert found.to_dicts() == expected
