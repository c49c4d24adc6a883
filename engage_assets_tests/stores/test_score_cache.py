"""A score that is served from the cache is the fresh one; a wrong or expired one never is."""

import subprocess
import sys
from datetime import datetime, timedelta
from functools import reduce
from itertools import product
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.errors import EngageError, ModelError
from engage_assets.scoring.cached import CachingScorer, features_hash
from engage_assets.stores.score_cache import SqliteScoreCache

START = datetime.fromisoformat("2026-11-20 02:00")
DAY = timedelta(days=1)
SCHEMA = {"customer_id": pl.String, "subject_id": pl.String, "price": pl.Float64, "category": pl.String}


class Counting:
    """A scorer whose score is a function of version and features; negative prices are refused. Counts rows."""

    features = ("price", "category")
    columns = ("probability", "score")

    def __init__(self, version: str) -> None:
        self.version = version
        self.asked = 0

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        self.asked += features.height
        probability = pl.Series(
            [self._one(*row) for row in features.select(self.features).iter_rows()], dtype=pl.Float64
        )
        return pl.DataFrame({"probability": probability, "score": probability / 2})

    def _one(self, price: float | None, category: str | None) -> float | None:
        if price is not None and price < 0:
            return None
        text = f"{self.version} {price!r} {category!r}"
        return round(reduce(lambda seed, letter: seed * 31 + ord(letter), text, 7) % 10**6 / 10**6, 6)

    def unseen_categories(self, features: pl.DataFrame) -> dict[str, int]:
        return {}


def rows(*given: tuple[Any, ...]) -> pl.DataFrame:
    return pl.DataFrame(given, schema=SCHEMA, orient="row")


class At:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = START

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def cache(tmp_path):
    return SqliteScoreCache(tmp_path / "made" / "scores.db")


# Few values, so that keys meet again; texts whose joins are alike, and numbers that differ by one bit or a sign.
TEXTS = st.sampled_from(["", "a", "b", "ab", "a\x00b", "\x00", "ä"])
ROWS = st.lists(
    st.tuples(
        TEXTS,
        TEXTS,
        st.sampled_from([None, 0.0, -0.0, 1.0, 1.0000000000000002, -1.0, float("nan"), float("inf")]),
        st.one_of(st.none(), TEXTS),
    ),
    max_size=12,
)
STEPS = st.lists(
    st.tuples(ROWS, st.sampled_from(["v1", "v2"]), st.integers(-30, 60), st.integers(0, 48)), min_size=1, max_size=6
)


@given(STEPS)
@settings(max_examples=25, deadline=None)
def test_cached_scores_equal_fresh_ones_at_any_time(tmp_path_factory, steps):
    cache, now = SqliteScoreCache(tmp_path_factory.mktemp("cache") / "scores.db"), At()
    for given_rows, version, hours, ttl in steps:
        now.time += timedelta(hours=hours)
        scorer = CachingScorer(Counting(version), cache, now, timedelta(hours=ttl))
        frame = rows(*given_rows)
        assert scorer.score(frame).equals(Counting(version).score(frame))
        assert scorer.hits + scorer.misses == frame.height


def asked(cache, frame, now, *, ttl=7 * DAY, version="v1") -> int:
    """How many of the rows the scorer itself was asked for."""
    scorer, clock = Counting(version), At()
    clock.time = now
    CachingScorer(scorer, cache, clock, ttl).score(frame)
    return scorer.asked


ONE = rows(("c-1", "p-1", 10.0, "books"))


def test_a_score_is_kept_for_its_time_to_live(cache):
    assert asked(cache, ONE, START) == 1
    assert asked(cache, ONE, START + 7 * DAY - timedelta(microseconds=1)) == 0
    assert asked(cache, ONE, START + 7 * DAY) == 1
    assert asked(cache, ONE, START + 8 * DAY) == 0  # kept anew
    assert asked(cache, ONE, START) == 1  # of a later time


def test_a_shorter_time_to_live_holds_for_what_is_kept(cache):
    asked(cache, ONE, START)
    assert asked(cache, ONE, START + 2 * DAY, ttl=DAY) == 1
    asked(cache, ONE, START + 2 * DAY, ttl=DAY)
    assert asked(cache, ONE, START + 4 * DAY, ttl=7 * DAY) == 1  # it was put for one day
    assert asked(cache, ONE, START, ttl=timedelta(0)) == 1


@pytest.mark.parametrize(
    "other",
    [
        rows(("c-2", "p-1", 10.0, "books")),
        rows(("c-1", "p-2", 10.0, "books")),
        rows(("c-1", "p-1", 10.000000000000002, "books")),
        rows(("c-1", "p-1", None, "books")),
        rows(("c-1", "p-1", 10.0, "Books")),
        rows(("c-1", "p-1", 10.0, None)),
        ONE.with_columns(price=pl.lit("10.0")).with_columns(pl.col("price").cast(pl.Float64), category=pl.lit("book")),
    ],
)
def test_any_other_key_is_asked_anew(cache, other):
    asked(cache, ONE, START)
    assert asked(cache, other, START) == 1
    assert asked(cache, ONE, START, version="v2") == 1
    assert asked(cache, ONE.with_columns(answer=7), START) == 0  # no feature of the model


def test_refused_rows_are_never_kept(cache):
    refused = rows(("c-1", "p-1", -1.0, "books"), ("c-2", "p-1", 1.0, "books"))
    assert asked(cache, refused, START) == 2
    assert asked(cache, refused, START) == 1


def test_the_same_row_twice_is_given_twice(cache):
    twice = pl.concat([ONE, ONE])
    assert asked(cache, twice, START) == 2
    scorer = CachingScorer(Counting("v1"), cache, lambda: START, DAY)
    assert scorer.score(pl.concat([twice, ONE.with_columns(customer_id=pl.lit("c-9"))])).height == 3
    assert (scorer.hits, scorer.misses) == (2, 1)


def test_what_has_expired_is_purged(cache):
    asked(cache, ONE, START, ttl=DAY)
    asked(cache, rows(("c-2", "p-1", 10.0, "books")), START)
    assert cache.purge(START + DAY - timedelta(microseconds=1)) == 0
    assert cache.purge(START + DAY) == 1
    assert cache.purge(START + 7 * DAY) == 1


def test_rows_without_keys_are_refused_by_name(cache):
    with pytest.raises(ModelError, match="the rows lack subject_id"):
        asked(cache, ONE.drop("subject_id"), START)


def test_a_file_that_is_no_cache_is_said_to_be_none(tmp_path):
    (tmp_path / "scores.db").write_bytes(b"no database at all, and longer than a header" * 100)
    with pytest.raises(EngageError, match=r"scores\.db: no score cache that can be read; delete the file"):
        asked(SqliteScoreCache(tmp_path / "scores.db"), ONE, START)


def test_the_features_hash_is_the_same_everywhere():
    """Kept files outlive processes and releases: this value may change only together with SCHEMA_VERSION."""
    frame = rows(("c", "p", 1.5, "books"), ("c", "p", None, None))
    told = [one.hex() for one in features_hash(frame, ["price", "category"])]
    code = (
        "import polars as pl; from engage_assets.scoring.cached import features_hash;"
        "f = pl.DataFrame({'price': [1.5, None], 'category': ['books', None]});"
        "print(*[one.hex() for one in features_hash(f, ['price', 'category'])])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == told
    assert features_hash(frame.reverse(), ["price", "category"]).to_list()[::-1] == [bytes.fromhex(one) for one in told]
    assert set(features_hash(frame, ["category", "price"])).isdisjoint(bytes.fromhex(one) for one in told)


def test_no_two_different_rows_share_a_hash():
    texts = [None, "", "a", "b", "ab", "a\x00", "\x00", "ä", "None", "null"]
    prices = [None, 0.0, -0.0, 1.0, 1.0000000000000002, -1.0, float("nan"), float("inf"), 1e-320]
    frame = pl.DataFrame(
        list(product(texts, texts, prices)),
        schema={"one": pl.String, "other": pl.String, "price": pl.Float64},
        orient="row",
    )
    assert features_hash(frame, frame.columns).n_unique() == frame.height
    assert features_hash(frame.clear(), frame.columns).is_empty()


def test_two_processes_may_make_the_file_at_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from datetime import datetime;"
        "from engage_assets.stores.score_cache import SqliteScoreCache;"
        "print(SqliteScoreCache(Path(sys.argv[1])).purge(datetime(2026, 11, 20)))"
    )
    path = str(tmp_path / "scores.db")
    started = [subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE) for _ in range(2)]
    assert [one.communicate()[0].strip() for one in started] == [b"0"] * 2
