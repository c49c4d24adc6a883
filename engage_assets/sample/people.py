"""The people of the synthetic world: what moves them to review, and how they answer when asked.

Everything is pure and follows from the seed, so that people can be drawn again wherever they are needed.

Rates of `respond`, as means over all people and products (a list of the best scores does better), of sends: opened by
the person 25 %, clicked 10 %, reviewed 5 %; opened by a machine 15 %, whether or not the person opens.
Organic reviews: about 6 % of deliveries within 14 days, from under 1 % to over 30 % by person and product.
"""

import hashlib
import zlib
from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.sample.oddities import casts
from engage_assets.sample.vocabulary import CATEGORIES

Floats = npt.NDArray[np.float64]

ORGANIC_WINDOW: Final = timedelta(days=14)
"""An organic review comes within this time after the delivery."""
ORDERS_PER_MONTH: Final = 1.8
"""Mean of `activity`: expected orders in 30 days."""
MACHINE_OPEN_RATE: Final = 0.15
"""Share of sends that a scanner or a prefetching mail program opens."""

_RATING_SHARES: Final = (0.05, 0.05, 0.10, 0.30, 0.50)  # mean 4.15; the documents report 4.2 of 5
_BASE: Final = -3.6  # with the spread of the other terms: about 6 % of deliveries
_OPEN, _CLICK, _REVIEW = -1.01, -0.55, -0.19  # log odds of each step: 25 %, then 10 ÷ 25 %, then 5 ÷ 10 %
_MEAN_DELAY: Final = {"organic": timedelta(days=4), "open": timedelta(hours=8), "review": timedelta(hours=6)}
_LONGEST: Final = {"open": timedelta(days=7), "review": timedelta(days=3)}


def generator(seed: int, purpose: str) -> np.random.Generator:
    """A random generator of its own for each purpose, so that one part of the world does not move another."""
    return np.random.default_rng([seed, zlib.crc32(purpose.encode())])


def draw_people(seed: int, customers: int) -> pl.DataFrame:
    """`customers` people, sorted by customer_id.

    Columns: customer_id; kind (what is odd about the person, see `oddities`); activity (expected orders in 30 days,
    log-normal); habit (of reviewing, standard normal: shows in past reviews); taste (for each category in the order
    of CATEGORIES, standard normal: hidden, shows in no table).
    """
    rng = generator(seed, "people")
    kinds = sorted(casts(customers).elements())
    return pl.DataFrame(
        {
            "customer_id": [f"c-{number:07d}" for number in range(1, customers + 1)],
            "kind": rng.permutation(np.array(kinds)),
            "activity": rng.lognormal(np.log(ORDERS_PER_MONTH) - 0.5, 1.0, customers),
            "habit": rng.standard_normal(customers),
            "taste": rng.standard_normal((customers, len(CATEGORIES))),
        }
    )


def true_propensity(activity: Floats, category_effect: Floats, price: Floats, habit: Floats, taste: Floats) -> Floats:
    """The probability that a person reviews a delivered product unasked within 14 days.

    A logistic function of: expected orders in 30 days (engagement), the category's effect, the product's price, the
    person's habit of reviewing, and a taste that no table shows. Arrays of one length, or such that broadcast.
    """
    log_odds = (
        _BASE
        + 0.45 * np.log(activity / ORDERS_PER_MONTH)
        + category_effect
        + 0.20 * np.log(price / 30.0)
        + 0.90 * habit
        + 0.50 * taste
    )
    return logistic(log_odds)


def propensities(people: pl.DataFrame, products: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """`pairs` (with customer_id and product_id) in their order, with the column `propensity`.

    It is null where the customer is not among `people` or the product not among `products` (product_id, category,
    price).
    """
    order = {category: place for place, category in enumerate(CATEGORIES)}
    effects = {category: spec.effect for category, spec in CATEGORIES.items()}
    facts = pairs.join(people, on="customer_id", how="left", maintain_order="left").join(
        products.select("product_id", "category", "price"), on="product_id", how="left", maintain_order="left"
    )
    numbers = facts.select(
        "activity",
        "habit",
        "price",
        effect=pl.col("category").replace_strict(effects, default=None, return_dtype=pl.Float64),
        taste=pl.col("taste").arr.get(
            pl.col("category").replace_strict(order, default=None, return_dtype=pl.Int64), null_on_oob=True
        ),
    )
    propensity = true_propensity(
        *(numbers[name].to_numpy() for name in ("activity", "effect", "price", "habit", "taste"))
    )
    return pairs.with_columns(pl.Series("propensity", propensity).fill_nan(None))


def responses(propensity: Floats, delivered_at: pl.Series, rng: np.random.Generator) -> pl.DataFrame:
    """Organic reviews of deliveries, in their order: reviewed_at (null: none) and rating (1–5, null: none).

    `propensity` is as `true_propensity` has it; NaN never reviews. A review comes less than 14 days after its
    delivery, most within a week (exponential, mean 4 days, cut).
    """
    chance, delay, stars = rng.random((3, len(propensity)))
    reviewed = pl.Series("reviewed", chance < propensity)
    return (
        pl.DataFrame({"at": delivered_at, "reviewed": reviewed, "rating": _ratings(stars)})
        .with_columns(delays_of("delay", delay, _MEAN_DELAY["organic"], ORGANIC_WINDOW))
        .select(
            reviewed_at=pl.when("reviewed").then(pl.col("at") + pl.col("delay")),
            rating=pl.when("reviewed").then("rating"),
        )
    )


def respond(people: pl.DataFrame, products: pl.DataFrame, sends: pl.DataFrame, seed: int) -> pl.DataFrame:
    """How people answer e-mails that ask for a review. One row per send, in the order of `sends`.

    `sends` needs send_id, customer_id, subject_id (a product) and slot_at (UTC). Columns of the answer: send_id;
    machine_opened_at (within a minute of the slot); opened_at (by the person; mean 8 hours after the slot, at most
    7 days); clicked_at (mean 10 minutes after opening); reviewed_at (mean 6 hours after the click, at most 3 days)
    and rating; null where it does not happen. Who reviews has clicked, and who clicks has opened.

    reviewed_at is a review that the message caused. Reviews that would have come without it are those of
    `responses`; of two by one customer about one product the earlier one counts.
    An answer follows from the seed and the send's id alone: other sends beside it, or their order, change nothing.
    People and products that are not in the frames never answer.
    """
    facts = propensities(people, products, sends.select("customer_id", product_id="subject_id"))
    chances = _answer_chances(facts.join(people, on="customer_id", how="left", maintain_order="left"))
    chosen = draws(sends["send_id"].to_list(), seed, 8)
    opened = chosen[0] < chances["open"]
    clicked = opened & (chosen[1] < chances["click"])
    reviewed = clicked & (chosen[2] < chances["review"])
    delays = pl.DataFrame(
        {
            "at": sends["slot_at"],
            "machine": chosen[3] < MACHINE_OPEN_RATE,
            "opened": opened,
            "clicked": clicked,
            "reviewed": reviewed,
            "rating": _ratings(chosen[4]),
        }
    ).with_columns(
        delays_of("to_open", chosen[5], _MEAN_DELAY["open"], _LONGEST["open"]),
        delays_of("to_click", chosen[6], timedelta(minutes=10), timedelta(hours=2)),
        delays_of("to_review", chosen[7], _MEAN_DELAY["review"], _LONGEST["review"]),
        # Below the rate, the number that decided is itself uniform, and free to say when.
        delays_of("to_machine", chosen[3] / MACHINE_OPEN_RATE % 1.0, timedelta(seconds=20), timedelta(minutes=1)),
    )
    return delays.select(
        sends["send_id"],
        machine_opened_at=pl.when("machine").then(pl.col("at") + pl.col("to_machine")),
        opened_at=pl.when("opened").then(pl.col("at") + pl.col("to_open")),
        clicked_at=pl.when("clicked").then(pl.col("at") + pl.col("to_open") + pl.col("to_click")),
        reviewed_at=pl.when("reviewed").then(
            pl.col("at") + pl.col("to_open") + pl.col("to_click") + pl.col("to_review")
        ),
        rating=pl.when("reviewed").then("rating"),
    )


def _answer_chances(facts: pl.DataFrame) -> dict[str, Floats]:
    """Chances to open, to click once opened, to review once clicked; NaN for unknown people and products."""
    propensity = facts["propensity"].to_numpy().astype(np.float64)
    leaning = np.log(propensity / (1.0 - propensity)) - _BASE
    activity = facts["activity"].to_numpy().astype(np.float64)
    return {
        "open": logistic(_OPEN + 0.3 * np.log(activity / ORDERS_PER_MONTH) + 0.3 * facts["habit"].to_numpy()),
        "click": logistic(_CLICK + 0.4 * leaning),
        "review": logistic(_REVIEW + 0.4 * leaning),
    }


def draws(ids: list[str], seed: int, count: int) -> Floats:
    """`count` uniform numbers in [0, 1) for each id: 64 hashed bits each, of which a double keeps 53."""
    size = 8 * count
    if not ids:
        return np.zeros((count, 0))
    digests = b"".join(hashlib.blake2b(f"{seed}:{one}".encode(), digest_size=size).digest() for one in ids)
    words = np.frombuffer(digests, dtype="<u8").reshape(len(ids), count).T
    return (words >> np.uint64(11)).astype(np.float64) / 2.0**53


def delays_of(name: str, uniform: Floats, mean: timedelta, longest: timedelta) -> pl.Series:
    """Exponential delays below `longest`, in whole seconds, by inversion of the cut distribution."""
    reach = -np.expm1(-longest / mean)
    seconds = -np.log1p(-uniform * reach) * mean.total_seconds()
    return pl.Series(name, (seconds.astype(np.int64) * 1_000_000)).cast(pl.Duration("us"))


def _ratings(uniform: Floats) -> pl.Series:
    return pl.Series(1 + np.searchsorted(np.cumsum(_RATING_SHARES)[:-1], uniform, side="right"), dtype=pl.Int64)


def logistic(log_odds: Floats) -> Floats:
    """The probability of log odds."""
    return 1.0 / (1.0 + np.exp(-log_odds))
