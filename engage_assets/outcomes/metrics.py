"""The metrics of a partition: counts, shares, what became of its sends, what came back.

What crosses rows is counted on the decisions' own engine; the few hundred tallies that remain become rows here.
A figure that cannot be measured is null and its note names what is missing, never 0 (docs/decisions.md, 16).
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Any, Final

import narwhals as nw
import polars as pl

from engage_assets.domain.program import Program
from engage_assets.domain.tables import METRICS
from engage_assets.outcomes.attribution import NIGHT
from engage_assets.outcomes.bands import BANDS, TENTHS
from engage_assets.outcomes.by_source import own_figures, source_of
from engage_assets.outcomes.contribution import (
    NO_DELIVERY,
    contribution,
    fates,
    fates_of,
    fates_of_outcomes,
    sent_by_channel,
)
from engage_assets.outcomes.costs import costs
from engage_assets.outcomes.own import Given
from engage_assets.outcomes.rows import Figure, count, members, missing, ratio
from engage_assets.outcomes.service import ServiceFigures, service_rows
from engage_assets.outcomes.states import FATE
from engage_assets.outcomes.tally import (
    MILLION,
    count_headroom,
    count_model_scores,
    count_outcomes,
    count_records,
    latest_states,
    segment_of,
)
from engage_assets.outcomes.volume import AnswerVolume, volume_rows

ACCEPTED_STAGES: Final = ("score", "list")
"""Who ends here has passed every filter."""

_NO_OUTCOMES: Final = "no outcomes are made yet"


def measure(
    decisions: nw.LazyFrame[Any],
    *,
    program: Program,
    partition: date,
    as_of: date,
    sends: nw.LazyFrame[Any] | None,
    batch: tuple[float, int] | None,
    outcomes: nw.LazyFrame[Any] | None = None,
    unsolicited: int | None = None,
    headroom: nw.LazyFrame[Any] | None = None,
    service: ServiceFigures | None = None,
    volume: AnswerVolume | None = None,
    cache: tuple[int, int] | None = None,
    scored: nw.LazyFrame[Any] | None = None,
    own: Given | None = None,
) -> pl.DataFrame:
    """The METRICS rows of one partition as known on the night of `as_of` (23:59 UTC), sorted.

    Frames lie on Polars, DuckDB or PySpark; None: that input is not there, and what needs it is null. `decisions`:
    DECISIONS rows of the partition. `outcomes`: OUTCOMES rows of the partition and night. `sends`: SENDS_LOG rows of
    any campaigns, from which fates are counted where there are no outcomes. `batch`: seconds and input records of the
    first completed batch. `unsolicited`: rows of `attribution.unsolicited`. `headroom`: the filters' verdicts
    (customer_id, quota_left). `cache`: scores that the cache held and those that it did not. `scored`: the scored
    candidates (customer_id, subject_id, the columns of segments, and the models' own scores where there are several
    models). `own`: what the program's own figures are made of.
    """
    tally, source = count_records(decisions), source_of(program)
    came = None if outcomes is None else count_outcomes(outcomes, _segments(scored, source.segments))
    by_fate = None if came is None else fates_of_outcomes(came)
    sent = None if came is None else sent_by_channel(came)
    if came is None and sends is not None:
        states = latest_states(sends, program, partition, datetime.combine(as_of, NIGHT))
        by_fate, sent = fates_of(states, FATE), sent_by_channel(states.rename({"state": "outcome"}))
    cause = NO_DELIVERY if by_fate is None else _NO_OUTCOMES
    returned = list(contribution(came, program, unsolicited, cause))
    responses = next(figure for figure in returned if figure.metric == "responses" and figure.dimension == "all")
    figures = [
        *_records(tally, program),
        *_scores(tally),
        *_model_scores(scored, program),
        *_listed(tally, program),
        *_headroom(headroom, program),
        *fates(by_fate),
        *returned,
        *_batch(batch),
        _cache(cache),
        *costs(program, sent, responses.value, NO_DELIVERY, responses.note),
        *service_rows(service),
        *volume_rows(volume, source.answers.word),
        *_own(program, own or Given(program, partition, as_of)),
    ]
    rows = pl.DataFrame([vars(figure) for figure in figures], schema_overrides=METRICS.schema, strict=False)
    return (
        rows.with_columns(program=pl.lit(program.program_id), partition_date=pl.lit(partition), as_of=pl.lit(as_of))
        .select(METRICS.names)
        .sort("metric", "dimension", "member")
    )


def _sum(tally: pl.DataFrame, where: pl.Expr, column: str = "records") -> int:
    return int(tally.filter(where)[column].sum())


_ANY: Final = pl.lit(value=True)
_ACCEPTED: Final = pl.col("stage").is_in(ACCEPTED_STAGES)
_SCORED: Final = pl.col("tenth").is_not_null()
_LISTED: Final = pl.col("reason") == "LISTED"


def stages_of(program: Program, occurring: Sequence[str] = ()) -> list[str]:
    """Stages in the order in which records meet them.

    `occurring` stages that the program file no longer names (its filters changed since) stand after its filters.
    """
    known = ["contract", "duplicate", *(spec.filter_id for spec in program.filters)]
    return [*known, *sorted(set(occurring) - {*known, *ACCEPTED_STAGES}), *ACCEPTED_STAGES]


def _records(tally: pl.DataFrame, program: Program) -> Iterator[Figure]:
    """Input, where it ended, and the share that every filter accepted."""
    total, accepted = _sum(tally, _ANY), _sum(tally, _ACCEPTED)
    yield count("input_records", total, "records of the partition")
    yield count("accepted_records", accepted, "accepted by every filter: ended at the score or the list stage")
    yield ratio("filter_pass_rate", accepted, total, "accepted by every filter ÷ input records", "no input records")
    yield count("duplicates", _sum(tally, pl.col("stage") == "duplicate"), "records refused as DUPLICATE")
    left = total
    for stage in stages_of(program, tally["stage"].to_list()):
        ended = _sum(tally, (pl.col("stage") == stage) & ~_LISTED)
        left -= ended
        yield count(
            "ended_records", _sum(tally, pl.col("stage") == stage), "records that ended at the stage", "stage", stage
        )
        yield count("passed_records", left, "records that the stage and all before it let pass", "stage", stage)
    for (stage, reason), group in sorted(tally.group_by("stage", "reason"), key=lambda item: item[0]):
        note = "records with this terminal reason"
        yield count("ended_records", int(group["records"].sum()), note, "reason", f"{stage}/{reason}")
    for marketplace in members(tally, "marketplace", program.marketplaces):
        here = pl.col("marketplace") == marketplace
        for metric, where in {"input_records": _ANY, "accepted_records": _ACCEPTED, "listed_records": _LISTED}.items():
            note = "records of the customer's marketplace"
            yield count(metric, _sum(tally, here & where), note, "marketplace", marketplace)
    for config in members(tally, "config_hash"):
        note = "records decided by this program file"
        yield count("input_records", _sum(tally, pl.col("config_hash") == config), note, "config", config)


def _scores(tally: pl.DataFrame) -> Iterator[Figure]:
    """How the scores are distributed."""
    scored = _sum(tally, _SCORED)
    high = _sum(tally, pl.col("tenth") >= BANDS["high"])
    yield count("scored_records", scored, "accepted records to which the model gave a score")
    yield ratio("high_score_rate", high, scored, "scored at 0.7 or above ÷ scored records", "no record was scored")
    for tenth, bucket in enumerate(TENTHS):
        records = _sum(tally, pl.col("tenth") == tenth)
        yield count("scored_records", records, "scored records in this tenth", "bucket", bucket)
    edges = [*BANDS.values(), 10]
    for at, band in enumerate(BANDS):
        records = _sum(tally, (pl.col("tenth") >= edges[at]) & (pl.col("tenth") < edges[at + 1]))
        yield count("scored_records", records, f"scored from {edges[at] / 10} up", "band", band)
    for version in members(tally.filter(_SCORED), "model_version"):
        records = _sum(tally, _SCORED & (pl.col("model_version") == version))
        yield count("scored_records", records, "records scored by this model", "model", version)


def _model_scores(scored: nw.LazyFrame[Any] | None, program: Program) -> Iterator[Figure]:
    """How the models' own scores are distributed, where several make the score."""
    if scored is None or len(program.scoring_models) == 1:
        return
    there = scored.collect_schema().names()
    columns = {model.model_id: f"{model.key}_score" for model in program.scoring_models}
    known = {model: column for model, column in columns.items() if column in there}
    for model, tenths in count_model_scores(scored, known).items():
        for bucket, records in zip(TENTHS, tenths, strict=True):
            note = "scored records in this tenth of the model's own score"
            yield count("scored_records", records, note, "model_bucket", f"{model}/{bucket}")


def _segments(scored: nw.LazyFrame[Any] | None, columns: Sequence[str]) -> nw.LazyFrame[Any] | None:
    """What each candidate's subject belongs to, where the source has segments."""
    if scored is None or not columns:
        return None
    return scored.with_columns(segment=segment_of(columns))


def _own(program: Program, given: Given) -> Iterator[Figure]:
    """Figures of the program's kind alone."""
    own = own_figures(program)
    if own is not None:
        yield from own.measure(given)


def _listed(tally: pl.DataFrame, program: Program) -> Iterator[Figure]:
    """Who is on a list; marketplaces stand with the input."""
    listed = tally.filter(_LISTED).with_columns(channel=pl.col("channels").str.split(","))
    records = _sum(listed, _ANY)
    yield count("listed_records", records, "records on a channel's list")
    by_channel = listed.explode("channel").with_columns(pl.col("channel").str.strip_chars())
    for channel in members(by_channel, "channel", [channel.channel_id for channel in program.list_channels]):
        on = _sum(by_channel, pl.col("channel") == channel)
        yield count("listed_records", on, "records on this channel's list", "channel", channel)
    yield _mean_score(_sum(listed, _ANY, "micros"), records)


def _mean_score(micros: int, records: int) -> Figure:
    """Rounded half-even among whole millionths, so that a tie does not hang on a float."""
    metric, total = "mean_listed_score", micros / MILLION
    if not records:
        return Figure(metric, None, "no record is listed", numerator=total, denominator=records)
    note = "sum of the listed records' scores ÷ listed records"
    return Figure(metric, round(micros / records) / MILLION, note, numerator=total, denominator=records)


def _headroom(verdicts: nw.LazyFrame[Any] | None, program: Program) -> Iterator[Figure]:
    """Customers by what the cap still allows them at the batch instant."""
    metric = "cap_headroom"
    if program.cap is None or verdicts is None:
        yield missing(metric, "the program has no frequency cap" if program.cap is None else "no verdicts were read")
        return
    maximum = program.cap.parameters.maximum
    left = {quota: customers for quota, customers in count_headroom(verdicts).items() if quota is not None}
    allowed = sum(quota * customers for quota, customers in left.items())
    note = "requests that the cap still allows the candidates' customers ÷ what it allows them in all"
    yield ratio(metric, allowed, maximum * sum(left.values()), note, "no customers, or a cap of 0")
    note = f"customers to whom the cap of {maximum} still allows so many requests"
    for quota in sorted({0, maximum} | left.keys()):
        yield count(metric, left.get(quota, 0), note, "headroom", str(quota))


def _cache(cache: tuple[int, int] | None) -> Figure:
    """How many of the scores were kept from an earlier batch."""
    if cache is None:
        return missing("score_cache_hit_rate", "scores are not kept: the deployment has no score cache")
    hits, misses = cache
    return ratio("score_cache_hit_rate", hits, hits + misses, "kept scores ÷ scored candidates", "nobody was scored")


def _batch(batch: tuple[float, int] | None) -> Iterator[Figure]:
    """How long the first completed batch took, and its records per minute."""
    if batch is None:
        nothing = "no completed batch is recorded for the partition"
        yield from (missing(metric, nothing) for metric in ("batch_duration_seconds", "throughput_per_minute"))
        return
    seconds, records = batch
    note = "seconds from start to end of the partition's first completed batch"
    yield Figure("batch_duration_seconds", round(seconds, 6), note, numerator=round(seconds, 6))
    note = "input records ÷ minutes of the partition's first completed batch"
    yield ratio("throughput_per_minute", records, round(seconds / 60, 6), note, "the batch's duration is recorded as 0")
