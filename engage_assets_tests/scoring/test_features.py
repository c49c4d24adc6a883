from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engage_assets.domain.errors import ModelError
from engage_assets.domain.tables import CUSTOMER_TRUST, INPUT_TABLES, ORDERS, PRODUCTS, REVIEWS
from engage_assets.scoring.features import FEATURES, join_features, unavailable

NOW = datetime.fromisoformat("2026-06-01T02:00")
ALL = list(FEATURES)


def warehouse(**rows):
    """The four tables, empty but for the rows given as dicts."""
    return {
        table.name: pl.DataFrame(rows.get(table.name, []), schema=table.schema).lazy()
        for table in (ORDERS, REVIEWS, CUSTOMER_TRUST, PRODUCTS)
    }


def entities(*rows):
    schema = {"customer_id": pl.String, "subject_id": pl.String, "as_of": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("row").lazy()


def features_of(tables, *rows, names=ALL):
    return join_features(entities(*rows), tables, names).collect()


def test_values_of_one_customer_and_product():
    tables = warehouse(
        orders=[
            {"customer_id": "ann", "ordered_at": NOW - timedelta(days=90)},  # just outside the window
            {"customer_id": "ann", "ordered_at": NOW - timedelta(days=90) + timedelta(microseconds=1)},
            {"customer_id": "ann", "ordered_at": NOW},
            {"customer_id": "ann", "ordered_at": None},
        ],
        reviews=[
            {"customer_id": "ann", "product_id": "lamp", "reviewed_at": NOW - timedelta(days=200)},
            {"customer_id": "ann", "product_id": "mug", "reviewed_at": NOW - timedelta(days=1)},
            {"customer_id": "bob", "product_id": "lamp", "reviewed_at": NOW},
            {"customer_id": "bob", "product_id": "lamp", "reviewed_at": NOW + timedelta(microseconds=1)},
            {"customer_id": "bob", "product_id": "lamp", "reviewed_at": None},
        ],
        customer_trust=[
            {"customer_id": "ann", "known_at": NOW - timedelta(days=9), "trust_score": 0.9},
            {"customer_id": "ann", "known_at": NOW - timedelta(days=1), "trust_score": 0.6},
            {"customer_id": "ann", "known_at": NOW + timedelta(days=1), "trust_score": 0.1},
        ],
        products=[{"product_id": "lamp", "category": "home", "price": 19.5}],
    )
    (row,) = features_of(tables, ("ann", "lamp", NOW)).to_dicts()
    assert row == {
        "row": 0,
        "customer_id": "ann",
        "subject_id": "lamp",
        "as_of": NOW,
        "engagement_score": 0.3,  # two orders and one review within 90 days
        "review_history": 2.0,
        "trust_score": 0.6,
        "category": "home",
        "price": 19.5,
        "rating_count": 2.0,
    }


def test_nothing_known_keeps_the_row_with_defaults_or_null():
    result = features_of(warehouse(), ("eve", "vase", NOW), (None, None, NOW), ("eve", "vase", NOW))
    assert result["row"].to_list() == [0, 1, 2]
    for row in result.select(ALL).rows(named=True):
        assert row == dict.fromkeys(ALL) | {"engagement_score": 0, "review_history": 0, "rating_count": 0}
    assert result.schema["category"] == pl.String
    assert result.schema["trust_score"] == pl.Float64


def test_engagement_is_full_at_ten():
    orders = [{"customer_id": "ann", "ordered_at": NOW}] * 12
    assert features_of(warehouse(orders=orders), ("ann", "lamp", NOW))["engagement_score"].item() == 1.0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("active", 0.2, 0.5), ("suspended", 0.1, 0.3)], 0.3),  # the account's status comes first
        ([("active", 0.2, 0.5), ("active", 0.3, 0.4)], 0.4),  # then the fraud score
        ([("active", 0.2, 0.5), ("active", 0.2, None)], None),  # null lies above every number
    ],
)
def test_trust_rows_known_at_one_instant_give_the_greatest(rows, expected):
    names = ("account_status", "fraud_score", "trust_score")
    trust = [dict(zip(names, row, strict=True)) | {"customer_id": "ann", "known_at": NOW} for row in rows]
    for order in (trust, trust[::-1]):
        assert features_of(warehouse(customer_trust=order), ("ann", "lamp", NOW))["trust_score"].item() == expected


def test_trust_without_its_optional_columns():
    tables = warehouse(customer_trust=[{"customer_id": "ann", "known_at": NOW, "trust_score": 0.8}])
    tables["customer_trust"] = tables["customer_trust"].drop("account_status", "fraud_score")
    assert features_of(tables, ("ann", "lamp", NOW))["trust_score"].item() == 0.8


def test_a_product_that_stands_twice_neither_doubles_its_rows_nor_is_guessed_at():
    rows = [("lamp", 1.0, "home"), ("lamp", 2.0, "home"), ("mug", 3.0, "home")]
    products = [dict(zip(("product_id", "price", "category"), row, strict=True)) for row in rows]
    result = features_of(warehouse(products=products), ("ann", "lamp", NOW), ("ann", "mug", NOW))
    assert result.select("price", "category").rows() == [(None, "home"), (3.0, "home")]


KNOWN_INSTANTS = st.integers(-4000, 4000).map(lambda hours: NOW + timedelta(hours=hours))
INSTANTS = st.one_of(st.none(), KNOWN_INSTANTS)
CUSTOMERS, SUBJECTS = st.sampled_from(["ann", "bob"]), st.sampled_from(["lamp", "mug"])
ORDER_ROWS = st.lists(st.fixed_dictionaries({"customer_id": CUSTOMERS, "ordered_at": INSTANTS}), max_size=15)
REVIEW_ROWS = st.lists(
    st.fixed_dictionaries({"customer_id": CUSTOMERS, "product_id": SUBJECTS, "reviewed_at": INSTANTS}), max_size=15
)
TRUST_ROWS = st.lists(
    st.fixed_dictionaries({"customer_id": CUSTOMERS, "known_at": INSTANTS, "trust_score": st.floats(0, 1)}), max_size=6
)
ASKED_INSTANTS = st.sampled_from([NOW - timedelta(days=30), NOW, NOW + timedelta(hours=1)])
ENTITY_ROWS = st.lists(st.tuples(CUSTOMERS, SUBJECTS, ASKED_INSTANTS), min_size=1, max_size=8)


@given(ORDER_ROWS, REVIEW_ROWS, TRUST_ROWS, ENTITY_ROWS)
@settings(max_examples=20, deadline=None)
def test_a_row_sees_what_was_known_at_its_instant_and_nothing_else(orders, reviews, trust, asked):
    together = features_of(warehouse(orders=orders, reviews=reviews, customer_trust=trust), *asked)
    assert together["row"].to_list() == list(range(len(asked)))
    for as_of in {instant for _, _, instant in asked}:
        # As at scoring: one instant for all rows, and a warehouse that knows nothing later.
        known = {
            "orders": [row for row in orders if row["ordered_at"] and row["ordered_at"] <= as_of],
            "reviews": [row for row in reviews if row["reviewed_at"] and row["reviewed_at"] <= as_of],
            "customer_trust": [row for row in trust if row["known_at"] and row["known_at"] <= as_of],
        }
        at_once = features_of(warehouse(**known), *[row for row in asked if row[2] == as_of])
        rows = together.filter(pl.col("as_of") == as_of)
        assert_frame_equal(rows.drop("row"), at_once.drop("row"), check_exact=True)
        for row in rows.rows(named=True):
            assert {name: row[name] for name in ALL} == read_by_hand(
                known, row["customer_id"], row["subject_id"], as_of
            )


def read_by_hand(known, customer, product, as_of):
    bought = [row["ordered_at"] for row in known["orders"] if row["customer_id"] == customer]
    written = [row["reviewed_at"] for row in known["reviews"] if row["customer_id"] == customer]
    trust = [(row["known_at"], row["trust_score"]) for row in known["customer_trust"] if row["customer_id"] == customer]
    recent = [instant for instant in bought + written if instant > as_of - timedelta(days=90)]
    return {
        "engagement_score": min(len(recent), 10) / 10,
        "review_history": len(written),
        "trust_score": max(trust)[1] if trust else None,
        "category": None,
        "price": None,
        "rating_count": sum(row["product_id"] == product for row in known["reviews"]),
    }


def test_features_need_declared_columns():
    columns = {f"{table.name}.{column}" for table in INPUT_TABLES.values() for column in table.names}
    assert {name: feature.needs - columns for name, feature in FEATURES.items() if feature.needs - columns} == {}
    assert list(FEATURES) == [feature.name for feature in FEATURES.values()]


def test_a_feature_reads_no_more_than_it_declares():
    for name, feature in FEATURES.items():
        tables = {
            table.name: pl.LazyFrame(
                schema={c: t for c, t in table.schema.items() if f"{table.name}.{c}" in feature.needs}
            )
            for table in (ORDERS, REVIEWS, CUSTOMER_TRUST, PRODUCTS)
        }
        assert features_of(tables, ("ann", "lamp", NOW), names=[name]).height == 1


def test_what_a_deployment_lacks_is_named():
    available = frozenset({"reviews.customer_id", "reviews.reviewed_at", "orders.customer_id"})
    assert unavailable(["review_history", "engagement_score", "price"], available) == {
        "engagement_score": ["orders.ordered_at"],
        "price": ["products.price", "products.product_id"],
    }
    with pytest.raises(ModelError, match=r"no feature is named mood; known features: category, engagement_score"):
        unavailable(["mood"], available)


def test_joining_without_the_columns_is_refused():
    tables = warehouse() | {"products": pl.LazyFrame(schema={"product_id": pl.String})}
    with pytest.raises(ModelError, match=r"price needs products\.price"):
        features_of(tables, ("ann", "lamp", NOW))
    rows = entities(("ann", "lamp", NOW)).with_columns(price=1.0)
    with pytest.raises(ModelError, match="columns price already"):
        join_features(rows, warehouse(), ["price"])
