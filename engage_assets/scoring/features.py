"""Features by name: what each means, which columns it needs, and its value at an instant.

The same join serves scoring (one instant for all rows) and training (one per row), so a model never
meets a feature that was computed in another way than those it learned from. Values are counts, or
copied from a row, so they do not depend on the order in which rows are summed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal

import narwhals as nw
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.facts import stated_once
from engage_assets.domain.tables import declared

ENGAGEMENT_WINDOW: Final = timedelta(days=90)
ENGAGEMENT_FULL: Final = 10
"""Orders and reviews within the window that make an engagement score of 1."""

Tables = Mapping[str, pl.LazyFrame]
Values = Callable[[pl.LazyFrame, Tables], pl.LazyFrame]
"""From distinct pairs (`key`, `as_of`) to rows `key`, `as_of`, `value`, at most one per pair."""

ENTITY_COLUMNS: Final = {"customer": "customer_id", "subject": "subject_id"}
_FEATURE_TYPES: Final[dict[str, pl.DataType]] = {"number": pl.Float64(), "text": pl.String()}


@dataclass(frozen=True)
class Feature:
    """A feature: whose it is, what it holds, the columns it needs, and its value where nothing is known."""

    name: str
    entity: Literal["customer", "subject"]
    kind: Literal["number", "text"]
    needs: frozenset[str]
    description: str
    values: Values
    default: float | None = None


def _seen(pairs: pl.LazyFrame, happened: pl.LazyFrame) -> pl.LazyFrame:
    """Rows of `happened` (`key`, `at`, …) at or before the instant of each pair; a null instant is not seen."""
    return happened.join(pairs, on="key").filter(pl.col("at") <= pl.col("as_of"))


def _happened(tables: Tables, table: str, key: str, at: str) -> pl.LazyFrame:
    return tables[table].select(key=pl.col(key), at=pl.col(at))


def _engagement(pairs: pl.LazyFrame, tables: Tables) -> pl.LazyFrame:
    happened = pl.concat(
        [
            _happened(tables, "orders", "customer_id", "ordered_at"),
            _happened(tables, "reviews", "customer_id", "reviewed_at"),
        ]
    )
    return (
        _seen(pairs, happened)
        .filter(pl.col("at") > pl.col("as_of") - ENGAGEMENT_WINDOW)
        .group_by("key", "as_of")
        # Polars may multiply by 1/10 instead of dividing, depending on the plan: 0.30000000000000004.
        .agg(value=(pl.min_horizontal(pl.len(), ENGAGEMENT_FULL) / ENGAGEMENT_FULL).round(6))
    )


def _review_count(key: str) -> Values:
    def values(pairs: pl.LazyFrame, tables: Tables) -> pl.LazyFrame:
        happened = _happened(tables, "reviews", key, "reviewed_at")
        return _seen(pairs, happened).group_by("key", "as_of").agg(value=pl.len())

    return values


def _trust_score(pairs: pl.LazyFrame, tables: Tables) -> pl.LazyFrame:
    rank = ["account_status", "fraud_score", "trust_score"]
    # As in canonical JSON: keys compare in alphabetical order, and null lies above every number and text.
    missing = [name for name in rank if name not in tables["customer_trust"].collect_schema()]
    known = tables["customer_trust"].with_columns(pl.lit(None).alias(name) for name in missing)
    return (
        _seen(pairs, known.select(*rank, key="customer_id", at="known_at"))
        .group_by("key", "as_of")
        .agg(value=pl.col("trust_score").sort_by("at", *rank, nulls_last=True).last())
    )


def _of_product(column: str) -> Values:
    def values(pairs: pl.LazyFrame, tables: Tables) -> pl.LazyFrame:
        stated = tables["products"].select(key=pl.col("product_id"), value=pl.col(column))
        known: pl.LazyFrame = stated_once(nw.from_native(stated), "key").to_native()
        return pairs.join(known, on="key")

    return values


FEATURES: Final[dict[str, Feature]] = {
    feature.name: feature
    for feature in (
        Feature(
            "engagement_score",
            "customer",
            "number",
            frozenset({"orders.customer_id", "orders.ordered_at", "reviews.customer_id", "reviews.reviewed_at"}),
            "min(orders + reviews of the customer in the 90 days up to the instant, 10) / 10. Orders count when"
            " they were made, whatever became of them, as a later status was not known then.",
            _engagement,
            default=0.0,
        ),
        Feature(
            "review_history",
            "customer",
            "number",
            frozenset({"reviews.customer_id", "reviews.reviewed_at"}),
            "Reviews that the customer has written up to the instant.",
            _review_count("customer_id"),
            default=0.0,
        ),
        Feature(
            "trust_score",
            "customer",
            "number",
            frozenset({"customer_trust.customer_id", "customer_trust.known_at", "customer_trust.trust_score"}),
            "Trust score of the customer's latest row known at the instant; of several at once the greatest row.",
            _trust_score,
        ),
        Feature(
            "category",
            "subject",
            "text",
            frozenset({"products.product_id", "products.category"}),
            "The product's category, as it is now (the table has no instants); null where rows disagree.",
            _of_product("category"),
        ),
        Feature(
            "price",
            "subject",
            "number",
            frozenset({"products.product_id", "products.price"}),
            "The product's list price, as it is now (the table has no instants); null where rows disagree.",
            _of_product("price"),
        ),
        Feature(
            "rating_count",
            "subject",
            "number",
            frozenset({"reviews.product_id", "reviews.reviewed_at"}),
            "Reviews of the product up to the instant.",
            _review_count("product_id"),
            default=0.0,
        ),
    )
}
"""Every feature that a model may take. Adding one is adding a row here and its test."""


def unavailable(names: Sequence[str], available: frozenset[str]) -> dict[str, list[str]]:
    """Features of `names` that the deployment cannot compute, each with the `table.column` that it lacks, sorted.

    Raises ModelError for a name that is not in FEATURES.
    """
    unknown = sorted(set(names) - set(FEATURES))
    if unknown:
        raise ModelError(
            f"no feature is named {', '.join(unknown)}; known features: {', '.join(sorted(FEATURES))}."
            " Correct the model's `features`, or add a row to FEATURES in engage_assets/scoring/features.py"
        )
    lacking = {name: sorted(FEATURES[name].needs - available) for name in names}
    return {name: columns for name, columns in lacking.items() if columns}


def join_features(entities: pl.LazyFrame, tables: Tables, names: Sequence[str]) -> pl.LazyFrame:
    """The rows of `entities`, in their order, with one column per name: Float64 for numbers, String for texts.

    `entities` has customer_id, subject_id, as_of (Datetime us, UTC) and whatever else; `tables` are normalised
    frames of `domain.tables` by noun. Seen is what happened or became known at or before a row's own as_of.
    A row of which nothing is known keeps its place and has the feature's default, or null.

    Collected in one plan, the features read their histories at the same time; a caller short of memory joins and
    collects one name after the other, which costs no more CPU.

    Raises ModelError when a feature is unknown, when a column that it needs is missing, or when `entities` has a
    column of that name.
    """
    lacking = unavailable(names, declared({name: table.collect_schema().names() for name, table in tables.items()}))
    if lacking:
        described = "; ".join(f"{name} needs {', '.join(columns)}" for name, columns in lacking.items())
        raise ModelError(
            f"features cannot be computed: {described}. Add the columns to the warehouse,"
            " or leave the features out of the model"
        )
    taken = sorted(set(names) & set(entities.collect_schema().names()))
    if taken:
        raise ModelError(f"the rows to join features to have columns {', '.join(taken)} already; rename or drop them")
    joined = entities
    for name in names:
        joined = _join_feature(joined, entities, tables, FEATURES[name])
    return joined


def _join_feature(joined: pl.LazyFrame, entities: pl.LazyFrame, tables: Tables, feature: Feature) -> pl.LazyFrame:
    key = ENTITY_COLUMNS[feature.entity]
    pairs = entities.select(key=pl.col(key), as_of=pl.col("as_of")).unique()
    values = feature.values(pairs, tables).select(
        pl.col("key").alias(key),
        "as_of",
        pl.col("value").cast(_FEATURE_TYPES[feature.kind]).alias(feature.name),
    )
    joined = joined.join(values, on=[key, "as_of"], how="left", maintain_order="left")
    if feature.default is None:
        return joined
    return joined.with_columns(pl.col(feature.name).fill_null(feature.default))
