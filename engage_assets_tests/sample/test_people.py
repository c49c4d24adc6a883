from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.sample.catalogue import draw_products
from engage_assets.sample.lines import draw_lines
from engage_assets.sample.people import (
    MACHINE_OPEN_RATE,
    ORGANIC_WINDOW,
    draw_people,
    propensities,
    respond,
    responses,
    true_propensity,
)
from engage_assets.sample.purchases import reviews_of
from engage_assets_tests.sample.worlds import FIRST_DAY

PEOPLE = draw_people(5, 2000)
PRODUCTS = draw_products(5, 120)
SLOT = datetime.fromisoformat("2026-11-02T15:00")


def sends(count: int) -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame(
        {
            "send_id": [f"{number:032x}" for number in range(count)],
            "customer_id": PEOPLE["customer_id"].gather(rng.integers(0, PEOPLE.height, count).tolist()),
            "subject_id": PRODUCTS["product_id"].gather(rng.integers(0, PRODUCTS.height, count).tolist()),
            "slot_at": [SLOT] * count,
        }
    )


SENDS = sends(20_000)
ANSWERS = respond(PEOPLE, PRODUCTS, SENDS, seed=5)


@pytest.fixture(scope="module")
def deliveries() -> pl.DataFrame:
    """Ordinary lines of ten weeks with their true propensity, and whether an organic review followed."""
    zones = PEOPLE.select("customer_id", time_zone=pl.lit("Europe/Berlin"))
    start = FIRST_DAY - timedelta(days=63)
    lines = draw_lines(5, PEOPLE, zones, PRODUCTS, start, FIRST_DAY, FIRST_DAY + timedelta(days=7))
    reviews = reviews_of(5, lines, PEOPLE, PRODUCTS)
    first = lines.filter(pl.col("kind") == "ordinary").unique(["customer_id", "product_id"], keep="first")
    return propensities(PEOPLE, PRODUCTS, first.sort("order", "product_id")).join(
        reviews, on=["customer_id", "product_id"], how="left"
    )


def test_propensity_grows_with_each_cause():
    one = dict(
        zip(
            ("activity", "category_effect", "price", "habit", "taste"),
            np.array([[2.0], [0], [30], [0], [0]]),
            strict=True,
        )
    )
    base = true_propensity(**one)[0]
    for cause, more in {"activity": 4.0, "category_effect": 0.5, "price": 60.0, "habit": 1.0, "taste": 1.0}.items():
        assert true_propensity(**{**one, cause: np.array([more])})[0] > base > 0, cause


def test_organic_reviews_follow_the_true_propensity(deliveries):
    """4 to 9 % of deliveries; the tenth of the highest propensity reviews more than twice as often as the lowest."""
    within = (pl.col("reviewed_at") - pl.col("delivered_at")).is_between(timedelta(), ORGANIC_WINDOW, closed="left")
    told = deliveries.with_columns(answered=within.fill_null(False)).sort("propensity")
    assert 0.04 < told["answered"].mean() < 0.09
    assert told["answered"].mean() == pytest.approx(told["propensity"].mean(), abs=0.01)
    tenth = told.height // 10
    assert told.tail(tenth)["answered"].mean() > 2 * told.head(tenth)["answered"].mean()
    assert told.tail(tenth)["answered"].mean() > 0.15


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.integers(0, 2**32))
def test_organic_reviews_come_within_the_window(propensity, seed):
    at = pl.Series("at", [SLOT] * len(propensity))
    made = responses(np.array(propensity), at, np.random.default_rng(seed))
    delay = (made["reviewed_at"] - SLOT).drop_nulls()
    assert made.height == len(propensity)
    assert ((delay >= timedelta()) & (delay < ORGANIC_WINDOW)).all()
    assert made["rating"].is_null().equals(made["reviewed_at"].is_null())
    assert made["rating"].drop_nulls().is_between(1, 5).all()


def test_who_never_and_who_always_reviews():
    at = pl.Series("at", [SLOT] * 3)
    made = responses(np.array([0.0, 1.0, np.nan]), at, np.random.default_rng(0))
    assert made["reviewed_at"].is_null().to_list() == [True, False, True]


def test_answers_keep_the_documented_rates():
    rate = {name: 1 - ANSWERS[name].null_count() / ANSWERS.height for name in ANSWERS.columns}
    assert rate["opened_at"] == pytest.approx(0.25, abs=0.02)
    assert rate["clicked_at"] == pytest.approx(0.10, abs=0.02)
    assert rate["reviewed_at"] == pytest.approx(0.05, abs=0.01)
    assert rate["machine_opened_at"] == pytest.approx(MACHINE_OPEN_RATE, abs=0.01)
    assert ANSWERS["rating"].mean() == pytest.approx(4.15, abs=0.15)


def test_answers_come_in_order_and_in_time():
    chain = ["opened_at", "clicked_at", "reviewed_at"]
    for earlier, later in pairwise(chain):
        assert ANSWERS.filter(
            pl.col(later).is_not_null() & ~(pl.col(earlier) <= pl.col(later)).fill_null(False)
        ).is_empty()
    assert ANSWERS["opened_at"].min() >= SLOT
    assert ANSWERS["reviewed_at"].max() < SLOT + timedelta(days=11)
    assert ANSWERS["machine_opened_at"].is_between(SLOT, SLOT + timedelta(minutes=1)).all()
    both = ANSWERS.filter(pl.col("machine_opened_at").is_not_null())
    assert both["opened_at"].is_not_null().mean() == pytest.approx(0.25, abs=0.04), "machines do not know people"


def test_an_answer_depends_on_its_send_alone():
    part = SENDS.sample(50, seed=2, shuffle=True)
    again = respond(PEOPLE, PRODUCTS, part, seed=5)
    assert again.equals(part.select("send_id").join(ANSWERS, on="send_id", how="left", maintain_order="left"))
    assert not respond(PEOPLE, PRODUCTS, SENDS, seed=6).equals(ANSWERS)


def test_the_willing_answer_more():
    told = propensities(PEOPLE, PRODUCTS, SENDS.select("customer_id", product_id="subject_id"))
    ranked = ANSWERS.with_columns(told["propensity"]).sort("propensity")
    tenth = ranked.height // 10
    high, low = (part["reviewed_at"].is_not_null().mean() for part in (ranked.tail(tenth), ranked.head(tenth)))
    assert high > 3 * low


def test_strangers_never_answer():
    strange = SENDS.head(200).with_columns(customer_id=pl.lit("x-1"))
    told = respond(PEOPLE, PRODUCTS, strange, seed=5)
    assert told.select("opened_at", "clicked_at", "reviewed_at", "rating").null_count().row(0) == (200, 200, 200, 200)


def test_nobody_is_asked():
    none = respond(PEOPLE, PRODUCTS, SENDS.clear(), seed=5)
    assert none.schema == ANSWERS.schema
    assert none.is_empty()
