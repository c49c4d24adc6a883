"""Examples that models about events learn from before a program sends: whom past Mondays would have invited."""

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, Final

import narwhals as nw
import polars as pl

from engage_assets.defs.event_stages import catalogue_of, config_of, topics_of
from engage_assets.domain.errors import ModelError
from engage_assets.domain.events import PAST_REGISTRATIONS, Event
from engage_assets.domain.facts import latest_known
from engage_assets.domain.filter_specs import InterestMatchFilter, TrustFilter
from engage_assets.domain.program import Program, ScoringModel
from engage_assets.domain.tables import CUSTOMER_TRUST
from engage_assets.events.catalogue import invited_by
from engage_assets.filters import geography, interests
from engage_assets.filters.asking import Asking
from engage_assets.filters.clauses import first_reason
from engage_assets.filters.trust import trust

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

MOST_PAIRS: Final = 4_000_000
"""Customers times past events that are looked at; of more customers some are drawn, the same ones each time."""
SETTLED: Final = timedelta(days=1)
"""Who came is known so long after an event's end."""
_PAIR: Final = ["customer_id", "subject_id"]
_DRAWN: Final = 2**20


def unasked_examples(batch: "Batch", model: ScoringModel, as_of: date) -> pl.LazyFrame:
    """customer_id, subject_id, as_of, label, is_exploration: a row per customer and event that a Monday invited for.

    Customers are those whose interests and region the program's filters accept, as their profiles are now, and whose
    account the trust filter accepts as it was known then. `as_of` of a row is the batch instant; events are as they
    were known then. `label`: whether the customer registered elsewhere in (as_of, as_of + label_days]; of a model that
    foretells `attended`, whether he did and came (where nobody says whether he came, the row is no example). Only
    events that took place and had ended, and labels that are mature at midnight of the training date count; who had
    registered before is left out.

    Sorted by as_of, customer and subject. Raises ModelError where the deployment has no past registrations.
    """
    registered = batch.tables.get(PAST_REGISTRATIONS.name)
    if registered is None:
        raise ModelError(
            f"model {model.model_id} learns from {PAST_REGISTRATIONS.database}.{PAST_REGISTRATIONS.name}, which is"
            " missing: bring it"
        )
    trained_at = datetime.combine(as_of, time.min)
    mondays = _mondays(batch, model, trained_at)
    profiles = _drawn(batch, sum(map(len, mondays.values())))
    parts = [_accepted(batch, profiles, events, instant) for instant, events in sorted(mondays.items())]
    offered = pl.concat(parts) if parts else _nobody()
    labelled = _labelled(offered, registered, model, trained_at)
    return labelled.with_columns(is_exploration=pl.lit(value=False)).sort("as_of", *_PAIR).lazy()


def _mondays(batch: "Batch", model: ScoringModel, trained_at: datetime) -> dict[datetime, list[Event]]:
    """By batch instant the events that it invited for, and of which it is known by now who came."""
    program = batch.program
    config, cadence, catalogue = config_of(program), program.cadence, catalogue_of(batch)
    partition = cadence.partition_of(trained_at - timedelta(days=model.label_days))
    found: dict[datetime, list[Event]] = {}
    in_the_end = catalogue.known(trained_at)
    while (instant := cadence.batch_instant(partition)) >= trained_at - timedelta(days=model.history_days):
        events = invited_by(catalogue.known(instant), partition, config.invite_lead_days)
        found[instant] = [
            event
            for event in events
            if not (event.is_cancelled or in_the_end[event.event_id].is_cancelled)
            and instant < event.deadline(config.registration_deadline_days)
            and event.ends_at + SETTLED <= trained_at
        ]
        partition -= cadence.step
    return {instant: events for instant, events in found.items() if events}


def _drawn(batch: "Batch", events: int) -> pl.DataFrame:
    """Profiles of customers; of many, so many that with the events they make MOST_PAIRS."""
    table = batch.warehouse.scan(batch.source.table, batch.program.connector.config.place, required=True)
    assert table is not None
    present = table.collect_schema().names()
    region = pl.col("geographic_region") if "geographic_region" in present else pl.lit(None, pl.String)
    rows = table.select("customer_id", "interest_tags", region.alias("geographic_region")).drop_nulls("customer_id")
    customers = rows.select(pl.col("customer_id").n_unique()).collect().item()
    share = min(1.0, MOST_PAIRS / max(customers * events, 1))
    chosen = rows.filter(pl.col("customer_id").hash(seed=0) % _DRAWN < round(share * _DRAWN)) if share < 1 else rows
    written = pl.col("interest_tags").list.sort().list.join("\n", ignore_nulls=True)
    return (
        chosen.group_by("customer_id")
        .agg(pl.col("interest_tags", "geographic_region").sort_by(written, "geographic_region").last())
        .collect()
    )


def _accepted(batch: "Batch", profiles: pl.DataFrame, events: list[Event], instant: datetime) -> pl.DataFrame:
    """Pairs that the interest filter, the regions and what was known of the account let pass, at one batch instant."""
    ids = pl.DataFrame({"subject_id": [event.event_id for event in events]}, schema={"subject_id": pl.String})
    pairs = _trusted(batch, profiles, instant).join(ids, how="cross")
    program = batch.program
    if any(spec.filter_id == "geographic" for spec in program.filter_chain):
        pairs = pairs.join(geography.regions(events, program), on=["subject_id", "geographic_region"], how="semi")
    topics = topics_of(batch)
    near, means = interests.likeness(events, topics), interests.matches(events, topics)
    found: Any = interests.matched(_lazy(pairs), Asking(program, instant), _lazy(near), _lazy(means))
    matched = pairs.select(_PAIR).join(found.to_native().collect(), on=_PAIR, how="left")
    passes = pl.col("interest_match").fill_null(0.0) >= _minimum(program)
    return matched.filter(passes).select(*_PAIR, pl.lit(instant).cast(pl.Datetime("us")).alias("as_of"))


def _trusted(batch: "Batch", profiles: pl.DataFrame, instant: datetime) -> pl.DataFrame:
    """Profiles of customers whose account the trust filter accepts as known at `instant`; who came later is none."""
    table = batch.tables.get(CUSTOMER_TRUST.name)
    specs = [spec for spec in batch.program.filter_chain if isinstance(spec, TrustFilter)]
    if table is None or not specs:
        return profiles
    account = {f"{CUSTOMER_TRUST.name}.{column.name}" for column in CUSTOMER_TRUST.columns} & batch.available
    clauses = [one for one in trust(specs[0], batch.program) if one.needs <= account]
    facts = sorted(need.partition(".")[2] for one in clauses for need in one.needs)
    asked = _lazy(profiles.select("customer_id"))
    known = nw.from_native(table).filter(nw.col("known_at") <= instant).select("customer_id", "known_at", *facts)
    latest = latest_known(known.join(asked, on="customer_id", how="semi"), "customer_id", "known_at", facts)
    judged = asked.join(latest, on="customer_id", how="left").with_columns(first_reason(clauses).alias("_reason"))
    kept: Any = judged.filter(nw.col("_reason").is_null()).select("customer_id")
    return profiles.join(kept.to_native().collect(), on="customer_id", how="semi")


def _minimum(program: Program) -> float:
    found = (spec.parameters.min_match_score for spec in program.filter_chain if isinstance(spec, InterestMatchFilter))
    return next(found, 0.0)


def _labelled(
    offered: pl.DataFrame, registered: pl.LazyFrame, model: ScoringModel, trained_at: datetime
) -> pl.DataFrame:
    """The latest pairs with `label`, without those who had registered before or have none."""
    there = registered.collect_schema().names()
    came = pl.col("attended") if "attended" in there else pl.lit(None, pl.Boolean)
    at = pl.col("registered_at").fill_null(datetime(1, 1, 1))  # noqa: DTZ001 - UTC without a zone attached
    given = registered.filter(pl.col("registered_at").is_null() | (pl.col("registered_at") <= trained_at)).select(
        "customer_id", pl.col("event_id").alias("subject_id"), at.alias("_at"), came.alias("_came")
    )
    after = pl.col("_at") - pl.col("as_of")
    in_time = (after > timedelta(0)) & (after <= timedelta(days=model.label_days))
    label = in_time.any()
    if model.label.startswith("attended"):
        said = pl.col("_came").filter(in_time)
        label = pl.when(~in_time.any()).then(pl.lit(value=False)).when(said.count() > 0).then(said.any())
    rows = offered.lazy().join(given, on=_PAIR, how="left").group_by(*_PAIR, "as_of")
    judged = rows.agg(had=(after <= timedelta(0)).any(), label=label)
    kept = judged.filter(~pl.col("had"), pl.col("label").is_not_null()).drop("had")
    return kept.group_by(_PAIR).agg(pl.all().sort_by("as_of").last()).collect().select(*_PAIR, "as_of", "label")


def _nobody() -> pl.DataFrame:
    return pl.DataFrame(schema={**dict.fromkeys(_PAIR, pl.String()), "as_of": pl.Datetime("us")})


def _lazy(frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    return nw.from_native(frame.lazy())
