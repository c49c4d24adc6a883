"""The program folder: YAML files → typed programs and what goes with them. Errors name file, line and key."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml
from pydantic import BaseModel, Field, ValidationError, create_model, field_validator

from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.cadence import read_aws_cron
from engage_assets.domain.channel_specs import NOTICE_CHANNELS, name_places, time_places
from engage_assets.domain.errors import ProgramFileError
from engage_assets.domain.feature_views import FeatureView, FeatureViews
from engage_assets.domain.filter_specs import FILTER_IDS
from engage_assets.domain.marketplaces import Marketplace, Marketplaces
from engage_assets.domain.program import Program, source_table_of
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.spec import Spec
from engage_assets.domain.summary_spec import CommerceAnalytics

MARKETPLACES_FILE = "marketplaces.yaml"
FEATURES_FILE = "features.yaml"
_LOADER: Final = yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader
"""The same in C is many times as fast."""
SINGLES: Final[Mapping[str, tuple[str, type[Spec]]]] = {
    "demandArchive": ("archive", DemandArchive),
    "commerceAnalytics": ("summaries", CommerceAnalytics),
}
"""Files that are no programs, known by their top-level key, one of each kind in a folder: the field of ProgramFolder
that holds the section below the key, and its model."""
_DOCUMENTED_VIEWS: Final = sorted((Path(__file__).parent / "features").glob("documented*.yaml"))
Model = TypeVar("Model", bound=BaseModel)
Location = tuple[int | str, ...]
"""Keys and list places from the top of a file to a value."""
Finding = tuple[Location, str]
"""Where something is wrong, and what."""


@dataclass(frozen=True)
class Abilities:
    """What this version can carry out. Joined upstairs, from the rooms that do it."""

    filters: Collection[str]
    """filterIds that can be evaluated."""
    features: Collection[str] | None
    """The documented features that a model may take, beside those of feature views; None: not checked."""
    templates: Collection[str]
    """templateIds that there are."""
    banners: Collection[str]
    """Kinds of banners that there are words for."""
    notices: Collection[str]
    """noticeTemplateIds that there are."""
    periods: Collection[str]
    """Of `daily` and `weekly`, those whose batches can run."""


@dataclass(frozen=True)
class ProgramFolder:
    """The programs of a folder by id, and the marketplaces and feature views that they share."""

    programs: Mapping[str, Program]
    marketplaces: Mapping[str, Marketplace]
    views: Mapping[str, FeatureView] = field(default_factory=dict)
    """The documented views, those of features.yaml laid over them."""
    archive: DemandArchive | None = None
    """The demand archive, where a file has the key `demandArchive`."""
    summaries: CommerceAnalytics | None = None
    """The commerce and behaviour summaries, where a file has the key `commerceAnalytics`."""


def load_folder(folder: Path, abilities: Abilities | None = None) -> ProgramFolder:
    """Read every program of `folder`, its marketplaces.yaml and, where they are there, features.yaml and SINGLES.

    With `abilities`, refuse what goes beyond them. Raises ProgramFileError with one line per fault, over all
    files at once.
    """
    faults: list[str] = []
    marketplaces: Mapping[str, Marketplace] | None = None
    views = documented_views()
    try:
        marketplaces = read_marketplaces(folder / MARKETPLACES_FILE)
    except ProgramFileError as error:
        faults.extend(error.args)
    try:
        views = read_views(folder / FEATURES_FILE) if (folder / FEATURES_FILE).is_file() else views
    except ProgramFileError as error:
        faults.extend(error.args)
        abilities = replace(abilities, features=None) if abilities else None
    singles, others = _singles(folder, faults)
    programs: dict[str, Program] = {}
    for path in others:
        try:
            program = read_program(path, marketplaces, abilities, views)
        except ProgramFileError as error:
            faults.extend(error.args)
            continue
        if program.program_id in programs:
            line = _line(path, "programId")
            faults.append(f"{path}:{line}: programId: another file of the folder defines {program.program_id!r} too")
        programs[program.program_id] = program
    if faults or marketplaces is None:
        raise ProgramFileError(*faults)
    return ProgramFolder(programs, marketplaces, views, **singles)


def _singles(folder: Path, faults: list[str]) -> tuple[dict[str, Any], list[Path]]:
    """The sections of SINGLES by field, and the files that are programs; what is wrong is added to `faults`."""
    found: dict[str, Any] = {}
    programs: list[Path] = []
    for path in sorted(folder.glob("*.yaml")):
        key = single_of(path)
        if key is None and path.name not in (MARKETPLACES_FILE, FEATURES_FILE):
            programs.append(path)
        if key is None:
            continue
        name = SINGLES[key][0]
        if name in found:
            faults.append(f"{path}:{_line(path, key)}: {key}: another file of the folder has it too; keep one")
            continue
        found[name] = None
        try:
            found[name] = read_single(path, key)
        except ProgramFileError as error:
            faults.extend(error.args)
    return found, programs


def single_of(path: Path) -> str | None:
    """The key of SINGLES that a file has; None for a program, and where the file cannot be read."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return None
    keys = [key.value for key, _ in node.value] if isinstance(node, yaml.MappingNode) else []
    return next((key for key in keys if key in SINGLES), None)


def read_single(path: Path, key: str) -> Any:
    """The section of a file that SINGLES knows. Raises ProgramFileError with every fault, as `read_program` does."""
    (section,) = dict(_read(path, single_file(key))).values()
    return section


def single_file(key: str) -> type[Spec]:
    """The model of a whole file that SINGLES knows. Where nothing stands below its key, everything is the default."""
    section: Any = (SINGLES[key][1], Field(alias=key))
    all_default: Any = field_validator(key, mode="before")(lambda value: {} if value is None else value)
    return create_model("SingleFile", __base__=Spec, __validators__={"all_default": all_default}, **{key: section})


def read_archive(folder: Path) -> DemandArchive | None:
    """The demand archive of a folder, whatever stands in the programs beside it. Raises ProgramFileError."""
    found: DemandArchive | None = _single_in(folder, "demandArchive")
    return found


def read_summaries(folder: Path) -> CommerceAnalytics | None:
    """The summaries of a folder, whatever stands in the programs beside it. Raises ProgramFileError."""
    found: CommerceAnalytics | None = _single_in(folder, "commerceAnalytics")
    return found


def _single_in(folder: Path, key: str) -> Any:
    """The section below `key` of the first file that has it; None without one."""
    paths = (path for path in sorted(folder.glob("*.yaml")) if single_of(path) == key)
    path = next(paths, None)
    return read_single(path, key) if path else None


def _line(path: Path, key: str) -> int:
    return _place(yaml.compose(path.read_text(encoding="utf-8"), Loader=_LOADER), (key,))


def read_marketplaces(path: Path) -> Mapping[str, Marketplace]:
    """Marketplaces by code out of `path`."""
    return _read(path, Marketplaces).marketplaces


@cache
def documented_views() -> Mapping[str, FeatureView]:
    """The views of the documented features of all sources, which come with the package, by name."""
    return {view.view: view for path in _DOCUMENTED_VIEWS for view in _read(path, FeatureViews).views}


def read_views(path: Path) -> Mapping[str, FeatureView]:
    """The documented views, those of `path` laid over them by name.

    Raises ProgramFileError whose args are all faults of the file, as `read_program` does.
    """
    shared = documented_views()
    views = _read(path, FeatureViews, lambda value: _features_elsewhere(value, "views", shared)).views
    return {**shared, **{view.view: view for view in views}}


def read_program(
    path: Path,
    marketplaces: Mapping[str, Marketplace] | None = None,
    abilities: Abilities | None = None,
    views: Mapping[str, FeatureView] | None = None,
) -> Program:
    """One program file; with `marketplaces`, its codes must be among them, with `abilities`, it must be within them.

    Its feature views are `views` (those of its folder; default: the documented ones) that serve its source table, its
    own laid over them.
    Raises ProgramFileError whose args are all faults of the file, each `file:line: key: what is wrong`.
    """
    shared = documented_views() if views is None else views

    def beyond(value: Any) -> Iterator[Finding]:
        if marketplaces is not None:
            yield from _unknown_marketplaces(value, marketplaces)
        yield from _features_elsewhere(value, "featureViews", shared)
        if abilities is not None:
            yield from check_supported(value, _with_features(abilities, value, shared))

    program = _read(path, Program, beyond)
    served = {view.view: view for view in shared.values() if view.serves(program.source_table)}
    laid_over = {**served, **{view.view: view for view in program.feature_views}}
    return program.model_copy(update={"feature_views": tuple(laid_over.values())})


def _unknown_marketplaces(value: Any, marketplaces: Mapping[str, Marketplace]) -> Iterator[Finding]:
    for location, code in _texts(value, "marketplaces", None):
        if code not in marketplaces:
            known = ", ".join(sorted(marketplaces))
            yield location, f"{code!r} is not in {MARKETPLACES_FILE} (known: {known}); add it there"


def _features_elsewhere(value: Any, key: str, shared: Mapping[str, FeatureView]) -> Iterator[Finding]:
    """Features of the views at `key` that a view of `shared` holds too, which none of them replaces.

    A view of other sources is no matter: no program has both.
    """
    own = {name for _, name in _texts(value, key, None, "view")}
    served = {table for _, table in _source_tables(value)}  # empty in features.yaml, which has no program's source
    sources = list(_texts(value, key, None, "sources", None))
    for location, name in _texts(value, key, None, "features", None, "name"):
        tables = served or {table for place, table in sources if place[1] == location[1]}
        for view in shared.values():
            meets = not tables or any(map(view.serves, tables))
            if meets and view.view not in own and name in (one.name for one in view.features):
                yield location, f"view {view.view} has a feature {name!r} too; rename one, or replace that view"


def _with_features(abilities: Abilities, value: Any, shared: Mapping[str, FeatureView]) -> Abilities:
    """The abilities with the features of the program's own views and of shared ones that serve its source table."""
    if abilities.features is None:
        return abilities
    tables = [table for _, table in _source_tables(value)]
    documented = {one.name for view in documented_views().values() for one in view.features}
    own_views = {name for _, name in _texts(value, "featureViews", None, "view")}
    own = {name for _, name in _texts(value, "featureViews", None, "features", None, "name")}
    served = [view for view in shared.values() if view.view not in own_views and any(map(view.serves, tables))]
    names = {one.name for view in served for one in view.features}
    return replace(abilities, features=own | names - (documented - set(abilities.features)))


def check_supported(value: Any, abilities: Abilities) -> Iterator[Finding]:
    """What the mapping of a program file asks for and this version cannot carry out.

    The file may have faults; what cannot be told for them is passed over.
    """
    for location, table in _source_tables(value):
        if table not in SOURCES:
            known = ", ".join(sorted(SOURCES))
            yield location, f"source table {table!r}: this version cannot decide about its records (known: {known})"
    for location, name in _texts(value, "filterChain", None, "filterId"):
        if name in FILTER_IDS and name not in abilities.filters:
            known = ", ".join(sorted(abilities.filters))
            yield location, f"filter {name!r}: this version cannot evaluate it (known: {known})"
    yield from _unknown_words(value, "templateId", "template", abilities.templates)
    yield from _unknown_words(value, "bannerType", "kind of banner", abilities.banners)
    yield from _unknown_notices(value, abilities.notices)
    yield from _unknown_places(value)
    yield from _unknown_features(value, abilities.features)
    for location, expression in _texts(value, "batchSchedule"):
        with suppress(ValueError):
            period = read_aws_cron(expression).period
            if period not in abilities.periods:
                yield location, f"this version runs no {period} batches (known: {', '.join(sorted(abilities.periods))})"


def _unknown_words(value: Any, key: str, what: str, known: Collection[str]) -> Iterator[Finding]:
    """What a channel's `key` names and there are no words for."""
    for location, name in _texts(value, "channels", None, "config", key):
        if name not in known:
            yield location, f"no {what} is called {name!r} (there are: {', '.join(sorted(known))})"


def _unknown_notices(value: Any, known: Collection[str]) -> Iterator[Finding]:
    """Templates of notices that there are not, and reminders through channels that carry none."""
    for location, name in _texts(value, "eventConfig", "noticeTemplateId"):
        if name not in known:
            yield location, f"no template of notices is called {name!r} (there are: {', '.join(sorted(known))})"
    channels = zip(_texts(value, "channels", None, "channelId"), _texts(value, "channels", None, "type"), strict=False)
    carrying = [name for (_, name), (_, kind) in channels if kind in NOTICE_CHANNELS]
    for location, name in _texts(value, "eventConfig", "reminderSchedule", None, "channel"):
        if name not in carrying:
            yield (
                location,
                f"{name!r} is no channel of the program that reminds ({', '.join(carrying) or 'it has none'})",
            )


def _unknown_places(value: Any) -> Iterator[Finding]:
    """What stands in braces in a spoken question or a notification, and nothing would take the place of."""
    types = {SOURCES[table].subject_type for _, table in _source_tables(value) if table in SOURCES}
    names = {place for one in types for place in name_places(one)}
    config = ("channels", None, "config")
    yield from _strange_places(names, (*_texts(value, *config, "prompt"), *_texts(value, *config, "prompts", "*")))
    times = {place for one in types for place in time_places(one)}
    notifications = ((*config, *more, part) for part in ("title", "body") for more in ((), ("texts", "*")))
    yield from _strange_places(names | times, [found for path in notifications for found in _texts(value, *path)])


def _strange_places(known: set[str], texts: Iterable[tuple[Location, str]]) -> Iterator[Finding]:
    for location, text in texts:
        for found in re.findall(r"\{([^{}]*)\}", text) if known else ():
            if found not in known:
                yield location, f"{{{found}}} stands for nothing (known: {', '.join(sorted(known))})"


def _unknown_features(value: Any, known: Collection[str] | None) -> Iterator[Finding]:
    """Features that there are not; another source may have some of its own, which a later version knows."""
    if known is not None and all(table in SOURCES for _, table in _source_tables(value)):
        for location, name in _texts(value, "scoringModels", None, "features", None):
            if name not in known:
                yield location, f"no feature is called {name!r} (there are: {', '.join(sorted(known))})"


def _source_tables(value: Any) -> Iterator[tuple[Location, str]]:
    """The source tables, each at the key that names it."""
    tables = dict(_texts(value, "dataConnectors", None, "config", "table"))
    for location, query in _texts(value, "dataConnectors", None, "config", "query"):
        named = (*location[:-1], "table")
        yield (named, tables[named]) if named in tables else (location, source_table_of(query))


def _texts(value: Any, *path: str | None) -> Iterator[tuple[Location, str]]:
    """The texts at `path`, where None stands for every item of a list and `*` for every key; others are passed over."""
    if not path:
        if isinstance(value, str):
            yield (), value
        return
    step, *rest = path
    items: Iterable[tuple[int | str, Any]] = ()
    if step is None and isinstance(value, list):
        items = enumerate(value)
    elif step == "*" and isinstance(value, dict):
        items = value.items()
    elif step is not None and isinstance(value, dict) and step in value:
        items = [(step, value[step])]
    for key, child in items:
        for location, found in _texts(child, *rest):
            yield (key, *location), found


def json_schema() -> dict[str, Any]:
    """The JSON schema of program files, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Program.model_json_schema(by_alias=True)}


def _read(path: Path, model: type[Model], beyond: Callable[[Any], Iterable[Finding]] = lambda _: ()) -> Model:
    """Parse and validate one file; every fault becomes one line, also those that `beyond` finds in its mapping."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=_LOADER)
        value = yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe one
    except OSError as error:
        raise ProgramFileError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ProgramFileError(f"{path}: not UTF-8 at byte {error.start}; save the file as UTF-8") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ProgramFileError(f"{path}:{line}: not readable as YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError) as error:  # a control character; a date that does not exist
        raise ProgramFileError(f"{path}:1: not readable as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(value, dict):
        raise ProgramFileError(f"{path}:1: expected a mapping of keys, found {type(value).__name__}")
    parsed, found = None, [(_place(node, location), _key(location), message) for location, message in beyond(value)]
    found += [(mark.line + 1, key, "the key stands twice; remove one") for key, mark in _repeated(node)]
    try:
        parsed = model.model_validate(value)
    except ValidationError as error:
        found += [_fault(node, value, fault) for fault in error.errors() if not _follows(fault)]
    if parsed is None or found:
        raise ProgramFileError(*(f"{path}:{line}: {key}: {message}" for line, key, message in sorted(found)))
    return parsed


def _fault(node: yaml.Node | None, value: Any, fault: Any) -> tuple[int, str, str]:
    """Line, key, and what is wrong (got …); the place of a missing key is its section's."""
    location = _in_file(value, fault["loc"])
    message = fault["msg"].removeprefix("Value error, ")
    found = fault["input"]
    if fault["type"] in ("unknown_filter", "unknown_channel") and isinstance(found, dict):
        found = found.get("filterId" if fault["type"] == "unknown_filter" else "type")
    got = "" if isinstance(found, dict | list | tuple | Spec) else f" (got {found!r})"
    what = f"{message[:1].lower()}{message[1:]}{got}"
    if fault["type"] == "missing":
        what = "this key is required and missing; add it"
    if fault["type"] == "extra_forbidden":
        what = "no such key; check its spelling or remove it"
    return _place(node, location), _key(location), what


def _key(location: Location) -> str:
    return ".".join(map(str, location)) or "(whole file)"


def _follows(fault: Any) -> bool:
    """Whether a list only counts as too short because its items have faults of their own."""
    return bool(fault["type"] == "too_short" and len(fault["input"]) >= fault["ctx"]["min_length"])


def _in_file(value: Any, location: Location) -> Location:
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


def _place(node: yaml.Node | None, location: Location) -> int:
    """The line of the key at `location`, or of the nearest section around it."""
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
    return line + 1


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
