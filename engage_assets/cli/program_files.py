"""`engage programs`: program files."""

import json
import os
from pathlib import Path

import click

from engage_assets.cli.desk import plain_errors
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sources import SOURCES


@click.group()
def programs() -> None:
    """Program files."""


@programs.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def validate(files: tuple[Path, ...]) -> None:
    """Report every fault of program files (default: the whole folder) with file, line, key and remedy."""
    from engage_assets.defs.abilities import load_programs  # noqa: PLC0415 - as in launcher
    from engage_assets.programs import SINGLES  # noqa: PLC0415 - as in launcher

    with plain_errors():
        if not files:
            loaded = load_programs(Path(os.environ.get("ENGAGE_PROGRAMS") or "programs"))
            singles = [key for key, (field, _) in SINGLES.items() if getattr(loaded, field) is not None]
            named = ", ".join((*loaded.programs, *singles))
            click.echo(f"valid: {named} (marketplaces: {', '.join(loaded.marketplaces)})")
            return
        found = [_faults(path) for path in files]
        for path, (faults, beyond) in zip(files, found, strict=True):
            if not faults:
                click.echo(f"{path}: valid{', but beyond what this version can run:' if beyond else ''}")
            for note in beyond:
                click.echo(f"  {note}")
        if any(faults for faults, _ in found):
            raise EngageError(*(fault for faults, _ in found for fault in faults))


def _faults(path: Path) -> tuple[list[str], list[str]]:
    """The faults of one program file, and what it asks of a source that this version does not know.

    Its marketplaces are checked where their file stands beside it.
    """
    from engage_assets import programs as reader  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.abilities import abilities  # noqa: PLC0415 - as in launcher

    single = reader.single_of(path)
    if single is not None:
        try:
            reader.read_single(path, single)
        except EngageError as error:
            return list(map(str, error.args)), []
        return [], []
    beside = path.parent / reader.MARKETPLACES_FILE
    try:
        marketplaces = reader.read_marketplaces(beside) if beside.is_file() else None
        reader.read_program(path, marketplaces, abilities())
    except EngageError as error:
        try:
            program = reader.read_program(path)
        except EngageError:
            return list(map(str, error.args)), []
        # A well-formed program of a source that a later version may know is no mistake of its author.
        notes = list(map(str, error.args))
        return ([], notes) if program.source_table not in SOURCES else (notes, [])
    return [], []


@programs.command()
def schema() -> None:
    """Print the JSON schema of program files."""
    from engage_assets.programs import json_schema  # noqa: PLC0415 - as in launcher

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
