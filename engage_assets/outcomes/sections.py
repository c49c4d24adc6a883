"""What the sections of a report show: figures in order, with their words."""

from collections.abc import Sequence
from datetime import date, datetime, time
from typing import Any, Final

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.domain.reasons import EXPLANATIONS, REASONS
from engage_assets.domain.sources import SOURCES
from engage_assets.outcomes import charts
from engage_assets.outcomes.bands import BANDS, TENTHS
from engage_assets.outcomes.by_source import OWN_FIGURES
from engage_assets.outcomes.figures import Figures, duration, instant, percent, short_day, signed_percent, thousands
from engage_assets.outcomes.metrics import stages_of
from engage_assets.outcomes.rows import ALL

TREND_PARTITIONS: Final = 30


def _volumes(word: str) -> dict[str, str]:
    """Labels of the figures that are named after what one answer is called."""
    return {
        f"{word}_volume": f"{word}s of the day".capitalize(),
        f"{word}_volume_increase": f"{word} volume increase".capitalize(),
    }


_STAGE_NAMES: Final = {"contract": "Contract", "duplicate": "Duplicates", "score": "Score", "list": "List"}
DELIVERIES: Final = {
    "sends_planned": "Sends planned",
    "sent": "Sent",
    "pending": "Pending",
    "failed": "Failed",
    "in_doubt": "In doubt",
    "skipped": "Skipped",
    "held_out": "Held out",
}
RATES: Final = {
    "open_rate": "Open rate",
    "click_through_rate": "Click-through rate",
    "click_to_open_rate": "Click-to-open rate",
    "conversion_rate": "Conversion rate",
    "bounce_rate": "Bounce rate",
    "complaint_rate": "Complaint rate",
}
BANNERS: Final = {
    "display_rate": "Display rate of banners",
    "displayed_conversion_rate": "Conversion when displayed",
}
BUSINESS: Final = {
    "mean_rating": "Mean rating",
    "positive_rate": "Thumbs up",
    "voice_prompts": "Asked aloud",
    "voice_answers": "Answered aloud",
    "voice_answer_rate": "Answer rate aloud",
    "responses_unsolicited": "Unsolicited answers",
    **{name: label for source in SOURCES.values() for name, label in _volumes(source.answers.word).items()},
    "cost_per_message": "Cost per message",
    "cost_per_response": "Cost per answer",
}
ALOUD: Final = ("voice_prompts", "voice_answers", "voice_answer_rate")
"""Figures of these that stand beside the funnel."""
OWN: Final = {metric: label for own in OWN_FIGURES.values() for metric, label in own.labels.items()}
"""Figures of some kinds of programs alone."""
SERVICE: Final = {
    "service_requests": "Requests to the service",
    "service_p99_ms": "99th percentile latency of the service",
    "service_error_rate": "Error rate of the service",
    "service_availability": "Availability of the service",
}
LABELS: Final = {
    "input_records": "Input records",
    "accepted_records": "Accepted records",
    "filter_pass_rate": "Filter pass rate",
    "duplicates": "Duplicates",
    "scored_records": "Scored records",
    "high_score_rate": "High score rate",
    "listed_records": "Listed records",
    "mean_listed_score": "Mean score of the listed",
    "cap_headroom": "Cap headroom",
    **DELIVERIES,
    "opens": "Opened",
    "opens_raw": "Opened, machines included",
    "clicks": "Clicked",
    "clicks_raw": "Clicked, machines included",
    "responses": "Answers",
    **RATES,
    "displays": "Banners displayed",
    **BANNERS,
    "open_rate_raw": "Open rate, machines included",
    "click_through_rate_raw": "Click-through rate, machines included",
    **BUSINESS,
    **OWN,
    "batch_duration_seconds": "Batch duration",
    "throughput_per_minute": "Records per minute",
    "score_cache_hit_rate": "Score cache hit rate",
    **SERVICE,
}
SERIES: Final = {"input": "input_records", "accepted": "accepted_records", "listed": "listed_records"}
_IMPLIED: Final = ("opens", "opens_raw", "clicks", "clicks_raw", "open_rate_raw", "click_through_rate_raw")
"""Figures that are missing whenever the rates of people are, and need not be named beside them."""
_FORMS: Final = {
    "mean_listed_score": "{:.3f}",
    "mean_rating": "{:.2f} of 5",
    "cost_per_message": "{:,.4f}",
    "cost_per_response": "{:,.4f}",
    "service_p99_ms": "{:,.1f} ms",
    **{metric: form for own in OWN_FIGURES.values() for metric, form in own.forms.items()},
}
_TREND_WIDTHS: Final = {"trend_wide": 1000, "trend_narrow": 360}


def banner_sums(figures: Figures) -> tuple[int, int]:
    """Banners that were open for display, and answers that they brought."""
    channels = figures.members("display_rate", "channel")
    sent, answered = (sum(figures.count(one, "channel", at) for at in channels) for one in ("sent", "responses"))
    return sent, answered


def in_order(members: Sequence[str], known: Sequence[str]) -> list[str]:
    """Members in the program's order, then the others."""
    return sorted(members, key=lambda member: (known.index(member) if member in known else len(known), member))


def _stage_name(stage: str) -> str:
    return _STAGE_NAMES.get(stage, stage.replace("-", " ").capitalize())


def origin(figures: Figures, program: Program, partition: date, as_of: date) -> list[tuple[str, str]]:
    """Where the figures come from."""
    decided = figures.members("input_records", "config")
    now = program.config_hash
    changed = [f"the file now reads {now}"] if decided and decided != [now] else []
    return [
        ("Batch due", instant(program.cadence.batch_instant(partition))),
        ("As of", instant(datetime.combine(as_of, time(23, 59)))),
        ("Program file", ", ".join([*(decided or [now]), *changed])),
        ("Model", ", ".join(figures.members("scored_records", "model")) or "none scored"),
    ]


def key_figures(figures: Figures, program: Program) -> list[dict[str, str]]:
    """The nine figures to read first."""
    total, scored = figures.count("input_records"), figures.count("scored_records")
    accepted, high = figures.count("accepted_records"), figures.count("scored_records", "band", "high")
    measured = {metric: figures.value(metric) is not None for metric in LABELS}
    deadline = f"deadline {duration(program.deadline.total_seconds())}"
    notes = {
        "input_records": f"of them {thousands(figures.count('duplicates'))} duplicates",
        "filter_pass_rate": f"{thousands(accepted)} of {thousands(total)} input records",
        "high_score_rate": f"{thousands(high)} of {thousands(scored)} scored at 0.7 or above",
        "listed_records": f"mean score {figures.value('mean_listed_score') or 0:.3f}"
        if measured["mean_listed_score"]
        else figures.note("mean_listed_score"),
        "sent": f"of {thousands(figures.value('sends_planned'))} planned; "
        f"{thousands(figures.value('pending'))} pending",
        "batch_duration_seconds": f"{thousands(figures.value('throughput_per_minute'))} records a minute; {deadline}",
        "open_rate": f"people; {percent(figures.value('open_rate_raw'))} with machines",
        "click_through_rate": f"people; {percent(figures.value('click_through_rate_raw'))} with machines",
        "conversion_rate": "; ".join([f"{thousands(figures.value('responses'))} answers", *_conversions(figures)]),
    }
    return [
        {
            "label": LABELS[metric],
            "value": written(metric, figures.value(metric)),
            "note": note if measured[metric] else f"not measured: {figures.note(metric)}",
        }
        for metric, note in notes.items()
    ]


def _conversions(figures: Figures) -> list[str]:
    """The conversion by channel, where there are several."""
    channels = figures.members("response_share", "channel")
    return [f"{channel} {percent(figures.value('conversion_rate', 'channel', channel))}" for channel in channels]


def written(metric: str, value: float | None) -> str:
    """A value in the form that fits its metric."""
    if metric.endswith(("_rate", "_rate_raw", "_share")) or metric in ("service_availability", "cap_headroom"):
        return percent(value)
    if metric == "batch_duration_seconds":
        return duration(value)
    if metric.endswith(("_increase", "_improvement")):
        return signed_percent(value)
    form = _FORMS.get(metric)
    return form.format(value) if form and value is not None else thousands(value)


def funnel_steps(figures: Figures, program: Program) -> list[charts.Step]:
    """The input, then each stage: what ended there (the listed ones did not), and what went on."""
    left = figures.count("input_records")
    steps = [charts.Step("Input", None, left)]
    for stage in stages_of(program, figures.members("passed_records", "stage")):
        passed = figures.count("passed_records", "stage", stage)
        steps.append(charts.Step(_stage_name(stage), left - passed, passed))
        left = passed
    return steps


def funnel_words(steps: Sequence[charts.Step]) -> str:
    """The funnel for those who cannot see it."""
    return "; ".join(f"{step.name}: {thousands(step.went_on)}" for step in steps)


def reasons_by_stage(figures: Figures, program: Program) -> list[tuple[str, list[dict[str, Any]]]]:
    """Reasons that occur, by stage, in the order in which they are asked."""
    found = [member.split("/") for member in figures.members("ended_records", "reason")]
    stages: list[tuple[str, list[dict[str, Any]]]] = []
    for stage in stages_of(program, [stage for stage, _ in found]):
        codes = in_order([code for at, code in found if at == stage], REASONS.get(stage, ()))
        rows = [
            {
                "code": code,
                "explanation": EXPLANATIONS.get(code, ""),
                "records": figures.count("ended_records", "reason", f"{stage}/{code}"),
            }
            for code in codes
        ]
        if rows:
            stages.append((_stage_name(stage), rows))
    return stages


def unmeasured(figures: Figures) -> list[tuple[str, str]]:
    """Figures that are null, those with the same cause together, and the cause."""
    causes: dict[str, list[str]] = {}
    for metric, label in LABELS.items():
        if figures.has(metric) and figures.value(metric) is None and metric not in _IMPLIED:
            causes.setdefault(figures.note(metric), []).append(label)
    return [(", ".join(labels).capitalize(), cause) for cause, labels in causes.items()]


def buckets(figures: Figures) -> dict[str, int]:
    """Scored records by tenth of the score, lowest first."""
    return {bucket: figures.count("scored_records", "bucket", bucket) for bucket in TENTHS}


def band_of(tenth: int) -> str:
    """The band that a tenth of the score belongs to."""
    return max((low, band) for band, low in BANDS.items() if low <= tenth)[1]


def minima(program: Program) -> list[tuple[str, str]]:
    """The lowest score of each channel with a list."""
    return [(channel.channel_id, f"{channel.min_score:g}") for channel in program.list_channels]


def model_buckets(figures: Figures, program: Program) -> dict[str, dict[str, int]]:
    """Scored records by tenth of each model's own score; none where one model makes the score."""
    measured = set(figures.members("scored_records", "model_bucket"))
    return {
        model.model_id: {
            bucket: figures.count("scored_records", "model_bucket", f"{model.model_id}/{bucket}") for bucket in TENTHS
        }
        for model in program.scoring_models
        if f"{model.model_id}/{TENTHS[0]}" in measured
    }


def score_words(figures: Figures) -> str:
    """The histogram for those who cannot see it."""
    bands = (f"{band}: {thousands(figures.count('scored_records', 'band', band))}" for band in BANDS)
    return "; ".join(bands)


def trend_section(
    trend: pl.DataFrame, metrics: pl.DataFrame, program: Program, partition: date, as_of: date
) -> dict[str, Any]:
    """Charts, rows and words of the last partitions; one without metrics is a gap."""
    rows = (
        pl.concat(
            [
                trend.filter(pl.col("partition_date") < partition, pl.col("as_of") <= as_of),
                metrics.filter(pl.col("partition_date") == partition),
            ]
        )
        .filter(pl.col("dimension") == ALL, pl.col("metric").is_in(SERIES.values()))
        .sort("as_of")
    )
    values = {(row["partition_date"], row["metric"]): row["value"] for row in rows.iter_rows(named=True)}
    known = {day for day, _ in values}
    days = [partition - at * program.cadence.step for at in reversed(range(TREND_PARTITIONS))]
    days = [day for day in days if day >= min(known, default=partition)]
    if len(days) < 2:
        return dict.fromkeys((*_TREND_WIDTHS, "trend_description", "trend_rows"))
    series = {name: [values.get((day, metric)) for day in days] for name, metric in SERIES.items()}
    gaps = len([day for day in days if day not in known])
    words = f"{len(days)} partitions, {short_day(days[0])} to {short_day(days[-1])}"
    if gaps:
        words += (
            f"; {gaps} {'has no metrics and is a gap' if gaps == 1 else 'have no metrics and are gaps'} in the curves"
        )
    return {
        **{name: charts.trend(days, series, width) for name, width in _TREND_WIDTHS.items()},
        "trend_description": f"{words}.",
        "trend_rows": [
            (day.isoformat(), *(values.get((day, metric)) for metric in SERIES.values())) for day in reversed(days)
        ],
    }
