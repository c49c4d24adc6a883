"""Features of a customer and an event together: the interest match, as known at each row's instant."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from engage_assets.defs.event_stages import catalogue_of, topics_of
from engage_assets.domain.events import Event
from engage_assets.domain.topics import Topics
from engage_assets.filters import interests
from engage_assets.filters.asking import Asking

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

_PAIR = ["customer_id", "subject_id"]


def interest_maker(batch: "Batch") -> Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame]:
    """Makes `interest_affinity` and `interest_tags` of pairs: see WarehouseFeatures.

    `rows` have customer_id, event_at and interest_tags; `pairs` customer_id, subject_id and as_of. A pair of whose
    customer no profile, or of whose event no version was known then gets no row.
    """

    def make(rows: pl.LazyFrame, pairs: pl.LazyFrame) -> pl.LazyFrame:
        asked, topics, catalogue = pairs.collect(), topics_of(batch), catalogue_of(batch)
        wanted = asked.lazy().select("customer_id").unique()
        profiles = rows.join(wanted, on="customer_id", how="semi").collect()
        parts = [
            _at(instant, part.select(_PAIR), profiles, catalogue.known(instant), topics, batch)
            for (instant,), part in sorted(asked.group_by("as_of"), key=lambda found: found[0])
            if isinstance(instant, datetime)
        ]
        schema = {**dict.fromkeys(_PAIR, pl.String()), "as_of": pl.Datetime("us")}
        empty = pl.DataFrame(schema={**schema, "interest_affinity": pl.Float64(), "interest_tags": pl.Int64()})
        return pl.concat([empty, *parts]).lazy()

    return make


def _at(
    instant: datetime,
    pairs: pl.DataFrame,
    profiles: pl.DataFrame,
    known: dict[str, Event],
    topics: Topics,
    batch: "Batch",
) -> pl.DataFrame:
    """The pairs of one instant with their features."""
    events = [known[one] for one in pairs["subject_id"].unique().sort() if one in known]
    seen = profiles.filter(pl.col("event_at") <= instant)
    written = pl.col("interest_tags").list.sort().list.join("\n", ignore_nulls=True)  # of several at once the greatest
    latest = seen.group_by("customer_id").agg(pl.col("interest_tags").sort_by("event_at", written).last())
    there = pairs.filter(pl.col("subject_id").is_in([one.event_id for one in events]))
    given = there.join(latest, on="customer_id")
    near, means = interests.likeness(events, topics), interests.matches(events, topics)
    found: Any = interests.matched(_lazy(given), Asking(batch.program, instant), _lazy(near), _lazy(means))
    match = found.to_native().collect()
    return (
        given.join(match, on=_PAIR, how="left")
        .join(_near_tags(given, near), on=_PAIR, how="left")
        .select(
            *_PAIR,
            pl.lit(instant).cast(pl.Datetime("us")).alias("as_of"),
            pl.col("interest_match").fill_null(0.0).alias("interest_affinity"),
            pl.col("_near").fill_null(0).cast(pl.Int64).alias("interest_tags"),
        )
    )


def _near_tags(given: pl.DataFrame, near: pl.DataFrame) -> pl.DataFrame:
    """By pair how many different interests are near to a topic of the event."""
    tags = given.select(*_PAIR, tag="interest_tags").explode("tag").drop_nulls()
    forms = nw.from_native(tags.lazy().select(_tag="tag").unique())
    plain = forms.with_columns(interests.plainly(nw.col("_tag")).alias("plain")).to_native().collect()
    named = tags.join(plain, left_on="tag", right_on="_tag").select(*_PAIR, tag="plain").unique()
    met = named.join(near.select("subject_id", "tag").unique(), on=["subject_id", "tag"])
    return met.group_by(_PAIR).agg(_near=pl.len())


def _lazy(frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    return nw.from_native(frame.lazy())
