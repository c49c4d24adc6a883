"""The stages of training: examples, a version and its verdict, and what its card tells."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final

import polars as pl

from engage_assets.defs.batch import Batch
from engage_assets.defs.feature_stages import profile_of
from engage_assets.defs.own import OWN
from engage_assets.domain.errors import ModelError
from engage_assets.domain.program import ScoringModel
from engage_assets.domain.tables import INTERACTIONS_LOG, RESPONSES_LOG, SENDS_LOG, empty_frame
from engage_assets.features.profile import contract_faults
from engage_assets.scoring import model_files, registry, training
from engage_assets.scoring.combined import Combination, Member, combine_reference
from engage_assets.scoring.evaluation import Verdict
from engage_assets.scoring.examples import examples
from engage_assets.scoring.gate import SEED, judge, judged_rows
from engage_assets.scoring.limits import UNASKED
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.model_card import ModelCard, card_of
from engage_assets.scoring.registry import Registered
from engage_assets.scoring.sent_examples import sent_examples
from engage_assets.scoring.trained_model import TrainedModel

FEWEST_SENT: Final = 1_000
"""Mature sends below which a model learns from what people did unasked: a program has to begin somewhere."""
FEWEST_ANSWERED: Final = 100
"""Answers among them, likewise; of answers, good and bad ones each."""


@dataclass(frozen=True)
class Past:
    """What the ledger and the lists knew at the training date; None: nothing yet."""

    sends: pl.LazyFrame | None
    responses: pl.LazyFrame | None
    interactions: pl.LazyFrame | None
    explored: pl.LazyFrame | None
    """campaign_id, customer_id, subject_id of sends whose places went by lot."""
    attended: pl.LazyFrame | None = None
    """customer_id and subject_id of who came."""


def chosen_examples(batch: Batch, model: ScoringModel, as_of: date, past: Past) -> tuple[pl.DataFrame, str]:
    """Examples without features, and their label: the model's, or what was done unasked where too few sends matured."""
    unasked = UNASKED[model.label]
    if unasked != model.label:
        sent = sent_examples(
            past.sends if past.sends is not None else empty_frame(SENDS_LOG).lazy(),
            past.responses if past.responses is not None else empty_frame(RESPONSES_LOG).lazy(),
            past.interactions if past.interactions is not None else empty_frame(INTERACTIONS_LOG).lazy(),
            model=model,
            program=batch.program,
            as_of=as_of,
            explored=past.explored,
            attended=past.attended,
        ).collect()
        positive = int(sent["label"].sum())
        rarer = min(positive, sent.height - positive) if model.label == "liked" else positive
        if sent.height >= FEWEST_SENT and rarer >= FEWEST_ANSWERED:
            return sent, model.label
    return _unasked(batch, model, as_of).collect(), unasked


def _unasked(batch: Batch, model: ScoringModel, as_of: date) -> pl.LazyFrame:
    own = OWN.get(batch.source.table.name)
    if own:
        return own.examples(batch, model, as_of)
    config, given = batch.program.connector.config, batch.source.answers
    records = batch.warehouse.scan(batch.source.table, config.place, required=True)
    assert records is not None
    name = given.table.name
    needed = [name] if model.label != "liked" else [name, f"{name}.{given.is_positive}"]
    lacking = [one for one in needed if one not in (*batch.tables, *batch.available)]
    if lacking:
        raise ModelError(
            f"model {model.model_id} learns from {', '.join(f'{config.database}.{one}' for one in lacking)}, which is"
            " missing: bring it"
        )
    return examples(
        records,
        batch.tables[name],
        source=batch.source,
        model=model,
        as_of=as_of,
        batch_time=batch.program.cadence.at,
    )


def with_features(batch: Batch, found: pl.DataFrame, model: ScoringModel) -> pl.DataFrame:
    """The examples with the model's features, as known at each example's instant, and the customer's marketplace."""
    marketplaces = batch.tables["customers"].select("customer_id", "marketplace")
    joined = batch.features.join_in_turn(found, list(model.features))
    of_market = marketplaces.group_by("customer_id").agg(pl.col("marketplace").drop_nulls().min()).collect()
    return joined.join(of_market, on="customer_id", how="left", maintain_order="left").sort(
        "as_of", "customer_id", "subject_id"
    )


def labelled(model: ScoringModel, given: pl.DataFrame) -> ScoringModel:
    """The model with the label that its examples really have."""
    kinds = given["label_kind"].unique().to_list()
    return model.model_copy(update={"label": kinds[0]}) if kinds else model


def version_of_day(folder: Path, model_id: str, as_of: date) -> Registered:
    """The version that was trained as of a day. Raises ModelError where there is none."""
    found = [one for one in registry.versions(folder, model_id) if one.as_of == as_of]
    if not found:
        raise ModelError(f"{folder / model_id} holds no version of {model_id} as of {as_of}; train it first")
    return found[-1]


def verdict_of(made: Registered) -> Verdict:
    """The verdict on a version. Raises ModelError where nobody judged it."""
    if made.verdict is None:
        raise ModelError(f"version {made.version} of {made.model_id} has no verdict: train again")
    return made.verdict


def champion_of(folder: Path, model: ScoringModel) -> TrainedModel | None:
    """The version in use, or None where there is none that could score the program's candidates."""
    try:
        in_use = model_files.load(folder, model.model_id)
    except ModelError:
        return None
    return in_use if set(in_use.features) <= set(model.features) else None


def train_and_judge(
    folder: Path, model: ScoringModel, given: pl.DataFrame, *, as_of: date, now: datetime, faults: list[str]
) -> tuple[TrainedModel, Verdict, Registered]:
    """Train, judge against the version in use, and put the new one into use where the verdict says so.

    A version in use that cannot score the program's candidates any more, since it cannot be loaded or takes features
    that the program no longer names, is passed over: the new one is then judged as a first model is.
    """
    in_use = champion_of(folder, model)
    trained = training.train(model, given, as_of=as_of)
    verdict = judge(trained, in_use, given, metric=model.metric, faults=faults)
    registered = registry.register(folder, trained, verdict, who="weekly retraining", at=now)
    return trained, verdict, registered


def contract_of(batch: Batch, given: pl.DataFrame, model: ScoringModel) -> list[str]:
    """Features of the examples that break what their views promise, one line each."""
    as_of = batch.training_instant
    used = [view for view in batch.program.used_views if any(one.name in model.features for one in view.features)]
    return [
        fault for view in used for fault in contract_faults(view, profile_of(batch, view, given.lazy(), as_of=as_of))
    ]


def combine(batch: Batch, members: Sequence[Member], given: Sequence[pl.DataFrame]) -> Combination:
    """What joins several models: their common population, examples that none of them learned from.

    `given`: the examples of each model. Raises ModelError where no row is left.
    """
    fitted = [member.scorer.model.fitting_end for member in members if isinstance(member.scorer, LocalScorer)]
    keys = ["customer_id", "subject_id", "as_of"]
    later = pl.concat([one.select(keys) for one in given]).unique().filter(pl.col("as_of") > max(fitted)).sort(keys)
    names = list(dict.fromkeys(name for member in members for name in member.scorer.features))
    return combine_reference(members, batch.features.join(later.lazy(), names).collect())


def card_of_version(
    batch: Batch,
    model: ScoringModel,
    trained: TrainedModel,
    verdict: Verdict,
    given: pl.DataFrame,
    *,
    declared: datetime | None,
) -> ModelCard:
    """What the card of a version tells; `given`: the examples that it was trained on, with features."""
    described = {one.name: one.description for view in batch.program.feature_views for one in view.features}
    return card_of(
        trained,
        verdict,
        judged_rows(given, None, trained),
        descriptions=described,
        hyperparameters=model.hyperparameters,
        seed=SEED,
        declared_clock=declared,
    )
