"""A batch in plain text: the funnel of a day, what came back, a customer's history, a range of days."""

from collections.abc import Mapping, Sequence
from datetime import date

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.domain.reasons import EXPLANATIONS, LISTED, REASONS
from engage_assets.outcomes.figures import UNMEASURED, Figures
from engage_assets.outcomes.sections import ALOUD, BANNERS, BUSINESS, OWN, RATES, banner_sums, written


def funnel(program: Program, partition: date, decisions: pl.LazyFrame) -> str:
    """Input, refusals by stage and reason, bands, list: one line each, aligned."""
    counts = decisions.group_by("stage", "reason").agg(records=pl.len()).collect()
    scored = decisions.filter(pl.col("score").is_not_null()).select("score").collect()["score"]
    total = int(counts["records"].sum())
    lines = [f"{program.program_name}, {partition}", "", _line("input records", total, total)]
    left = total
    for stage in ["contract", "duplicate", *(spec.filter_id for spec in program.filters), "score"]:
        ended = counts.filter(pl.col("stage") == stage)
        left -= int(ended["records"].sum())
        lines += [_line(f"  {row['reason']}", -row["records"], total) for row in _in_order(ended, stage)]
        lines.append(_line(f"after {stage}", left, total))
    high = int((scored >= 0.7).sum())
    medium = int(((scored >= 0.4) & (scored < 0.7)).sum())
    for name, count in {"high": high, "medium": medium, "low": scored.len() - high - medium}.items():
        lines.append(_line(f"  band {name}", count, total))
    ended = counts.filter((pl.col("stage") == "list") & (pl.col("reason") != LISTED))
    lines += [_line(f"  {row['reason']}", -row["records"], total) for row in _in_order(ended, "list")]
    listed = int(counts.filter(pl.col("reason") == LISTED)["records"].sum())
    return "\n".join([*lines, _line("listed", listed, total)])


def contribution(metrics: pl.DataFrame) -> str:
    """Sends, opens, clicks, answers and rates out of METRICS rows of one partition and night, aligned as the funnel.

    Shares are of the sends planned down to `sent`, from there on of the messages sent. What was not measured is
    named with its cause.
    """
    figures = Figures.of(metrics)
    if figures.value("sends_planned") is None:
        return f"sends: {figures.note('sends_planned')}"
    planned, sent = figures.count("sends_planned"), figures.count("sent")
    prompts, spoken = figures.count("voice_prompts"), figures.count("voice_answers")
    banners, of_banners = banner_sums(figures)
    messages = sent - prompts - banners
    lines = [_line("sends planned", planned, planned)]
    others = {fate: figures.count(fate) for fate in ("skipped", "held_out", "failed", "in_doubt", "pending")}
    lines += [_line(f"  {fate.replace('_', ' ')}", -sends, planned) for fate, sends in others.items() if sends]
    lines.append(_line("sent", sent, planned))
    for name, metric in {"opened": "opens", "clicked": "clicks"}.items():
        if figures.value(metric) is not None:
            people, anybody = figures.count(metric), figures.count(f"{metric}_raw")
            lines += [_line(name, people, messages), _line("  by machines only", anybody - people, messages)]
    if figures.value("responses") is not None:
        lines.append(_line("answered", figures.count("responses") - spoken - of_banners, messages))
    if banners:
        lines += [_line("open for display", banners, sent)]
        if figures.value("displays") is not None:
            lines.append(_line("  displayed", figures.count("displays"), banners))
            lines.append(_line("  answered", of_banners, banners))
    if prompts:
        lines += [_line("asked aloud", prompts, sent), _line("  answered", spoken, prompts)]
    labels = {metric: label for metric, label in (RATES | BANNERS | BUSINESS | OWN).items() if metric not in ALOUD}
    measured = {label: written(metric, figures.value(metric)) for metric, label in labels.items()}
    lines += ["", *(f"{label.lower():<28}{value:>19}" for label, value in measured.items() if value != UNMEASURED)]
    causes = sorted({figures.note(metric) for metric in RATES if figures.value(metric) is None})
    return "\n".join([*lines, *(f"not measured: {cause}" for cause in causes)])


def _in_order(ended: pl.DataFrame, stage: str) -> list[dict[str, int]]:
    """Rows of one stage in the order in which its reasons are asked."""
    order = REASONS[stage]
    return sorted(ended.iter_rows(named=True), key=lambda row: order.index(row["reason"]))


def _line(label: str, count: int, total: int) -> str:
    share = f"{abs(count) / total:7.1%}" if total else "      –"
    return f"{label:<28}{count:>12,}{share}"


def history(customer_id: str, decisions: pl.LazyFrame) -> str:
    """How every record of a customer ended: partition, record, subject, reason in words, score against threshold."""
    found = decisions.filter(pl.col("customer_id") == customer_id).sort("partition_date", "record_id").collect()
    if not found.height:
        return f"no record of customer {customer_id} was decided"
    lines = []
    for row in found.iter_rows(named=True):
        score = "" if row["score"] is None else f", score {row['score']:.6f} (list from {row['threshold']})"
        lines.append(
            f"{row['partition_date']}  record {row['record_id']}, subject {row['subject_id']}: {row['reason']}"
            f" at {row['stage']}: {EXPLANATIONS[row['reason']]}{score}"
        )
    return "\n".join(lines)


def range_table(days: Mapping[date, tuple[int, pl.LazyFrame]], stages: Sequence[str]) -> str:
    """A markdown table, one row per partition: input records, ended at each stage, listed, and the sum of the ends.

    `days`: rows of the raw asset and the decisions, by partition. Where the counts close, sum equals input.
    """
    heads = ["partition", "input", *stages, "listed", "sum"]
    lines = [f"| {' | '.join(heads)} |", f"|---|{'---:|' * (len(heads) - 1)}"]
    totals = [0] * (len(heads) - 1)
    for day, (records, decisions) in days.items():
        counts = decisions.group_by("stage", "reason").agg(records=pl.len()).collect()
        listed = int(counts.filter(pl.col("reason") == LISTED)["records"].sum())
        ended = [
            int(counts.filter((pl.col("stage") == stage) & (pl.col("reason") != LISTED))["records"].sum())
            for stage in stages
        ]
        row = [records, *ended, listed, sum(ended) + listed]
        totals = [total + value for total, value in zip(totals, row, strict=True)]
        lines.append(f"| {day} | {' | '.join(f'{value:,}' for value in row)} |")
    return "\n".join([*lines, f"| **all** | {' | '.join(f'{value:,}' for value in totals)} |"])


def reason_table(decisions: Sequence[pl.LazyFrame]) -> str:
    """A markdown table of the reasons over some partitions: stage, reason, records, share of all."""
    counts = pl.concat([frame.group_by("stage", "reason").agg(records=pl.len()).collect() for frame in decisions])
    summed = counts.group_by("stage", "reason").agg(pl.col("records").sum())
    totals: dict[tuple[str, str], int] = {(stage, reason): count for stage, reason, count in summed.iter_rows()}
    everything = sum(totals.values())
    order = {(stage, reason): place for place, (stage, reason) in enumerate(_all_reasons())}
    lines = ["| stage | reason | records | share |", "|---|---|---:|---:|"]
    for stage, reason in sorted(totals, key=order.__getitem__):
        count = totals[stage, reason]
        lines.append(f"| {stage} | {reason} | {count:,} | {count / max(everything, 1):.1%} |")
    return "\n".join(lines)


def _all_reasons() -> list[tuple[str, str]]:
    """Every stage and reason, in the order in which they are asked."""
    return [(stage, reason) for stage, reasons in REASONS.items() for reason in reasons]
