"""What the report shows of sends and of what came back: a funnel, rates, ratings, reasons, the service."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from engage_assets.domain.program import Program
from engage_assets.domain.reasons import SEND_REASONS
from engage_assets.outcomes import charts
from engage_assets.outcomes.answers import RATINGS, has_ratings
from engage_assets.outcomes.by_source import source_of
from engage_assets.outcomes.figures import Figures, percent, thousands
from engage_assets.outcomes.sections import (
    ALOUD,
    BANNERS,
    BUSINESS,
    DELIVERIES,
    RATES,
    SERVICE,
    banner_sums,
    in_order,
    written,
)

_STEPS: Final = {"Opened": ("opens", "opens_raw"), "Clicked": ("clicks", "clicks_raw"), "Answered": ("responses", None)}
_BY: Final = ("open_rate", "click_through_rate", "conversion_rate")


def contribution_section(figures: Figures, program: Program, width: int) -> dict[str, Any]:
    """What the template `contribution.html.j2` shows; where nothing was sent only the cause."""
    steps = message_steps(figures)
    return {
        "in_doubt": figures.count("in_doubt"),
        "nothing_back": _cause(figures),
        "returns": steps,
        "returns_chart": charts.funnel(steps, width),
        "returns_description": _words(steps),
        "rates": list(_rates(figures, program)),
        "business": [
            (label, figures.note(metric), written(metric, figures.value(metric)))
            for metric, label in BUSINESS.items()
            if figures.value(metric) is not None and metric not in ALOUD
        ],
        "responses": figures.count("responses"),
        "ratings": [(rating, figures.count("responses", "rating", rating)) for rating in reversed(RATINGS)]
        if has_ratings(program)
        else [],
        "approval": approval(figures, width),
        "segment": " and ".join(source_of(program).segments),
        "by_channel": by_channel(figures, width),
        "aloud": _aloud(figures),
        "banners": _banners(figures),
        "planned": figures.count("sends_planned"),
        "unsent": _unsent(figures),
        "slices": _slices(figures, program),
        "headroom": _headroom(figures),
        "service": [
            (label, figures.note(metric), written(metric, figures.value(metric)))
            for metric, label in SERVICE.items()
            if figures.value("service_requests") is not None
        ],
    }


def _ids(program: Program) -> list[str]:
    """Channels in which people are asked, by id."""
    return [channel.channel_id for channel in program.asking_channels]


def _cause(figures: Figures) -> str | None:
    """Why there is no funnel of what came back; None where there is one."""
    if figures.value("opens") is not None or figures.value("responses") is not None:
        return None
    return figures.note("open_rate")


def message_steps(figures: Figures) -> list[charts.Step]:
    """Messages sent, then what people did; beside it what only machines did. What was not measured is left out."""
    banners, answered = banner_sums(figures)
    steps = [charts.Step("Sent", None, figures.count("sent") - figures.count("voice_prompts") - banners)]
    for name, (people, anybody) in _STEPS.items():
        if figures.value(people) is not None:
            machines = figures.count(anybody) - figures.count(people) if anybody else None
            aside = 0 if anybody else figures.count("voice_answers") + answered
            steps.append(charts.Step(name, machines, figures.count(people) - aside))
    return steps


def _banners(figures: Figures) -> str | None:
    """Banners in words; None where the program has none."""
    if not figures.has("display_rate"):
        return None
    configured, answered = banner_sums(figures)
    shown = figures.value("displays")
    words = f"{thousands(configured)} open for display"
    if shown is None:
        return f"{words}; {figures.note('displays')}"
    clicked = sum(figures.count("clicks", "channel", one) for one in figures.members("display_rate", "channel"))
    words += f", {thousands(shown)} displayed ({percent(shown, configured)})"
    return f"{words}, {thousands(clicked)} clicked ({percent(clicked, shown)} of these), {thousands(answered)} answered"


def _aloud(figures: Figures) -> str | None:
    """Questions asked aloud in words; None where the program asks none."""
    if figures.value("voice_prompts") is None:
        return None
    asked, answered = figures.count("voice_prompts"), figures.count("voice_answers")
    return f"{thousands(asked)} asked, {thousands(answered)} answered ({percent(answered, asked)})"


def by_channel(figures: Figures, width: int) -> dict[str, Any] | None:
    """Which part of the answers each channel brought; None where there is one channel, or no answer."""
    channels = figures.members("response_share", "channel")
    rows = {channel: figures.count("responses", "channel", channel) for channel in channels}
    whole = sum(rows.values())
    if not whole:
        return None
    shown = [charts.Bar(name, f"{thousands(own)} · {percent(own, whole)}", own / whole) for name, own in rows.items()]
    return {"chart": charts.bars(shown, width), "words": _bar_words(shown)}


def approval(figures: Figures, width: int) -> dict[str, Any] | None:
    """Thumbs up by segment of the subject, the best liked first; None where nobody was asked for thumbs."""
    if figures.value("positive_rate") is None:
        return None
    segments = figures.members("positive_rate", "segment")
    answers = {segment: figures.count("responses", "segment", segment) for segment in segments}
    rates = {segment: figures.value("positive_rate", "segment", segment) for segment in segments}
    ranked = sorted(segments, key=lambda segment: (-(rates[segment] or 0), segment))
    shown = [
        charts.Bar(segment, f"{percent(rates[segment])} of {thousands(answers[segment])}", rates[segment] or 0)
        for segment in ranked
    ]
    ups = figures.count("responses", "thumbs", "up")
    return {
        "chart": charts.bars(shown, width),
        "words": _bar_words(shown),
        "up": ups,
        "said": ups + figures.count("responses", "thumbs", "down"),
    }


def _bar_words(rows: Sequence[charts.Bar]) -> str:
    """Bars for those who cannot see them."""
    return "; ".join(f"{bar.name}: {bar.figures}" for bar in rows)


def _words(steps: Sequence[charts.Step]) -> str:
    """The funnel for those who cannot see it."""
    return "; ".join(
        f"{step.name}: {thousands(step.went_on)}"
        + (f" and {thousands(step.ended)} by machines only" if step.ended else "")
        for step in steps
    )


def _rates(figures: Figures, program: Program) -> Iterator[tuple[str, str, str]]:
    """Label, rate of people, rate with machines; the conversion also of each channel, where there are several."""
    channels = in_order(figures.members("response_share", "channel"), _ids(program))
    for metric, label in (RATES | BANNERS).items():
        if metric not in RATES and not figures.has(metric):
            continue
        yield label, written(metric, figures.value(metric)), _with_machines(figures, metric)
        for channel in channels if metric == "conversion_rate" else ():
            yield f"… by {channel} alone", percent(figures.value(metric, "channel", channel)), ""


def _with_machines(figures: Figures, metric: str) -> str:
    """The rate with machines; empty where machines cannot matter."""
    raw = f"{metric}_raw"
    return written(raw, figures.value(raw)) if raw in ("open_rate_raw", "click_through_rate_raw") else ""


def _unsent(figures: Figures) -> list[tuple[str, list[dict[str, Any]]]]:
    """Reasons of what was not sent or is in doubt, by fate, the most frequent first."""
    groups: list[tuple[str, list[dict[str, Any]]]] = []
    for fate in ("in_doubt", "failed", "skipped"):
        sends = {code: figures.count(fate, "send_reason", code) for code in figures.members(fate, "send_reason")}
        ranked = sorted(sends.items(), key=lambda item: (-item[1], item[0]))
        rows = [{"code": code, "explanation": SEND_REASONS.get(code, ""), "sends": number} for code, number in ranked]
        if rows:
            groups.append((DELIVERIES[fate], rows))
    return groups


def _slices(figures: Figures, program: Program) -> list[list[tuple[str, ...]]]:
    """Sent messages and rates, a row for each marketplace, then for each channel."""
    channels = _ids(program)
    slices = []
    for dimension, known in {"marketplace": program.marketplaces, "channel": channels}.items():
        rows = [
            (
                member if dimension == "marketplace" else f"all by {member}",
                thousands(figures.value("sent", dimension, member)),
                *(percent(figures.value(metric, dimension, member)) for metric in _BY),
            )
            for member in in_order(figures.members("sent", dimension), known)
        ]
        slices += [rows] if rows else []
    return slices


def _headroom(figures: Figures) -> list[tuple[str, int]]:
    """Customers by requests left, fewest first."""
    left = sorted(figures.members("cap_headroom", "headroom"), key=int)
    return [(quota, figures.count("cap_headroom", "headroom", quota)) for quota in left]
