"""A world whose propensities are known: who is asked, who answers, and the best that features could tell of it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from engage_assets.domain.keys import campaign_id
from engage_assets.domain.tables import RESPONSES_LOG, SENDS_LOG
from engage_assets.sample.people import ORDERS_PER_MONTH, true_propensity
from engage_assets.sample.vocabulary import CATEGORIES
from engage_assets.scoring.sent_examples import sent_examples
from engage_assets_tests.builders import a_program
from engage_assets_tests.scoring.synthetic import scoring_model

FIRST_DAY = date(2026, 1, 5)
DAYS = 120
AS_OF = FIRST_DAY + timedelta(days=DAYS + 20)
FEATURES = ("activity", "habit", "price", "category")
PROGRAM = a_program()
MODEL = scoring_model(features=FEATURES, history_days=180)
_HIDDEN, _WEIGHTS = np.polynomial.hermite_e.hermegauss(15)


@dataclass(frozen=True)
class World:
    """Examples as the program makes them of its sends, and the truth about each."""

    examples: pl.DataFrame
    """customer_id, subject_id, as_of, label, is_exploration, the features, and `best`: the mean of the propensity over
    what no feature shows."""


def draw_world(seed: int, sends: int = 60_000, explored: float = 0.5) -> World:
    """Sends of DAYS partitions: a share drawn at random, the others by an older score that favours habit.

    The propensity is that of the sample's people; its hidden part, a taste, is in no feature.
    """
    rng = np.random.default_rng(seed)
    truth = _truth(rng, 3 * sends)
    drawn = rng.random(truth.height) < explored
    chosen = truth["habit"].to_numpy() + rng.standard_normal(truth.height) > 0.5
    asked = truth.filter(pl.Series(drawn | chosen)).with_columns(is_drawn=pl.Series(drawn[drawn | chosen]))
    asked = asked.head(sends)
    logs = _send_events(asked), _responses(asked, rng)
    keys = ["campaign_id", "customer_id", "subject_id"]
    found = sent_examples(
        *(log.lazy() for log in logs),
        None,
        model=MODEL,
        program=PROGRAM,
        as_of=AS_OF,
        explored=asked.filter("is_drawn").select(keys).lazy(),
    )
    facts = asked.select("customer_id", "subject_id", *FEATURES, "best")
    return World(found.collect().join(facts, on=["customer_id", "subject_id"], maintain_order="left"))


def _truth(rng: np.random.Generator, rows: int) -> pl.DataFrame:
    """Customers of four subjects each, their features, propensity and the mean of it over the hidden taste."""
    customers = np.repeat(np.arange(rows // 4), 4)
    activity = rng.lognormal(np.log(ORDERS_PER_MONTH) - 0.5, 1.0, len(customers))
    habit = rng.standard_normal(rows // 4)[customers]
    category = rng.choice(list(CATEGORIES), len(customers))
    effect = np.array([CATEGORIES[name].effect for name in category])
    price = np.exp(rng.normal(np.log(30), 0.7, len(customers)))
    taste = rng.standard_normal(len(customers))
    over_tastes = true_propensity(*(one[:, None] for one in (activity, effect, price, habit)), _HIDDEN[None, :])
    days = rng.integers(0, DAYS, len(customers))
    campaigns = [campaign_id("product-reviews", "email", FIRST_DAY + timedelta(days=int(day)), "US") for day in days]
    return pl.DataFrame(
        {
            "campaign_id": campaigns,
            "customer_id": [f"c{number}" for number in customers],
            "subject_id": [f"p{number}" for number in range(len(customers))],
            "taken": [
                datetime.combine(FIRST_DAY, datetime.min.time()) + timedelta(days=int(day) + 1, hours=15)
                for day in days
            ],
            "activity": activity,
            "habit": habit,
            "price": price,
            "category": category,
            "propensity": true_propensity(activity, effect, price, habit, taste),
            "best": over_tastes @ (_WEIGHTS / _WEIGHTS.sum()),
        }
    )


def _send_events(asked: pl.DataFrame) -> pl.DataFrame:
    rows = asked.select(
        send_id=pl.concat_str("campaign_id", "customer_id", "subject_id", separator="/"),
        program=pl.lit("product-reviews"),
        campaign_id="campaign_id",
        customer_id="customer_id",
        subject_id="subject_id",
        channel=pl.lit("email"),
        is_solicitation=pl.lit(value=True),
        state=pl.lit(["handed_over", "sent"]),
        at="taken",
    ).explode("state")
    return pl.concat([pl.DataFrame(schema=SENDS_LOG.schema), rows], how="diagonal")


def _responses(asked: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
    answered = asked.filter(pl.Series(rng.random(asked.height) < asked["propensity"].to_numpy()))
    delay = pl.Series(rng.integers(60, 10 * 86_400, answered.height) * 1_000_000).cast(pl.Duration("us"))
    rows = answered.select(
        "customer_id", "subject_id", program=pl.lit("product-reviews"), at=pl.col("taken") + delay
    ).with_columns(received_at="at")
    return pl.concat([pl.DataFrame(schema=RESPONSES_LOG.schema), rows], how="diagonal")
