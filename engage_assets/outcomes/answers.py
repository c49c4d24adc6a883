"""Figures of answers: their ratings or thumbs, by channel and by segment of the subject, and spoken questions."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from engage_assets.domain.program import Program
from engage_assets.outcomes.by_source import source_of
from engage_assets.outcomes.rows import Figure, count, members, missing, ratio

RATINGS: Final = ("1", "2", "3", "4", "5")
THUMBS: Final = {"up": True, "down": False}
"""What an answer says where people are asked whether they liked something; "yes" is up."""
NO_ANSWER: Final = "no answer is recorded"

_PROMPTS: Final = ("voice_prompts", "voice_answers", "voice_answer_rate")
_ANSWERED: Final = pl.col("outcome") == "responded"
_SENT: Final = pl.col("outcome").is_in(["sent", "responded"])


def has_thumbs(program: Program) -> bool:
    """Whether people are asked for thumbs."""
    return source_of(program).answers.is_positive is not None


def has_ratings(program: Program) -> bool:
    """Whether people are asked for a rating."""
    return source_of(program).answers.is_rated and not has_thumbs(program)


def asks_aloud(program: Program) -> bool:
    """Whether the program asks by a voice assistant."""
    return any(channel.channel_id in program.prompt_channels for channel in program.asking_channels)


def names_of_answers(program: Program) -> tuple[str, ...]:
    """The metrics that `answer_figures` gives, broken down or not, beside `responses`."""
    return (*_said(program), *(_PROMPTS if asks_aloud(program) else ()))


def _said(program: Program) -> tuple[str, ...]:
    """The metric of what answers say; none where the form asks for nothing that is counted."""
    if has_thumbs(program):
        return ("positive_rate",)
    return ("mean_rating",) if has_ratings(program) else ()


def answer_figures(tally: pl.DataFrame, program: Program, cause: str | None) -> Iterator[Figure]:
    """What the answers say and where they come from, out of counted outcomes.

    `cause`: why answers are unknown and not 0; None: they are known.
    """
    if asks_aloud(program):
        yield from _prompts(tally, program)
    if cause is not None:
        yield from (missing(metric, cause) for metric in _said(program))
        return
    if has_thumbs(program):
        yield from _thumbs(tally, program)
    elif has_ratings(program):
        yield from _ratings(tally)
    if len(program.asking_channels) > 1:
        yield from _shares(tally, program)


def _answers(tally: pl.DataFrame, where: pl.Expr = _ANSWERED) -> int:
    return int(tally.filter(_ANSWERED & where)["sends"].sum())


def _ratings(tally: pl.DataFrame) -> Iterator[Figure]:
    """Answers by rating, and their mean."""
    rated = tally.filter(pl.col("rating").is_not_null())
    for rating in RATINGS:
        answers = int(rated.filter(pl.col("rating") == int(rating))["sends"].sum())
        yield count("responses", answers, "answers with this rating", "rating", rating)
    total = int((rated["rating"] * rated["sends"]).sum())
    answers = int(rated["sends"].sum())
    yield ratio("mean_rating", total, answers, "sum of the answers' ratings ÷ answers", NO_ANSWER)


def _thumbs(tally: pl.DataFrame, program: Program) -> Iterator[Figure]:
    """Answers by thumb, and the share of thumbs up: in all, by channel, and by segment of the subject."""
    for thumb, is_up in THUMBS.items():
        note = f"answers with thumbs {thumb}"
        yield count("responses", _answers(tally, pl.col("is_positive") == is_up), note, "thumbs", thumb)
    yield _positive_rate(tally)
    for channel in _channels(tally, program):
        yield _positive_rate(tally.filter(pl.col("channel") == channel), "channel", channel)
    if source_of(program).segments:
        for segment in members(tally.filter(_ANSWERED), "segment"):
            own = tally.filter(pl.col("segment") == segment)
            yield count("responses", _answers(own), "answers about subjects of this segment", "segment", segment)
            yield _positive_rate(own, "segment", segment)


def _positive_rate(tally: pl.DataFrame, dimension: str = "all", member: str = "all") -> Figure:
    ups = _answers(tally, pl.col("is_positive").fill_null(value=False))
    said = _answers(tally, pl.col("is_positive").is_not_null())
    return ratio("positive_rate", ups, said, "answers with thumbs up, or yes ÷ answers", NO_ANSWER, dimension, member)


def _shares(tally: pl.DataFrame, program: Program) -> Iterator[Figure]:
    """Which part of the answers each channel brought."""
    everything = _answers(tally)
    for channel in _channels(tally, program):
        own = _answers(tally, pl.col("channel") == channel)
        note = "answers to sends of this channel ÷ answers"
        yield ratio("response_share", own, everything, note, NO_ANSWER, "channel", channel)


def _channels(tally: pl.DataFrame, program: Program) -> list[str]:
    return members(tally, "channel", [channel.channel_id for channel in program.asking_channels])


def _prompts(tally: pl.DataFrame, program: Program) -> Iterator[Figure]:
    """Questions that were asked aloud. We ask and listen ourselves, so that none answered is 0 and not unknown."""
    aloud = tally.filter(pl.col("channel").is_in(list(program.prompt_channels)))
    issued, answered = int(aloud.filter(_SENT)["sends"].sum()), _answers(aloud)
    yield count("voice_prompts", issued, "questions that a voice assistant was given to ask")
    yield count("voice_answers", answered, "answers that belong to one of them")
    yield ratio("voice_answer_rate", answered, issued, "answered ÷ questions asked aloud", "nobody was asked aloud")
