"""The program folder: YAML files → typed programs and marketplaces. Errors name file, line and key."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from engage_assets.domain.errors import ProgramFileError
from engage_assets.domain.marketplaces import Marketplace, Marketplaces
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES

MARKETPLACES_FILE = "marketplaces.yaml"
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class ProgramFolder:
    """The programs of a folder by id, and the marketplaces that they share."""

    programs: Mapping[str, Program]
    marketplaces: Mapping[str, Marketplace]


def load_folder(folder: Path) -> ProgramFolder:
    """Read every program of `folder` and its marketplaces.yaml.

    Raises ProgramFileError with one line per fault, over all files at once.
    """
    faults: list[str] = []
    marketplaces: Mapping[str, Marketplace] = {}
    try:
        marketplaces = read_marketplaces(folder / MARKETPLACES_FILE)
    except ProgramFileError as error:
        faults.extend(error.args)
    programs: dict[str, Program] = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name == MARKETPLACES_FILE:
            continue
        try:
            program = read_program(path, marketplaces if not faults else None)
        except ProgramFileError as error:
            faults.extend(error.args)
            continue
        if program.program_id in programs:
            faults.append(f"{path}: programId: {program.program_id!r} is defined by another file of the folder too")
        programs[program.program_id] = program
    if faults:
        raise ProgramFileError(*faults)
    return ProgramFolder(programs, marketplaces)


def read_marketplaces(path: Path) -> Mapping[str, Marketplace]:
    """Marketplaces by code out of `path`."""
    return _read(path, Marketplaces).marketplaces


def read_program(path: Path, marketplaces: Mapping[str, Marketplace] | None = None) -> Program:
    """One program file; with `marketplaces`, its marketplace codes must be among them.

    Raises ProgramFileError whose args are all faults of the file, each `file:line: key: what is wrong`.
    """
    program = _read(path, Program)
    if marketplaces is not None:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        faults = [
            f"{_place(path, node, ('marketplaces', place))}: marketplaces.{place}: {code!r} is not in"
            f" {MARKETPLACES_FILE} (known: {', '.join(sorted(marketplaces))}); add it there"
            for place, code in enumerate(program.marketplaces)
            if code not in marketplaces
        ]
        if faults:
            raise ProgramFileError(*faults)
    return program


def check_supported(path: Path, program: Program) -> None:
    """Refuse a program whose source no part of this version can read.

    Raises ProgramFileError naming the sources that are known.
    """
    if program.source_table not in SOURCES:
        raise ProgramFileError(
            f"{path}: dataConnectors.0.config.table: {program.source_table!r} is not a source table that this"
            f" version can decide about (known: {', '.join(sorted(SOURCES))})"
        )


def json_schema() -> dict[str, Any]:
    """The JSON schema of program files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Program.model_json_schema(by_alias=True)}


def _read(path: Path, model: type[Model]) -> Model:
    """Parse and validate one file; every fault becomes one line."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except FileNotFoundError:
        raise ProgramFileError(f"{path}: there is no such file; it must stand beside the program files") from None
    except UnicodeDecodeError as error:
        raise ProgramFileError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProgramFileError(f"{path}:{line}: not readable as YAML: {error.problem}") from None
    if not isinstance(value, dict):
        raise ProgramFileError(f"{path}:1: expected a mapping of keys, found {type(value).__name__}")
    twice = [f"{path}:{mark.line + 1}: {key}: the key stands twice; remove one" for key, mark in _repeated(node)]
    try:
        parsed = model.model_validate(value)
    except ValidationError as error:
        faults = [fault for fault in error.errors() if not _follows(fault)]
        raise ProgramFileError(*twice, *(_fault(path, node, value, fault) for fault in faults)) from None
    if twice:
        raise ProgramFileError(*twice)
    return parsed


def _fault(path: Path, node: yaml.Node | None, value: Any, fault: Any) -> str:
    """`file:line: key: what is wrong (got …)`; the place of a missing key is its section's."""
    location = _in_file(value, fault["loc"])
    key = ".".join(map(str, location)) or "(whole file)"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        return f"{_place(path, node, location)}: {key}: this key is required and missing; add it"
    if fault["type"] == "extra_forbidden":
        return f"{_place(path, node, location)}: {key}: no such key; check its spelling or remove it"
    found = fault["input"]
    if fault["type"] in ("unknown_filter", "unknown_channel") and isinstance(found, dict):
        found = found.get("filterId" if fault["type"] == "unknown_filter" else "type")
    got = "" if isinstance(found, dict | list) else f" (got {found!r})"
    return f"{_place(path, node, location)}: {key}: {message[:1].lower()}{message[1:]}{got}"


def _follows(fault: Any) -> bool:
    """Whether a list only counts as too short because its items have faults of their own."""
    return bool(fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"])


def _in_file(value: Any, location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """The location without the union tags that pydantic puts into it."""
    found: list[int | str] = []
    for place, part in enumerate(location):
        last = place == len(location) - 1
        if isinstance(value, dict) and (part in value or last):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not last:
            continue
        found.append(part)
    return tuple(found)


def _place(path: Path, node: yaml.Node | None, location: tuple[int | str, ...]) -> str:
    """`file:line` of the key at `location`, or of the nearest section around it."""
    line = node.start_mark.line if node else 0
    for part in location:
        if isinstance(node, yaml.MappingNode):
            pair = next((pair for pair in node.value if pair[0].value == part), None)
            if pair is None:
                break
            line, node = pair[0].start_mark.line, pair[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line
    return f"{path}:{line + 1}"


def _repeated(node: yaml.Node | None) -> list[tuple[str, yaml.Mark]]:
    """Keys that a mapping holds twice: YAML would silently keep the last."""
    if isinstance(node, yaml.SequenceNode):
        return [found for child in node.value for found in _repeated(child)]
    if not isinstance(node, yaml.MappingNode):
        return []
    seen: set[str] = set()
    found: list[tuple[str, yaml.Mark]] = []
    for key, child in node.value:
        if key.value in seen:
            found.append((key.value, key.start_mark))
        seen.add(key.value)
        found.extend(_repeated(child))
    return found
