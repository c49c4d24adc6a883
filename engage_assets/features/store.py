"""Features out of the warehouse, as they were known at each row's instant: the port FeatureStore."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.feature_views import GROUP_COLUMNS, Feature, FeatureView, missing_flag
from engage_assets.domain.tables import declared
from engage_assets.features.groups import known_of_groups
from engage_assets.features.joining import TYPES, finished, key_names, known_values, view_rows
from engage_assets.features.queries import Tables, columns_read, given_by, gives, run


def needs(view: FeatureView, feature: Feature | None = None) -> frozenset[str]:
    """`table.column` of everything that a feature of the view needs; without `feature`, that all of them need.

    Raises ModelError where the view's query cannot be read or lacks a column.
    """
    features = view.features if feature is None else (feature,)
    columns = {*view.key_columns, *(one.source_column for one in features if one.source_column)}
    if view.made_by:
        columns = set(given_by(view))  # what it takes of them, its maker knows
    read = columns_read(view, {view.event_time, view.known_at, *columns})
    if view.groups is not None:
        read |= columns_read(view, _columns_of_groups(view), "groups")
    return read - set(view.optional)


def unavailable(views: Iterable[FeatureView], names: Sequence[str], available: frozenset[str]) -> dict[str, list[str]]:
    """Features of `names` that the deployment cannot compute, each with the `table.column` that it lacks, sorted.

    Raises ModelError for a name that is in none of `views`, and for a view whose query cannot be read.
    """
    known = {feature.name: (view, feature) for view in views for feature in view.features}
    unknown = sorted(set(names) - known.keys())
    if unknown:
        raise ModelError(
            f"no feature is named {', '.join(unknown)}; known features: {', '.join(sorted(known))}."
            " Correct the model's `features`, or define it in a view of features.yaml"
        )
    lacking = {name: sorted(needs(*known[name]) - available) for name in names}
    return {name: columns for name, columns in lacking.items() if columns}


Maker = Callable[[pl.LazyFrame, pl.LazyFrame], pl.LazyFrame]
"""Makes features: called with the rows of a view's query and the entities (its key and as_of), it gives the entities of
which something is known with a column per feature."""
_NO_MAKERS: Final[Mapping[str, Maker]] = {}


class WarehouseFeatures:
    """The port FeatureStore over tables of the warehouse."""

    def __init__(
        self, views: Mapping[str, FeatureView], tables: Tables, makers: Mapping[str, Maker] = _NO_MAKERS
    ) -> None:
        """`views` by name; `tables`: normalised frames of `domain.tables` by noun; `makers` by the views' `madeBy`."""
        self._views = views
        self._tables = tables
        self._makers = makers

    def join(self, entities: pl.LazyFrame, names: Sequence[str]) -> pl.LazyFrame:
        """The rows of `entities`, in their order, with the features `names` and a flag `<name>_missing` for each.

        `entities` has customer_id, subject_id and as_of (Datetime us, UTC); rows may repeat. The same rows give the
        same bytes, however tables are ordered and whichever engine collects. Raises ModelError for a feature that is
        unknown or cannot be computed, and where `entities` has a column of its name.

        Collected in one plan, all views are read at the same time; `join_in_turn` holds one in memory.
        """
        self._check(entities, names)
        joined = entities
        for view, features in self._asked(names):
            joined = _joined(joined, self._values(entities, view, features), view, features)
        return joined.select(*entities.collect_schema().names(), *names, *map(missing_flag, names))

    def join_in_turn(self, entities: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
        """`join`, collected one view after the other: for long histories, as memory holds one of them."""
        self._check(entities.lazy(), names)
        joined = entities
        for view, features in self._asked(names):
            values = self._values(entities.lazy(), view, features).collect(engine="streaming")
            joined = _joined(joined.lazy(), values.lazy(), view, features).collect()
        return joined.select(*entities.columns, *names, *map(missing_flag, names))

    def rows(self, view: FeatureView, features: Sequence[Feature] = ()) -> pl.LazyFrame:
        """The view's rows: `_key`, `_event`, `_known` and a column per feature. Raises ModelError."""
        return view_rows(view, run(view, self._tables), () if view.made_by else features)

    def _asked(self, names: Sequence[str]) -> list[tuple[FeatureView, list[Feature]]]:
        """The views that `names` are features of, with those features."""
        found = ((view, [one for one in view.features if one.name in names]) for view in self._views.values())
        return [(view, features) for view, features in found if features]

    def _groups(self, view: FeatureView) -> pl.LazyFrame:
        """`_subject`, `_group` and `_weight`, without rows that lack one."""
        rows = run(view, self._tables, "groups")
        weight = pl.col("weight").cast(pl.Float64) if "weight" in _columns_of_groups(view) else pl.lit(1.0)
        key, group = (pl.col(name).cast(pl.String) for name in GROUP_COLUMNS)
        return rows.select(key.alias("_subject"), group.alias("_group"), weight.alias("_weight")).drop_nulls()

    def _check(self, entities: pl.LazyFrame, names: Sequence[str]) -> None:
        columns = declared({name: table.collect_schema().names() for name, table in self._tables.items()})
        lacking = unavailable(self._views.values(), names, columns)
        if lacking:
            described = "; ".join(f"{name} needs {', '.join(columns)}" for name, columns in lacking.items())
            raise ModelError(
                f"features cannot be computed: {described}. Add the columns to the warehouse,"
                " or leave the features out of the model"
            )
        taken = sorted({*names, *map(missing_flag, names)} & set(entities.collect_schema().names()))
        if taken:
            raise ModelError(
                f"the rows to join features to have columns {', '.join(taken)} already; rename or drop them"
            )

    def _values(self, entities: pl.LazyFrame, view: FeatureView, features: Sequence[Feature]) -> pl.LazyFrame:
        """The features' values by the entity's key and `as_of`, of those of whom anything is known."""
        if view.made_by:
            return self._made(entities, view, features)
        keys = key_names(view)
        asked = {name: pl.col(column) for name, column in keys.items()}
        pairs = entities.select(**asked, _as_of=pl.col("as_of")).drop_nulls().unique().collect()
        rows = self.rows(view, features).with_columns(pl.col(name).cast(pairs.schema[name]) for name in keys)
        if view.groups is None:
            found = known_values(rows, pairs, features)
        else:
            found = known_of_groups(view, rows, self._groups(view), pairs, features)
        return found.select(
            *(pl.col(name).alias(column) for name, column in keys.items()),
            pl.col("_as_of").alias("as_of"),
            *(finished(feature) for feature in features),
        )

    def _made(self, entities: pl.LazyFrame, view: FeatureView, features: Sequence[Feature]) -> pl.LazyFrame:
        """The features of a view that has a maker, likewise."""
        keys = [*view.key_columns, "as_of"]
        values = self._makers[str(view.made_by)](
            run(view, self._tables), entities.select(keys).drop_nulls().unique(maintain_order=True)
        )
        return values.select(*keys, *(finished(feature) for feature in features))


def _columns_of_groups(view: FeatureView) -> list[str]:
    return [*GROUP_COLUMNS, *(["weight"] if gives(view, "weight", "groups") else [])]


def _joined(
    entities: pl.LazyFrame, values: pl.LazyFrame, view: FeatureView, features: Sequence[Feature]
) -> pl.LazyFrame:
    return entities.join(values, on=[*view.key_columns, "as_of"], how="left", maintain_order="left").with_columns(
        *(pl.col(one.name).is_null().alias(missing_flag(one.name)) for one in features),
        *(pl.col(one.name).fill_null(pl.lit(one.default, TYPES[one.type])) for one in features),
    )
