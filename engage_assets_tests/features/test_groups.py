"""Features of groups: their values are those of a reference that reads row by row, and nothing later changes them."""

import math
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import FeatureView, missing_flag
from engage_assets.features.store import WarehouseFeatures, needs

NOW = datetime.fromisoformat("2026-06-01T02:00")
WINDOW, HALF_LIFE = timedelta(days=3), timedelta(days=2)
ROWS = {
    "customer_id": pl.String,
    "subject_id": pl.String,
    "happened_at": pl.Datetime("us"),
    "learned_at": pl.Datetime("us"),
    "amount": pl.Float64,
}
GROUPS = {"subject_id": pl.String, "group_id": pl.String, "weight": pl.Float64}
QUERY = "SELECT {keys}, happened_at AS event_at, learned_at AS known_at, amount FROM happenings"


def named(**keys):
    name = "_".join(str(value).replace(".0", "") for value in keys.values())
    return {"name": name.lower(), "description": "x", "column": "amount", **keys}


PAIR = FeatureView.model_validate(
    {
        "view": "taste",
        "description": "x",
        "entity": "pair",
        "query": QUERY.format(keys="customer_id, subject_id"),
        "groups": "SELECT subject_id, group_id, weight FROM kinds",
        "features": [
            named(aggregate=aggregate, **more)
            for aggregate in ("share", "similarity")
            for more in (
                {},
                {"window": "3d"},
                {"halfLife": "2d"},
                {"halfLife": "5d"},
                {"halfLife": "2d", "window": "3d"},
            )
        ]
        + [{"name": "rows_share", "aggregate": "share", "description": "x"}],
    }
)
SUBJECT = FeatureView.model_validate(
    {
        "view": "renown",
        "description": "x",
        "entity": "subject",
        "query": QUERY.format(keys="subject_id"),
        "groups": "SELECT subject_id, group_id FROM kinds",
        "features": [
            named(aggregate=aggregate, **more)
            for aggregate in ("count", "sum", "mean")
            for more in ({}, {"window": "3d"})
        ]
        + [
            named(aggregate="mean", shrinkage=10, others=True),
            named(aggregate="mean", others=True, window="3d"),
            named(aggregate="count", window="3d", per="1d", scale="log"),
        ],
    }
)
VIEWS = {view.view: view for view in (PAIR, SUBJECT)}
FEATURES = {one.name: (view, one) for view in VIEWS.values() for one in view.features}

INSTANTS = st.sampled_from([NOW + timedelta(days=days) for days in (-40, -4, -3, -1, 0, 1)])
SOME_INSTANT = st.one_of(INSTANTS, INSTANTS, INSTANTS, st.none())
HAPPENED = st.lists(
    st.tuples(
        st.sampled_from(["ann", "ann", "ann", "bob", None]),
        st.sampled_from(["lamp", "mug", "lamp", "mug", "vase", "jar", None]),
        SOME_INSTANT,
        SOME_INSTANT,
        st.sampled_from([None, float("nan"), -1.0, 0.0, 0.25, 1.0, 2.0, 7.0]),
    ),
    min_size=2,
    max_size=12,
)
FIXED = [("lamp", "home", 1.0), ("mug", "kitchen", 0.5), ("mug", "home", 1.0)]
KINDS = st.lists(
    st.tuples(
        st.sampled_from(["lamp", "mug", "vase", None]),
        st.sampled_from(["home", "kitchen", None]),
        st.sampled_from([1.0, 0.5, 2.0]),
    ),
    max_size=4,
    unique_by=lambda row: row[:2],
).map(lambda rows: [*FIXED, *(row for row in rows if row[:2] not in {one[:2] for one in FIXED})])
ASKED = st.lists(
    st.tuples(
        st.sampled_from(["ann", "ann", "ann", "bob", "eve", None]),
        st.sampled_from(["lamp", "mug", "lamp", "mug", "jar", None]),
        INSTANTS,
    ),
    min_size=2,
    max_size=6,
)


NAMES = st.lists(st.sampled_from(list(FEATURES)), min_size=1, max_size=2, unique=True)


@pytest.fixture(autouse=True)
def undeclared_tables(monkeypatch):
    """The tables of these tests are no input tables."""
    monkeypatch.setattr("engage_assets.features.queries.INPUT_TABLES", {})


def joined(rows, kinds, asked, names):
    tables = {
        "happenings": pl.DataFrame(rows, schema=ROWS, orient="row").lazy(),
        "kinds": pl.DataFrame(kinds, schema=GROUPS, orient="row").lazy(),
    }
    schema = {"customer_id": pl.String, "subject_id": pl.String, "as_of": pl.Datetime("us")}
    entities = pl.DataFrame(asked, schema=schema, orient="row").with_row_index("row").lazy()
    return WarehouseFeatures(VIEWS, tables).join(entities, list(names)).collect()


def by_hand(feature, view, rows, kinds, asked):
    customer, subject, as_of = asked
    seen = [row for row in rows if row[2] and row[3] and row[2] <= as_of and row[3] <= as_of and row[1]]
    if feature.window:
        seen = [row for row in seen if row[2] > as_of - feature.window]
    if view is PAIR:
        return of_pair(feature, [row for row in seen if row[0] == customer], kinds, customer, subject, as_of)
    return of_subject(feature, seen, kinds, subject)


def of_pair(feature, seen, kinds, customer, subject, as_of):
    if customer is None or subject is None:
        return None
    weights, mine = {}, {group: weight for name, group, weight in kinds if name == subject and group}
    for _, about, happened, _, amount in seen:
        listened = 1.0 if feature.column is None else amount
        if listened is None or not listened > 0:
            continue
        faded = 0.5 ** ((as_of - happened) / feature.half_life) if feature.half_life else 1.0
        for name, group, weight in kinds:
            if name == about and group:
                weights[group] = weights.get(group, 0.0) + listened * weight * faded
    if not mine or not weights:
        return None
    if feature.aggregate == "share":
        return sum(weights.get(group, 0.0) for group in mine) / sum(weights.values())
    dot = sum(weights.get(group, 0.0) * weight for group, weight in mine.items())
    return dot / math.hypot(*weights.values()) / math.hypot(*mine.values())


def of_subject(feature, seen, kinds, subject):
    group_of = {name: min(g for n, g, _ in kinds if n == name and g) for name, group, _ in kinds if name and group}
    if subject not in group_of:
        return None
    known = [(row[1], row[4]) for row in seen if row[4] is not None and row[4] == row[4]]
    if feature.aggregate == "count":
        number = sum(group_of.get(row[1]) == group_of[subject] for row in seen)
        if not number or not feature.per:
            return number or None
        return math.log1p(number * (feature.per / feature.window))
    here = [amount for name, amount in known if group_of.get(name) == group_of[subject]]
    if feature.aggregate == "sum":
        return sum(here) if here else None
    if feature.others:
        here = [amount for name, amount in known if group_of.get(name) == group_of[subject] and name != subject]
    if feature.shrinkage and known:
        overall = sum(amount for _, amount in known) / len(known)
        return (sum(here) + feature.shrinkage * overall) / (len(here) + feature.shrinkage)
    return sum(here) / len(here) if here else None


@settings(max_examples=40, deadline=None)
@given(rows=HAPPENED, kinds=KINDS, asked=ASKED, names=NAMES)
def test_every_value_is_that_of_the_rows_read_one_by_one(rows, kinds, asked, names):
    found = joined(rows, kinds, asked, names)
    for name, (view, feature) in ((name, FEATURES[name]) for name in names):
        for row, entity in zip(found.sort("row").rows(named=True), asked, strict=True):
            expected = by_hand(feature, view, rows, kinds, entity)
            assert row[name] == (None if expected is None else pytest.approx(expected, abs=2e-5)), (name, entity)
            assert row[missing_flag(name)] == (expected is None)


@settings(max_examples=25, deadline=None)
@given(rows=HAPPENED, kinds=KINDS, asked=ASKED, names=NAMES, data=st.data())
def test_later_rows_their_order_and_what_else_is_asked_change_no_value(rows, kinds, asked, names, data):
    alone = joined(rows, kinds, asked[:1], names)
    as_of = asked[0][2]
    later = [row for row in data.draw(HAPPENED) if (row[2] and row[2] > as_of) or (row[3] and row[3] > as_of)]
    mixed = data.draw(st.permutations([*rows, *later]))
    assert joined(mixed, kinds, asked, names).filter(row=0).equals(alone)


@pytest.mark.parametrize(
    ("happened", "learned", "share", "count"),
    [
        (NOW, NOW, 0.5, 2.0),
        (NOW, NOW + timedelta(microseconds=1), 1.0, None),  # known too late
        (NOW + timedelta(microseconds=1), NOW, 1.0, None),  # not happened yet
        (NOW - WINDOW, NOW, 1.0, None),  # just out of the window
        (NOW - WINDOW + timedelta(microseconds=1), NOW, 0.5, 2.0),
    ],
)
def test_a_row_is_seen_from_its_being_known_until_it_leaves_the_window(happened, learned, share, count):
    kinds = [("lamp", "home", 1.0), ("mug", "kitchen", 1.0)]
    rows = [("ann", "lamp", NOW, NOW, 2.0), *[("ann", "mug", happened, learned, 1.0)] * 2]
    asked = [("ann", "lamp", NOW), ("ann", "mug", NOW)]
    # Alone, and among other instants.
    for more in ([], [("ann", "mug", NOW - timedelta(days=9)), ("bob", "lamp", NOW + timedelta(days=9))]):
        found = joined(rows, kinds, [*asked, *more], ["share_3d", "count_3d"])
        assert (found["share_3d"][0], found["count_3d"][1]) == (share, count)


def test_a_half_life_halves_and_a_long_history_keeps_its_weight():
    kinds = [("lamp", "home", 1.0), ("mug", "kitchen", 1.0)]
    rows = [("ann", "lamp", NOW, NOW, 1.0), ("ann", "mug", NOW - HALF_LIFE, NOW - HALF_LIFE, 1.0)]
    asked = [("ann", "lamp", NOW), ("ann", "mug", NOW + timedelta(days=60))]
    found = joined(rows, kinds, asked, ["share_2d", "similarity_2d"])
    assert found["share_2d"].to_list() == pytest.approx([2 / 3, 1 / 3], abs=1e-6)  # the ratio stays, long after
    assert found["similarity_2d"][0] == pytest.approx(2 / math.sqrt(5), abs=1e-6)


def test_features_of_different_half_lives_fade_each_by_its_own():
    kinds = [("lamp", "home", 1.0), ("mug", "kitchen", 1.0)]
    rows = [("ann", "lamp", NOW, NOW, 1.0), ("ann", "mug", NOW - HALF_LIFE, NOW - HALF_LIFE, 1.0)]
    found = joined(rows, kinds, [("ann", "lamp", NOW)], ["share_5d", "share", "share_2d"])
    expected = {"share_5d": 1 / (1 + 2 ** (-2 / 5)), "share": 1 / 2, "share_2d": 2 / 3}
    assert {name: found[name].item() for name in expected} == pytest.approx(expected, abs=1e-6)


def test_each_of_many_pairs_has_its_own_value():
    """So many that several threads work on them, in whatever order."""
    at, things = pl.lit(NOW).cast(pl.Datetime("us")), {"lamp": 7, "mug": 5, "vase": 3}
    kinds = pl.LazyFrame([(thing, f"of {thing}", 1.0) for thing in things], schema=GROUPS, orient="row")
    people = pl.DataFrame({"number": range(100_000)}).with_columns(customer_id=pl.format("customer-{}", "number"))
    amounts = [pl.col("number") % turn + 1 for turn in things.values()]
    owners = people.with_columns(
        whole=pl.sum_horizontal(amounts), length=pl.sum_horizontal(a * a for a in amounts).sqrt()
    )
    rows = pl.concat(
        owners.with_columns(
            subject_id=pl.lit(thing), happened_at=at, learned_at=at, as_of=at, amount=amount.cast(pl.Float64)
        )
        for thing, amount in zip(things, amounts, strict=True)
    )
    asked = rows.filter(pl.col("subject_id") != "vase")
    found = WarehouseFeatures(VIEWS, {"happenings": rows.select(list(ROWS)).lazy(), "kinds": kinds}).join_in_turn(
        asked.select("customer_id", "subject_id", "as_of", "amount", "whole", "length"), ["share", "similarity"]
    )
    share, cosine = (pl.col("amount") / pl.col(of) for of in ("whole", "length"))
    off = found.select((pl.col("share") - share).abs().max(), (pl.col("similarity") - cosine).abs().max())
    assert max(off.row(0)) < 2e-6


def test_what_a_view_needs_and_what_it_can_do_without(monkeypatch):
    monkeypatch.undo()
    section = PAIR.model_dump(by_alias=True) | {"optional": ["happenings.learned_at"]}
    assert needs(FeatureView.model_validate(section)) == {
        "happenings.customer_id", "happenings.subject_id", "happenings.happened_at", "happenings.amount",
        "kinds.subject_id", "kinds.group_id", "kinds.weight",
    }  # fmt: skip
    broken = FeatureView.model_validate(section | {"groups": "SELECT subject_id FROM kinds"})
    with pytest.raises(ModelError, match=r"feature view taste: groups: gives no column group_id"):
        needs(broken)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"groups": None}, "a pair's features are of groups"),
        ({"entity": "customer"}, "a customer belongs to no group"),
        ({"features": [named(aggregate="last")]}, "aggregate last: this view has share, similarity"),
        ({"features": [named(aggregate="share", per="1d")]}, "per is for a count or sum over a window"),
        ({"entity": "subject", "features": [named(aggregate="mean", halfLife="1d")]}, "halfLife is for share"),
        ({"entity": "subject", "features": [named(aggregate="sum", shrinkage=1)]}, "shrinkage and others are for"),
    ],
)
def test_what_cannot_be_is_refused_with_its_remedy(changed, fault):
    with pytest.raises(ValidationError, match=fault):
        FeatureView.model_validate(PAIR.model_dump(by_alias=True) | changed)
