"""What the documents say of keys, columns, codes, commands and files is what the code has."""

import json
import re
from collections.abc import Iterator
from datetime import date, time, timedelta
from pathlib import Path

import click
import narwhals as nw
import polars as pl
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from engage_assets import allocation
from engage_assets.cli import main
from engage_assets.defs.abilities import abilities
from engage_assets.defs.delivery_checks import NAMES
from engage_assets.defs.sheets import program_sheets
from engage_assets.domain import (
    archive_spec,
    channel_specs,
    feature_views,
    filter_specs,
    playlist_spec,
    playlist_tables,
    program,
    summary_spec,
)
from engage_assets.domain.events import ATTENDANCE_FORECASTS
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.reasons import EXPLANATIONS, REASONS, SEND_REASONS
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.domain.tables import (
    DECISIONS,
    IN_APP_BANNERS,
    OPT_OUT_LOG,
    RESPONSES_LOG,
    SENDS_LOG,
    SOURCE_TYPES,
    empty_frame,
)
from engage_assets.features.store import needs
from engage_assets.filters import FILTERS
from engage_assets.ledger.states import MOVES
from engage_assets.ledger.tables import metadata
from engage_assets.outcomes.metrics import measure
from engage_assets.programs import documented_views, read_marketplaces, read_program
from engage_assets.serving.access import SCOPES
from engage_assets.serving.app import create_app
from engage_assets.serving.machines import RULES
from engage_assets_tests.builders import a_program
from engage_assets_tests.filters.inviting import EVENTS
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.outcomes import happenings
from engage_assets_tests.outcomes.listening import CAME, measured
from engage_assets_tests.serving.fakes import some_services

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

SECTIONS: dict[str, list[type[BaseModel]]] = {
    "The program": [program.Program],
    "`dataConnectors[]`": [program.DataConnector],
    "`dataConnectors[].config`": [program.ConnectorConfig],
    "`scoringModels[]`": [program.ScoringModel],
    "`featureViews[]`": [feature_views.FeatureView],
    "`featureViews[].features[]`": [feature_views.Feature],
    "`parameters` of `trust`": [filter_specs.TrustParameters],
    "`parameters` of `frequency-cap`": [filter_specs.FrequencyCapParameters],
    "`parameters` of `engagement`": [filter_specs.EngagementParameters],
    "`parameters` of `interest-match`": [filter_specs.InterestMatchParameters],
    "`parameters` of `geographic`": [filter_specs.GeographicParameters],
    "`channels[]`": [channel_specs.EmailChannel],
    "`config` of `email`": [channel_specs.EmailConfig],
    "`config` of `in-app`": [channel_specs.InAppConfig],
    "`config` of `push`": [channel_specs.PushConfig],
    "`config.texts.<language>` of `push`": [channel_specs.PushText],
    "`config` of `voice`": [channel_specs.VoiceConfig],
    "`quietHours`": [program.QuietHours],
    "`playlists`": [playlist_spec.Playlists],
    "`eventConfig`": [program.EventConfig],
    "`eventConfig.reminderSchedule[]`": [program.ReminderRule],
    "`feedback`": [program.FeedbackPage],
    "`cost`": [program.Cost],
    "`marketplaces.<code>`": [Marketplace],
    "`demandArchive`": [archive_spec.DemandArchive],
    "`demandArchive.retentionDays`": [archive_spec.RetentionDays],
    "`demandArchive.drain`": [archive_spec.Drain],
    "`demandArchive.errorSpike`": [archive_spec.ErrorSpike],
    "`commerceAnalytics`": [summary_spec.CommerceAnalytics],
    "`commerceAnalytics.services[]`": [summary_spec.Service],
    "`commerceAnalytics.events`": [summary_spec.EventNames],
    "`commerceAnalytics.attributes`": [summary_spec.AttributeNames],
    "`commerceAnalytics.tables.<table>`": [summary_spec.TableSpec],
    "`commerceAnalytics.behaviour`": [summary_spec.Behaviour],
    "`commerceAnalytics.commerce`": [summary_spec.Commerce],
    "`commerceAnalytics.commerce.batches[]`": [summary_spec.Batch],
    "`filterChain[]`": [],  # its keys are the same for all filters, see test_filters_and_channels_share_their_keys
}
"""Headings of docs/program-files.md, and the model whose keys the table below one states."""
SHARED = {
    "`filterChain[]`": {"filterId", "type", "order", "parameters"},
    "`channels[]`": {
        *("channelId", "type", "enabled", "shadow", "priority", "config"),
        *("minScore", "limit", "perTrackLimit"),
    },
}
VOCABULARY = {
    "program",
    "raw delivery",
    "candidate",
    "subject",
    "fact",
    "filter",
    "reason",
    "probability",
    "score",
    "channel list",
    "campaign",
    "slot",
    "send",
    "interaction",
    "response",
    "outcome",
    "partition date",
    "batch instant",
}


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """What stands below a heading, up to the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no heading {heading!r}"
    return found[1]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a table by the name in their first cell, head and rule left out."""
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in text.splitlines() if line[:3] == "| `"]
    return {row[0].strip("`| "): row[1:] for row in cells}


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.default
    first = value[0] if isinstance(value, tuple) and value else value
    if value in (None, (), PydanticUndefined) or isinstance(first, BaseModel):
        return "–"
    if isinstance(value, timedelta):
        hours, minutes = divmod(value // timedelta(minutes=1), 60)
        return f"`{hours * 60 + minutes}min`" if minutes else f"`{hours}h`"
    if isinstance(value, time):
        return f"`{value:%H:%M}`"
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


@pytest.mark.parametrize(
    ("heading", "model"), [(heading, model) for heading, all_ in SECTIONS.items() for model in all_]
)
def test_every_key_of_a_program_file_is_documented_with_its_default(heading, model):
    documented = {key: cells[1] for key, cells in rows(section(read("docs/program-files.md"), heading)).items()}
    assert documented == {field.alias: default_of(field) for field in model.model_fields.values()}


def test_every_section_of_a_program_file_is_documented():
    defined = program.Program.model_json_schema(by_alias=True)["$defs"]
    shared = {name for name in defined if name.endswith(("Filter", "Channel")) or name == "NoParameters"}
    singles = (archive_spec.DemandArchive, summary_spec.CommerceAnalytics)
    beside = {name for model in singles for name in (*model.model_json_schema(by_alias=True)["$defs"], model.__name__)}
    assert {model.__name__ for models in SECTIONS.values() for model in models} | shared == {
        *defined,
        *beside,
        "Program",
        "Marketplace",
    }


def test_filters_and_channels_share_their_keys():
    page = read("docs/program-files.md")
    defined = program.Program.model_json_schema(by_alias=True)["$defs"]
    for heading, ending in (("`filterChain[]`", "Filter"), ("`channels[]`", "Channel")):
        assert rows(section(page, heading)).keys() == SHARED[heading]
        for name, schema in defined.items():
            assert not name.endswith(ending) or schema["properties"].keys() <= SHARED[heading], name
    assert all(f"`{name}`" in page for name in (*filter_specs.FILTER_IDS, *channel_specs.CHANNEL_TYPES))


def test_filters_that_are_refused_are_said_to_be():
    page = read("docs/program-files.md")
    refused = {name for name in filter_specs.FILTER_IDS if "refused in this version" in _parameters(page, name)}
    assert refused == set(filter_specs.FILTER_IDS) - FILTERS.keys()


def _parameters(page: str, name: str) -> str:
    return section(page, f"`parameters` of `{name}`")


@pytest.mark.parametrize(
    ("heading", "sources"),
    [
        ("Features", [(), ("deliveries",)]),
        ("Features of programs about tracks", [("track_plays",)]),
        ("Features of programs about events", [("customer_profiles",)]),
    ],
)
def test_every_feature_is_documented_with_what_it_needs(heading, sources):
    documented = rows(section(read("docs/program-files.md"), heading))
    views = [view for view in documented_views().values() if view.sources in sources]
    known = {feature.name: (view, feature) for view in views for feature in view.features}
    assert documented.keys() == known.keys()
    for name, cells in documented.items():
        assert set(re.findall(r"`([\w.]+)`", cells[2])) == needs(*known[name])


@pytest.mark.parametrize("table", INPUT_TABLES.values(), ids=INPUT_TABLES)
def test_every_input_table_is_documented(table):
    documented = rows(section(read("docs/tables.md"), f"`{table.database or '<database>'}/{table.name}`"))
    assert documented == {
        column.name: ["**yes**" if column.required else "", SOURCE_TYPES[column.kind], column.description]
        for column in table.columns
    }


def _lake() -> Iterator[tuple[str, list[str]]]:
    for name, sheet in program_sheets(a_program()).items():
        if sheet.columns:
            yield name, [column.name for column in sheet.columns]
    for playlist_table in playlist_tables.TABLES:
        yield playlist_table.name, playlist_table.names
    yield ATTENDANCE_FORECASTS.name, ATTENDANCE_FORECASTS.names
    yield IN_APP_BANNERS.name, IN_APP_BANNERS.names
    for table in (SENDS_LOG, RESPONSES_LOG, OPT_OUT_LOG):
        yield f"ledger/{table.name}", table.names


@pytest.mark.parametrize(("name", "columns"), list(_lake()))
def test_every_lake_table_is_documented(name, columns):
    assert list(rows(section(read("docs/tables.md"), f"`{name}`"))) == columns


def test_every_reason_is_documented_in_its_order():
    lines = section(read("docs/reasons.md"), "Codes").splitlines()
    found = re.findall(r"^\| ([a-z-]+) \| `(\w+)` \| (.*?)(?::| \*\(| \|)", "\n".join(lines), re.MULTILINE)
    assert found == [
        (stage, code, re.split(r":| \*\(", EXPLANATIONS[code])[0]) for stage, codes in REASONS.items() for code in codes
    ]


def test_every_reason_of_sends_is_documented():
    lines = section(read("docs/reasons.md"), "Reasons of sends")
    assert dict(re.findall(r"^\| `[\w`, ]+` \| `(\w+)` \| (.*) \|$", lines, re.MULTILINE)) == SEND_REASONS


def test_every_metric_is_documented():
    figures = [measured(CAME), happenings.measured(), *(_measured_nothing(one) for one in (a_program(), MUSIC, EVENTS))]
    names = {name for frame in figures for name in frame["metric"]}
    assert rows(section(read("docs/tables.md"), "Metrics")).keys() == names


def _measured_nothing(one: program.Program) -> pl.DataFrame:
    counted, day = nw.from_native(empty_frame(DECISIONS).lazy()), date(2026, 11, 20)
    return measure(counted, program=one, partition=day, as_of=day, sends=None, batch=None)


def test_every_table_of_the_operational_database_is_documented():
    lines = section(read("docs/tables.md"), "The operational database")
    documented = {name for line in lines.splitlines() for name in re.findall(r"`(\w+)`", line.split(" | ")[0])}
    assert documented >= metadata.tables.keys()


def test_every_state_and_every_check_of_a_delivery_is_documented():
    page = read("docs/delivery.md")
    assert rows(section(page, "The states of a send")).keys() == MOVES.keys()
    assert rows(section(page, "Checks before a delivery")).keys() == set(NAMES)
    assert (
        "A message is handed to the transport at most once; every one that may have been lost is counted and shown."
        in page
    )


def test_every_environment_variable_is_documented():
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "engage_assets").rglob("*.py"))
    # A name that ends in _ is the beginning of others, which stand elsewhere in full.
    used = {name for name in re.findall(r"ENGAGE_[A-Z_]+", source) if not name.endswith("_")}
    documented = rows(section(read("docs/running.md"), "Environment variables")).keys()
    assert documented == used | {"DAGSTER_HOME", allocation.VARIABLE}
    for page in PAGES:
        assert set(re.findall(r"ENGAGE_[A-Z_]+", page.read_text(encoding="utf-8"))) <= documented, page.name


def test_every_reason_of_playlists_is_documented():
    page = read("docs/playlists.md")
    said = {code: cells[0] for code, cells in rows(section(page, "Changes")).items()}
    assert said == playlist_tables.CHANGE_REASONS
    assert list(rows(section(page, "Whose answers count"))) == list(playlist_tables.VOID_REASONS)


def test_every_route_is_documented(tmp_path):
    page = read("docs/serving.md")
    routes = create_app(some_services(tmp_path)).openapi()["paths"]
    assert not [path for path in routes if f"{path}`" not in page]
    named = set(re.findall(r"`(?:[A-Z]+ )?(/[a-z][^`\s]*)`", page)) - {"/openapi.json"}
    assert named <= routes.keys()


def test_every_rule_and_every_scope_of_the_service_is_documented():
    page = read("docs/serving.md")
    assert tuple(rows(section(page, "Machines"))) == RULES
    assert rows(section(page, "Keys")).keys() == SCOPES


def _commands(group: click.Group, *parents: str) -> Iterator[str]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _commands(command, *parents, name)
        else:
            yield " ".join((*parents, name))


def test_every_command_exists_and_is_documented():
    commands = set(_commands(main))
    listed = set(re.findall(r"^\| `engage ([a-z -]+)` \|", read("docs/running.md"), re.MULTILINE))
    assert listed == commands
    for page in PAGES:
        for used in re.findall(r"(?:bin/|`)engage ((?!_)[a-z-]+(?: [a-z-]+)?)", page.read_text(encoding="utf-8")):
            assert used in commands or used.split()[0] in commands, f"{page.name}: engage {used}"


def test_options_in_the_documents_exist():
    known = {option for command in _parameters_of(main) for option in command}
    for page in PAGES:
        for line in re.findall(r"bin/engage .*", page.read_text(encoding="utf-8")):
            assert set(re.findall(r"(?<= )--[a-z-]+", line)) <= known, f"{page.name}: {line}"


def _parameters_of(command: click.Command) -> Iterator[list[str]]:
    yield [option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)]
    for child in command.commands.values() if isinstance(command, click.Group) else ():
        yield from _parameters_of(child)


def test_make_targets_in_the_documents_exist():
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        used = set(re.findall(r"(?:^|`)make ([a-z]+)(?=[`\s])", text, re.MULTILINE))
        assert used <= targets, f"{page.name}: {used - targets}"


def _anchors(text: str) -> set[str]:
    """Headings as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file.read_text(encoding="utf-8")), target


def test_every_page_is_in_the_index():
    index = read("docs/README.md")
    assert all(f"({page.name})" in index for page in (ROOT / "docs").glob("*.md") if page.name != "README.md")


def test_the_glossary_has_the_vocabulary():
    words = {word.lower() for word in re.findall(r"\*\*(.+?)\*\*", read("GLOSSARY.md"))}
    assert words >= VOCABULARY


def test_the_readmes_program_is_valid(tmp_path):
    block = re.search(r"```yaml\n(.*?)```", read("README.md"), re.DOTALL)
    assert block
    file = tmp_path / "my-reviews.yaml"
    file.write_text(block[1], encoding="utf-8")
    known = read_marketplaces(ROOT / "programs" / "marketplaces.yaml")
    assert read_program(file, known, abilities()).program_id == "my-reviews"
