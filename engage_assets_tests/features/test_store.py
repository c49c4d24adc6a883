"""The point-in-time join: its values are those of a reference that reads row by row, and nothing later leaks in."""

import random
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import FeatureView, missing_flag
from engage_assets.features.store import WarehouseFeatures

NOW = datetime.fromisoformat("2026-06-01T02:00")
SCHEMA = {
    "customer_id": pl.String,
    "happened_at": pl.Datetime("us"),
    "learned_at": pl.Datetime("us"),
    "amount": pl.Float64,
    "mood": pl.String,
}


def features(window):
    more = {} if window is None else {"window": window}
    end = window or "ever"
    return [
        {"name": f"{aggregate}_{column}_{end}", "aggregate": aggregate, "column": column, "description": "x", **more}
        | ({"type": "text"} if column == "mood" and aggregate != "distinct" else {})
        for aggregate, columns in AGGREGATES.items()
        for column in columns
    ]


AGGREGATES = {
    "last": ("amount", "mood"),
    "only": ("amount", "mood"),
    "count": ("amount",),
    "sum": ("amount",),
    "min": ("amount",),
    "max": ("mood",),
    "distinct": ("amount", "mood"),
}
VIEW = FeatureView.model_validate(
    {
        "view": "happenings",
        "description": "x",
        "entity": "customer",
        "query": "SELECT customer_id, happened_at, learned_at, amount, mood FROM happenings",
        "eventTime": "happened_at",
        "knownAt": "learned_at",
        "features": features(None) + features("3d"),
    }
)
SECOND = FeatureView.model_validate(
    {
        "view": "latest",
        "description": "x",
        "entity": "customer",
        "query": "SELECT h.customer_id, h.learned_at AS at, h.amount * 2 AS doubled FROM happenings AS h"
        " WHERE h.mood = 'glad'",
        "eventTime": "at",
        "knownAt": "at",
        "features": [
            {"name": "doubled", "description": "x", "default": -1},
            {"name": "scaled", "aggregate": "count", "full": 3, "default": 0.5, "description": "x"},
            {"name": "lately", "aggregate": "count", "window": "2d", "full": 3, "default": 0.5, "description": "x"},
        ],
    }
)
VIEWS = {view.view: view for view in (VIEW, SECOND)}
FEATURES = {feature.name: (view, feature) for view in VIEWS.values() for feature in view.features}
NAMES = list(FEATURES)

INSTANTS = st.sampled_from([NOW + timedelta(days=days) for days in (-4, -3, -1, 0, 1)])
"""Few, so that ties and rows on the very edge of a window or of what is known are common."""
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "ann", "bob", None]),
        st.one_of(INSTANTS, st.none()),
        st.one_of(INSTANTS, st.none()),
        st.sampled_from([None, float("nan"), -0.0, 0.0, 0.1, 0.2, 1e6]),
        st.sampled_from([None, "glad", "sad"]),
    ),
    max_size=14,
)
ENTITIES = st.lists(st.tuples(st.sampled_from(["ann", "ann", "bob", "eve", None]), INSTANTS), min_size=1, max_size=6)
ASKED = st.lists(st.sampled_from(NAMES), min_size=1, max_size=5, unique=True)


def store(rows):
    return WarehouseFeatures(VIEWS, {"happenings": pl.DataFrame(rows, schema=SCHEMA, orient="row").lazy()})


def entities(asked):
    rows = [(number, customer, None, as_of) for number, (customer, as_of) in enumerate(asked)]
    schema = {"row": pl.Int64, "customer_id": pl.String, "subject_id": pl.String, "as_of": pl.Datetime("us")}
    return pl.DataFrame(rows, schema=schema, orient="row")


def by_hand(view, feature, rows, customer, as_of):
    """The feature's value, or None, from plain rows: event, known, amount, mood, as the view's query gives them."""
    if view is SECOND:
        rows = [
            (who, known, known, amount and amount * 2, mood) for who, _, known, amount, mood in rows if mood == "glad"
        ]
    window = feature.window or timedelta(days=9999)
    seen = [row for row in rows if row[0] == customer and customer and row[1] and row[2]]
    seen = [row for row in seen if row[1] <= as_of and row[2] <= as_of and row[1] > as_of - window]
    place = 4 if feature.source_column == "mood" else 3
    values = [None if row[place] is None or row[place] != row[place] else row[place] for row in seen]
    known = [value for value in values if value is not None]
    if feature.aggregate == "count":
        value = len(seen) or None
        return value if value is None or not feature.full else round(min(value, feature.full) / feature.full, 6)
    if feature.aggregate == "only":
        return known[0] if known and len(known) == len(values) and len(set(known)) == 1 else None
    if not known:
        return None
    if feature.aggregate == "last":
        top = max((row[1], row[2]) for row in seen)
        tied = [value for row, value in zip(seen, values, strict=True) if (row[1], row[2]) == top and value is not None]
        return max(tied, default=None)
    if feature.aggregate == "sum":
        return sum(round(value * 1_000_000) for value in known) / 1_000_000
    return {"min": min, "max": max, "distinct": lambda found: len(set(found))}[feature.aggregate](known)


BEFORE, LONG_BEFORE = NOW - timedelta(days=1), NOW - timedelta(days=3)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # the latest event, though another became known later; and of one event what became known last
        ([("ann", NOW, NOW, 1.0), ("ann", BEFORE, NOW, 2.0)], {"last_amount_ever": 1.0}),
        ([("ann", BEFORE, BEFORE, 2.0), ("ann", BEFORE, NOW, 1.0)], {"last_amount_ever": 1.0}),
        # of one event that became known at one time the greatest; null only where there is nothing else
        ([("ann", NOW, NOW, 1.0), ("ann", NOW, NOW, 2.0), ("ann", NOW, NOW, None)], {"last_amount_ever": 2.0}),
        ([("ann", BEFORE, BEFORE, 1.0), ("ann", NOW, NOW, None)], {"last_amount_ever": None}),
        # known too late, or happening later
        (
            [("ann", BEFORE, NOW + timedelta(microseconds=1), 1.0)],
            {"last_amount_ever": None, "count_amount_ever": None},
        ),
        (
            [("ann", NOW + timedelta(microseconds=1), BEFORE, 1.0)],
            {"last_amount_ever": None, "count_amount_ever": None},
        ),
        # a window is open at its far end
        ([("ann", LONG_BEFORE, NOW, 1.0)], {"last_amount_3d": None, "sum_amount_3d": None, "sum_amount_ever": 1.0}),
        # NaN is nothing: it is no different value, and no value to agree with
        ([("ann", NOW, NOW, float("nan"))], {"distinct_amount_ever": None, "count_amount_ever": 1.0}),
        ([("ann", NOW, NOW, 1.0), ("ann", NOW, NOW, float("nan"))], {"only_amount_ever": None}),
        ([("ann", NOW, NOW, value) for value in (0.1, 0.2, 1e9)], {"sum_amount_ever": 1_000_000_000.3}),
    ],
)
def test_rules(rows, expected):
    asked = entities([("ann", NOW), ("ann", NOW)])  # rows may repeat
    found = store([(*row, None) for row in rows]).join(asked.lazy(), list(expected)).collect()
    assert found.select(list(expected)).to_dicts() == [expected, expected]


def test_of_two_zeros_it_does_not_matter_which_comes_first():
    for zeros in ((0.0, -0.0), (-0.0, 0.0)):
        rows = [("ann", NOW, NOW, zero, None) for zero in zeros]
        found = store(rows).join(entities([("ann", NOW)]).lazy(), ["last_amount_ever", "only_amount_ever"]).collect()
        assert [str(value) for value in found.select("last_amount_ever", "only_amount_ever").row(0)] == ["0.0", "0.0"]


@given(ROWS, ENTITIES, ASKED, st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_values_are_those_of_a_reference_that_reads_row_by_row(rows, asked, names, chance):
    found = store(rows).join(entities(asked).lazy(), names).collect()
    assert found.columns == ["row", "customer_id", "subject_id", "as_of", *names, *map(missing_flag, names)]
    assert found["row"].to_list() == list(range(len(asked)))
    for row in found.rows(named=True):
        for name in names:
            view, feature = FEATURES[name]
            value = by_hand(view, feature, rows, row["customer_id"], row["as_of"])
            assert row[missing_flag(name)] == (value is None), name
            assert row[name] == (feature.default if value is None else value), name
    shuffled = random.Random(chance.random()).sample(rows, len(rows))
    for again in (
        store(shuffled).join(entities(asked).lazy(), names).collect(engine="streaming"),
        store(shuffled).join_in_turn(entities(asked), names),
    ):
        assert_frame_equal(found, again, check_exact=True)
        assert found.write_csv() == again.write_csv()  # -0.0 is not 0.0 there


@given(ROWS, ENTITIES, ROWS)
@settings(max_examples=20, deadline=None)
def test_whatever_is_altered_after_an_instant_changes_nothing(rows, asked, others):
    as_of = max(instant for _, instant in asked)
    asked = [(customer, as_of) for customer, _ in asked]
    past = [row for row in rows if row[1] and row[2] and row[1] <= as_of and row[2] <= as_of]
    later = [row for row in others if not (row[1] and row[2] and row[1] <= as_of and row[2] <= as_of)]
    # Each past row also comes again with other values, known one microsecond too late.
    later += [(who, at, as_of + timedelta(microseconds=1), 7.0, "later") for who, at, *_ in past]
    names = [name for name in NAMES if FEATURES[name][0] is VIEW]  # the other view looks at one of the two times only
    ours = store(past).join(entities(asked).lazy(), names).collect()
    assert_frame_equal(ours, store(later + past).join(entities(asked).lazy(), names).collect(), check_exact=True)


def test_a_view_reads_what_it_needs_and_stays_a_plan():
    tables = {"happenings": pl.LazyFrame(schema={**SCHEMA, "unread": pl.Float64})}
    plan = WarehouseFeatures(VIEWS, tables).join(entities([("ann", NOW)]).lazy(), ["scaled"]).explain()
    assert "unread" not in plan
    assert '["customer_id", "learned_at", "mood"] 3/6 COLUMNS' in plan  # mood for the WHERE


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"query": "SELECT FROM FROM"}, r"feature view happenings: query: not readable as SQL: line 1, column \d+: "),
        ({"query": "DROP TABLE happenings"}, "must be one SELECT statement"),
        ({"query": "SELECT * FROM happenings"}, r"\* stands for whatever columns happenings has; name those"),
        ({"eventTime": "at"}, r"query: gives no column at, which eventTime at takes \(given: customer_id, happened_at"),
        ({"entity": "subject"}, "gives no column subject_id, which entity subject takes"),
        ({"query": VIEW.query + " LIMIT 3"}, "LIMIT 3 makes a row depend on rows that became known later"),
        (
            {"query": VIEW.query.replace("amount", "SUM(amount) OVER (PARTITION BY mood) AS amount")},
            r"SUM\(amount\).* makes a row depend on rows that became known later",
        ),
        (
            {"query": VIEW.query + " WHERE customer_id IN (SELECT customer_id FROM happenings)"},
            "makes a row depend on rows that became known later",
        ),
        (
            {"query": VIEW.query + " LEFT ANTI JOIN others USING (customer_id)"},
            "ANTI JOIN others .*makes a row depend on rows that became known later",
        ),
        ({"query": f"{VIEW.query} EXCEPT {VIEW.query}"}, "makes a row depend on rows that became known later"),
        ({"query": VIEW.query.replace("happened_at", "NOW() AS happened_at")}, "would give other rows at another time"),
        ({"eventTime": "mood"}, r"mood is to be an instant and holds String; write CAST\(mood AS TIMESTAMP\)"),
        (
            {"features": [{"name": "mood", "description": "x"}]},
            "feature mood is a number, but its column mood holds String",
        ),
        ({"query": VIEW.query.replace("FROM happenings", "FROM nowhere")}, r"last_amount_ever needs nowhere\.amount"),
        (
            {"query": VIEW.query.replace("amount", "NO_SUCH(amount) AS amount")},
            "feature view happenings: query: Polars cannot run it: .*correct the query in its YAML file",
        ),
        (
            {"query": VIEW.query + " JOIN others ON others.customer_id = happenings.customer_id"},
            "column customer_id may be of several tables; write it as table.column",
        ),
    ],
)
def test_a_view_that_cannot_be_read_is_refused_by_name(change, message):
    view = FeatureView.model_validate({**VIEW.model_dump(mode="json", by_alias=True), **change})
    tables = {"happenings": pl.LazyFrame(schema=SCHEMA)}
    names = [feature.name for feature in view.features]
    with pytest.raises(ModelError, match=message):
        WarehouseFeatures({view.view: view}, tables).join(entities([("ann", NOW)]).lazy(), names)


def test_what_is_asked_wrongly_is_refused():
    rows = entities([("ann", NOW)]).lazy()
    with pytest.raises(ModelError, match=r"no feature is named mood_today; known features: count_amount_3d, "):
        store([]).join(rows, ["mood_today"])
    with pytest.raises(ModelError, match="have columns scaled, scaled_missing already; rename or drop them"):
        store([]).join(rows.with_columns(scaled=1.0, scaled_missing=False), ["scaled"])
