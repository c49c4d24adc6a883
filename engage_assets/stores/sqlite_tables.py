"""The candidate table in SQLite: its columns, indexes and statements. Text only; `sqlite.py` runs them.

Instants are integers, microseconds since 1970 UTC; dates are ISO text; flags are 0, 1 or null.
"""

from typing import Final

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.tables import Kind

SCHEMA_VERSION: Final = 1


def flag_of(channel: str) -> str:
    """The column that says whether a candidate may be reached through `channel`: `in_app_eligible`."""
    return f"{channel.replace('-', '_')}_eligible"


ELIGIBILITY: Final = tuple(flag_of(channel) for channel in CHANNEL_TYPES)
GIVEN: Final[dict[str, Kind]] = {
    "customer_id": "key",
    "marketplace": "text",
    "subject_type": "text",
    "subject_id": "key",
    "record_id": "key",
    "event_at": "instant",
    "time_zone": "text",
    "locale": "text",
    "connector_id": "text",
    "created_at": "instant",
    "expires_at": "instant",
    **dict.fromkeys(ELIGIBILITY, "flag"),
    "probability": "number",
    "score": "number",
    "band": "text",
    "model_version": "text",
}
"""What a put takes out of each frame, by name and kind. A change here is a new SCHEMA_VERSION."""

_KEY = ("customer_id", "program", "marketplace", "subject_type", "subject_id")
KEY_GIVEN: Final = tuple(name for name in _KEY if name != "program")

STORED: Final[dict[str, Kind]] = {
    **{name: GIVEN.get(name, "key") for name in _KEY},
    **{name: kind for name, kind in GIVEN.items() if name not in _KEY},
    "partition_date": "date",
    "status": "text",
    "version": "integer",
    "updated_at": "instant",
}
"""Every column of the table, in order."""

_SQL_TYPES: Final[dict[Kind, str]] = {
    "key": "TEXT",
    "text": "TEXT",
    "date": "TEXT",
    "instant": "INTEGER",
    "number": "REAL",
    "integer": "INTEGER",
    "flag": "INTEGER",
}
_FILLED = {*_KEY, "record_id", "created_at", "expires_at", "partition_date", "status", "version", "updated_at"}
# created_at is the first batch's; all else that a batch gives may change, its partition included.
_REPLACED = tuple(name for name in (*GIVEN, "partition_date") if name not in (*_KEY, "created_at"))


def _columns(kinds: dict[str, Kind]) -> str:
    filled = {name: " NOT NULL" if name in _FILLED else "" for name in kinds}
    return ", ".join(f"{name} {_SQL_TYPES[kind]}{filled[name]}" for name, kind in kinds.items())


def _list(names: tuple[str, ...], of: str = "") -> str:
    return ", ".join(f"{of}.{name}" if of else name for name in names)


CREATE: Final = (
    f"CREATE TABLE candidates ({_columns(STORED)}, PRIMARY KEY ({_list(_KEY)})) WITHOUT ROWID",
    *(
        f"CREATE INDEX candidates_by_{flag} ON candidates (program, score DESC, event_at DESC, subject_id, customer_id)"
        f" WHERE {flag} = 1 AND status = 'active'"
        for flag in ELIGIBILITY
    ),
    "CREATE INDEX candidates_by_partition ON candidates (program, partition_date)",
    "CREATE INDEX candidates_by_expiry ON candidates (expires_at)",
    f"PRAGMA user_version = {SCHEMA_VERSION}",
)

CREATE_INCOMING: Final = (
    f"CREATE TEMP TABLE incoming ({_columns(GIVEN)}, PRIMARY KEY ({_list(KEY_GIVEN)})) WITHOUT ROWID"
)
STAGE: Final = f"INSERT INTO incoming VALUES ({', '.join('?' * len(GIVEN))}) ON CONFLICT DO NOTHING"  # noqa: S608 – our own names

_INCOMING = f"{_list(tuple(name for name in _REPLACED if name != 'partition_date'), 'incoming')}, :partition"
COMPARE: Final = f"""
    SELECT count(*), count(*) FILTER (WHERE stored.customer_id IS NULL),
        count(*) FILTER (WHERE stored.partition_date > :partition),
        count(*) FILTER (WHERE stored.partition_date <= :partition
            AND ({_list(_REPLACED, "stored")}) IS NOT ({_INCOMING}))
    FROM incoming LEFT JOIN candidates AS stored
        ON stored.program = :program AND ({_list(KEY_GIVEN, "stored")}) = ({_list(KEY_GIVEN, "incoming")})
"""  # noqa: S608 – our own names
"""Rows given; those new, those of an older partition than the stored row, those changed."""

UPSERT: Final = f"""
    INSERT INTO candidates ({_list((*GIVEN, "program", "partition_date", "status", "version", "updated_at"))})
    SELECT {_list(tuple(GIVEN))}, :program, :partition, 'active', 1, :now FROM incoming WHERE true
    ORDER BY {_list(KEY_GIVEN)}
    ON CONFLICT DO UPDATE SET ({_list(_REPLACED)}) = ({_list(_REPLACED, "excluded")}),
        version = version + 1, updated_at = excluded.updated_at
    WHERE candidates.partition_date <= excluded.partition_date
        AND ({_list(_REPLACED, "candidates")}) IS NOT ({_list(_REPLACED, "excluded")})
"""  # noqa: S608 – our own names

REMOVE_LEFT: Final = f"""
    DELETE FROM candidates
    WHERE program = :program AND partition_date = :partition AND status = 'active' AND expires_at > :now
        AND NOT EXISTS (
        SELECT 1 FROM incoming WHERE ({_list(KEY_GIVEN, "incoming")}) = ({_list(KEY_GIVEN, "candidates")})
    )
"""  # noqa: S608 – our own names
"""What an earlier build of the partition stored and this one no longer has, as long as nothing came of it."""

OF_CUSTOMER: Final = f"""
    SELECT {_list(tuple(STORED))} FROM candidates
    WHERE customer_id = :customer AND (:program IS NULL OR program = :program) AND expires_at > :now
    ORDER BY score DESC, event_at DESC, subject_id, program, marketplace, subject_type
"""  # noqa: S608 – our own names

TOP: Final[dict[str, str]] = {
    channel: f"""
    SELECT {_list(tuple(STORED))} FROM candidates
    WHERE program = :program AND {flag_of(channel)} = 1 AND status = 'active' AND score >= :min_score
        AND expires_at > :now
    ORDER BY score DESC, event_at DESC, subject_id, customer_id, marketplace, subject_type LIMIT :limit
"""  # noqa: S608 – our own names
    for channel in CHANNEL_TYPES
}
"""By channel, best first: served from that channel's partial index alone, without sorting."""

OF_PARTITION: Final = """
    SELECT customer_id, marketplace, subject_id, score FROM candidates
    WHERE program = ? AND partition_date = ? ORDER BY customer_id, marketplace, subject_type, subject_id
"""

DELETE_EXPIRED: Final = "DELETE FROM candidates WHERE expires_at <= ?"
