"""Writing back in portions: the whole file is covered, and nobody's lock on it is lost."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from engage_assets.disk import PORTION_BYTES, portions, write_back

WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"


@pytest.mark.parametrize(
    ("size", "changed", "count"),
    [
        (0, 0, 0),
        (10 * PORTION_BYTES, 10 * PORTION_BYTES, 10),
        (10 * PORTION_BYTES + 1, 10 * PORTION_BYTES, 11),
        (600 * PORTION_BYTES, 3 * PORTION_BYTES, 3),
        (5 * PORTION_BYTES, 0, 1),
        (5 * PORTION_BYTES, 500 * PORTION_BYTES, 5),
    ],
)
def test_portions_cover_a_file_and_hold_like_shares_of_its_changes(size, changed, count):
    places = portions(size, changed)

    assert len(places) == count
    assert size == 0 or places[-1] < size <= places[-1] + places.step


def test_a_lock_on_the_file_outlives_it(tmp_path):
    path = tmp_path / "some.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE rows (x)")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO rows VALUES (zeroblob(3000000))")

        write_back(path, 3_000_000)

        other = subprocess.run([sys.executable, "-c", WRITE, str(path)], check=False, capture_output=True, text=True)
        assert "database is locked" in other.stderr
        connection.execute("COMMIT")


def test_a_file_that_nobody_has_open_or_that_is_not_there_is_left_alone(tmp_path):
    (tmp_path / "closed").write_bytes(b"x")

    write_back(tmp_path / "closed", 1)
    write_back(tmp_path / "absent", 1)
