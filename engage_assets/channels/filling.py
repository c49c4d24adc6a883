"""Lists are filled in one pass over the rows in a total order: quota, subjects' limits and places count as it goes.

All lists of a program share the pass. It is the one step that does not run on every engine (docs/decisions.md, 12).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product

import polars as pl

from engage_assets.channels.exploration import Exploration
from engage_assets.domain.channel_specs import ListSection
from engage_assets.domain.reasons import LISTED
from engage_assets.domain.tables import LIST_VERDICTS

Judged = tuple[ListSection, pl.DataFrame]
"""A channel, and every scored row with what ranks it and `reason`: null where it may stand on the channel's list."""

_KEYS = ("record_id", "customer_id")
_ELIGIBLE = pl.col("reason").is_null() | (pl.col("reason") == "BELOW_MIN_SCORE")


def fill(
    judged: Sequence[Judged], exploration: Exploration | None = None, *, per_subject: bool = False
) -> pl.DataFrame:
    """LIST_VERDICTS of all channels: every judged row with its reason and, where listed, its rank.

    Rows are taken in the total order: score descending, newest event, subject, customer. A row whose customer has
    quota left goes to each list on which it may stand, that has a place left and is not full for its subject; it uses
    the quota once, however many lists take it, and not at all where none does. So each customer keeps the best of
    what is left of the quota, and places that a full subject leaves go to the next best. Once a list is full, every
    row that is left is `BELOW_LIMIT`.

    Before that the places of `exploration` are drawn among all eligible rows, also those below the minimum score; a
    drawn row that a quota or the subject's limit refuses leaves its place to the next lot. Quota, subject's limit and
    limit hold for both together. Rows that were drawn rank last, in the order of their lots.

    `per_subject`: the channels' limits are of each subject; they take no part in how many places go by lot.
    """
    books = [_Book(channel, per_subject) for channel, _ in judged]
    quota = _Quota()
    drawn = _draw(judged, exploration, books, quota)
    left = [
        frame.join(lots, on="record_id", how="anti") if lots.height else frame
        for (_, frame), lots in zip(judged, drawn, strict=True)
    ]
    limits = [None if per_subject else book.channel.limit for book in books]
    chosen = _walk(_by_score(left), left, books, limits, quota)
    verdicts = [
        _verdicts(channel, lots, rows, frame)
        for (channel, _), lots, rows, frame in zip(judged, drawn, chosen, left, strict=True)
    ]
    return pl.concat(verdicts).sort("customer_id", "record_id", "channel")


@dataclass
class _Quota:
    """What is used of each customer's quota so far, and the records for which it is."""

    used: Counter[str] = field(default_factory=Counter)
    records: set[str] = field(default_factory=set)


@dataclass
class _Book:
    """A channel's list while it is filled: places that are taken, and what became of the rows of one walk."""

    channel: ListSection
    per_subject: bool = False
    """Whether the channel's own limit is of each subject."""
    taken: int = 0
    by_subject: Counter[str] = field(default_factory=Counter)
    limit: int | None = None
    """Places of this walk and those before it."""
    reasons: list[str] = field(default_factory=list)
    ranks: list[int | None] = field(default_factory=list)
    before: int = 0
    """Places that were taken when the walk began."""

    def open(self, limit: int | None) -> None:
        """Begin a walk: ranks count from 1 again, what is taken stays taken."""
        self.limit, self.reasons, self.ranks, self.before = limit, [], [], self.taken

    def takes(self, subject: str, has_quota: bool) -> bool:  # noqa: FBT001 - called once per row
        """Whether the list takes the next row; its reason and rank are kept."""
        cap = self.channel.per_track_limit
        own = self.channel.limit if self.per_subject else None
        is_full = self.limit is not None and self.taken >= self.limit
        if is_full or (own is not None and self.by_subject[subject] >= own):
            reason = "BELOW_LIMIT"
        elif not has_quota:
            reason = "FREQUENCY_CAP"
        elif cap is not None and self.by_subject[subject] >= cap:
            reason = "TRACK_CAP"
        else:
            self.taken += 1
            self.by_subject[subject] += 1
            self.reasons.append(LISTED)
            self.ranks.append(self.taken - self.before)
            return True
        self.reasons.append(reason)
        self.ranks.append(None)
        return False


def _by_score(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The rows that may stand on any of the lists by their score, best first."""
    standing = [frame.filter(pl.col("reason").is_null()) for frame in frames]
    rows = standing[0] if len(standing) == 1 else pl.concat(standing).unique("record_id")
    return rows.sort(
        "score", "event_at", "subject_id", "customer_id", descending=[True, True, False, False], nulls_last=True
    )


def _draw(
    judged: Sequence[Judged], exploration: Exploration | None, books: Sequence[_Book], quota: _Quota
) -> list[pl.DataFrame]:
    """By channel the rows that are listed by lot, ranked from 1 in the order of their lots; takes their places."""
    frames = [frame for _, frame in judged]
    if exploration is None or not exploration.share:
        return [_placed(frame.clear(), [], []) for frame in frames]
    limits = [None if book.per_subject else book.channel.limit for book in books]
    beside = [_Book(book.channel, book.per_subject) for book in books]
    alone = _walk(_by_score(frames), frames, beside, limits, _Quota())
    eligible = [frame.filter(_ELIGIBLE).with_columns(reason=pl.lit(None, dtype=pl.String)) for frame in frames]
    places = [
        exploration.places(listed=rows["rank"].count(), eligible=frame.height, limit=limit)
        for rows, frame, limit in zip(alone, eligible, limits, strict=True)
    ]
    order = exploration.in_drawn_order(pl.concat(eligible).unique("record_id") if len(eligible) > 1 else eligible[0])
    return [rows.drop_nulls("rank") for rows in _walk(order, eligible, books, places, quota)]


def _walk(
    rows: pl.DataFrame,
    frames: Sequence[pl.DataFrame],
    books: Sequence[_Book],
    limits: Sequence[int | None],
    quota: _Quota,
) -> list[pl.DataFrame]:
    """By channel the rows of its frame that may stand there, in the order of `rows`, with `reason` and `rank`.

    The rank is null where a row is not listed; `limits` count the places that are taken already.
    """
    standing = [_standing(rows, frame, is_only=len(frames) == 1) for frame in frames]
    for book, limit in zip(books, limits, strict=True):
        book.open(limit)
    columns = [rows[name].to_list() for name in ("record_id", "customer_id", "subject_id", "quota_left")]
    for record, customer, subject, left, takers in zip(*columns, _takers(books, standing), strict=True):
        is_asked = record in quota.records
        has_quota = is_asked or left is None or quota.used[customer] < left
        is_taken = False
        for book in takers:
            if book.takes(subject, has_quota):
                is_taken = True
        if is_taken and not is_asked:
            quota.used[customer] += 1
            quota.records.add(record)
    return [_placed(rows.filter(flag), book.reasons, book.ranks) for book, flag in zip(books, standing, strict=True)]


def _takers(books: Sequence[_Book], standing: Sequence[pl.Series]) -> Iterator[Sequence[_Book]]:
    """Of each row the lists on which it may stand."""
    chosen = {
        flags: [book for book, is_there in zip(books, flags, strict=True) if is_there]
        for flags in product((False, True), repeat=len(books))
    }
    return map(chosen.__getitem__, zip(*(flags.to_list() for flags in standing), strict=True))


def _standing(rows: pl.DataFrame, frame: pl.DataFrame, *, is_only: bool) -> pl.Series:
    """Whether each row may stand on the list of which `frame` tells."""
    if is_only:
        return pl.repeat(True, rows.height, dtype=pl.Boolean, eager=True)
    there = frame.filter(pl.col("reason").is_null())["record_id"]
    return rows["record_id"].is_in(there.implode())


def _placed(rows: pl.DataFrame, reasons: list[str], ranks: list[int | None]) -> pl.DataFrame:
    return rows.select(*_KEYS).with_columns(
        reason=pl.Series(reasons, dtype=pl.String), rank=pl.Series(ranks, dtype=pl.Int64)
    )


def _verdicts(channel: ListSection, drawn: pl.DataFrame, chosen: pl.DataFrame, rest: pl.DataFrame) -> pl.DataFrame:
    """LIST_VERDICTS of one channel: rows drawn by lot, rows in the order of the score, and rows that may not stand."""
    others = rest.filter(pl.col("reason").is_not_null()).select(*_KEYS, "reason", rank=pl.lit(None, dtype=pl.Int64))
    last = chosen["rank"].count()
    found = pl.concat(
        [
            chosen.with_columns(is_exploration=False),
            drawn.with_columns(pl.col("rank") + last, is_exploration=True),
            others.with_columns(is_exploration=False),
        ]
    )
    return found.with_columns(channel=pl.lit(channel.channel_id)).select(LIST_VERDICTS.names)
