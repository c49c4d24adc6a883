import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from engage_assets.archive.folder import FolderRoot
from engage_assets.cli.sql import _ask, _save, sql, table
from engage_assets.connectors.adhoc import Catalog
from engage_assets.connectors.adhoc_spill import sweep_spills
from engage_assets.domain.errors import EngageError
from engage_assets.home import Home
from engage_assets_tests.archive.changes import DEMAND, change
from engage_assets_tests.archive.mirrored import put


@pytest.fixture
def home(tmp_path):
    """A home whose archive holds three demands."""
    root = FolderRoot(tmp_path / "archive")
    put(root, *(change(DEMAND | {"fanId": f"fan-{number}"}, event_id=str(number)) for number in range(3)))
    return tmp_path


@pytest.fixture
def run(home, monkeypatch):
    monkeypatch.setenv("ENGAGE_HOME", str(home))
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(home / "programs"))
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments, **how):
        return CliRunner().invoke(sql, arguments, catch_exceptions=False, **how)

    return command


def test_a_table(run):
    done = run("SELECT fanid, date.deleted FROM demand ORDER BY 1 LIMIT 2")
    assert done.stdout.splitlines() == ["fanId  deleted", "─────  ───────", "fan-0", "fan-1"]
    assert done.stderr == "2 rows\n"


def test_a_question_from_standard_input_and_a_limit(run):
    done = run("-", "--limit", "1", input="SELECT fanid FROM demand ORDER BY 1;\n")
    assert done.stdout.splitlines()[2:] == ["fan-0"]
    assert done.stderr == "3 rows, the first 1 shown; --limit or --output gives more\n"


def test_it_is_fresh_unless_told_otherwise(run, home):
    count = "SELECT count(*) AS n FROM demand"
    assert run("--no-sync", count).stdout.splitlines()[-1] == "0"
    assert run(count).stdout.splitlines()[-1] == "3"
    put(FolderRoot(home / "archive"), change(event_id="later"), first="2")
    assert run("--no-sync", count).stdout.splitlines()[-1] == "3"
    assert run(count).stdout.splitlines()[-1] == "4"


def test_output(run, home):
    done = run("SELECT fanid FROM demand ORDER BY 1", "--output", str(home / "out.csv"))
    assert (done.stdout, done.stderr) == ("", f"3 rows in {home / 'out.csv'}\n")
    assert (home / "out.csv").read_text().splitlines() == ["fanId", "fan-0", "fan-1", "fan-2"]


def test_a_plan(run):
    assert "Projection" in run("EXPLAIN SELECT fanid FROM demand").stdout


@pytest.mark.parametrize("query", ["DROP VIEW demand", "SELECT nope FROM demand", "SELECT * FROM '/etc/passwd'"])
def test_mistakes(run, query):
    done = run(query)
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")


def test_a_file_of_the_archive_that_cannot_be_read(run, home):
    root = FolderRoot(home / "archive")
    run("SELECT 1")
    (key,) = put(root, change(event_id="bad"), first="2")
    root.put(key, b"no avro")
    done = run("SELECT 1")
    assert done.exit_code == 1
    assert key in done.stderr
    assert run("--no-sync", "SELECT 1").exit_code == 0


def test_it_asks_again_where_files_were_replaced(tmp_path):
    gone = Catalog({"v": f"SELECT * FROM read_parquet(['{tmp_path}/gone.parquet'])"}, [tmp_path / "gone.parquet"])
    catalogs = iter([gone, Catalog({"v": "SELECT 7 AS a"})])
    rows = _ask(lambda: next(catalogs), "FROM v", tmp_path / "s", lambda answer: list(answer.rows())[-1].to_pylist())
    assert rows == [{"a": 7}]


def test_an_output_is_written_again_where_an_erasure_took_its_files_away(tmp_path):
    before = Catalog({"v": "SELECT 1 AS a"}, [tmp_path / "gone.parquet"])
    catalogs = iter([before, Catalog({"v": "SELECT 7 AS a"})])
    assert _save(lambda: next(catalogs), "FROM v", tmp_path / "s", tmp_path / "out.csv") == 1
    assert (tmp_path / "out.csv").read_text() == "a\n7\n"
    with pytest.raises(EngageError, match="ask again"):
        _save(lambda: before, "FROM v", tmp_path / "s", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_what_cannot_be_an_output_is_not_remembered_as_one(run, home):
    done = run("SELECT 1", "--output", str(home / "notes.txt"))
    assert "must end in .csv or .parquet" in done.stderr
    assert not Home(home).archive_exports.exists()


def test_an_amount_of_memory_is_asked_for_plainly(run):
    done = run("SELECT 1", "--memory", "lots")
    assert (done.exit_code, "500MB or 2GB" in done.stderr) == (1, True)


WIDE = "SELECT count(*) FROM (SELECT n::VARCHAR AS a, count(*) FROM range(20000000) AS r(n) GROUP BY 1)"


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_question_put_on_disk_goes_with_it(run, home, ending):
    run("SELECT 1")
    command = [sys.executable, "-m", "engage_assets.cli", "sql", "--no-sync", "--memory", "50MB", WIDE]
    environment = {**os.environ, "ENGAGE_HOME": str(home), "TMPDIR": str(home / "tmp")}
    (home / "tmp").mkdir()
    question = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while not list(home.glob("sql-spill/*/files/*")) and time.monotonic() < until:
            time.sleep(0.02)
        assert list(home.glob("sql-spill/*/files/*"))
        assert stat.S_IMODE((home / "sql-spill").stat().st_mode) == 0o700
        assert sweep_spills(home / "sql-spill") == 1
        question.send_signal(ending)
        question.wait(timeout=60)
    finally:
        question.kill()
    assert list(home.glob("tmp/*")) == []
    if ending == signal.SIGKILL:
        assert list(home.glob("sql-spill/*/files/*"))
        run("SELECT 1")
    else:
        assert question.returncode == 143
    assert list(home.glob("sql-spill/*/*")) == []


def test_a_wide_row_stands_upright_and_nothing_steers_the_terminal():
    assert table(["a", "b"], [["1", None], ["22", "\x1b[31m"]], 100) == ["a   b", "──  ─────", "1", "22  �[31m"]
    lines = table(["name", "text"], [["x", "y" * 70]], 60)
    assert lines == ["────", "name  x", f"text  {'y' * 59}…"]
