"""Features of a partition's candidates, view by view, as known at the batch instant, and what they looked like."""

from collections.abc import Iterator
from datetime import datetime

import polars as pl

from engage_assets.defs.batch import Batch
from engage_assets.domain.feature_views import ENTITY_COLUMNS, FeatureView, missing_flag
from engage_assets.features.profile import ViewProfile, profile

ENTITIES_AT_ONCE = 400_000
"""Entities whose features are joined at a time; more cost more memory, fewer read the history more often."""


def view_features(batch: Batch, accepted: pl.LazyFrame, view: FeatureView) -> Iterator[pl.DataFrame]:
    """The view's features of each entity among the accepted candidates, by key: values and missing flags."""
    key, names = view.key_columns, names_of(batch, view)
    others = [pl.lit(None, pl.String).alias(column) for column in ENTITY_COLUMNS["pair"] if column not in key]
    keys = accepted.select(key).unique().sort(key).collect()
    as_of = pl.lit(batch.instant).cast(pl.Datetime("us")).alias("as_of")
    columns = [*key, *(column for name in names for column in (name, missing_flag(name)))]
    for start in range(0, max(keys.height, 1), ENTITIES_AT_ONCE):
        part = keys.slice(start, ENTITIES_AT_ONCE).with_columns(as_of, *others)
        yield batch.features.join_in_turn(part, names).select(columns)


def names_of(batch: Batch, view: FeatureView) -> list[str]:
    """The features of a view that the program's models take."""
    return [feature.name for feature in batch.program.features_of(view)]


def profile_of(
    batch: Batch, view: FeatureView, values: pl.LazyFrame, *, as_of: datetime, before: ViewProfile | None = None
) -> ViewProfile:
    """What a view looked like as of an instant; `values`: features and flags of some entities."""
    rows = batch.features.rows(view, batch.program.features_of(view))
    return profile(view, rows, values, as_of=as_of, before=before)
