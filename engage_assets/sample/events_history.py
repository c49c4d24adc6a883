"""Who registered for the events of the synthetic world elsewhere, before us or beside us, and who came."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.events import PAST_REGISTRATIONS, Event
from engage_assets.sample.events_guests import matches
from engage_assets.sample.events_vocabulary import FAMILIES, ROLES, TREE
from engage_assets.sample.people import Floats, generator, logistic

FITTING: Final = 0.7
"""Match of interests from which on an event is meant for a guest."""
_BASE: Final = -2.6  # with the spread of the terms: about 11 % of those whom an event fits
_FAMILY_OF: Final = {leaf: place for place, family in enumerate(FAMILIES) for leaf in TREE[family]}
_ELSEWHERE: Final = 0.06
"""Of those who would register unasked, the share that still does elsewhere once we invite."""
_OPENS: Final = timedelta(hours=8)
"""Before that hour of a Monday its batch has run: what is registered earlier is known to it."""
_LONGEST: Final = timedelta(days=6)
"""People register up to so long after an event's Monday."""


def leanings(guests: pl.DataFrame, events: Sequence[Event], match: Floats) -> Floats:
    """Log odds, of no base, that a guest is drawn to an event: guests × events.

    By the match of interests, engagement (who is engaged with everything has little time), the habit of coming, work
    that goes with the topic, and a liking for its family that no table shows in full.
    """
    families = [_FAMILY_OF[event.topics[0]] for event in events]
    roles = [ROLES[FAMILIES[place]] for place in families]
    works = np.array(guests["role"].to_list(), dtype=object)[:, None] == np.array(roles, dtype=object)[None, :]
    likes = guests["likes"].to_numpy()[:, families]
    engagement, habit = guests["engagement"].to_numpy()[:, None], guests["habit"].to_numpy()[:, None]
    drawn = 1.8 * np.exp(-(((engagement - 0.66) / 0.2) ** 2)) - 1.2
    lean = 2.5 * match + drawn + 0.7 * habit + 1.2 * works + 0.3 * likes
    fits = match >= FITTING
    # Every event draws about the same share of those whom it fits.
    middle = (lean * fits).sum(axis=0) / np.maximum(fits.sum(axis=0), 1)
    return np.asarray(lean - middle)


def attendance_chance(guests: pl.DataFrame) -> Floats:
    """The chance that a guest who registered comes: about 85 %, by habit and engagement."""
    return logistic(1.75 + 0.9 * guests["habit"].to_numpy() + 1.5 * (guests["engagement"].to_numpy() - 0.62))


def past_registrations(
    seed: int, guests: pl.DataFrame, regions: pl.Series, events: Sequence[Event], begins: date
) -> pl.DataFrame:
    """PAST_REGISTRATIONS by instant, customer and event.

    `events` are the latest versions; of those that took place before `begins` all registrations are told, of others
    few, as people register with us from then on. Where there seats are few, the other system gives up to half of them,
    before we invite, as neither of us knows at once what the other gave. `regions` is where each guest lives. A few
    have no instant, and of a few nobody says whether they came.
    """
    rng = generator(seed, "past registrations")
    held = [event for event in events if not event.is_cancelled]
    lean = leanings(guests, held, matches(guests, held))
    home = np.array([[not event.target_regions or region in event.target_regions for event in held]
                     for region in regions])  # fmt: skip
    share = np.array([1.0 if event.local_date < begins else _ELSEWHERE for event in held])
    chance = logistic(_BASE + lean - 2.0 * ~home) * share
    who, what = np.nonzero(rng.random(chance.shape) < chance)
    told = _told(rng, guests, held, who, what)
    return _with_room(told, [event for event in held if event.capacity is not None and event.local_date >= begins])


def _with_room(told: pl.DataFrame, scarce: Sequence[Event]) -> pl.DataFrame:
    """At most half the seats of `scarce` events, given as long before their Monday as they were after it."""
    rows = [(one.event_id, (one.capacity or 0) // 2, _monday(one) - _OPENS) for one in scarce]
    schema = {"event_id": pl.String(), "_most": pl.Int64(), "_opens": pl.Datetime("us")}
    joined = told.join(
        pl.DataFrame(rows, schema=schema, orient="row"), on="event_id", how="left", maintain_order="left"
    )
    kept = joined.filter((pl.int_range(pl.len()).over("event_id") < pl.col("_most")).fill_null(value=True))
    after = pl.col("registered_at") - pl.col("_opens") - _OPENS
    before = pl.when(pl.col("_opens").is_null()).then("registered_at").otherwise(pl.col("_opens") - after)
    return kept.with_columns(registered_at=before).select(told.columns).sort("registered_at", "customer_id", "event_id")


def _told(
    rng: np.random.Generator, guests: pl.DataFrame, events: Sequence[Event], who: np.ndarray, what: np.ndarray
) -> pl.DataFrame:
    """Rows of guests `who` and events `what`, by place."""
    rows = len(who)
    mondays = [_monday(event) for event in events]
    delay = (rng.random(rows) ** 2 * _LONGEST.total_seconds()).astype(np.int64)
    came = rng.random(rows) < attendance_chance(guests)[who]
    length = np.array([event.duration_minutes for event in events])[what]
    stayed = np.round(length * np.minimum(1.0, rng.beta(5.0, 1.3, rows)), 1)
    unknown, undated = rng.random(rows) < 0.01, rng.random(rows) < 0.002
    frame = pl.DataFrame(
        {
            "customer_id": guests["customer_id"].gather(who.tolist()),
            "event_id": [events[place].event_id for place in what],
            "registered_at": pl.Series([mondays[place] for place in what], dtype=pl.Datetime("us"))
            + pl.Series(delay * 1_000_000).cast(pl.Duration("us")),
            "attended": pl.Series(came),
            "watch_minutes": pl.Series(stayed),
            "_unknown": pl.Series(unknown),
            "_undated": pl.Series(undated),
        }
    )
    told = frame.with_columns(
        registered_at=pl.when(~pl.col("_undated")).then("registered_at"),
        watch_minutes=pl.when(pl.col("attended") & ~pl.col("_unknown")).then("watch_minutes"),
        attended=pl.when(~pl.col("_unknown")).then("attended"),
    )
    return told.select(PAST_REGISTRATIONS.names).sort("registered_at", "customer_id", "event_id")


def _monday(event: Event) -> datetime:
    """Late in the morning of the Monday whose batch invites for an event."""
    monday = event.local_date - timedelta(days=7)
    return datetime.combine(monday - timedelta(days=monday.weekday()), time(8))
