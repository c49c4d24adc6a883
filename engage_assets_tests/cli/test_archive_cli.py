"""`engage archive …` and `engage erase`, as a person types them; schemas against a frozen copy of the released ones."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from engage_assets.archive.schemas import SCHEMAS, TYPES
from engage_assets.cli import main
from engage_assets.defs.archive_schemas import compare, released
from engage_assets_tests.archive.changes import DEMAND, ITEMS, change
from engage_assets_tests.archive.workers import write_stream

RELEASED = Path(__file__).parent / "released_schemas"
PROGRAMS = Path(__file__).parent.parent.parent / "programs"
CANARY = "canary-7143@example.org"
SECRET = {**DEMAND, "email": CANARY, "fanId": "fan-secret"}


@pytest.fixture
def home(tmp_path):
    write_stream(
        tmp_path / "changes",
        {
            "a": [change(item, event_id=f"c-{n}") for n, item in enumerate(ITEMS)],
            "b": [change(SECRET, event_id="s-1"), change({**SECRET, "saleId": None}, event_id="s-2"), b"{"],
        },
    )
    return tmp_path


@pytest.fixture
def engage(home, monkeypatch):
    """A command; its output, and its exit code."""
    monkeypatch.setenv("ENGAGE_HOME", str(home))
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(PROGRAMS))

    def run(*words, code=0):
        result = CliRunner().invoke(main, words)
        assert result.exit_code == code, result.output
        return result.output

    return run


def test_a_run_and_what_it_leaves(engage, home):
    shown = engage("archive", "run", "--until-idle")
    assert "7 read = 5 archived + 2 errors + 0 duplicates" in shown
    assert "1 refused: saleId: missing" in shown
    assert CANARY not in shown
    assert "0 read = 0 archived" in engage("archive", "run", "--until-idle")
    assert len(list(home.glob("archive/data/*/*/*.avro"))) == 5

    status = engage("archive", "status")
    assert "changes/a.ndjson  no worker, 0.0 s behind, newest change 2026-11-20 09:00:00 UTC, at 4" in status
    assert "workers alive: none" in status
    assert ["demand", "2", "2", "1"] in [line.split() for line in status.splitlines()]


def test_places_are_those_of_the_command_line(engage, home, monkeypatch):
    monkeypatch.chdir(home)
    places = ["--source", "changes", "--root", "elsewhere", "--state", "elsewhere.db"]

    engage("archive", "run", "--until-idle", *places)

    assert len(list(home.glob("elsewhere/data/*/*/*.avro"))) == 5
    assert len(list(home.glob("elsewhere/errors/*.json"))) == 2
    assert "5 files of 4 partitions" not in engage("archive", "compact", *places)
    assert not (home / "archive.db").exists()


def test_mistakes_are_said_plainly(engage, home):
    assert "nothing was archived yet; run `engage archive run`" in engage("archive", "status", code=1)
    assert "no such folder" in engage("archive", "run", "--source", "/none/such", code=1)
    assert "say which error files" in engage("archive", "replay", code=1)
    assert "no such error file" in engage("archive", "replay", "errors/none.json", code=1)


def test_a_stopped_shard_is_a_failure(engage, home):
    engage("archive", "run", "--until-idle")
    (home / "changes" / "a.ndjson").write_bytes(b"")

    shown = engage("archive", "run", "--until-idle", code=1)

    assert "stopped: a.ndjson:" in shown
    assert "stopped since 20" in engage("archive", "status")

    with_position = engage("archive", "forget-position", "a.ndjson", "--yes")
    assert "a.ndjson begins again at the oldest record" in with_position
    engage("archive", "run", "--until-idle")
    assert "stopped since" not in engage("archive", "status")


def test_a_root_is_archived_to_by_one_state(engage, home):
    engage("archive", "run", "--until-idle")
    other = ["--state", str(home / "other.db")]

    assert "it belongs to another state" in engage("archive", "run", "--until-idle", *other, code=1)
    assert "it belongs to another state" in engage("erase", "fan-1", "--yes", *other, code=1)
    assert f"{home}/other.db goes on with {home}/archive" in engage("archive", "adopt", *other)
    engage("archive", "run", "--until-idle", *other)
    assert "it belongs to another state" in engage("archive", "run", "--until-idle", code=1)


def test_only_the_default_folder_of_changes_is_made(engage, home, monkeypatch):
    monkeypatch.chdir(home)
    assert "no such folder" in engage("archive", "run", "--until-idle", "--source", "nothere", code=1)
    assert not (home / "nothere").exists()
    (home / "changes").rename(home / "moved")
    engage("archive", "run", "--until-idle")
    assert (home / "changes").is_dir()


def test_what_holds_addresses_is_for_its_owner_only(engage, home):
    engage("archive", "run", "--until-idle")
    open_ones = [
        path
        for place in (home / "archive", home / "archive.db")
        for path in (place, *place.rglob("*"))
        if path.stat().st_mode & 0o077
    ]
    assert open_ones == []


def test_upkeep(engage, home):
    engage("archive", "run", "--until-idle")
    write_stream(home / "changes", {"c": [change(SECRET, "REMOVE", event_id="s-3")]})
    engage("archive", "run", "--until-idle")

    assert "1 deletions: 1 earlier versions redacted in 1 files" in engage("archive", "redact")
    assert "3 files of 1 partitions became 1, with 3 records" in engage("archive", "compact", "--quiet-days", "0")
    assert "everything is kept for ever" in engage("archive", "retain")
    assert "2 error files tried, 0 replayed" in engage("archive", "replay", "--all", code=1)


def test_a_corrected_copy_is_replayed(engage, home):
    engage("archive", "run", "--until-idle")
    (wrong,) = [path for path in (home / "archive" / "errors").glob("*.json") if b"saleId" in path.read_bytes()[:200]]
    corrected = home / "corrected.ndjson"
    corrected.write_text(json.dumps(change(SECRET, event_id="s-2")))

    shown = engage("archive", "replay", f"errors/{wrong.name}", "--corrected", str(corrected))

    assert "1 error files tried, 1 replayed: 1 records archived" in shown
    assert "0 error files tried" in engage("archive", "replay", wrong.name)


def test_an_erasure_asks_first_and_leaves_a_certificate(engage, home):
    engage("archive", "run", "--until-idle")

    refused = CliRunner().invoke(main, ["erase", "fan-secret"], input="n\n")
    assert refused.exit_code == 1
    assert CANARY.encode() in b"".join(path.read_bytes() for path in home.glob("changes/*"))

    saved = [home / "saved.csv", home / "saved.parquet"]
    for path in saved:
        engage("sql", "SELECT fanId, email FROM demand", "--output", str(path))
    assert CANARY.encode() in saved[0].read_bytes()

    shown = engage("erase", "fan-secret", "--yes")

    assert '"exports"' in shown
    assert CANARY not in pl.read_parquet(saved[1])["email"].to_list()
    certificate = Path(shown.partition("certificate: ")[2].strip())
    assert json.loads(certificate.read_text())["runs"][0]["isComplete"]
    assert "fan-secret" not in certificate.read_text()
    left = [path for path in home.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert not left


def test_an_erasure_that_is_not_complete_says_what_to_mend(engage, home):
    engage("archive", "run", "--until-idle")
    (home / "notes.txt").write_text("mine")
    engage("sql", "SELECT 1", "--output", str(home / "notes.txt"), code=1)
    assert '"isComplete": true' in engage("erase", "fan-secret", "--yes")

    broken = home / "broken.csv"
    broken.write_bytes(b"")
    shown = engage("erase", "fan-secret", "--yes", "--export", str(broken), code=1)
    assert f'"{broken}"' in shown
    assert "mend or take away what they name" in shown


def test_sigterm_ends_a_worker_in_good_order(home):
    (home / "archive.yaml").write_text("demandArchive:\n  lingerSeconds: 0\n")
    environment = {**os.environ, "ENGAGE_HOME": str(home), "ENGAGE_PROGRAMS": str(home)}
    command = [sys.executable, "-m", "engage_assets.cli", "archive", "run"]
    worker = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        until = time.monotonic() + 60
        while not list(home.glob("archive/data/*/*/*.avro")) and time.monotonic() < until:
            time.sleep(0.05)
        worker.send_signal(signal.SIGTERM)
        shown, log = worker.communicate(timeout=60)
    finally:
        worker.kill()

    assert worker.returncode == 0, log
    assert " archived + " in shown
    status = CliRunner().invoke(main, ["archive", "status"], env=environment)
    assert "workers alive: none" in status.output
    assert "is begun" not in status.output


def test_committed_schemas_fit_the_released_ones(engage):
    assert {older.type for older in released(RELEASED).values()} == set(TYPES)
    assert "all fit" in engage("archive", "schemas", "--check", "--against", str(RELEASED))


def test_an_incompatible_change_is_refused(engage, home):
    fields = SCHEMAS["demand"]["fields"]
    for changed, fault in (
        ([field for field in fields if field["name"] != "saleId"], "demand.avsc: Demand.saleId: removed"),
        ([*fields, {"name": "new", "type": "string"}], "demand.avsc: Demand.new: new; make it"),
    ):
        faults = list(compare(released(RELEASED), {**SCHEMAS, "demand": {**SCHEMAS["demand"], "fields": changed}}))
        assert faults[0].replace("engage.archive.", "").startswith(fault)

    older = json.loads((RELEASED / "sale.avsc").read_text())
    older["fields"].append({"name": "gone", "type": ["null", "string"], "default": None})
    (home / "sale.avsc").write_text(json.dumps(older))
    assert "sale.avsc: " in engage("archive", "schemas", "--check", "--against", str(home), code=1)


def test_files_that_are_there_state_the_committed_schemas(engage):
    engage("archive", "run", "--until-idle")
    assert "4 older schemas, all fit" in engage("archive", "schemas", "--check")
