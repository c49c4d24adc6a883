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
    attended: pl.LazyFrame | None = None,
) -> pl.LazyFrame:
    """One row per customer and subject asked: customer_id, subject_id, as_of, label, is_exploration.

    `as_of` of a row is the batch instant that chose it: that of the partition which its campaign names. `label` is
    whether a response of the customer about the subject was submitted at most label_days after the hand-over, both
    ends included. A response is a person's by its nature; opens and clicks, a person's or a machine's, make no label.
    Of a model that foretells `liked` it is whether the first such response, in its latest version known then, was a
    good one; who gave none, or none that says so, is no example. Of a model that foretells `interested` a person's
    click on the message within that time counts as well; of one that foretells `attended` only who answered and stands
    in `attended` (customer_id, subject_id) as well.
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
    labelled = _labelled(mature, _latest(answered), timedelta(days=model.label_days), liked=model.label == "liked")
    if model.label == "interested" and interactions is not None:
        labelled = _or_clicked(labelled, interactions, known_at, timedelta(days=model.label_days))
    if model.label == "attended":
        labelled = _and_came(labelled, attended)
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


def _latest(responses: pl.LazyFrame) -> pl.LazyFrame:
    """Keys, `answered_at` (of the first version) and `is_positive` (of the latest) of each response."""
    there = responses.collect_schema().names()
    verdict = pl.col("is_positive") if "is_positive" in there else pl.lit(None, pl.Boolean)
    versions = responses.with_columns(verdict.alias("is_positive"))
    order = [name for name in ("version", "received_at") if name in there]
    return versions.group_by("response_id", *_KEYS).agg(
        answered_at=pl.col("at").min(), is_positive=pl.col("is_positive").sort_by(*order, "is_positive").last()
    )


def _labelled(sends: pl.LazyFrame, responses: pl.LazyFrame, answer_window: timedelta, *, liked: bool) -> pl.LazyFrame:
    """`sends` with `label`, without those whose customer had answered before, or that have none."""
    after = pl.col("answered_at") - pl.col("handed_over_at")
    is_answer = (after >= timedelta(0)) & (after <= answer_window)
    by = [pl.col(name).filter(is_answer) for name in ("answered_at", "response_id")]
    verdict = pl.col("is_positive").filter(is_answer).sort_by(by).first()
    return (
        sends.join(responses, on=list(_KEYS), how="left")
        .group_by(sends.collect_schema().names())
        .agg(
            had_answered=(after < timedelta(0)).any(),
            label=verdict if liked else is_answer.any(),
        )
        .filter(~pl.col("had_answered"), pl.col("label").is_not_null())
        .drop("had_answered")
    )


def _or_clicked(
    labelled: pl.LazyFrame, interactions: pl.LazyFrame, known_at: datetime, answer_window: timedelta
) -> pl.LazyFrame:
    """A person's click after the hand-over counts like an answer."""
    clicks = interactions.filter(
        pl.col("kind") == "click", pl.col("machine_rule").is_null(), pl.col("received_at") <= known_at
    )
    firsts = clicks.group_by("send_id").agg(_clicked=pl.col("at").min())
    after = pl.col("_clicked") - pl.col("handed_over_at")
    clicked = ((after >= timedelta(0)) & (after <= answer_window)).fill_null(value=False)
    return labelled.join(firsts, on="send_id", how="left").with_columns(pl.col("label") | clicked).drop("_clicked")


def _and_came(labelled: pl.LazyFrame, attended: pl.LazyFrame | None) -> pl.LazyFrame:
    if attended is None:
        return labelled.with_columns(label=pl.lit(value=False))
    people = attended.select(*_KEYS).unique().with_columns(_came=pl.lit(value=True))
    came = pl.col("_came").fill_null(value=False)
    return labelled.join(people, on=list(_KEYS), how="left").with_columns(pl.col("label") & came).drop("_came")


def _explored(explored: pl.LazyFrame | None) -> pl.LazyFrame:
    keys = ["campaign_id", *_KEYS]
    if explored is None:
        explored = pl.LazyFrame(schema=dict.fromkeys(keys, pl.String))
    return explored.select(keys).unique().with_columns(is_exploration=pl.lit(value=True))
