"""The interest match is the documented one: on Polars and DuckDB what a naive reading of the document gives."""

from decimal import ROUND_HALF_EVEN, Decimal

import duckdb
import narwhals as nw
import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engage_assets.domain.topics import Topics, plain
from engage_assets.filters import interests
from engage_assets.filters.asking import Asking
from engage_assets_tests.filters.inviting import EVENTS, MONDAY, an_event

NAMES = ["a", "b", "c", "d", "e", "f", "B ", "_c", "D-d", "d_D", "", "x"]
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "topic": st.sampled_from(NAMES),
            "parent": st.none() | st.sampled_from(NAMES),
            "synonyms": st.none() | st.lists(st.sampled_from(NAMES), max_size=2),
        }
    ),
    max_size=8,
)
TAGS = st.none() | st.lists(st.none() | st.sampled_from(NAMES), max_size=4)


def naive(tags, topics_of_event, topics: Topics) -> float:
    """The document's sentence, step by step, without what the filter lays out beforehand."""

    def neighbours(topic):
        return {topics.parents.get(topic)} | {child for child, above in topics.parents.items() if above == topic}

    def similarity(one, other):
        steps = {one}, neighbours(one), {far for near in neighbours(one) if near for far in neighbours(near)}
        return next((value for ring, value in zip(steps, (10, 7, 4), strict=True) if other in ring), 0)

    wanted = {topics.canonical(plain(name)) for name in topics_of_event} - {""}
    held = {topics.canonical(plain(tag)) for tag in tags or () if tag} - {""}
    if not wanted or not held:
        return 0.0
    total = sum(max(similarity(topic, tag) for tag in held) for topic in wanted)
    return float((Decimal(total) / (10 * len(wanted))).quantize(Decimal("0.000001"), ROUND_HALF_EVEN))


def matched(pairs: pl.DataFrame, events, topics: Topics, to) -> dict[tuple[str, str], float]:
    near, means = interests.likeness(events, topics), interests.matches(events, topics)
    found = interests.matched(to(pairs), Asking(EVENTS, MONDAY), to(near), to(means))
    return {(row[0], row[1]): row[2] for row in found.collect("polars").to_native().iter_rows()}


def on_polars(frame: pl.DataFrame):
    return nw.from_native(frame.lazy())


def on_duckdb(frame: pl.DataFrame):
    return nw.from_native(CONNECTION.from_arrow(frame.to_arrow()))


CONNECTION = duckdb.connect(config={"threads": 1})


@settings(max_examples=15)
@given(ROWS, st.lists(st.lists(st.sampled_from(NAMES), max_size=3), min_size=1, max_size=2), st.lists(TAGS, max_size=4))
@example([], [["a"]], [["A"], None])
def test_the_match_is_the_documented_one(rows, topics_of_events, people):
    topics = Topics.of(rows)
    events = [an_event(event_id=f"e-{place}", topics=tuple(names)) for place, names in enumerate(topics_of_events)]
    keys = [(f"c-{place}", event.event_id, tags) for place, tags in enumerate(people) for event in events]
    schema = {"customer_id": pl.String, "subject_id": pl.String, "interest_tags": pl.List(pl.String)}
    pairs = pl.DataFrame(keys, schema=schema, orient="row")
    by_id = {event.event_id: event for event in events}
    expected = {(c, e): naive(tags, by_id[e].topics, topics) for c, e, tags in keys}
    for to in (on_polars, on_duckdb):
        assert matched(pairs, events, topics, to) == {key: value for key, value in expected.items() if value}
    for customer, event, tags in keys:
        told = interests.explained([tag for tag in tags or () if tag], by_id[event].topics, topics)
        assert interests.match_of(told) == expected[customer, event]


STRANGE = [
    "ÄRGER-x", "  \u3000a_b\u00a0", "ΣΑΣ", "İstanbul", "\x85", "日本_語", "a\u2028b", "Straße", "\x1fx", "-", "𝒜_B",
]  # fmt: skip


@pytest.mark.parametrize("to", [on_polars, on_duckdb])
def test_every_engine_brings_names_into_the_same_plain_form(to):
    found = to(pl.DataFrame({"name": STRANGE})).with_columns(interests.plainly(nw.col("name")).alias("plain"))
    assert dict(found.collect("polars").to_native().iter_rows()) == {name: plain(name) for name in STRANGE}


def test_the_mean_at_the_minimum_passes():
    topics = Topics.of([{"topic": "a", "parent": "b"}])
    assert interests.match_of(interests.explained(["B"], ["a"], topics)) == 0.7
    told = interests.explained(["b", "A"], ["a", "z", "c"], topics)
    assert told == [("a", "A", 1.0), ("c", None, 0.0), ("z", None, 0.0)]
    assert interests.match_of(told) == 0.333333
