"""Learning who comes of those who register: registrations with what was known of them, and a model of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.events import EVENTS, PAST_REGISTRATIONS
from engage_assets.domain.program import ScoringModel
from engage_assets.domain.slots import known_zones
from engage_assets.events import attending
from engage_assets.events.catalogue import Catalogue
from engage_assets.events.forecast import Floats, share_of, spread_of
from engage_assets.features.store import unavailable
from engage_assets.scoring.trained_model import TrainedModel, inputs, probabilities
from engage_assets.scoring.training import train

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

MOST_EVENTS: Final = 200
"""Past events that are looked at, the newest."""
MOST_EXAMPLES: Final = 50_000
"""Registrations for them that are looked at; of more people some are drawn, the same ones each time."""
_DRAWN: Final = 2**20
_NAME: Final = "attendance-forecast"
_MODEL: Final = ScoringModel(
    model_id=_NAME,
    endpoint=f"local://{_NAME}",
    features=attending.FEATURES,
    kind="logistic-regression",
    label="attended",
)
_PROFILE: Final = "engagement_score"


@dataclass(frozen=True)
class Knowledge:
    """What is known of events and registrations at an instant."""

    batch: "Batch"
    log: pl.LazyFrame
    """REGISTRATIONS_LOG of the program."""
    until: datetime
    catalogue: Catalogue
    history: pl.LazyFrame
    """As attending.settled."""

    @classmethod
    def of(cls, batch: "Batch", log: pl.LazyFrame, until: datetime) -> "Knowledge":
        """Read it from the warehouse and the log."""
        table = batch.tables.get(EVENTS.name)
        catalogue = Catalogue.of(table.collect()) if table is not None else Catalogue(())
        rows = [(one.event_id, one.starts_at, one.ends_at) for one in catalogue.known(until).values()]
        schema = {"event_id": pl.String(), "starts_at": pl.Datetime("us"), "ends_at": pl.Datetime("us")}
        events = pl.DataFrame(rows, schema=schema, orient="row")
        history = attending.settled(log, batch.tables.get(PAST_REGISTRATIONS.name), events, until)
        return cls(batch, log, until, catalogue, history)

    def with_features(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Registrations with attending.FEATURES, by event, customer and time."""
        given = attending.with_features(rows, self.history, self._versions(), _zones(self.batch, rows))
        views = self.batch.program.feature_views
        is_named = any(one.name == _PROFILE for view in views for one in view.features)
        if not is_named or unavailable(views, [_PROFILE], self.batch.available):
            return given.with_columns(pl.lit(None, pl.Float64).alias(_PROFILE))
        people = given.select("customer_id", subject_id="event_id", as_of="registered_at")
        joined = self.batch.features.join_in_turn(people, [_PROFILE])
        return given.with_columns(joined[_PROFILE].cast(pl.Float64))

    def _versions(self) -> pl.DataFrame:
        names = ("event_id", "known_at", "starts_at", "time_zone", "duration_minutes")
        rows = [[getattr(one, name) for name in names] for one in self.catalogue.versions]
        return pl.DataFrame(rows, schema={name: EVENTS.schema[name] for name in names}, orient="row")


@dataclass(frozen=True)
class Learned:
    """What past events teach about who comes of those who register."""

    predict: Callable[[pl.DataFrame], Floats]
    """Probabilities of registrations with features."""
    spread: float
    """See events.forecast.spread_of."""
    attendances: tuple[int, ...]
    """How many came, of each past event."""
    examples: int
    model: TrainedModel | None
    """None: there was too little to learn from, and all have the share of those who came."""
    cause: str = ""
    """Why there is no model."""
    judged: pl.DataFrame | None = None
    """Registrations for the later events with features and label, which the model has not seen."""


def learn(known: Knowledge) -> Learned | None:
    """Who comes, out of registrations of which it is known; None: there are none.

    A calibrated logistic regression on the earlier 80 % of them, by the event's start; the spread of events is that of
    the later ones, which it has not seen.
    """
    counted = _counted(known.history)
    history = _drawn(known.history, counted)
    if history.is_empty():
        return None
    attendances = tuple(counted["came"].to_list())
    examples = known.with_features(history.drop("starts_at", "ends_at")).join(
        history.select("event_id", as_of="starts_at").unique(), on="event_id"
    )
    examples = examples.rename({"event_id": "subject_id", "came": "label"})
    try:
        model = train(_MODEL, examples, as_of=known.until.date())
    except ModelError as error:
        share = share_of(int(counted["came"].sum()), int(counted["registered"].sum()))
        past = [(np.full(people, share), came) for came, people in counted.select("came", "registered").iter_rows()]
        return Learned(
            lambda rows: np.full(rows.height, share), spread_of(past), attendances, history.height, None, str(error)
        )

    def predict(rows: pl.DataFrame) -> Floats:
        return probabilities(model.pipeline, inputs(rows, model.features, model.texts))

    later = examples.filter(pl.col("as_of") > model.fitting_end)
    spread = spread_of(list(_by_event(later.with_columns(chance=pl.Series(predict(later))))))
    return Learned(predict, spread, attendances, history.height, model, judged=later)


def _by_event(rows: pl.DataFrame) -> Iterator[tuple[Floats, int]]:
    """Chances, and how many came, of each event."""
    for event in rows.sort("subject_id", "customer_id").partition_by("subject_id", maintain_order=True):
        yield event["chance"].to_numpy(), int(event["label"].sum())


def _counted(history: pl.LazyFrame) -> pl.DataFrame:
    """The newest MOST_EVENTS events: how many were registered, and how many of them came."""
    each = history.group_by("event_id", "starts_at").agg(pl.col("came").sum(), registered=pl.len())
    newest = each.collect(engine="streaming").sort("starts_at", "event_id", descending=True).head(MOST_EVENTS)
    return newest.sort("starts_at", "event_id")


def _drawn(history: pl.LazyFrame, counted: pl.DataFrame) -> pl.DataFrame:
    """Registrations for these events; of more than MOST_EXAMPLES those of some people."""
    people = int(counted["registered"].sum())
    theirs = history.join(counted.lazy().select("event_id"), on="event_id", how="semi")
    if people > MOST_EXAMPLES:
        theirs = theirs.filter(pl.col("customer_id").hash(seed=0) % _DRAWN < _DRAWN * MOST_EXAMPLES // people)
    return theirs.collect(engine="streaming")


def _zones(batch: "Batch", people: pl.DataFrame) -> pl.DataFrame:
    """Where people live: their own zone where it is one, else their marketplace's."""
    table = batch.tables["customers"]
    own = pl.col("time_zone") if "time_zone" in table.collect_schema().names() else pl.lit(None, pl.String)
    markets = {code: market.time_zone for code, market in batch.marketplaces.items()}
    valid = pl.when(own.is_in(sorted(known_zones()))).then(own)
    shop = pl.col("marketplace").replace_strict(markets, default=None, return_dtype=pl.String)
    theirs = table.join(people.lazy().select("customer_id").unique(), on="customer_id", how="semi")
    zones = theirs.select("customer_id", time_zone=pl.coalesce(valid, shop)).drop_nulls()
    return zones.group_by("customer_id").agg(pl.col("time_zone").min()).collect()
