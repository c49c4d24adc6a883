"""Examples that a model learns from before a program sends: past deliveries, and whether a review came of them."""

from datetime import date, datetime, time, timedelta

import polars as pl

from engage_assets.domain.program import ScoringModel

_LONG_AGO = pl.lit(0, dtype=pl.Datetime("us"))


def examples(
    deliveries: pl.LazyFrame,
    reviews: pl.LazyFrame,
    *,
    model: ScoringModel,
    as_of: date,
    batch_time: time = time(2),
) -> pl.LazyFrame:
    """One row per customer and product delivered: customer_id, subject_id, as_of, label, is_exploration.

    `as_of` of a row is the batch instant that would have scored it: the day after the delivery at `batch_time`,
    UTC. `label` is whether the customer reviewed the product in (as_of, as_of + label_days], unasked or not;
    `is_exploration` is false, as no list chose the row. Left out are
    - rows whose label is not mature at midnight of the training date `as_of`, or older than history_days then;
    - customers who had reviewed the product at the row's as_of (a null instant counts as long ago);
    - all but the latest of what remains for a customer and product.

    Sorted by as_of, customer and subject. Input columns are those of `domain.tables`.
    """
    trained_at = datetime.combine(as_of, time.min)
    answer_window = timedelta(days=model.label_days)
    batch_instant = pl.col("delivery_date").cast(pl.Datetime("us")) + timedelta(
        days=1, hours=batch_time.hour, minutes=batch_time.minute
    )
    delivered = (
        deliveries.filter(status="COMPLETED")
        .select("customer_id", subject_id="product_id", as_of=batch_instant)
        .drop_nulls()
        .filter(pl.col("as_of").is_between(trained_at - timedelta(days=model.history_days), trained_at - answer_window))
        .unique()
    )
    answered = reviews.select(
        "customer_id",
        subject_id="product_id",
        answered_at=pl.col("reviewed_at").fill_null(_LONG_AGO),
    )
    after = pl.col("answered_at") - pl.col("as_of")
    return (
        delivered.join(answered, on=["customer_id", "subject_id"], how="left")
        .group_by("customer_id", "subject_id", "as_of")
        .agg(
            had_answered=(after <= timedelta(0)).any(),
            label=((after > timedelta(0)) & (after <= answer_window)).any(),
        )
        .filter(~pl.col("had_answered"))
        .group_by("customer_id", "subject_id")
        .agg(as_of=pl.col("as_of").max(), label=pl.col("label").sort_by("as_of").last())
        .select("customer_id", "subject_id", "as_of", "label", is_exploration=pl.lit(value=False))
        .sort("as_of", "customer_id", "subject_id")
    )
