"""Imports go down, rooms share a floor but not a wall, and every door to the outside is listed."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "engage_assets"
FLOORS = {"__init__": 5, "domain": 0, "deployment": 2, "defs": 3, "serving": 3, "doctor": 4, "definitions": 5, "cli": 5}
SHARED = {"lake", "disk"}
"""First-floor rooms that others of the floor may use: how whole files come to be, and how they reach the disk."""
DOORS = {
    "dagster": {"defs", "definitions.py"},
    "duckdb": {"connectors/adhoc.py", "connectors/adhoc_guard.py", "connectors/duckdb.py", "summaries"},
    "sqlite3": {
        "archive/mirror_index.py",
        "archive/state_file.py",
        "defs/instance_storage.py",
        "ledger/engines.py",
        "stores/score_cache.py",
        "stores/sqlite.py",
        "stores/sqlite_file.py",
    },
    "psycopg": {"stores/postgres_session.py", "doctor/machine.py"},
    "sqlalchemy": {"ledger", "defs/instance_storage.py"},
    "alembic": {"ledger"},
    "yaml": {"programs.py"},
    "jinja2": {
        "channels/editions.py",
        "channels/email.py",
        "channels/written_in.py",
        "outcomes/report.py",
        "scoring/card.py",
        "serving/words.py",
        "summaries/dashboard.py",
    },
    "sklearn": {"scoring/pipelines.py", "scoring/plain_trees.py"},
    "skops": {"scoring/trained_model.py", "scoring/model_files.py"},
    "fcntl": {
        "archive/mirror.py",
        "archive/writers.py",
        "connectors/adhoc_spill.py",
        "defs/summary_turns.py",
        "export.py",
    },
    "os": {
        "allocation.py",
        "archive/aws.py",
        "archive/folder.py",
        "disk.py",
        "lake.py",
        "ledger/synced_log.py",
        "channels/dry_run.py",
        "definitions.py",
        "cli",
        "defs/launch.py",
        "scoring/model_files.py",
        "serving/scheduling.py",
        "signing_keys.py",
    },
    "tempfile": {"connectors/duckdb.py", "doctor/machine.py", "summaries"},
    "click": {"cli"},
    "socket": {"channels/smtp_connection.py", "cli/service_process.py"},
    "ctypes": {"disk.py", "serving/scheduling.py"},
    "smtplib": {"channels/smtp_connection.py"},
    "httpx": {
        "alerts/webhook.py",
        "channels/web_push.py",
        "doctor/service.py",
        "sample/visits.py",
        "serving/voice_certificates.py",
        "cli/service_process.py",
    },
    "http_ece": {"channels/web_push.py"},
    "py_vapid": {"channels/web_push.py"},
    "icalendar": {"events/calendar.py"},
    "certifi": {"serving/voice_certificates.py"},
    "cryptography": {"channels/web_push.py", "serving/voice_certificates.py", "voice/alexa_signature.py"},
    "dns": {"doctor"},
    "fastapi": {"serving"},
    "starlette": {"serving"},
    "uvicorn": {"serving/gathered.py", "serving/run.py"},
    "anyio": {"serving"},
    "orjson": {"archive", "serving"},
    "prometheus_client": {"serving"},
    "PIL": {"serving/photos.py"},
    "secrets": {"channels/web_push.py", "serving", "signing_keys.py", "cli/simulate.py"},
    "subprocess": {"cli/relay_process.py", "cli/service_process.py"},
    "requests": set(),
    "urllib.request": set(),
    "pickle": set(),
    "joblib": set(),
    "random": {"archive/opening.py", "ledger", "deployment.py", "defs/delivery_watch.py"},
    "boto3": {"archive/aws.py"},
}
"""Who may open what. It doubles as the map of all input and output."""
FILES = sorted(PACKAGE.rglob("*.py"))


def room(place: str) -> str:
    return place.split("/", maxsplit=1)[0].removesuffix(".py")


def floor(name: str) -> int:
    return FLOORS.get(name, 1)


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            assert node.module
            if node.module == "engage_assets":
                yield from (f"engage_assets.{alias.name}" for alias in node.names)
            else:
                yield node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def faults(here: str, modules: Iterator[str]) -> list[str]:
    found = []
    for module in modules:
        library, *inside = module.split(".")
        if library == "engage_assets" and inside and inside[0] != room(here):
            is_down = floor(inside[0]) < floor(room(here)) or inside[0] in SHARED
            found += [] if is_down else [f"{here} must not import {module}"]
        for door in {library, module} & DOORS.keys():
            is_open = {here, room(here)} & DOORS[door]
            found += [] if is_open else [f"{here} must not open {door}"]
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports(path):
    here = path.relative_to(PACKAGE).as_posix()
    assert not faults(here, imported(path))


@pytest.mark.parametrize(
    ("here", "module"),
    [
        ("filters/trust.py", "engage_assets.stores.sqlite"),
        ("domain/program.py", "engage_assets.filters"),
        ("filters/trust.py", "dagster"),
        ("channels/email.py", "engage_assets.defs.stages"),
        ("outcomes/metrics.py", "sqlite3"),
        ("scoring/local.py", "pickle"),
    ],
)
def test_the_guard_sees(here, module):
    assert faults(here, iter([module]))


def test_every_door_is_used():
    used = {(door, file) for door, files in DOORS.items() for file in files}
    opened = {
        (door, place)
        for path in FILES
        for module in imported(path)
        for door in {module, module.split(".")[0]} & DOORS.keys()
        for place in (path.relative_to(PACKAGE).as_posix(), room(path.relative_to(PACKAGE).as_posix()))
    }
    assert used <= opened


def test_annotations_of_dagster_contexts_stay_readable():
    for path in (PACKAGE / "defs").glob("*.py"):
        assert "from __future__ import annotations" not in path.read_text(encoding="utf-8")


MUSIC = re.compile(r"track(?!ing|er|ed)|listener|music", re.IGNORECASE)
MUSIC_ROOMS = (
    *("domain/music.py", "domain/playlist_*.py", "filters/plays.py", "playlists/*", "voice/*"),
    *("defs/playlist_*.py", "defs/music_*.py", "serving/feedback*.py", "serving/voice*.py"),
    *("sample/*", "cli/*", "outcomes/music*.py", "scoring/music*.py"),
)
"""Where code may know that there is music; the world that is invented and the commands name programs as well."""
VOCABULARY = {"TRACK_CAP"}
"""A documented reason of every program."""
LONG, LONG_SHARE = 40, 40 / 2893
"""Lines from which a function is long, and the share of these that there may be."""


def is_music_room(here: str) -> bool:
    return any(fnmatch(here, pattern) for pattern in MUSIC_ROOMS)


def words_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """The texts that a module works with, by line: neither docstrings nor the examples of the service's documents."""
    aside = {
        id(statement.value)
        for node in ast.walk(tree)
        for statement in (getattr(node, "body", None) if isinstance(getattr(node, "body", None), list) else [])
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "examples":
            aside |= {id(inner) for inner in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in aside:
            yield node.lineno, node.value


def known_of_music(path: Path, ids: set[str]) -> list[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found = []
    for line, text in words_of(tree):
        if text not in VOCABULARY and (MUSIC.search(text) or any(program in text for program in ids)):
            found.append(f"{path.name}:{line}: {text!r}")
    return found


def test_the_spine_knows_no_program_and_no_music():
    """What differs between programs is declared: no id of a program, no word of one subject among the texts."""
    ids = {"product-reviews", "music-feedback", "event-invitations"}
    spine = [path for path in FILES if not is_music_room(path.relative_to(PACKAGE).as_posix())]
    assert len(spine) > len(FILES) / 2
    assert [fault for path in spine for fault in known_of_music(path, ids)] == []


def test_the_guard_of_words_sees(tmp_path):
    module = tmp_path / "spine.py"
    module.write_text(
        '"""Music."""\nX = Field(examples=["a track"])\nif program.key == "music_feedback":\n    y = "t"\n'
    )
    assert known_of_music(module, set()) == ["spine.py:3: 'music_feedback'"]


def test_long_functions_have_not_become_more():
    functions = [
        node
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= LONG]
    assert len(long) / len(functions) <= LONG_SHARE, long
