"""Where each send stands: its last state as of an instant, and what that state means for its outcome."""

from datetime import date, datetime
from functools import reduce
from typing import Any, Final

import narwhals as nw

from engage_assets.domain.keys import campaign_id
from engage_assets.domain.program import Program

Frame = nw.LazyFrame[Any]

FATE: Final = {
    "planned": "pending",
    "claimed": "pending",
    "handed_over": "pending",
    "in_doubt": "in_doubt",
    "held_out": "held_out",
    "skipped": "skipped",
    "failed": "failed",
    "sent": "sent",
}
"""Every state in the order of a send's life, and what a send in that state has come to so far."""

_HANDED_OVER: Final = ("handed_over", "in_doubt", "sent")
_KEYS: Final = (
    *("send_id", "program", "campaign_id", "channel", "customer_id", "subject_id"),
    *("slot_at", "is_solicitation"),
)


def of_partition(program: Program, partition: date) -> nw.Expr:
    """Whether a send's campaign is one of the partition's; what solicits nothing, such as a reminder, is of none."""
    own = nw.col("campaign_id").str.contains("^" + campaign_id(program.program_id, "[^:]+", partition) + "(:|$)")
    return own & nw.col("is_solicitation").fill_null(True)


def last_states(events: Frame, until: datetime) -> Frame:
    """One row per send of `events` (SENDS_LOG): its keys, last `state` up to `until`, `reason`, `handed_over_at`.

    A state may be entered again; the latest counts, and of one instant the one that is further in a send's life.
    `handed_over_at` is when the transport first got it, whatever was found out later; null: it never did.
    """
    is_last = nw.col("at") == nw.col("at").max().over("send_id")
    came = events.filter(nw.col("at") <= until).with_columns(
        place=nw.when(is_last).then(_place("state")).otherwise(nw.lit(-1)),
        handed_over_at=nw.when(nw.col("state").is_in(list(_HANDED_OVER))).then(nw.col("at")),
    )
    stands = nw.col("place") == nw.col("place").max().over("send_id")
    return (
        came.with_columns(reason=nw.when(stands).then(nw.col("reason")))
        .group_by(*_KEYS)
        .agg(nw.col("place").max(), nw.col("reason").max(), nw.col("handed_over_at").min())
        .with_columns(state=_state("place"))
        .drop("place")
    )


def _place(column: str) -> nw.Expr:
    """A state as its place in a send's life."""
    return reduce(
        lambda otherwise, state: nw.when(nw.col(column) == state[1]).then(nw.lit(state[0])).otherwise(otherwise),
        enumerate(FATE),
        nw.lit(0),
    )


def _state(column: str) -> nw.Expr:
    """A place in a send's life as its state."""
    return reduce(
        lambda otherwise, state: nw.when(nw.col(column) == state[0]).then(nw.lit(state[1])).otherwise(otherwise),
        enumerate(FATE),
        nw.lit(next(iter(FATE))),
    )
