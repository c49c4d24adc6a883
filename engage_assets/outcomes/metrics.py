"""The processing metrics of a partition: counts, shares, and what became of its sends.

What crosses rows is counted on the decisions' own engine; the few hundred tallies that remain become rows here.
A figure that cannot be measured is null and its note names what is missing, never 0 (docs/decisions.md, 16).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any, Final

import narwhals as nw
import polars as pl

from engage_assets.domain.program import Program
from engage_assets.domain.tables import METRICS
from engage_assets.outcomes.tally import MILLION, count_records, latest_states

ALL: Final = "all"
"""Dimension, and its member, of a figure that is not broken down."""
TENTHS: Final = tuple(f"{low / 10:.1f}-{(low + 1) / 10:.1f}" for low in range(10))
"""The buckets of the score, each including its lower end; the last includes 1."""
BANDS: Final = {"low": 0, "medium": 4, "high": 7}
"""Bands by their lowest tenth."""
ACCEPTED_STAGES: Final = ("score", "list")
"""Who ends here has passed every filter."""

_FATES: Final = {
    "pending": ("planned", "claimed", "handed_over"),
    "sent": ("sent",),
    "failed": ("failed",),
    "in_doubt": ("in_doubt",),
    "skipped": ("skipped",),
    "held_out": ("held_out",),
}
_FATE_NOTES: Final = {
    "pending": "sends still to come: planned, claimed or handed over",
    "sent": "sends handed to the transport and confirmed",
    "failed": "sends that the transport refused",
    "in_doubt": "sends of which nobody can tell whether they went out; never repeated by guess",
    "skipped": "sends not made, each with its reason",
    "held_out": "sends kept back at random for comparison",
}
_NO_DELIVERY: Final = "no delivery has run"
_NO_INTERACTIONS: Final = "no interactions are recorded yet"


@dataclass(frozen=True)
class _Figure:
    """One row of METRICS, without its program and dates."""

    metric: str
    value: float | None
    note: str
    dimension: str = ALL
    member: str = ALL
    numerator: float | None = None
    denominator: float | None = None


def measure(
    decisions: nw.LazyFrame[Any],
    *,
    program: Program,
    partition: date,
    as_of: date,
    sends: nw.LazyFrame[Any] | None,
    batch: tuple[float, int] | None,
) -> pl.DataFrame:
    """The METRICS rows of one partition as known on the night of `as_of` (23:59 UTC), sorted.

    `decisions`: DECISIONS rows of the partition, on Polars, DuckDB or PySpark. `sends`: SENDS_LOG rows of any
    campaigns, None where no delivery has run. `batch`: seconds and input records of the first completed batch.
    """
    tally = count_records(decisions)
    states = None if sends is None else latest_states(sends, program, partition, datetime.combine(as_of, time(23, 59)))
    figures = [
        *_records(tally, program),
        *_scores(tally),
        *_listed(tally, program),
        *_sends(states),
        *_interactions(),
        *_batch(batch),
        _cost(program, None if states is None else _fate(states, "sent")),
    ]
    rows = pl.DataFrame([vars(figure) for figure in figures], schema_overrides=METRICS.schema, strict=False)
    return (
        rows.with_columns(program=pl.lit(program.program_id), partition_date=pl.lit(partition), as_of=pl.lit(as_of))
        .select(METRICS.names)
        .sort("metric", "dimension", "member")
    )


def _sum(tally: pl.DataFrame, where: pl.Expr, column: str = "records") -> int:
    return int(tally.filter(where)[column].sum())


def _count(metric: str, count: int, note: str, dimension: str = ALL, member: str = ALL) -> _Figure:
    return _Figure(metric, count, note, dimension, member, numerator=count)


def _ratio(metric: str, numerator: float, denominator: float, note: str, nothing: str) -> _Figure:
    """A quotient, 6 decimals; null with the note `nothing` where the denominator is 0."""
    if not denominator:
        return _Figure(metric, None, nothing, numerator=numerator, denominator=denominator)
    return _Figure(metric, round(numerator / denominator, 6), note, numerator=numerator, denominator=denominator)


def _missing(metric: str, note: str) -> _Figure:
    return _Figure(metric, None, note)


_ANY: Final = pl.lit(value=True)
_ACCEPTED: Final = pl.col("stage").is_in(ACCEPTED_STAGES)
_SCORED: Final = pl.col("tenth").is_not_null()
_LISTED: Final = pl.col("reason") == "LISTED"


def _members(tally: pl.DataFrame, column: str, known: Sequence[str] = ()) -> list[str]:
    """The known members, then those that occur besides."""
    return [*known, *sorted(set(tally[column].drop_nulls()) - set(known))]


def stages_of(program: Program, occurring: Sequence[str] = ()) -> list[str]:
    """Stages in the order in which records meet them.

    `occurring` stages that the program file no longer names (its filters changed since) stand after its filters.
    """
    known = ["contract", "duplicate", *(spec.filter_id for spec in program.filters)]
    return [*known, *sorted(set(occurring) - {*known, *ACCEPTED_STAGES}), *ACCEPTED_STAGES]


def _records(tally: pl.DataFrame, program: Program) -> Iterator[_Figure]:
    """Input, where it ended, and the share that every filter accepted."""
    total, accepted = _sum(tally, _ANY), _sum(tally, _ACCEPTED)
    yield _count("input_records", total, "records of the partition")
    yield _count("accepted_records", accepted, "accepted by every filter: ended at the score or the list stage")
    yield _ratio("filter_pass_rate", accepted, total, "accepted by every filter ÷ input records", "no input records")
    yield _count("duplicates", _sum(tally, pl.col("stage") == "duplicate"), "records refused as DUPLICATE")
    left = total
    for stage in stages_of(program, tally["stage"].to_list()):
        ended = _sum(tally, (pl.col("stage") == stage) & ~_LISTED)
        left -= ended
        yield _count(
            "ended_records", _sum(tally, pl.col("stage") == stage), "records that ended at the stage", "stage", stage
        )
        yield _count("passed_records", left, "records that the stage and all before it let pass", "stage", stage)
    for (stage, reason), group in sorted(tally.group_by("stage", "reason"), key=lambda item: item[0]):
        note = "records with this terminal reason"
        yield _count("ended_records", int(group["records"].sum()), note, "reason", f"{stage}/{reason}")
    for marketplace in _members(tally, "marketplace", program.marketplaces):
        here = pl.col("marketplace") == marketplace
        for metric, where in {"input_records": _ANY, "accepted_records": _ACCEPTED, "listed_records": _LISTED}.items():
            note = "records of the customer's marketplace"
            yield _count(metric, _sum(tally, here & where), note, "marketplace", marketplace)
    for config in _members(tally, "config_hash"):
        note = "records decided by this program file"
        yield _count("input_records", _sum(tally, pl.col("config_hash") == config), note, "config", config)


def _scores(tally: pl.DataFrame) -> Iterator[_Figure]:
    """How the scores are distributed."""
    scored = _sum(tally, _SCORED)
    high = _sum(tally, pl.col("tenth") >= BANDS["high"])
    yield _count("scored_records", scored, "accepted records to which the model gave a score")
    yield _ratio("high_score_rate", high, scored, "scored at 0.7 or above ÷ scored records", "no record was scored")
    for tenth, bucket in enumerate(TENTHS):
        count = _sum(tally, pl.col("tenth") == tenth)
        yield _count("scored_records", count, "scored records in this tenth", "bucket", bucket)
    edges = [*BANDS.values(), 10]
    for at, band in enumerate(BANDS):
        count = _sum(tally, (pl.col("tenth") >= edges[at]) & (pl.col("tenth") < edges[at + 1]))
        yield _count("scored_records", count, f"scored from {edges[at] / 10} up", "band", band)
    for version in _members(tally.filter(_SCORED), "model_version"):
        count = _sum(tally, _SCORED & (pl.col("model_version") == version))
        yield _count("scored_records", count, "records scored by this model", "model", version)


def _listed(tally: pl.DataFrame, program: Program) -> Iterator[_Figure]:
    """Who is on a list; marketplaces stand with the input."""
    listed = tally.filter(_LISTED).with_columns(channel=pl.col("channels").str.split(","))
    count = _sum(listed, _ANY)
    yield _count("listed_records", count, "records on a channel's list")
    by_channel = listed.explode("channel").with_columns(pl.col("channel").str.strip_chars())
    for channel in _members(by_channel, "channel", [channel.channel_id for channel in program.list_channels]):
        on = _sum(by_channel, pl.col("channel") == channel)
        yield _count("listed_records", on, "records on this channel's list", "channel", channel)
    yield _mean_score(_sum(listed, _ANY, "micros"), count)


def _mean_score(micros: int, count: int) -> _Figure:
    """Rounded half-even among whole millionths, so that a tie does not hang on a float."""
    metric, total = "mean_listed_score", micros / MILLION
    if not count:
        return _Figure(metric, None, "no record is listed", numerator=total, denominator=count)
    note = "sum of the listed records' scores ÷ listed records"
    return _Figure(metric, round(micros / count) / MILLION, note, numerator=total, denominator=count)


def _fate(states: dict[str, int], fate: str) -> int:
    return sum(states.get(state, 0) for state in _FATES[fate])


def _sends(states: dict[str, int] | None) -> Iterator[_Figure]:
    """What became of the sends of the partition's campaigns; the fates add up to the planned ones."""
    if states is None:
        yield from (_missing(metric, _NO_DELIVERY) for metric in ("sends_planned", *_FATES))
        return
    yield _count("sends_planned", sum(states.values()), "sends that were ever planned for the partition's campaigns")
    for fate in _FATES:
        yield _count(fate, _fate(states, fate), _FATE_NOTES[fate])


def _interactions() -> Iterator[_Figure]:
    """Rates that need interactions and responses."""
    for metric in ("open_rate", "click_through_rate", "conversion_rate"):
        yield _missing(metric, _NO_INTERACTIONS)


def _batch(batch: tuple[float, int] | None) -> Iterator[_Figure]:
    """How long the first completed batch took, and its records per minute."""
    if batch is None:
        nothing = "no completed batch is recorded for the partition"
        yield from (_missing(metric, nothing) for metric in ("batch_duration_seconds", "throughput_per_minute"))
        return
    seconds, records = batch
    note = "seconds from start to end of the partition's first completed batch"
    yield _Figure("batch_duration_seconds", round(seconds, 6), note, numerator=round(seconds, 6))
    note = "input records ÷ minutes of the partition's first completed batch"
    yield _ratio(
        "throughput_per_minute", records, round(seconds / 60, 6), note, "the batch's duration is recorded as 0"
    )


def _cost(program: Program, sent: int | None) -> _Figure:
    """What one sent message cost, out of the figures in the program file."""
    metric = "cost_per_message"
    if program.cost is None:
        return _missing(metric, "the program file has no cost section")
    if sent is None:
        return _missing(metric, _NO_DELIVERY)
    cost = program.cost.per_batch + program.cost.per_message * sent
    note = f"{program.cost.currency}: (perBatch + perMessage × sent) ÷ sent, from the program's cost section"
    return _ratio(metric, round(cost, 6), sent, note, "no message was sent")
