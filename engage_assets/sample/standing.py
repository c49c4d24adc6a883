"""What is known of the people of the synthetic world: their trust over time, and their opt-outs.

Both tables depend on when the last delivery of a person was (`last_delivery`: customer_id, day), because some people
fall into disgrace, or opt out, only afterwards.
"""

from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.tables import CUSTOMER_TRUST, OPT_OUTS
from engage_assets.sample.people import generator

PROGRAM: Final = "product-reviews"
_OTHER_PROGRAM: Final = "music-feedback"
_AFTERWARDS: Final = timedelta(days=4, hours=9)
"""From the day of the last delivery on: later than any batch that reads it (the last is at day + 3, 02:00)."""
_FLAWED: Final = ("suspended", "closed", "low_trust", "trust_score_null", "high_fraud")


def draw_trust(seed: int, people: pl.DataFrame, start: date, end: date, last_delivery: pl.DataFrame) -> pl.DataFrame:
    """CUSTOMER_TRUST: one to five versions a person, sorted; none for the kind `no_trust_row`.

    The first is known before `start`, further ones until `end`; trust leans a little on the habit of reviewing. A
    flaw is in every version known from 200 days before `start` on, so that it holds for all deliveries; before that
    the person was in good standing, a `recovered` one suspended. `suspended_later` comes after the last delivery.
    """
    rng = generator(seed, "trust")
    known = people.filter(pl.col("kind") != "no_trust_row")
    number = rng.integers(1, 5, known.height)
    owner = np.repeat(np.arange(known.height), number)
    is_first = np.diff(owner, prepend=-1) != 0
    seconds = np.where(
        is_first,
        -rng.integers(1, 200 * 86_400, len(owner)),
        rng.integers(0, max(1, (end - start).days) * 86_400, len(owner)),
    )
    trust = 0.78 + 0.06 * known["habit"].to_numpy()[owner] + 0.08 * rng.standard_normal(len(owner))
    opening = datetime.combine(start, time())
    versions = (
        known.select(pl.col("customer_id", "kind").gather(owner.tolist()))
        .with_columns(
            known_at=opening + pl.Series("since", seconds * 1_000_000).cast(pl.Duration("us")),
            trust=pl.Series(np.clip(trust, 0.5, 1.0)),
            fraud=pl.Series(rng.beta(1.5, 12.0, len(owner)).clip(0.0, 0.5)),
            low=pl.Series(rng.uniform(0.05, 0.49, len(owner))),
            high=pl.Series(rng.uniform(0.51, 0.99, len(owner))),
        )
        .filter((pl.col("kind") != "suspended_later") | (pl.col("known_at") < opening))
        .select(
            "customer_id",
            "known_at",
            account_status=pl.when(pl.col("kind").is_in(["suspended", "closed"]))
            .then("kind")
            .otherwise(pl.lit("active")),
            trust_score=pl.when(pl.col("kind") == "low_trust")
            .then("low")
            .when(pl.col("kind") != "trust_score_null")
            .then("trust")
            .round(4),
            fraud_score=pl.when(pl.col("kind") == "high_fraud").then("high").otherwise("fraud").round(4),
        )
    )
    former = known.filter(pl.col("kind").is_in([*_FLAWED, "recovered"])).select(
        "customer_id",
        known_at=pl.lit(opening - timedelta(days=400)),
        account_status=pl.when(pl.col("kind") == "recovered").then(pl.lit("suspended")).otherwise(pl.lit("active")),
        trust_score=pl.lit(0.8),
        fraud_score=pl.lit(0.05),
    )
    later = (
        known.filter(pl.col("kind") == "suspended_later")
        .join(last_delivery, on="customer_id")
        .select(
            "customer_id",
            known_at=pl.col("day").cast(pl.Datetime("us")) + _AFTERWARDS,
            account_status=pl.lit("suspended"),
            trust_score=pl.lit(0.6),
            fraud_score=pl.lit(0.3),
        )
    )
    return pl.concat([former, versions, later]).select(CUSTOMER_TRUST.names).sort(CUSTOMER_TRUST.names)


def draw_opt_outs(seed: int, people: pl.DataFrame, start: date, last_delivery: pl.DataFrame) -> pl.DataFrame:
    """OPT_OUTS: one row for each person whose kind speaks of it, sorted.

    In force for all deliveries, except those taken back before `start` (`opted_out_revoked`), those of another
    program or of voice (`opted_out_elsewhere`), and those after the last delivery (`opted_out_later`).
    """
    rng = generator(seed, "opt_outs")
    # Who has had no delivery yet has nothing to opt out of later.
    out = (
        people.filter(pl.col("kind").str.starts_with("opted_out"))
        .join(last_delivery, on="customer_id", how="left", maintain_order="left")
        .filter((pl.col("kind") != "opted_out_later") | pl.col("day").is_not_null())
    )
    opening = datetime.combine(start, time(11))
    days = pl.Series("days", rng.integers(60, 300, out.height)) * timedelta(days=1)
    kind, is_even = pl.col("kind"), pl.int_range(pl.len()).over("kind") % 2 == 0
    return out.select(
        "customer_id",
        at=pl.when(kind == "opted_out_later")
        .then(pl.col("day").cast(pl.Datetime("us")) + _AFTERWARDS)
        .when(kind != "opted_out_undated")
        .then(opening - days),
        program=pl.when((kind == "opted_out_of_program") | ((kind == "opted_out_of_email") & is_even))
        .then(pl.lit(PROGRAM))
        .when((kind == "opted_out_elsewhere") & is_even)
        .then(pl.lit(_OTHER_PROGRAM)),
        channel=pl.when(kind == "opted_out_of_email")
        .then(pl.lit("email"))
        .when((kind == "opted_out_elsewhere") & ~is_even)
        .then(pl.lit("voice")),
        revoked_at=pl.when(kind == "opted_out_revoked").then(opening - timedelta(days=30)),
    ).sort(OPT_OUTS.names)
