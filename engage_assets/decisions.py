"""Decisions: one terminal reason per input record, joined from what each stage said. On any engine."""

from datetime import date

import narwhals as nw

from engage_assets.domain.facts import Frame
from engage_assets.domain.program import Program
from engage_assets.domain.reasons import REASONS
from engage_assets.domain.tables import DECISIONS

_KEYS = ("record_id", "customer_id", "subject_id", "marketplace")


def decide(
    set_aside: Frame,
    verdicts: Frame,
    scored: Frame,
    listed: Frame,
    *,
    program: Program,
    partition: date,
    model_version: str,
    flags: list[str],
) -> Frame:
    """DECISIONS of a partition and one nullable flag per filter, one row per input record.

    `set_aside` is what contract and duplicates refused, `verdicts` every judged candidate with its flags,
    `scored` the accepted ones with `probability` and `score`, `listed` the list's reasons by record.
    """
    refused_early = set_aside.select(
        *_KEYS,
        "reason",
        *(nw.lit(None).cast(nw.Boolean).alias(flag) for flag in flags),
        *(nw.lit(None).cast(nw.Float64).alias(name) for name in ("probability", "score")),
        nw.lit(None).cast(nw.String).alias("channels"),
    )
    scores = scored.select("record_id", "probability", "score").with_columns(nw.lit(True).alias("_is_scored"))
    outcomes = listed.select("record_id", nw.col("reason").alias("_list_reason"), "channels")
    # Accepted and scored rows without a score ended there; the lists, where there are any, say how the others ended.
    at_list = nw.col("_list_reason") if program.list_channels else nw.lit("CHANNEL_INELIGIBLE")
    after_chain = nw.when(nw.col("_is_scored").is_null()).then(nw.lit(None).cast(nw.String))
    ended = after_chain.otherwise(nw.when(nw.col("score").is_null()).then(nw.lit("NOT_SCORED")).otherwise(at_list))
    judged = (
        verdicts.select(*_KEYS, "reason", *flags)
        .join(scores, on="record_id", how="left")
        .join(outcomes, on="record_id", how="left")
        .with_columns(nw.coalesce(nw.col("reason"), ended).alias("reason"))
        .select(*refused_early.collect_schema().names())
    )
    all_records = nw.concat([refused_early, judged], how="vertical")
    return all_records.with_columns(
        nw.lit(program.program_id).alias("program"),
        nw.lit(partition).alias("partition_date"),
        _stage(program).alias("stage"),
        nw.lit(_threshold(program)).cast(nw.Float64).alias("threshold"),
        nw.lit(program.config_hash).alias("config_hash"),
        nw.lit(model_version).alias("model_version"),
    ).select(*DECISIONS.names, *flags)


def _threshold(program: Program) -> float | None:
    return min((channel.min_score for channel in program.list_channels), default=None)


def _stage(program: Program) -> nw.Expr:
    """The stage that a reason belongs to; the cap's code is the filter's before the score, the list's after it."""
    filters = [spec.filter_id for spec in program.filters]
    stage = nw.lit(None).cast(nw.String)
    for name in reversed(["contract", "duplicate", *filters, "score"]):
        stage = nw.when(nw.col("reason").is_in(list(REASONS[name]))).then(nw.lit(name)).otherwise(stage)
    in_list = nw.col("reason").is_in(list(REASONS["list"])) & ~nw.col("score").is_null()
    return nw.when(in_list).then(nw.lit("list")).otherwise(stage)


def count_reasons(decisions: Frame) -> Frame:
    """`stage`, `reason`, `records`: how the records of a partition ended."""
    return decisions.group_by("stage", "reason").agg(nw.len().cast(nw.Int64).alias("records"))
