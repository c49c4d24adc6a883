"""Whether more answers come in since the program began: a day against the same weekday in the weeks before."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import narwhals as nw

from engage_assets.domain.source import Answers
from engage_assets.outcomes.rows import Figure, count, missing, ratio

Frame = nw.LazyFrame[Any]

WEEKS: Final = 4


@dataclass(frozen=True)
class AnswerVolume:
    """Answers of a day, asked for or not, and of the same weekday in the weeks before the first send."""

    day: date
    answers: int
    before: tuple[int, ...]
    """Answers on the same weekday, one for each of the four weeks before the first send."""
    needed_from: date
    """The first of those days."""
    known_from: date | None
    """The day of the first answer that is known; None: none is."""


def answer_volume(elsewhere: Frame, responses: Frame, *, answers: Answers, first_send: date, day: date) -> AnswerVolume:
    """Count answers of `day` and before `first_send`, the day of the program's first send.

    `elsewhere`: the input table that `answers` declares; `responses`: RESPONSES_LOG. An answer that is in both, or was
    changed later, counts once, on its first day; one without an instant does not count.
    """
    named = {"customer_id": answers.customer, "subject_id": answers.subject, "at": answers.at}
    given = nw.concat(
        [
            elsewhere.select(*(nw.col(column).alias(name) for name, column in named.items())),
            responses.select(*named),
        ]
    ).filter(~nw.col("at").is_null(), nw.col("at") <= datetime.combine(day, time.max))
    first = given.group_by("customer_id", "subject_id").agg(nw.col("at").min())
    counted = first.with_columns(day=nw.col("at").dt.date()).group_by("day").agg(answers=nw.len())
    by_day = dict(counted.collect("polars").to_polars().select("day", "answers").iter_rows())
    since = first_send - timedelta(days=(first_send - day).days % 7 or 7)
    same_weekday = [since - timedelta(weeks=weeks) for weeks in reversed(range(WEEKS))]
    return AnswerVolume(
        day=day,
        answers=by_day.get(day, 0),
        before=tuple(by_day.get(earlier, 0) for earlier in same_weekday),
        needed_from=same_weekday[0],
        known_from=min(by_day, default=None),
    )


def volume_rows(volume: AnswerVolume | None, word: str) -> Iterator[Figure]:
    """The day's answers, called by their `word`, and the increase: (answers − mean of the weeks before) ÷ that mean."""
    yield _volume(volume, word)
    yield _increase(volume, word)


def _volume(volume: AnswerVolume | None, word: str) -> Figure:
    metric = f"{word}_volume"
    if volume is None or volume.known_from is None:
        return missing(metric, f"{word}s, or the day of the first send, are not known")
    return count(metric, volume.answers, f"{word}s of {volume.day}, on our pages and elsewhere, each once")


def _increase(volume: AnswerVolume | None, word: str) -> Figure:
    metric = f"{word}_volume_increase"
    if volume is None:
        return missing(metric, f"{word}s, or the day of the first send, are not known")
    if volume.known_from is None or volume.known_from > volume.needed_from:
        begin = volume.known_from or "no day"
        return missing(metric, f"{word}s are needed from {volume.needed_from} on; they are known from {begin} on")
    mean = sum(volume.before) / len(volume.before)
    note = f"{word}s of {volume.day} ÷ their mean on the same weekday in the {WEEKS} weeks before the first send − 1"
    return ratio(metric, volume.answers - mean, mean, note, f"no {word}s on the same weekdays before the first send")
