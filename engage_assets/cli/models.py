"""Commands about models: their versions, what was found of each, and which one is in use."""

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engage_assets.cli.desk import launcher, plain_errors
from engage_assets.domain.errors import EngageError
from engage_assets.domain.program import Program, ScoringModel

if TYPE_CHECKING:
    from engage_assets.scoring.registry import Registered


@click.group()
def models() -> None:
    """Versions of a program's models."""


@models.command("list")
@click.argument("program_id")
def list_versions(program_id: str) -> None:
    """List the versions of a program's models; `*` is in use."""
    from engage_assets.scoring import registry  # noqa: PLC0415 - slow to load, and other commands need none

    with plain_errors():
        desk = launcher()
        program = desk.program(program_id)
        for model in program.scoring_models:
            found = registry.versions(desk.home.models / program_id, model.model_id)
            click.echo(f"{model.model_id}{'' if found else ': no version yet; engage train ' + program_id}")
            for one in found:
                click.echo(_line(one))


def _line(one: "Registered") -> str:
    figures = one.metrics
    judged = "not judged" if one.verdict is None else "passed" if one.verdict.deploy else "did not pass"
    return (
        f"{'*' if one.is_champion else ' '} {one.version}  as of {one.as_of}  {one.examples:>9,} examples"
        f"  AUC {figures['roc_auc']:.4f}  calibration error {figures['calibration_error']:.4f}  {judged}"
    )


@models.command()
@click.argument("program_id")
@click.argument("version")
def show(program_id: str, version: str) -> None:
    """Show what is known of a version: where it comes from, its figures, its verdict."""
    from engage_assets.scoring import registry  # noqa: PLC0415 - slow to load, and other commands need none

    with plain_errors():
        desk = launcher()
        one = _found(desk.home.models / program_id, desk.program(program_id), version)
        click.echo(f"{one.model_id} {one.version}{' (in use)' if one.is_champion else ''}")
        click.echo(f"  {one.kind}, label {one.label}, trained as of {one.as_of} by code {one.code_version}")
        click.echo(
            f"  {one.examples:,} examples of {one.window[0]:%Y-%m-%d} to {one.window[1]:%Y-%m-%d}, data {one.data_hash}"
        )
        for name, value in sorted(one.metrics.items()):
            click.echo(f"  {name:<34}{value:>14,.6g}")
        for reason in one.verdict.reasons if one.verdict else ("nobody judged it",):
            click.echo(f"  - {reason}")
        for reign in registry.history(desk.home.models / program_id, one.model_id):
            if reign.version == one.version:
                click.echo(f"  {reign.act} {reign.at:%Y-%m-%d %H:%M} UTC by {reign.who}: {reign.why}")


@models.command()
@click.argument("program_id")
@click.argument("version")
@click.option("--why", default="a person's decision", show_default=True, help="Kept beside the act.")
def promote(program_id: str, version: str, why: str) -> None:
    """Put a version into use, whatever its verdict."""
    from engage_assets.scoring import registry  # noqa: PLC0415 - slow to load, and other commands need none

    with plain_errors():
        desk = launcher()
        folder = desk.home.models / program_id
        one = _found(folder, desk.program(program_id), version)
        registry.promote(folder, one.model_id, one.version, who=getpass.getuser(), at=desk.clock.now(), why=why)
        click.echo(f"{one.model_id} {one.version} is in use from the next batch on")


@models.command()
@click.argument("program_id")
@click.option("--model", "model_id", help="The model, where the program has several.")
@click.option("--why", default="rolled back", show_default=True, help="Kept beside the act.")
def rollback(program_id: str, model_id: str | None, why: str) -> None:
    """Put the version before the present one into use again."""
    from engage_assets.scoring import registry  # noqa: PLC0415 - slow to load, and other commands need none

    with plain_errors():
        desk = launcher()
        model = _chosen(desk.program(program_id), model_id)
        folder = desk.home.models / program_id
        reign = registry.roll_back(folder, model.model_id, who=getpass.getuser(), at=desk.clock.now(), why=why)
        click.echo(f"{model.model_id} {reign.version} is in use again from the next batch on")


def _chosen(program: Program, model_id: str | None) -> ScoringModel:
    """The model that is meant. Raises EngageError where that cannot be told."""
    found = [model for model in program.scoring_models if model_id in (None, model.model_id)]
    if len(found) != 1:
        known = ", ".join(model.model_id for model in program.scoring_models)
        raise EngageError(f"name one of the program's models with --model: {known}")
    return found[0]


def _found(folder: Path, program: Program, version: str) -> "Registered":
    """A version by its id, or by as much of it as is unique. Raises EngageError naming those that there are."""
    from engage_assets.scoring import registry  # noqa: PLC0415 - slow to load, and other commands need none

    there = [one for model in program.scoring_models for one in registry.versions(folder, model.model_id)]
    found = [one for one in there if one.version.startswith(version)]
    if len(found) != 1:
        known = ", ".join(one.version for one in there) or "none"
        raise EngageError(f"no single version of {program.program_id} is called {version!r}; there are: {known}")
    return found[0]
