"""The daily report: one HTML page that opens offline, and its charts as pictures."""

from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engage_assets.domain.program import Program
from engage_assets.outcomes import charts
from engage_assets.outcomes.by_source import own_figures
from engage_assets.outcomes.contribution_section import approval, by_channel, contribution_section
from engage_assets.outcomes.figures import Figures, instant, long_day, percent, thousands
from engage_assets.outcomes.sections import (
    DELIVERIES,
    LABELS,
    SERIES,
    band_of,
    buckets,
    funnel_steps,
    funnel_words,
    in_order,
    key_figures,
    minima,
    model_buckets,
    origin,
    reasons_by_stage,
    score_words,
    trend_section,
    unmeasured,
    written,
)

_CHART_WIDTH: Final = 440
_PICTURE_WIDTH: Final = 640


def render_report(
    *,
    program: Program,
    partition: date,
    as_of: date,
    metrics: pl.DataFrame,
    trend: pl.DataFrame,
    not_evaluated: Sequence[tuple[str, str]],
    declared_clock: datetime | None,
) -> str:
    """The report of one partition as a self-contained HTML page; the same arguments give the same text.

    `metrics`: METRICS rows of the partition and night. `trend`: METRICS rows of earlier partitions, of which each
    one's newest night up to `as_of` counts; may be empty. `not_evaluated`: clauses with the table.column that
    they lack. `declared_clock`: what a demonstration's clock showed, None for the real one.
    """
    figures = Figures.of(metrics)
    steps = funnel_steps(figures, program)
    scored = figures.count("scored_records")
    own = own_figures(program)
    return (
        templates()
        .get_template("report.html.j2")
        .render(
            program_name=program.program_name,
            partition=partition,
            partition_long=long_day(partition),
            origin=origin(figures, program, partition, as_of),
            declared_clock=declared_clock and instant(declared_clock),
            key_figures=key_figures(figures, program),
            total=figures.count("input_records"),
            steps=steps,
            funnel=charts.funnel(steps, _CHART_WIDTH),
            funnel_description=funnel_words(steps),
            reasons=reasons_by_stage(figures, program),
            scored=scored,
            histogram=charts.histogram(
                buckets(figures), [float(minimum) for _, minimum in minima(program)], _CHART_WIDTH
            ),
            score_description=score_words(figures),
            minima=minima(program),
            buckets=[
                {"at": at, "name": name.replace("-", "–"), "band": band_of(at), "records": records}
                for at, (name, records) in enumerate(buckets(figures).items())
            ],
            marketplaces=[
                {"name": name, **{key: figures.value(metric, "marketplace", name) for key, metric in SERIES.items()}}
                for name in in_order(figures.members("input_records", "marketplace"), program.marketplaces)
            ],
            channels=[
                (name, figures.value("listed_records", "channel", name))
                for name in figures.members("listed_records", "channel")
            ],
            deliveries=[
                (name, figures.value(metric))
                for metric, name in DELIVERIES.items()
                if figures.value(metric) is not None
            ],
            no_delivery=figures.note("sends_planned"),
            models=_models(figures, program, _CHART_WIDTH),
            **contribution_section(figures, program, _CHART_WIDTH),
            own=own.section(figures, _CHART_WIDTH) if own else None,
            own_template=own.template if own else None,
            not_evaluated=sorted(not_evaluated),
            unmeasured=unmeasured(figures),
            measured=[
                (label, written(metric, value), figures.note(metric))
                for metric, label in LABELS.items()
                if (value := figures.value(metric)) is not None
            ],
            **trend_section(trend, metrics, program, partition, as_of),
        )
    )


def _models(figures: Figures, program: Program, width: int) -> list[dict[str, Any]]:
    """Each model's own scores as a histogram; none where one model makes the score."""
    return [
        {
            "name": model,
            "records": list(counts.values()),
            "chart": charts.histogram(counts, [], width),
            "words": "; ".join(f"{bucket}: {thousands(records)}" for bucket, records in counts.items()),
        }
        for model, counts in model_buckets(figures, program).items()
    ]


def report_pictures(*, program: Program, partition: date, metrics: pl.DataFrame) -> dict[str, str]:
    """`funnel` and `score_histogram` as SVG files with their own size and background, for METRICS rows as above.

    Beside them what the program has: each model's scores, `answers_by_channel`, `thumbs_up`.
    """
    figures = Figures.of(metrics)
    steps = funnel_steps(figures, program)
    there, caption = templates(), f"{program.program_name}, {long_day(partition)}"
    pictures = {
        "funnel": there.get_template("funnel.svg.j2").render(
            caption=caption,
            funnel=charts.funnel(steps, _PICTURE_WIDTH),
            funnel_description=funnel_words(steps),
        ),
        "score_histogram": there.get_template("score_histogram.svg.j2").render(
            caption=caption,
            histogram=charts.histogram(
                buckets(figures), [float(minimum) for _, minimum in minima(program)], _PICTURE_WIDTH
            ),
            score_description=score_words(figures),
            scored=figures.count("scored_records"),
            minima=minima(program),
        ),
    }
    return pictures | _further_pictures(figures, program, caption)


def _further_pictures(figures: Figures, program: Program, caption: str) -> dict[str, str]:
    """Pictures of what not every program has."""
    there = templates()
    histogram, bars = there.get_template("score_histogram.svg.j2"), there.get_template("bars.svg.j2")
    found = {
        f"scores_of_{model['name'].replace('-', '_')}": histogram.render(
            caption=f"{model['name']}, {caption}",
            histogram=model["chart"],
            score_description=model["words"],
            scored=sum(model["records"]),
            minima=[],
        )
        for model in _models(figures, program, _PICTURE_WIDTH)
    }
    shares = by_channel(figures, _PICTURE_WIDTH)
    thumbs = approval(figures, _PICTURE_WIDTH)
    for name, title, one in (
        ("answers_by_channel", "Answers by channel", shares),
        ("thumbs_up", "Share of thumbs up among the answers", thumbs),
    ):
        if one is not None:
            found[name] = bars.render(
                caption=caption, legend="", title=title, chart=one["chart"], description=one["words"]
            )
    return found


def templates() -> Environment:
    """The templates of reports."""
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    found = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    found.filters |= {"thousands": thousands, "percent": percent}
    return found
