"""Program files, home, disk and clock."""

import shutil
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psycopg

from engage_assets.clocks import read_clock
from engage_assets.doctor.case import Case
from engage_assets.doctor.findings import Finding, Level
from engage_assets.domain.errors import ProgramFileError

FREE_WARN: Final = 5 * 10**9
FREE_FAIL: Final = 500 * 10**6
"""Bytes that should be, and must be, free where the home lies."""
SKEW_WARN: Final = 5.0
SKEW_FAIL: Final = 60.0
"""Seconds between two clocks. Slots, leases and signatures rely on them."""
_FAULTS_SHOWN: Final = 3
_CONNECT_SECONDS: Final = 5


def programs(case: Case) -> Iterator[Finding]:
    """Whether the program files load."""
    try:
        folder = case.folder
    except ProgramFileError as error:
        shown = [str(line) for line in error.args[:_FAULTS_SHOWN]]
        more = len(error.args) - len(shown)
        what = "\n".join(shown + ([f"and {more} more"] if more else []))
        yield Finding("programs", "fail", what, "`engage programs validate` lists every fault with its remedy")
        return
    if not folder.programs:
        remedy = "put a program file there, or set ENGAGE_PROGRAMS to the folder that has them"
        yield Finding("programs", "fail", f"no program file in {case.folder_path}", remedy)
        return
    yield Finding("programs", "ok", f"{', '.join(folder.programs)} (of {case.folder_path})")


def home(case: Case) -> Iterator[Finding]:
    """Whether the home can be written."""
    root = case.home.root
    try:
        _touch(root)
    except OSError as error:
        remedy = "give this user the folder, or set ENGAGE_HOME to one that it may write"
        yield Finding("home", "fail", f"{root} cannot be written: {error.strerror}", remedy)
        return
    yield Finding("home", "ok", f"{root} can be written")


def disk(case: Case) -> Iterator[Finding]:
    """Whether enough of the disk is free."""
    place = next(path for path in (case.home.root, *case.home.root.parents) if path.exists())
    free = shutil.disk_usage(place).free
    level: Level = "fail" if free < FREE_FAIL else "warn" if free < FREE_WARN else "ok"
    remedy = "free some, or set ENGAGE_HOME to another disk; a full disk stops the ledger, and so every delivery"
    yield Finding("disk", level, f"{free / 10**9:,.1f} GB are free", "" if level == "ok" else remedy)


def clock(case: Case) -> Iterator[Finding]:
    """Whether this machine's clock agrees with that of the disk, and of PostgreSQL; whether time is declared."""
    if read_clock(case.environment).is_declared:
        remedy = "unset ENGAGE_NOW; transports that leave this machine refuse a declared clock"
        yield Finding("clock", "warn", "the time is declared (ENGAGE_NOW)", remedy)
    yield _agreement("the disk", _touch(case.home.root), case)
    for name in ("ENGAGE_LEDGER_URL", "ENGAGE_STORE_URL"):
        if case.value(name).startswith("postgres"):
            yield _agreement(f"the database of {name}", _database_time(case.value(name)), case)


def _agreement(other: str, theirs: datetime, case: Case) -> Finding:
    seconds = (theirs - case.clock.now()).total_seconds()
    if abs(seconds) <= SKEW_WARN:
        return Finding("clock", "ok", f"agrees with {other}")
    level: Level = "fail" if abs(seconds) > SKEW_FAIL else "warn"
    said = f"{other} is {abs(seconds):,.0f} s {'ahead of' if seconds > 0 else 'behind'} this machine"
    return Finding("clock", level, said, "let both follow one time server (NTP): slots and leases rely on it")


def _touch(folder: Path) -> datetime:
    """Write a file and remove it; the time that the file system gave it. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as file:
        file.write(b"written by engage doctor")
        file.flush()
        return datetime.fromtimestamp(Path(file.name).stat().st_mtime, UTC).replace(tzinfo=None)


def _database_time(url: str) -> datetime:
    """What time a PostgreSQL server has. Raises psycopg.Error."""
    plain = "postgresql://" + url.split("://", maxsplit=1)[1]
    with psycopg.connect(plain, connect_timeout=_CONNECT_SECONDS) as connection:
        row = connection.execute("SELECT clock_timestamp() AT TIME ZONE 'UTC'").fetchone()
    assert row is not None
    assert isinstance(row[0], datetime)
    return row[0]
