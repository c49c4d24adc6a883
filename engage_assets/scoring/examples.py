"""Examples that a model learns from before a program sends: records of the past, and whether an answer came of them."""

from datetime import date, datetime, time, timedelta

import narwhals as nw
import polars as pl

from engage_assets.domain.program import ScoringModel
from engage_assets.domain.source import Source

_LONG_AGO = pl.lit(0, dtype=pl.Datetime("us"))


def examples(
    records: pl.LazyFrame,
    answers: pl.LazyFrame,
    *,
    source: Source,
    model: ScoringModel,
    as_of: date,
    batch_time: time = time(2),
) -> pl.LazyFrame:
    """One row per customer and subject offered: customer_id, subject_id, as_of, label, is_exploration.

    `as_of` of a row is the batch instant that would have scored it: the day after the record's at `batch_time`, UTC.
    `label` is whether the customer answered about the subject in (as_of, as_of + label_days], unasked or not; of a
    model that foretells `liked`, whether the first such answer was a good one, and who gave none is no example.
    `is_exploration` is false, as no list chose the row. Left out are
    - records that the source does not count as offered;
    - rows whose label is not mature at midnight of the training date `as_of`, or older than history_days then;
    - customers who had answered about the subject at the row's as_of (a null instant counts as long ago);
    - all but the latest of what remains for a customer and subject.

    Sorted by as_of, customer and subject. Input columns are those of the source's tables.
    """
    trained_at = datetime.combine(as_of, time.min)
    answer_window = timedelta(days=model.label_days)
    offered = _offered(records, source, batch_time).filter(
        pl.col("as_of").is_between(trained_at - timedelta(days=model.history_days), trained_at - answer_window)
    )
    labelled = _labelled(offered.unique(), _answers(answers, source, model), model, answer_window)
    return (
        labelled.filter(~pl.col("had_answered"), pl.col("label").is_not_null())
        .group_by("customer_id", "subject_id")
        .agg(as_of=pl.col("as_of").max(), label=pl.col("label").sort_by("as_of").last())
        .select("customer_id", "subject_id", "as_of", "label", is_exploration=pl.lit(value=False))
        .sort("as_of", "customer_id", "subject_id")
    )


def _offered(records: pl.LazyFrame, source: Source, batch_time: time) -> pl.LazyFrame:
    """customer_id, subject_id and the batch instant of each record that was offered."""
    if source.is_offered is not None:
        records = nw.from_native(records).filter(source.is_offered()).to_native()
    assert source.day is not None, "examples of records without a day are the source's own (defs.own)"
    batch_instant = pl.col(source.day).cast(pl.Date).cast(pl.Datetime("us")) + timedelta(
        days=1, hours=batch_time.hour, minutes=batch_time.minute
    )
    keys = {"customer_id": source.customer, "subject_id": source.subject}
    return records.select(
        *(pl.col(column).alias(name) for name, column in keys.items()), as_of=batch_instant
    ).drop_nulls()


def _answers(answers: pl.LazyFrame, source: Source, model: ScoringModel) -> pl.LazyFrame:
    """customer_id, subject_id, answered_at and is_positive (null where nothing says so)."""
    given, flag = source.answers, source.answers.is_positive
    return answers.select(
        pl.col(given.customer).alias("customer_id"),
        pl.col(given.subject).alias("subject_id"),
        pl.col(given.at).fill_null(_LONG_AGO).alias("answered_at"),
        (pl.col(flag) if flag and model.label == "liked" else pl.lit(None, pl.Boolean)).alias("is_positive"),
    )


def _labelled(
    offered: pl.LazyFrame, answers: pl.LazyFrame, model: ScoringModel, answer_window: timedelta
) -> pl.LazyFrame:
    """`offered` with `had_answered` and `label`; a label is null where there is none."""
    after = pl.col("answered_at") - pl.col("as_of")
    is_answer = (after > timedelta(0)) & (after <= answer_window)
    label = is_answer.any()
    if model.label == "liked":
        # Of answers at one instant a good one counts: neither is the first.
        label = (
            pl.col("is_positive")
            .filter(is_answer)
            .sort_by(pl.col("answered_at").filter(is_answer), ~pl.col("is_positive").filter(is_answer), nulls_last=True)
            .first()
        )
    return (
        offered.join(answers, on=["customer_id", "subject_id"], how="left")
        .group_by("customer_id", "subject_id", "as_of")
        .agg(had_answered=(after <= timedelta(0)).any(), label=label)
    )
