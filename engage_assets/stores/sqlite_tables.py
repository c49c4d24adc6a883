"""The candidate table in SQLite: its columns, indexes, and the statements that write. Text only.

Instants are integers, microseconds since 1970 UTC; dates are ISO text; flags are 0, 1 or null.
"""

from collections.abc import Collection, Sequence
from typing import Final

from engage_assets.domain.statuses import SERVED
from engage_assets.domain.tables import Kind
from engage_assets.stores.columns import (
    ELIGIBILITY,
    FILLED,
    GIVEN,
    KEY,
    KEY_GIVEN,
    LANE,
    REPLACED,
    STORED,
    flag_of,
    listed,
)
from engage_assets.stores.queries import BY_SCORE, BY_STATUS

SCHEMA_VERSION: Final = 2
PAGE_BYTES: Final = 8192

_SQL_TYPES: Final[dict[Kind, str]] = {
    "key": "TEXT",
    "text": "TEXT",
    "date": "TEXT",
    "instant": "INTEGER",
    "number": "REAL",
    "integer": "INTEGER",
    "flag": "INTEGER",
}


def _columns(names: Collection[str]) -> str:
    kinds = {**GIVEN, **STORED}
    return ", ".join(f"{name} {_SQL_TYPES[kinds[name]]}{' NOT NULL' if name in FILLED else ''}" for name in names)


_STATUS_AT: Final = "status_at INTEGER"
_LANE: Final = f"lane INTEGER GENERATED ALWAYS AS ({LANE}) VIRTUAL"
DROP_BY_SCORE: Final = f"DROP INDEX {BY_SCORE}"
CREATE_BY_SCORE: Final = f"""
    CREATE INDEX {BY_SCORE} ON candidates (program, lane, score DESC, event_at DESC, subject_id, customer_id)
    WHERE lane IS NOT NULL
"""
_NEW_INDEXES: Final = (
    CREATE_BY_SCORE,
    f"CREATE INDEX {BY_STATUS} ON candidates (program, status, event_at DESC) WHERE status <> 'active'",
)
_SEAL: Final = f"PRAGMA user_version = {SCHEMA_VERSION}"
CREATE: Final = (
    f"CREATE TABLE candidates ({_columns(STORED)}, {_STATUS_AT}, {_LANE}, PRIMARY KEY ({listed(KEY)})) WITHOUT ROWID",
    "CREATE INDEX candidates_by_partition ON candidates (program, partition_date)",
    "CREATE INDEX candidates_by_expiry ON candidates (expires_at)",
    *_NEW_INDEXES,
    _SEAL,
)
MIGRATE: Final[dict[int, tuple[str, ...]]] = {
    1: (
        f"ALTER TABLE candidates ADD COLUMN {_STATUS_AT}",
        f"ALTER TABLE candidates ADD COLUMN {_LANE}",
        *(f"DROP INDEX candidates_by_{flag}" for flag in ELIGIBILITY),
        *_NEW_INDEXES,
        _SEAL,
    ),
}
"""From an earlier schema to this one."""

STAGED: Final = ("customer_id", "subject_id", "record_id", "event_at", "probability", "score")
"""What differs from row to row. The rest is much alike in many rows: it is staged once a combination, as a profile."""
PROFILE: Final = tuple(name for name in GIVEN if name not in STAGED)
CREATE_INCOMING: Final = (
    f"CREATE TEMP TABLE staged ({_columns(STAGED)}, profile INTEGER NOT NULL)",
    f"CREATE TEMP TABLE profiles (profile INTEGER PRIMARY KEY, {_columns(PROFILE)})",
    f"""CREATE TEMP VIEW incoming AS SELECT {listed(GIVEN)}
        FROM staged CROSS JOIN profiles ON profiles.profile = staged.profile""",  # noqa: S608 – our own names
)
STAGE: Final = f"INSERT INTO staged VALUES ({', '.join('?' * (len(STAGED) + 1))})"  # noqa: S608 – our own names
STAGE_PROFILE: Final = f"INSERT INTO profiles VALUES ({', '.join('?' * (len(PROFILE) + 1))})"  # noqa: S608 – as above
REPEATED: Final = f"""
    SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM incoming GROUP BY {listed(KEY_GIVEN)})
"""  # noqa: S608 – our own names

_RANKED: Final = ("score", "event_at", *ELIGIBILITY)
_INDEXED: Final = {"partition_date": ("partition_date",), "expires_at": ("expires_at",), "score": _RANKED}
"""What the indexes hold, by the name of one column."""
_FREE: Final = tuple(name for name in REPLACED if name not in {"partition_date", "expires_at", *_RANKED})
_OFFERED: Final = {name: f"incoming.{name}" for name in REPLACED} | {"partition_date": ":partition"}


def _differ(names: Collection[str]) -> str:
    return f"({listed(names, 'stored')}) IS NOT ({', '.join(_OFFERED[name] for name in names)})"


_TAKEN: Final = "stored.partition_date <= :partition"
COMPARE: Final = f"""
    SELECT count(*) FILTER (WHERE stored.customer_id IS NULL),
        count(*) FILTER (WHERE stored.partition_date > :partition),
        count(*) FILTER (WHERE {_TAKEN} AND {_differ(REPLACED)}),
        count(*) FILTER (WHERE stored.partition_date = :partition),
        (SELECT count(*) FROM candidates WHERE program = :program AND partition_date = :partition),
        {", ".join(f"count(*) FILTER (WHERE {_TAKEN} AND {_differ(names)})" for names in _INDEXED.values())}
    FROM incoming LEFT JOIN candidates AS stored
        ON stored.program = :program AND ({listed(KEY_GIVEN, "stored")}) = ({listed(KEY_GIVEN, "incoming")})
"""  # noqa: S608 – our own names
"""Rows that are new, of an older partition than the stored row, changed, of this partition already; how many rows of
this partition are stored; and rows that change what each index holds."""


def upsert(changes: Sequence[int]) -> str:
    """Insert what is new and replace what has changed; `changes`: the last counts of COMPARE.

    What an index holds is set only where a row changes it: SQLite rewrites the entries of columns that are set.
    """
    indexed = [name for names, count in zip(_INDEXED.values(), changes, strict=True) if count for name in names]
    replaced = (*_FREE, *indexed)
    return f"""
    INSERT INTO candidates ({listed((*GIVEN, "program", "partition_date", "status", "version", "updated_at"))})
    SELECT {listed(GIVEN)}, :program, :partition, 'active', 1, :now FROM incoming WHERE true
    ON CONFLICT DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in replaced)},
        version = version + 1, updated_at = excluded.updated_at
    WHERE candidates.partition_date <= excluded.partition_date
        AND ({listed(replaced, "candidates")}) IS NOT ({listed(replaced, "excluded")})
"""  # noqa: S608 – our own names


INDEX_STAGED: Final = "CREATE INDEX temp.staged_by_key ON staged (customer_id, subject_id)"
REMOVE_LEFT: Final = f"""
    DELETE FROM candidates
    WHERE program = :program AND partition_date = :partition AND status = 'active' AND expires_at > :now
        AND NOT EXISTS (
        SELECT 1 FROM incoming WHERE ({listed(KEY_GIVEN, "incoming")}) = ({listed(KEY_GIVEN, "candidates")})
    )
"""  # noqa: S608 – our own names
"""What an earlier build of the partition stored and this one no longer has, as long as nothing came of it."""

_THIS: Final = " AND ".join(f"{name} = :{name}" for name in KEY)
STANDING: Final = f"SELECT status, status_at FROM candidates WHERE {_THIS}"  # noqa: S608 – our own names
SET_STATUS: Final = f"""
    UPDATE candidates SET status = :status, status_at = :at, version = version + 1, updated_at = max(updated_at, :at)
    WHERE {_THIS}
"""  # noqa: S608 – our own names
_OF_CUSTOMER: Final = "customer_id = :customer_id AND (:program IS NULL OR program = :program)"
REMOVE_WAITING: Final = f"""
    DELETE FROM candidates WHERE {_OF_CUSTOMER} AND status IN ({", ".join(f"'{status}'" for status in sorted(SERVED))})
"""  # noqa: S608 – our own names


def bar(channel: str) -> str:
    """Take a channel's eligibility from a customer's candidates. Raises EngageError for an unknown channel."""
    flag = flag_of(channel)
    return f"""
    UPDATE candidates SET {flag} = 0, version = version + 1, updated_at = max(updated_at, :now)
    WHERE {_OF_CUSTOMER} AND {flag} = 1
"""  # noqa: S608 – our own names
