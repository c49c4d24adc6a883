"""The documented features: their values, what they need, and that the shipped views and examples can be read."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import missing_flag
from engage_assets.domain.purchases import ORDER_ITEMS, ORDERS, PRODUCTS, REVIEWS
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.domain.tables import CUSTOMER_TRUST
from engage_assets.features.store import WarehouseFeatures, needs, unavailable
from engage_assets.programs import documented_views, read_views

NOW = datetime.fromisoformat("2026-06-01T02:00")
VIEWS = {view.view: view for view in documented_views().values() if view.serves("deliveries")}
FEATURES = {feature.name: view for view in VIEWS.values() for feature in view.features}
ALL = list(FEATURES)
DEFAULTS = {"engagement_score": 0, "review_history": 0, "rating_count": 0}
TABLES = (ORDERS, ORDER_ITEMS, REVIEWS, CUSTOMER_TRUST, PRODUCTS)


def warehouse(**rows):
    """The tables that features read, empty but for the rows given as dicts."""
    return {table.name: pl.DataFrame(rows.get(table.name, []), schema=table.schema).lazy() for table in TABLES}


def entities(*rows):
    schema = {"customer_id": pl.String, "subject_id": pl.String, "as_of": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row").with_row_index("row").lazy()


def features_of(tables, *rows, names=ALL, views=VIEWS):
    return WarehouseFeatures(views, tables).join(entities(*rows), names).collect()


def test_there_are_the_six_documented_features():
    assert set(ALL) == {
        "engagement_score", "review_history", "trust_score", "category", "price", "rating_count",
    }  # fmt: skip


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
    (row,) = features_of(tables, ("ann", "lamp", NOW)).select(ALL).to_dicts()
    assert row == {
        "engagement_score": 0.3,  # two orders and one review within 90 days
        "review_history": 2.0,
        "trust_score": 0.6,
        "category": "home",
        "price": 19.5,
        "rating_count": 2.0,
    }


def test_nothing_known_keeps_the_row_with_defaults_or_null_and_says_so():
    result = features_of(warehouse(), ("eve", "vase", NOW), (None, None, NOW), ("eve", "vase", NOW))
    assert result["row"].to_list() == [0, 1, 2]
    for row in result.select(ALL).rows(named=True):
        assert row == dict.fromkeys(ALL) | DEFAULTS
    assert result.select(map(missing_flag, ALL)).to_numpy().all()
    assert result.schema["category"] == pl.String
    assert result.schema["trust_score"] == pl.Float64


def test_engagement_is_full_at_ten():
    orders = [{"customer_id": "ann", "ordered_at": NOW}] * 12
    assert features_of(warehouse(orders=orders), ("ann", "lamp", NOW))["engagement_score"].item() == 1.0


@pytest.mark.parametrize(("scores", "expected"), [((0.5, 0.3), 0.5), ((0.5, None), 0.5), ((None, None), None)])
def test_trust_rows_known_at_one_instant_give_the_greatest_score(scores, expected):
    trust = [{"customer_id": "ann", "known_at": NOW, "trust_score": score} for score in scores]
    for order in (trust, trust[::-1]):
        assert features_of(warehouse(customer_trust=order), ("ann", "lamp", NOW))["trust_score"].item() == expected


def test_a_product_that_stands_twice_neither_doubles_its_rows_nor_is_guessed_at():
    rows = [
        ("lamp", 1.0, "home"),
        ("lamp", 2.0, "home"),
        ("mug", 3.0, "home"),
        ("jar", 4.0, None),
        ("jar", 4.0, "home"),
    ]
    products = [dict(zip(("product_id", "price", "category"), row, strict=True)) for row in rows]
    asked = [("ann", product, NOW) for product in ("lamp", "mug", "jar")]
    result = features_of(warehouse(products=products), *asked)
    assert result.select("price", "category").rows() == [(None, "home"), (3.0, "home"), (4.0, None)]


def test_features_need_declared_columns():
    columns = {f"{table.name}.{column}" for table in INPUT_TABLES.values() for column in table.names}
    assert all(needs(view) <= columns for view in VIEWS.values())
    price = next(feature for feature in VIEWS["catalogue"].features if feature.name == "price")
    assert needs(VIEWS["catalogue"], price) == {"products.product_id", "products.price"}
    assert needs(VIEWS["activity"]) == {
        "orders.customer_id", "orders.ordered_at", "reviews.customer_id", "reviews.reviewed_at",
    }  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_a_feature_reads_no_more_than_it_needs(name):
    view = FEATURES[name]
    declared = needs(view, next(feature for feature in view.features if feature.name == name))
    tables = {
        table.name: pl.LazyFrame(schema={c: t for c, t in table.schema.items() if f"{table.name}.{c}" in declared})
        for table in TABLES
    }
    assert features_of(tables, ("ann", "lamp", NOW), names=[name]).height == 1


def test_what_a_deployment_lacks_is_named():
    available = frozenset({"reviews.customer_id", "reviews.reviewed_at", "orders.customer_id"})
    assert unavailable(VIEWS.values(), ["review_history", "engagement_score", "price"], available) == {
        "engagement_score": ["orders.ordered_at"],
        "price": ["products.price", "products.product_id"],
    }
    with pytest.raises(ModelError, match=r"no feature is named mood; known features: category, engagement_score"):
        unavailable(VIEWS.values(), ["mood"], available)
    tables = warehouse() | {"products": pl.LazyFrame(schema={"product_id": pl.String})}
    with pytest.raises(ModelError, match=r"price needs products\.price"):
        features_of(tables, ("ann", "lamp", NOW))


def test_our_folders_views_can_be_computed(request):
    views = read_views(request.config.rootpath / "programs" / "features.yaml")
    views = {view.view: view for view in views.values() if view.serves("deliveries")}
    tables = warehouse(
        orders=[
            {"order_id": "1", "customer_id": "ann", "ordered_at": NOW - timedelta(days=1)},
            {"order_id": "2", "customer_id": "ann", "ordered_at": NOW - timedelta(days=100)},
        ],
        order_items=[
            {"order_id": "1", "product_id": "lamp", "quantity": 2, "unit_price": 0.1},
            {"order_id": "1", "product_id": "mug", "quantity": 1, "unit_price": 0.1},
            {"order_id": "2", "product_id": "mug", "quantity": 9, "unit_price": 9.0},
        ],
    )
    names = ["orders_90d", "spend_90d", "engagement_score"]
    found = features_of(tables, ("ann", "lamp", NOW), ("bob", "lamp", NOW), names=names, views=views)
    assert found.select(names).rows() == [(1.0, 0.3, 0.1), (0.0, 0.0, 0.0)]
