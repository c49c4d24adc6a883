"""The command explain: why a stored candidate has its score."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from engage_assets.cli.desk import launcher, plain_errors
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sources import SOURCES

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.scoring.explanations import Explanation, Value
    from engage_assets.scoring.trained_model import TrainedModel


@click.command()
@click.argument("customer_id")
@click.argument("subject_id")
@click.option("--program", "program_id", help="Of this program; needed where several have the candidate.")
def explain(customer_id: str, subject_id: str, program_id: str | None) -> None:
    """Say why a stored candidate has its score: its features, and what each adds to the log odds."""
    with plain_errors():
        desk = launcher()
        row = _candidate(desk, customer_id, subject_id, program_id)
        click.echo(
            f"{row['program']}, {row['marketplace']}, partition {row['partition_date']}: probability"
            f" {row['probability']:.6f}, score {row['score']:.6f} ({row['band']})"
        )
        for explanation in explanations_of(desk, row):
            click.echo("\n" + _table(explanation))
        told = told_of_records(desk, row["program"], row["partition_date"], customer_id)
        click.echo("".join(f"\n{line}" for subject, lines in told if subject == subject_id for line in lines))


def told_of_records(
    desk: "Launcher", program_id: str, partition: date, customer_id: str
) -> list[tuple[str, list[str]]]:
    """By subject what a customer's records of a partition come to, where the program's source has something to tell."""
    from engage_assets.defs.batch import Batch  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.own import OWN  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    source, own = SOURCES[program.source_table], OWN.get(program.source_table)
    if own is None:
        return []
    batch = Batch(program, partition, desk.folder.marketplaces, desk.parts["warehouse"])
    raw = desk.lake.scan((program.key, source.raw_asset), partition.isoformat())
    records = raw.filter(pl.col(source.customer) == customer_id).collect()
    return [(row[source.subject], own.explain(batch, row)) for row in records.iter_rows(named=True)]


def explanations_of(desk: "Launcher", row: Mapping[str, Any]) -> list["Explanation"]:
    """Why a candidate of the store has its score, by model, from the features of its partition in the lake.

    Raises EngageError where the partition is not there, or no longer has the candidate with this score; ModelError
    where the model's version is not there.
    """
    from engage_assets.scoring.combined import versions_in  # noqa: PLC0415 - as in launcher
    from engage_assets.scoring.explanations import explain as explained  # noqa: PLC0415 - as in launcher

    program = desk.program(row["program"])
    names = ("customer_id", "marketplace", "subject_type", "subject_id", "model_version", "score")
    partition = row["partition_date"].isoformat()
    scored = desk.lake.scan((program.key, "scored_candidates"), partition)
    features = [name for model in program.scoring_models for name in model.features]
    stored = SOURCES[program.source_table].feature_columns(dict.fromkeys(features))
    found = (
        scored.filter(**{name: row[name] for name in names})
        .with_columns(pl.col(column).alias(name) for name, column in stored.items())
        .collect()
    )
    if found.height != 1:
        raise EngageError(
            f"scored_candidates of {partition} has {found.height} rows with this candidate's score, not 1: it was made"
            f" anew since the candidate was stored; run `engage run {program.program_id} --date {partition}`"
        )
    ids = [model.model_id for model in program.scoring_models]
    folder = desk.home.models / program.program_id
    return [
        explained(_model(folder, model_id, version), found)
        for model_id, version in versions_in(row["model_version"], ids).items()
    ]


@lru_cache(maxsize=16)
def _model(folder: Path, model_id: str, version: str) -> "TrainedModel":
    """A version never changes: the service loads it once."""
    from engage_assets.scoring.model_files import load  # noqa: PLC0415 - as in launcher

    return load(folder, model_id, version)


def _candidate(desk: "Launcher", customer_id: str, subject_id: str, program_id: str | None) -> dict[str, Any]:
    """The stored candidate that is meant, the best score first. Raises EngageError naming what there is."""
    if program_id:
        desk.program(program_id)
    rows = desk.parts["store"].of_customer(customer_id, program_id, desk.clock.now())
    if not rows:
        raise EngageError(f"the store has no candidate of {customer_id} now; `engage why` tells what became of records")
    found = [row for row in rows if row["subject_id"] == subject_id]
    if not found:
        raise EngageError(f"{customer_id} is no candidate for {subject_id}, but for {_listed(rows, 'subject_id')}")
    if len({row["program"] for row in found}) > 1:
        raise EngageError(f"several programs have this candidate: name one with --program: {_listed(found, 'program')}")
    return dict(found[0])


def _listed(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    return ", ".join(sorted({row[name] for row in rows}))


def _table(explanation: "Explanation") -> str:
    """One model's explanation as lines: the base, then each feature."""
    width = max(len(one.feature) for one in explanation.contributions)
    head = f"probability {explanation.probability:.6f}, score {explanation.score:.6f}"
    lines = [
        f"{explanation.model_id} {explanation.version}: {head}",
        f"  {'feature':<{width}}  {'value':>16}  {'usual value':>16}  {'log odds':>9}",
        f"  {'(base)':<{width}}  {'':>16}  {'':>16}  {explanation.base:>+9.3f}",
    ]
    lines += [
        f"  {one.feature:<{width}}  {_shown(one.value):>16}  {_shown(one.usual):>16}  {one.log_odds:>+9.3f}"
        for one in explanation.contributions
    ]
    lines.append(
        f"  log odds: {explanation.method}. Above 0 speaks for an answer; all of them add up to the probability's."
    )
    return "\n".join(lines)


def _shown(value: "Value") -> str:
    if value is None:
        return "not known"
    return value if isinstance(value, str) else f"{value:,.6g}"
