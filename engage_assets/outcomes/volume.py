"""Whether more reviews come in since the program began: a day against the same weekday in the weeks before."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any, Final

import narwhals as nw

from engage_assets.outcomes.rows import Figure, missing, ratio

Frame = nw.LazyFrame[Any]

WEEKS: Final = 4
_METRIC: Final = "review_volume_increase"


@dataclass(frozen=True)
class ReviewVolume:
    """Reviews of a day, asked for or not, and of the same weekday in the weeks before the first send."""

    day: date
    reviews: int
    before: tuple[int, ...]
    """Reviews on the same weekday, one for each of the four weeks before the first send."""
    needed_from: date
    """The first of those days."""
    known_from: date | None
    """The day of the first review that is known; None: none is."""


def review_volume(reviews: Frame, responses: Frame, *, first_send: date, day: date) -> ReviewVolume:
    """Count reviews of `day` and before `first_send`, the day of the program's first send.

    `reviews`: the input table (customer_id, product_id, reviewed_at); `responses`: RESPONSES_LOG. A review that is in
    both, or was changed later, counts once, on its first day; one without an instant does not count.
    """
    given = nw.concat(
        [
            reviews.select("customer_id", nw.col("product_id").alias("subject_id"), nw.col("reviewed_at").alias("at")),
            responses.select("customer_id", "subject_id", "at"),
        ]
    ).filter(~nw.col("at").is_null(), nw.col("at") <= datetime.combine(day, time.max))
    first = given.group_by("customer_id", "subject_id").agg(nw.col("at").min())
    counted = first.with_columns(day=nw.col("at").dt.date()).group_by("day").agg(reviews=nw.len())
    by_day = dict(counted.collect("polars").to_polars().select("day", "reviews").iter_rows())
    since = first_send - timedelta(days=(first_send - day).days % 7 or 7)
    same_weekday = [since - timedelta(weeks=weeks) for weeks in reversed(range(WEEKS))]
    return ReviewVolume(
        day=day,
        reviews=by_day.get(day, 0),
        before=tuple(by_day.get(earlier, 0) for earlier in same_weekday),
        needed_from=same_weekday[0],
        known_from=min(by_day, default=None),
    )


def volume_row(volume: ReviewVolume | None) -> Figure:
    """The increase as a metric: (reviews − mean of the weeks before) ÷ that mean."""
    if volume is None:
        return missing(_METRIC, "reviews, or the day of the first send, are not known")
    if volume.known_from is None or volume.known_from > volume.needed_from:
        begin = volume.known_from or "no day"
        return missing(_METRIC, f"reviews are needed from {volume.needed_from} on; they are known from {begin} on")
    mean = sum(volume.before) / len(volume.before)
    note = f"reviews of {volume.day} ÷ their mean on the same weekday in the {WEEKS} weeks before the first send − 1"
    return ratio(_METRIC, volume.reviews - mean, mean, note, "no reviews on the same weekdays before the first send")
