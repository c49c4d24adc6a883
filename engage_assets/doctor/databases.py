"""Ledger and candidate store."""

import re
from collections.abc import Iterator
from typing import Final

from engage_assets.doctor.case import Case
from engage_assets.doctor.findings import Finding
from engage_assets.domain.errors import EngageError

OLDEST: Final = {"sqlite": (3, 38), "postgresql": (13,)}
"""The oldest versions of databases that the ledger's statements work on."""


def ledger(case: Case) -> Iterator[Finding]:
    """Whether the ledger answers, can be written, is of a known schema, and its database of a version that works."""
    try:
        facts = case.operations.check()
    except Exception as error:  # noqa: BLE001 – the driver's own words say most
        yield _unreachable("ledger", "ENGAGE_LEDGER_URL", error)
        return
    kind, _, version = facts["database"].partition(" ")
    oldest = ".".join(map(str, OLDEST[kind]))
    if _numbers(version) < OLDEST[kind]:
        yield Finding(
            "ledger", "fail", f"{kind} {version} is older than {oldest}", f"upgrade {kind} to {oldest} or newer"
        )
        return
    yield Finding("ledger", "ok", f"{facts['database']}, schema {facts['schema']}, can be written")


def store(case: Case) -> Iterator[Finding]:
    """Whether the candidate store answers."""
    try:
        case.store.of_customer("", None, case.clock.now(), limit=1)
    except Exception as error:  # noqa: BLE001 – the driver's own words say most
        yield _unreachable("store", "ENGAGE_STORE_URL", error)
        return
    yield Finding("store", "ok", "the candidate store answers")


def _unreachable(check: str, variable: str, error: Exception) -> Finding:
    cause = error.__cause__ or error
    said = f"{type(cause).__name__}: {cause}" if _is_harmless(cause) else type(cause).__name__
    what = str(error) if isinstance(error, EngageError) else said.partition("\n")[0]
    remedy = f"check {variable}, and that the database runs and lets us in"
    # Of a password with a bare @ in it, a driver takes the rest for the host, and quotes it.
    return Finding(check, "fail", re.sub(r"'[^'\s]*@[^'\s]*'", "'…'", what), remedy)


def _is_harmless(error: BaseException) -> bool:
    """Whether a driver's words are of a file or a connection; others may quote a URL with its password."""
    return type(error).__module__ == "sqlite3" or str(error).startswith(("connection ", "failed to resolve host "))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
