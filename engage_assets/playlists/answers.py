"""Answers as playlists count them: who found which track good, when, in which day. On any engine.

A day D is the partition's: it begins after the update time of D and ends with that of the next day.
"""

from datetime import datetime, time, timedelta
from typing import Final

import narwhals as nw

from engage_assets.domain.cadence import FIRST_DAY
from engage_assets.domain.facts import Frame, stated_once

LONG_AGO: Final = datetime.combine(FIRST_DAY, time())
"""The instant of an answer whose own is not known."""
ANSWER: Final = ("customer_id", "track_id", "at", "day", "is_up")
"""Columns of an answer: who, about what, given when, known in which day, thumbs up or yes."""
_TICK: Final = timedelta(microseconds=1)


def warehouse_answers(feedback: Frame, update_time: time, until: datetime) -> Frame:
    """ANSWER rows out of FEEDBACK: given up to `until`, or at an unknown instant; rows without a verdict are none."""
    known = feedback.filter(~nw.col("thumbs_up").is_null(), (nw.col("given_at") <= until).fill_null(True))
    given = known.select(
        nw.col("listener_id").alias("customer_id"),
        "track_id",
        nw.col("given_at").fill_null(LONG_AGO).alias("at"),
        nw.col("thumbs_up").alias("is_up"),
    )
    return given.with_columns(_day("at", update_time).alias("day")).select(*ANSWER)


def own_answers(responses: Frame, program_id: str, update_time: time, until: datetime) -> Frame:
    """ANSWER rows out of RESPONSES_LOG: one per version that was recorded up to `until`.

    A version belongs to the day in which it was recorded, and is as old as it was submitted.
    """
    own = responses.filter(
        nw.col("program") == program_id, nw.col("received_at") <= until, ~nw.col("is_positive").is_null()
    )
    return own.select(
        "customer_id",
        nw.col("subject_id").alias("track_id"),
        nw.col("changed_at").alias("at"),
        _day("received_at", update_time).alias("day"),
        nw.col("is_positive").alias("is_up"),
    )


def _day(column: str, update_time: time) -> nw.Expr:
    """The partition whose 24 hours up to its update hold the instant: the update itself is still the day's."""
    shift = timedelta(hours=update_time.hour, minutes=update_time.minute)
    return (nw.col(column) - (shift + _TICK)).dt.date()


def listeners(customers: Frame, marketplaces: tuple[str, ...]) -> Frame:
    """`customer_id` and `marketplace` of customers of the program's marketplaces: others have no say."""
    theirs = customers.select("customer_id", "marketplace").filter(nw.col("marketplace").is_in(list(marketplaces)))
    return stated_once(theirs, "customer_id")


def with_marketplace(answers: Frame, customers: Frame, marketplaces: tuple[str, ...]) -> Frame:
    """The answers of listeners of the program's marketplaces, with `marketplace`."""
    return answers.join(listeners(customers, marketplaces), on="customer_id", how="inner")


def latest_answers(answers: Frame) -> Frame:
    """Each listener's latest answer about each track; among answers of one instant a thumbs down stands."""
    keys = ["marketplace", "customer_id", "track_id"]
    # Nearly every listener answers once about a track: only what was said again is compared.
    counts = answers.group_by(*keys).agg(nw.len().alias("_n"))
    again = counts.filter(nw.col("_n") > 1).select(*keys)
    up = nw.col("is_up").cast(nw.Int64)
    several = answers.join(again, on=keys, how="semi")
    newest = several.group_by(*keys).agg(nw.col("at").max())
    standing = several.join(newest, on=[*keys, "at"], how="semi").group_by(*keys).agg(up.min().alias("up"))
    single = answers.join(again, on=keys, how="anti").select(*keys, up.alias("up"))
    return nw.concat([single, standing], how="vertical")
