"""Feature views: what is declared of features, in YAML beside the programs."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from engage_assets.domain.duration import Duration
from engage_assets.domain.spec import Spec

Entity = Literal["customer", "subject"]
Aggregate = Literal["last", "only", "count", "sum", "min", "max", "distinct"]
FeatureName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")]

ENTITY_COLUMNS: Final[dict[Entity, str]] = {"customer": "customer_id", "subject": "subject_id"}
"""Column of an entity's key, in the result of a view's query and in the rows that features are joined to."""


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
        description="last: of the latest event; only: where all rows agree; count: rows; distinct: different values.",
    )
    column: str | None = Field(None, description="Column of the query's result; default: the feature's name.")
    window: Duration | None = Field(None, description="Only events of so long before the instant; default: all.")
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

    @property
    def source_column(self) -> str | None:
        """The column of the query's result that it is made of; None: rows are counted."""
        return None if self.aggregate == "count" else self.column or self.name


class FeatureView(Spec):
    """Rows of facts about one kind of entity, each with the time when it happened and when it became known."""

    view: FeatureName
    description: str = Field(min_length=1)
    entity: Entity
    query: str = Field(
        min_length=1,
        description="SQL over the warehouse's tables: the entity's key (customer_id or subject_id), the time columns,"
        " and the columns that features name. It is read by Polars.",
    )
    event_time: str = Field("event_at", description="Column: when it happened.")
    known_at: str = Field("known_at", description="Column: when it became known.")
    freshness: Duration = Field(timedelta(days=2), description="A view whose last known row is older is late.")
    owners: tuple[str, ...] = ()
    features: tuple[Feature, ...] = Field(min_length=1)

    @property
    def key_column(self) -> str:
        """The column of the entity's key."""
        return ENTITY_COLUMNS[self.entity]


class FeatureViews(Spec):
    """A file of views."""

    views: tuple[FeatureView, ...] = Field(min_length=1)

    @field_validator("views")
    @classmethod
    def _have_their_own_names(cls, value: tuple[FeatureView, ...]) -> tuple[FeatureView, ...]:
        _require_unique("view", [view.view for view in value])
        _require_unique("feature", [feature.name for view in value for feature in view.features])
        return value


def _require_unique(what: str, names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"{what} {', '.join(twice)} stands more than once; each must be unique")
