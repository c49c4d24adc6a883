"""Figures of events in all, by event, by marketplace, and by both: rows counted once, and shown where they occur."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import polars as pl

from engage_assets.outcomes.rows import ALL, Figure, count, ratio

Slice = tuple[str, str]
"""A dimension and its member."""
EVERYTHING: Final[Slice] = (ALL, ALL)
Counts = Mapping[Slice, float]


def of_event(event_id: str) -> Slice:
    """One event."""
    return ("event", event_id)


def counted(rows: pl.DataFrame, *, distinct: bool = False) -> dict[Slice, float]:
    """Rows, or `distinct` customers, in all, by `event`, and where rows have a marketplace by it and by both."""
    what = pl.col("customer_id").n_unique() if distinct else pl.len()
    found: dict[Slice, float] = {EVERYTHING: float(rows.select(what).item())}
    keys = {"event": ["subject_id"]}
    if "marketplace" in rows.columns:
        keys |= {"marketplace": ["marketplace"], "event_marketplace": ["subject_id", "marketplace"]}
    for dimension, columns in keys.items():
        known = rows.drop_nulls(columns)
        for *members, number in known.group_by(columns).agg(number=what).iter_rows():
            found[dimension, "/".join(members)] = float(number)
    return found


def slices(states: pl.DataFrame, marketplaces: Iterable[str], *counts: Counts) -> list[Slice]:
    """In all, every event, every marketplace, and each event and marketplace that occurs in `counts`."""
    pairs = {one for found in counts for one in found if one[0] == "event_marketplace"}
    events = [of_event(one) for one in states["event_id"]]
    return [EVERYTHING, *events, *(("marketplace", one) for one in marketplaces), *sorted(pairs)]


def events_of(states: pl.DataFrame) -> list[Slice]:
    """In all, and every event."""
    return [EVERYTHING, *(of_event(one) for one in states["event_id"])]


def counts(metric: str, found: Counts, wanted: Iterable[Slice], note: str) -> Iterator[Figure]:
    """A count of each wanted slice; what did not occur is 0."""
    yield from (count(metric, int(found.get(one, 0)), note, *one) for one in wanted)


def ratios(
    metric: str, parts: Counts, wholes: Counts, wanted: Iterable[Slice], note: str, nothing: str
) -> Iterator[Figure]:
    """A quotient of each wanted slice; where there is no whole, null with the note `nothing`."""
    yield from (ratio(metric, parts.get(one, 0), wholes.get(one, 0), note, nothing, *one) for one in wanted)
