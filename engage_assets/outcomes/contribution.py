"""Figures of what came back: the fates of sends, opens, clicks, answers, and their rates.

An answered send counts as sent, whatever its transport said; so the fates add up to the planned sends. Opens,
clicks and answers are those of sent messages, one of a kind per send; a click makes no open. What machines did
stands in the `_raw` figures only. A question asked aloud is a send, and no message: nobody opens it. Nor is a banner:
it is displayed, and its clicks are of the displayed (docs/decisions.md, 2).
"""

from collections.abc import Iterator, Mapping
from typing import Final

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.outcomes.answers import answer_figures, names_of_answers
from engage_assets.outcomes.rows import Figure, count, members, missing, ratio

FATES: Final = {
    "pending": "sends still to come: planned, claimed or handed over",
    "sent": "sends handed to the transport and confirmed, or answered",
    "failed": "sends that the transport refused",
    "in_doubt": "sends of which nobody can tell whether they went out; never repeated by guess",
    "skipped": "sends not made, each with its reason",
    "held_out": "sends kept back at random for comparison",
}
NO_DELIVERY: Final = "no delivery has run"

_COUNTS: Final = {
    "opens": ("opened", "sent messages that a person opened"),
    "opens_raw": ("opened_raw", "sent messages that anybody opened, machines included"),
    "clicks": ("clicked", "sent messages in which a person clicked"),
    "clicks_raw": ("clicked_raw", "sent messages in which anybody clicked, machines included"),
    "responses": ("responded", "answers that belong to a send: given at most 14 days after it"),
}
_RATES: Final = {
    "open_rate": ("opened", "messages", "messages that a person opened ÷ sent"),
    "open_rate_raw": ("opened_raw", "messages", "messages that anybody opened, machines included ÷ sent"),
    "click_through_rate": ("clicked", "messages", "messages in which a person clicked ÷ sent"),
    "click_through_rate_raw": (
        "clicked_raw",
        "messages",
        "messages in which anybody clicked, machines included ÷ sent",
    ),
    "click_to_open_rate": (
        "clicked",
        "opened",
        "clicked ÷ opened messages, people only; above 100 % where mail programs hide opens",
    ),
    "conversion_rate": ("responded", "sent", "answers ÷ sent"),
    "bounce_rate": ("bounced", "messages", "bounced messages ÷ sent"),
    "complaint_rate": ("complained", "messages", "messages that were complained of ÷ sent"),
}
_BANNERS: Final = {
    "displays": ("displayed", None, "banners that an application displayed, once each"),
    "display_rate": ("displayed", "sent", "displayed ÷ configured: open for display"),
    "clicks": ("clicked", None, "banners that a person clicked"),
    "click_through_rate": ("clicked", "displayed", "banners that a person clicked ÷ displayed"),
    "responses": ("responded", None, _COUNTS["responses"][1]),
    "conversion_rate": ("responded", "sent", "answers ÷ configured"),
    "displayed_conversion_rate": ("responded", "displayed", "answers ÷ displayed"),
}
_OWN_OF_BANNERS: Final = ("displays", "display_rate", "displayed_conversion_rate")
"""What stands among the totals too; the others there are of messages."""
_NEEDS: Final = {
    **dict.fromkeys(("opened", "opened_raw", "clicked", "clicked_raw"), "touched"),
    **dict.fromkeys(("bounced", "complained"), "reported"),
    "responded": "answered",
}
_MISSING: Final = {
    "touched": "no open or click of the partition's sends is recorded",
    "reported": "no provider event (delivered, bounce, complaint) of the partition's sends is recorded",
    "answered": "no open, click or answer is recorded",
}
_NO_MESSAGES: Final = "in this channel people are asked aloud; nothing is opened or clicked"
_NOT_OPENED: Final = "in this channel banners are displayed; nothing is opened"
_NO_DISPLAY: Final = "no display of a banner is recorded"
_NOTHING: Final = {
    "sent": "no message was sent",
    "messages": "no message was sent",
    "opened": "no person's open is recorded",
}
_OF_MESSAGES: Final = ("opens", "clicks", "open_rate", "click_through_rate")
_OF_ALL: Final = ("responses", "conversion_rate")
_FLAGS: Final = ("opened", "opened_raw", "clicked", "clicked_raw", "bounced", "complained")


def fates_of(states: pl.DataFrame, meaning: Mapping[str, str]) -> dict[str, int]:
    """Sends by fate, out of sends by state and what each state means."""
    fate = pl.col("state").replace(dict(meaning))
    return {name: int(states.filter(fate == name)["sends"].sum()) for name in FATES}


def sent_by_channel(tally: pl.DataFrame) -> dict[str, int]:
    """Sent messages and prompts by channel, out of counted outcomes."""
    sent = tally.filter(pl.col("outcome").is_in(["sent", "responded"]))
    return {str(channel): int(own["sends"].sum()) for (channel,), own in sent.group_by("channel")}


def fates_of_outcomes(tally: pl.DataFrame) -> dict[str, int]:
    """Sends by fate, out of counted outcomes."""
    fate = pl.col("outcome").replace({"responded": "sent"})
    return {name: int(tally.filter(fate == name)["sends"].sum()) for name in FATES}


def fates(by_fate: Mapping[str, int] | None) -> Iterator[Figure]:
    """What became of the sends of the partition's campaigns; None: no delivery has run."""
    if by_fate is None:
        yield from (missing(metric, NO_DELIVERY) for metric in ("sends_planned", *FATES))
        return
    note = "sends that were ever planned for the partition's campaigns"
    yield count("sends_planned", sum(by_fate.values()), note)
    yield from (count(fate, by_fate[fate], note) for fate, note in FATES.items())


def contribution(tally: pl.DataFrame | None, program: Program, unsolicited: int | None, cause: str) -> Iterator[Figure]:
    """Opens, clicks, answers and rates out of counted outcomes; None: all are missing, because of `cause`."""
    banners = program.banner_channels
    if tally is None:
        shown = _OWN_OF_BANNERS if banners else ()
        names = (*_COUNTS, *_RATES, *shown, *names_of_answers(program), "responses_unsolicited")
        yield from (missing(metric, cause) for metric in names)
        return
    aloud = program.prompt_channels
    aside = aloud | banners
    known = _evidence(tally, unsolicited, aloud)
    yield from _figures(tally, known, (*_COUNTS, *_RATES), aside)
    if banners:
        yield from _of_banners(tally.filter(pl.col("channel").is_in(list(banners))), known, _OWN_OF_BANNERS)
    yield from answer_figures(tally, program, None if "answered" in known else _MISSING["answered"])
    yield from _reasons(tally)
    if unsolicited is None:
        yield missing("responses_unsolicited", "responses of the partition's day were not read")
    else:
        note = "answers submitted after this batch instant, up to the next, that belong to no send"
        yield count("responses_unsolicited", unsolicited, note)
    channels = tuple(channel.channel_id for channel in program.asking_channels)
    by = {"marketplace": program.marketplaces, "channel": channels}
    for dimension, names in by.items():
        for member in members(tally, dimension, names):
            own = tally.filter(pl.col(dimension) == member)
            yield count("sent", _sums(own, aside)["sent"], FATES["sent"], dimension, member)
            if dimension == "channel" and member in aloud:
                yield from (missing(metric, _NO_MESSAGES, dimension, member) for metric in _OF_MESSAGES)
                yield from _figures(own, known, _OF_ALL, aside, dimension, member)
            elif dimension == "channel" and member in banners:
                yield from (missing(metric, _NOT_OPENED, dimension, member) for metric in ("opens", "open_rate"))
                yield from _of_banners(own, known, tuple(_BANNERS), dimension, member)
            else:
                yield from _figures(own, known, (*_OF_MESSAGES, *_OF_ALL), aside, dimension, member)


def _evidence(tally: pl.DataFrame, unsolicited: int | None, aloud: frozenset[str]) -> frozenset[str]:
    """What was recorded at all: without any trace of it, a figure is unknown and not 0.

    A question asked aloud is a trace of the service, which takes the answers.
    """
    touched = bool((tally["opened_raw"] | tally["clicked_raw"] | tally["displayed"]).any())
    has_asked = any(channel in aloud for channel in sent_by_channel(tally))
    answered = touched or bool(unsolicited) or has_asked or "responded" in tally["outcome"]
    found = {"touched": touched, "answered": answered, "reported": bool(tally["is_reported"].any())}
    return frozenset(name for name, is_there in found.items() if is_there)


def _sums(tally: pl.DataFrame, aside: frozenset[str]) -> dict[str, int]:
    """What was sent, the messages among it, and messages with each flag; `aside`: channels of no messages."""
    sent = tally.filter(pl.col("outcome").is_in(["sent", "responded"]))
    messages = sent.filter(~pl.col("channel").is_in(list(aside)))
    flagged = {flag: int(messages.filter(pl.col(flag))["sends"].sum()) for flag in _FLAGS}
    responded = int(sent.filter(pl.col("outcome") == "responded")["sends"].sum())
    everything = int(sent["sends"].sum())
    return {"sent": everything, "messages": int(messages["sends"].sum()), "responded": responded, **flagged}


def _of_banners(
    tally: pl.DataFrame,
    known: frozenset[str],
    metrics: tuple[str, ...],
    dimension: str = "all",
    member: str = "all",
) -> Iterator[Figure]:
    """The named figures of banners: `tally` holds no others."""
    sums = _sums(tally, frozenset())
    sent = tally.filter(pl.col("outcome").is_in(["sent", "responded"]))
    sums["displayed"] = int(sent.filter(pl.col("displayed"))["sends"].sum())
    for metric in metrics:
        part, whole, note = _BANNERS[metric]
        cause = _MISSING["answered"] if part == "responded" else _NO_DISPLAY
        if not sums["sent"]:
            yield missing(metric, "no banner was open for display", dimension, member)
        elif not (sums["displayed"] or (part == "responded" and "answered" in known)):
            yield missing(metric, cause, dimension, member)
        elif whole:
            yield ratio(metric, sums[part], sums[whole], note, _NO_DISPLAY, dimension, member)
        else:
            yield count(metric, sums[part], note, dimension, member)


def _figures(
    tally: pl.DataFrame,
    known: frozenset[str],
    metrics: tuple[str, ...],
    aloud: frozenset[str],
    dimension: str = "all",
    member: str = "all",
) -> Iterator[Figure]:
    """The named counts and rates of a slice."""
    sums = _sums(tally, aloud)
    for metric in metrics:
        part, whole, note = _RATES[metric] if metric in _RATES else (_COUNTS[metric][0], None, _COUNTS[metric][1])
        if whole and not sums["sent" if whole == "sent" else "messages"]:
            yield missing(metric, _NOTHING["sent"], dimension, member)
        elif _NEEDS[part] not in known:
            yield missing(metric, _MISSING[_NEEDS[part]], dimension, member)
        elif whole:
            yield ratio(metric, sums[part], sums[whole], note, _NOTHING[whole], dimension, member)
        else:
            yield count(metric, sums[part], note, dimension, member)


def _reasons(tally: pl.DataFrame) -> Iterator[Figure]:
    """Why sends were skipped, failed, or are in doubt."""
    for fate in ("skipped", "failed", "in_doubt"):
        # The transport's own code stands behind ours, and in `outcomes`.
        code = pl.col("reason").str.split(" ").list.first().fill_null("not stated")
        of_fate = tally.filter(pl.col("outcome") == fate).with_columns(reason=code)
        for reason, group in sorted(of_fate.group_by("reason"), key=lambda item: item[0]):
            yield count(fate, int(group["sends"].sum()), "sends with this reason", "send_reason", str(reason[0]))
