"""A throw-away PostgreSQL server for tests and measurements: real, reached by a Unix socket alone."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

import psycopg
from psycopg import sql

_PROGRAMS = ("initdb", "pg_ctl", "postgres")
_HOMES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql*/bin")
_ACCOUNTS = ("postgres", "nobody")


def find_binaries() -> Path | None:
    """The folder of the server's programs: on PATH, else the newest of the usual places; None where there is none."""
    on_path = shutil.which("initdb")
    found = [Path(on_path).resolve().parent] if on_path else []
    for pattern in _HOMES:
        found += sorted(Path("/").glob(pattern[1:]), key=_version, reverse=True)
    return next((folder for folder in found if all((folder / program).exists() for program in _PROGRAMS)), None)


@dataclass(frozen=True)
class PostgresServer:
    """A running server; `url` of a database in it is in the form that SQLAlchemy reads."""

    folder: Path

    def url(self, database: str) -> str:
        return f"postgresql+psycopg://engage@/{database}?host={self.folder}"

    def create(self) -> str:
        """The name of a new, empty database."""
        name = f"test_{uuid4().hex}"
        self._run("CREATE DATABASE {}", name)
        return name

    def _run(self, statement: Any, database: str) -> None:
        with psycopg.connect(self.url("postgres").replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(sql.Identifier(database)))


@contextmanager
def running_server(binaries: Path, *, is_durable: bool = True) -> Iterator[PostgresServer]:
    """A new server in a temporary folder; it is stopped and removed at the end. Not durable, it waits for no disk.

    PostgreSQL refuses to run as root, so root starts it as another account of the machine.
    """
    with TemporaryDirectory(prefix="engage-pg-") as name:
        folder, account = Path(name), _account()
        if account:
            os.chown(folder, account.pw_uid, account.pw_gid)

        def run(program: str, *arguments: str) -> None:
            done = subprocess.run(
                [binaries / program, "-D", folder / "data", *arguments],
                cwd=folder,
                user=account.pw_uid if account else None,
                group=account.pw_gid if account else None,
                extra_groups=[] if account else None,
                stdin=subprocess.DEVNULL,
                capture_output=program == "initdb",  # a started server keeps the pipes open
                check=False,
            )
            assert done.returncode == 0, f"{program}: {(done.stderr or b'see the log').decode()}{_log(folder)}"

        run("initdb", "-U", "engage", "-A", "trust", "-E", "UTF8", "--no-sync", *_sorting(binaries))
        hasty = "" if is_durable else " -c fsync=off -c synchronous_commit=off -c full_page_writes=off"
        settings = f"-c listen_addresses= -k {folder}{hasty}"
        run("pg_ctl", "-s", "-w", "-l", str(folder / "log"), "-o", settings, "start")
        try:
            yield PostgresServer(folder)
        finally:
            run("pg_ctl", "-s", "-w", "-m", "immediate", "stop")


def _version(folder: Path) -> list[int]:
    return [int(digits) for digits in "".join(c if c.isdigit() else " " for c in str(folder)).split()]


def _account() -> pwd.struct_passwd | None:
    """Whose process the server is: ours, unless we are root."""
    if os.geteuid() != 0:
        return None
    accounts = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(accounts[name] for name in _ACCOUNTS if name in accounts)


def _sorting(binaries: Path) -> list[str]:
    """Texts sort as people expect where the version can: so tests see who relies on the server's own order."""
    told = subprocess.run([binaries / "initdb", "--version"], capture_output=True, text=True, check=True).stdout
    linguistic = ["--locale-provider=icu", "--icu-locale=en-US"] if _version(Path(told))[0] >= 15 else []
    return ["--locale=C", *linguistic]


def _log(folder: Path) -> str:
    log = folder / "log"
    return f"\n{log.read_text()}" if log.exists() else ""
