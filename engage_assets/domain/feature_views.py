"""Feature views: what is declared of features, in YAML beside the programs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from engage_assets.domain.duration import Duration
from engage_assets.domain.spec import Spec

Entity = Literal["customer", "subject", "pair"]
Aggregate = Literal["last", "age", "only", "count", "sum", "min", "max", "distinct", "mean", "share", "similarity"]
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]

ENTITY_COLUMNS: Final[dict[Entity, tuple[str, ...]]] = {
    "customer": ("customer_id",),
    "subject": ("subject_id",),
    "pair": ("customer_id", "subject_id"),
}
"""Columns of an entity's key, in the result of a view's query and in the rows that features are joined to."""
GROUP_COLUMNS: Final = ("subject_id", "group_id")
"""What a query of `groups` gives, and may give beside it a weight."""

_OF_SINGLE_ROWS: Final = ("last", "age", "only", "count", "sum", "min", "max", "distinct")
_OF_GROUPS: Final[dict[Entity, tuple[str, ...]]] = {
    "subject": ("count", "sum", "mean"),
    "pair": ("share", "similarity"),
}


def missing_flag(feature: str) -> str:
    """The column that says whether nothing was known of a feature: `price_missing`."""
    return f"{feature}_missing"


class Feature(Spec):
    """A feature: how it is made of the view's rows that were known, and what it may hold."""

    name: FeatureName
    type: Literal["number", "text"] = "number"
    description: str = Field(min_length=1)
    aggregate: Aggregate = Field(
        "last",
        description="last: of the latest event; age: days since it; only: where all rows agree; count: rows; distinct:"
        " different values. Of groups: mean; share of the customer's weight that the subject's groups have; similarity:"
        " cosine between the customer's weights and the subject's.",
    )
    column: str | None = Field(
        None,
        description="Column of the query's result; default: the feature's name, and 1 a row for share, similarity.",
    )
    window: Duration | None = Field(None, description="Only events of so long before the instant; default: all.")
    half_life: Duration | None = Field(
        None, description="share, similarity: the time in which a row's weight falls to a half; default: never."
    )
    shrinkage: float = Field(
        0, ge=0, description="mean: so many rows of the mean over all groups are added to the group's own."
    )
    others: bool = Field(False, description="mean: of the group's other subjects, without the subject's own rows.")
    per: Duration | None = Field(None, description="count, sum: the value becomes a rate, so much per this time.")
    scale: Literal["log"] | None = Field(None, description="log: the value becomes ln(1 + value).")
    full: float | None = Field(None, gt=0, description="The value becomes min(value, full) / full.")
    default: float | str | None = Field(None, description="What stands where nothing is known; default: null.")
    minimum: float | None = Field(None, description="Contract: the least value.")
    maximum: float | None = Field(None, description="Contract: the greatest value.")
    most_missing: float = Field(
        1.0, ge=0, le=1, description="Contract: the largest share of rows of which nothing is known."
    )

    @model_validator(mode="after")
    def _fits_its_type(self) -> Self:
        if self.type == "text" and (self.aggregate in ("count", "sum", "distinct") or self.full is not None):
            raise ValueError(f"{self.name}: a text has no count, sum, distinct or full; make it a number")
        if self.default is not None and isinstance(self.default, str) != (self.type == "text"):
            raise ValueError(f"{self.name}: default {self.default!r} is no {self.type}")
        return self

    @model_validator(mode="after")
    def _fits_its_aggregate(self) -> Self:
        if self.type == "text" and (self.aggregate not in ("last", "only", "min", "max") or self.scale):
            raise ValueError(f"{self.name}: a text has no {self.aggregate} or scale; make it a number")
        if self.half_life and self.aggregate not in ("share", "similarity"):
            raise ValueError(f"{self.name}: halfLife is for share and similarity; remove it")
        if (self.shrinkage or self.others) and self.aggregate != "mean":
            raise ValueError(f"{self.name}: shrinkage and others are for the mean; remove them")
        if self.per and (self.window is None or self.aggregate not in ("count", "sum")):
            raise ValueError(f"{self.name}: per is for a count or sum over a window; state the window, or remove it")
        return self

    @property
    def source_column(self) -> str | None:
        """The column of the query's result that it is made of; None: rows are counted, or weigh 1 each."""
        if self.aggregate in ("count", "age"):
            return None
        return self.column if self.aggregate in ("share", "similarity") else self.column or self.name


class FeatureView(Spec):
    """Rows of facts about one kind of entity, each with the time when it happened and when it became known.

    With `groups` its features are of what subjects have in common: a subject's, those of the rows of all subjects of
    its group; a pair's, how much of what the customer's rows are about is about the subject's groups.
    """

    view: FeatureName
    description: str = Field(min_length=1)
    entity: Entity
    sources: tuple[str, ...] = Field(
        (), description="Source tables whose programs may take its features; default: all programs."
    )
    query: str = Field(
        min_length=1,
        description="SQL over the warehouse's tables: the entity's key (customer_id, subject_id or both), the time"
        " columns, and the columns that features name. It is read by Polars.",
    )
    groups: str | None = Field(
        None,
        min_length=1,
        description="SQL that gives subject_id and group_id, and a weight where groups differ in it; as it is now.",
    )
    made_by: Literal["interest-match"] | None = Field(
        None, description="What makes the features out of the query's rows; default: their aggregates."
    )
    optional: tuple[str, ...] = Field(
        (), description="table.column of what the query can do without: null where the table lacks it."
    )
    event_time: str = Field("event_at", description="Column: when it happened.")
    known_at: str = Field("known_at", description="Column: when it became known.")
    freshness: Duration = Field(timedelta(days=2), description="A view whose last known row is older is late.")
    owners: tuple[str, ...] = ()
    features: tuple[Feature, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_aggregates_of_its_kind(self) -> Self:
        if self.made_by and self.groups is not None:
            raise ValueError(f"{self.view}: {self.made_by} makes its features; remove `groups`")
        if self.entity == "pair" and self.groups is None and self.made_by is None:
            raise ValueError(f"{self.view}: a pair's features are of groups; state the query of `groups`")
        if self.entity == "customer" and self.groups is not None:
            raise ValueError(f"{self.view}: a customer belongs to no group of subjects; remove `groups`")
        known = _OF_GROUPS[self.entity] if self.groups else _OF_SINGLE_ROWS
        for feature in self.features:
            if feature.aggregate not in known:
                raise ValueError(f"{feature.name}: aggregate {feature.aggregate}: this view has {', '.join(known)}")
        return self

    @property
    def key_columns(self) -> tuple[str, ...]:
        """The columns of the entity's key."""
        return ENTITY_COLUMNS[self.entity]

    def serves(self, source_table: str) -> bool:
        """Whether programs about this source table may take its features."""
        return not self.sources or source_table in self.sources

    def meets(self, other: "FeatureView") -> bool:
        """Whether a program may have both views."""
        return not self.sources or not other.sources or not set(self.sources).isdisjoint(other.sources)


class FeatureViews(Spec):
    """A file of views."""

    views: tuple[FeatureView, ...] = Field(min_length=1)

    @field_validator("views")
    @classmethod
    def _have_their_own_names(cls, value: tuple[FeatureView, ...]) -> tuple[FeatureView, ...]:
        _require_unique("view", [view.view for view in value])
        for view in value:
            together = [other for other in value if view.meets(other)]
            _require_unique("feature", [feature.name for one in together for feature in one.features])
        return value


def _require_unique(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} {', '.join(twice)} stands more than once; each must be unique")
