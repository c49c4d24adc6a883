"""Which channel brought registrations, and how many were touched by several: attribution, not lift."""

from collections.abc import Iterator
from typing import Final

import polars as pl

from engage_assets.outcomes.event_attribution import DIRECT, MILLION, MODELS, attribute, by_channel, multi_channel_share
from engage_assets.outcomes.event_slices import EVERYTHING, Slice, of_event
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.rows import Figure, ratio

NAMES: Final = {f"{model}_share": model for model in MODELS}
"""Metrics by the attribution that they state."""
CAVEAT: Final = "who was there before, not what caused it"
_WORDS: Final = {
    "last_touch": "the last click before the request for a seat (else display or open), up to 14 days before",
    "first_touch": "the first click before the request for a seat (else display or open), up to 14 days before",
    "time_decay": "all clicks before it (else displays and opens), each weighing half as much per 3 days",
}
_NOTHING: Final = "nobody has registered"


def touch_figures(tables: EventTables) -> Iterator[Figure]:
    """Registrations by channel under three attributions, each summing to all; and those with touches of several."""
    attributed = attribute(tables.seated, tables.touched)
    events = tables.states["event_id"].to_list()
    yield from _shares(attributed, tables, EVERYTHING)
    for event in events:
        yield from _shares(attributed.filter(subject_id=event), tables, of_event(event))
    note = "registrations that touches of more than one channel preceded ÷ registrations"
    for where in (EVERYTHING, *map(of_event, events)):
        touched, seated = tables.touched, tables.seated
        if where != EVERYTHING:
            touched, seated = touched.filter(subject_id=where[1]), seated.filter(subject_id=where[1])
        yield ratio("multi_channel_share", *multi_channel_share(touched, seated), note, _NOTHING, *where)


def _shares(attributed: pl.DataFrame, tables: EventTables, where: Slice) -> Iterator[Figure]:
    """By channel; in all the share that any channel of ours brought."""
    channels = [channel.channel_id for channel in tables.program.asking_channels]
    found = by_channel(attributed, channels)
    for metric, model in NAMES.items():
        sums = dict(found.select("channel", model).iter_rows())
        whole = sum(sums.values())
        ours = whole - sums.get(DIRECT, 0)
        yield _share(metric, ours, whole, f"registrations with {_WORDS[model]} ÷ registrations; {CAVEAT}", where)
        dimension = "channel" if where == EVERYTHING else "event_channel"
        for channel in sorted(sums):
            member = channel if where == EVERYTHING else f"{where[1]}/{channel}"
            note = f"registrations by {_WORDS[model]} ÷ registrations; {CAVEAT}"
            yield _share(metric, sums[channel], whole, note, (dimension, member))


def _share(metric: str, millionths: int, whole: int, note: str, where: Slice) -> Figure:
    """Registrations stand as numerator and denominator, in 6 decimals."""
    return ratio(metric, millionths / MILLION, whole / MILLION, note, _NOTHING, *where)
