"""Examples that a model learns from once a program sends: whom it asked, and whether the person answered."""

from datetime import date, datetime, time, timedelta
from typing import Final

import polars as pl

from engage_assets.domain.program import Program, ScoringModel

_HANDED_OVER: Final = ("handed_over", "in_doubt", "sent")
_A_MONDAY: Final = date(2000, 1, 3)
_KEYS: Final = ("customer_id", "subject_id")


def sent_examples(
    send_events: pl.LazyFrame,
    responses: pl.LazyFrame,
    interactions: pl.LazyFrame | None,
    *,
    model: ScoringModel,
    program: Program,
    as_of: date,
    explored: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """One row per customer and subject asked: customer_id, subject_id, as_of, label, is_exploration.

    `as_of` of a row is the batch instant that chose it: that of the partition which its campaign names. `label` is
    whether a response of the customer about the subject was submitted at most label_days after the hand-over, both
    ends included. A response is a person's by its nature; opens and clicks, a person's or a machine's, make no label.
    `is_exploration`: the row's campaign_id, customer_id and subject_id stand in `explored`.

    Only what was known at midnight of the training date `as_of` is read. Left out are
    - solicitations of other programs, messages that solicit nothing, seeds (they are no sends), and sends that are
      not known to be sent: planned, skipped, held out, failed, in doubt;
    - sends whose label_days are not over, and those of batches older than history_days;
    - sends that a provider returned for good (`interactions`, a permanent bounce): nobody was asked;
    - customers who had answered about the subject before the hand-over;
    - all but the latest of what remains for a customer and subject.

    Sorted by as_of, customer and subject. Inputs are SENDS_LOG, RESPONSES_LOG and INTERACTIONS_LOG in any order,
    repeated rows included.
    """
    known_at = datetime.combine(as_of, time.min)
    sends = _sends(send_events.filter(pl.col("program") == program.program_id, pl.col("at") <= known_at), program)
    mature = sends.filter(
        pl.col("handed_over_at") <= known_at - timedelta(days=model.label_days),
        pl.col("as_of") >= known_at - timedelta(days=model.history_days),
    )
    if interactions is not None:
        mature = mature.join(_returned(interactions, known_at), on="send_id", how="anti")
    answered = responses.filter(
        pl.col("program") == program.program_id, pl.col("at") <= known_at, pl.col("received_at") <= known_at
    )
    labelled = _labelled(mature, answered, timedelta(days=model.label_days))
    return (
        labelled.group_by(_KEYS)
        .agg(pl.all().sort_by("as_of", "handed_over_at", "send_id").last())
        .join(_explored(explored), on=["campaign_id", *_KEYS], how="left")
        .select(*_KEYS, "as_of", "label", pl.col("is_exploration").fill_null(False))
        .sort("as_of", *_KEYS)
    )


def _sends(events: pl.LazyFrame, program: Program) -> pl.LazyFrame:
    """Sent solicitations: send_id, campaign_id, keys, as_of, handed_over_at (the first time)."""
    after_partition = program.cadence.batch_instant(_A_MONDAY) - datetime.combine(_A_MONDAY, time.min)
    partition = pl.col("campaign_id").str.split(":").list.get(2, null_on_oob=True).str.to_date(strict=False)
    return (
        events.filter(pl.col("is_solicitation").fill_null(value=True))
        .group_by("send_id", "campaign_id", *_KEYS)
        .agg(
            was_sent=(pl.col("state") == "sent").any(),
            handed_over_at=pl.col("at").filter(pl.col("state").is_in(_HANDED_OVER)).min(),
        )
        .filter(pl.col("was_sent"))
        .with_columns(as_of=partition.cast(pl.Datetime("us")) + after_partition)
        .drop("was_sent")
        .drop_nulls()
    )


def _returned(interactions: pl.LazyFrame, known_at: datetime) -> pl.LazyFrame:
    return interactions.filter(
        pl.col("kind") == "bounce", pl.col("is_permanent").fill_null(value=False), pl.col("received_at") <= known_at
    ).select("send_id")


def _labelled(sends: pl.LazyFrame, responses: pl.LazyFrame, answer_window: timedelta) -> pl.LazyFrame:
    """`sends` with `label`, without those whose customer had answered before."""
    after = pl.col("answered_at") - pl.col("handed_over_at")
    return (
        sends.join(responses.select(*_KEYS, answered_at="at"), on=list(_KEYS), how="left")
        .group_by(sends.collect_schema().names())
        .agg(
            had_answered=(after < timedelta(0)).any(),
            label=((after >= timedelta(0)) & (after <= answer_window)).any(),
        )
        .filter(~pl.col("had_answered"))
        .drop("had_answered")
    )


def _explored(explored: pl.LazyFrame | None) -> pl.LazyFrame:
    keys = ["campaign_id", *_KEYS]
    if explored is None:
        explored = pl.LazyFrame(schema=dict.fromkeys(keys, pl.String))
    return explored.select(keys).unique().with_columns(is_exploration=pl.lit(value=True))
