"""The candidate table in PostgreSQL: its columns, indexes, and the statements that write; `:name` is a value.

Instants are timestamps without zone, UTC; keys and texts sort by code point, whatever the database's own order is.
"""

from collections.abc import Collection
from typing import Final

from engage_assets.domain.statuses import SERVED
from engage_assets.domain.tables import Kind
from engage_assets.stores.columns import FILLED, GIVEN, KEY, KEY_GIVEN, LANE, REPLACED, STORED, flag_of, listed
from engage_assets.stores.queries import BY_SCORE, BY_STATUS

SCHEMA_VERSION: Final = 2

_SQL_TYPES: Final[dict[Kind, str]] = {
    "key": 'text COLLATE "C"',
    "text": 'text COLLATE "C"',
    "date": "date",
    "instant": "timestamp",
    "number": "double precision",
    "integer": "integer",
    "flag": "boolean",
}


def _columns(names: Collection[str]) -> str:
    kinds = {**GIVEN, **STORED}
    return ", ".join(f"{name} {_SQL_TYPES[kinds[name]]}{' NOT NULL' if name in FILLED else ''}" for name in names)


_ORDERED: Final = "score DESC NULLS LAST, event_at DESC NULLS LAST, subject_id, customer_id, marketplace, subject_type"
CREATE_VERSION: Final = "CREATE TABLE IF NOT EXISTS candidates_schema (version integer NOT NULL)"
VERSION: Final = "SELECT max(version) FROM candidates_schema"
CREATE: Final = (
    f"""CREATE TABLE candidates ({_columns(STORED)}, status_at timestamp,
        lane integer GENERATED ALWAYS AS ({LANE}) STORED, PRIMARY KEY ({listed(KEY)}))""",
    f"CREATE INDEX {BY_SCORE} ON candidates (program, lane, {_ORDERED}) WHERE lane IS NOT NULL",
    f"""CREATE INDEX {BY_STATUS} ON candidates (program, status, event_at DESC NULLS LAST, {listed(KEY_GIVEN)})
        WHERE status <> 'active'""",
    "CREATE INDEX candidates_by_partition ON candidates (program, partition_date)",
    "CREATE INDEX candidates_by_expiry ON candidates (expires_at)",
    f"INSERT INTO candidates_schema VALUES ({SCHEMA_VERSION})",  # noqa: S608 – our own names
)

ASK_INDEXES: Final = """
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off;
    SET jit = off; SET plan_cache_mode = force_generic_plan
"""
"""For readers: every question of theirs has its index in order, even while the planner's statistics are old; so each is
planned once a connection."""

LOCK_SCHEMA: Final = "SELECT pg_advisory_xact_lock(7153, 1)"
LOCK_ALL: Final = "SELECT pg_advisory_xact_lock(7153, 2)"
LOCK_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(7153, 2)"
"""A put excludes all other writers, as in SQLite: what it counts is what it writes. Others only exclude puts."""

CREATE_INCOMING: Final = f"CREATE TEMP TABLE incoming ({_columns(GIVEN)}) ON COMMIT DROP"
COPY: Final = f"COPY incoming ({listed(GIVEN)}) FROM STDIN (FORMAT csv, NULL '')"
PREPARE_INCOMING: Final = (f"CREATE INDEX ON incoming ({listed(KEY_GIVEN)})", "ANALYZE incoming")
"""Whatever the planner believes of the store's size, no join then compares every row with every other."""
REPEATED: Final = f"""
    SELECT coalesce(sum(n - 1), 0) FROM (SELECT count(*) AS n FROM incoming GROUP BY {listed(KEY_GIVEN)}) AS counted
"""  # noqa: S608 – our own names
_SAME: Final = f"({listed(KEY_GIVEN, 'candidates')}) = ({listed(KEY_GIVEN, 'incoming')})"
_OFFERED: Final = ", ".join(
    "CAST(:partition AS date)" if name == "partition_date" else f"incoming.{name}" for name in REPLACED
)
COMPARE: Final = f"""
    SELECT count(*) FILTER (WHERE candidates.customer_id IS NULL),
        count(*) FILTER (WHERE candidates.partition_date > :partition),
        count(*) FILTER (WHERE candidates.partition_date <= :partition
            AND ({listed(REPLACED, "candidates")}) IS DISTINCT FROM ({_OFFERED})),
        count(*) FILTER (WHERE candidates.partition_date = :partition),
        (SELECT count(*) FROM candidates WHERE program = :program AND partition_date = :partition)
    FROM incoming LEFT JOIN candidates ON candidates.program = :program AND {_SAME}
"""  # noqa: S608 – our own names
"""Rows that are new, of an older partition than the stored row, changed, of this partition already; and how many
rows of this partition are stored."""

UPDATE: Final = f"""
    UPDATE candidates SET ({listed(REPLACED)}) = ROW ({_OFFERED}), version = version + 1, updated_at = :now
    FROM incoming WHERE candidates.program = :program AND {_SAME} AND candidates.partition_date <= :partition
        AND ({listed(REPLACED, "candidates")}) IS DISTINCT FROM ({_OFFERED})
"""  # noqa: S608 – our own names
INSERT: Final = f"""
    INSERT INTO candidates ({listed((*GIVEN, "program", "partition_date", "status", "version", "updated_at"))})
    SELECT {listed(GIVEN)}, :program, :partition, 'active', 1, :now FROM incoming
    ON CONFLICT DO NOTHING
"""  # noqa: S608 – our own names
REMOVE_LEFT: Final = f"""
    DELETE FROM candidates
    WHERE program = :program AND partition_date = :partition AND status = 'active' AND expires_at > :now
        AND NOT EXISTS (SELECT 1 FROM incoming WHERE {_SAME})
"""  # noqa: S608 – our own names
"""What an earlier build of the partition stored and this one no longer has, as long as nothing came of it."""

WARM: Final = "SELECT pg_total_relation_size('candidates') FROM (SELECT max(version) FROM candidates) AS all_rows"

_KEYS: Final = f"unnest({', '.join(f'CAST(:{name} AS text[])' for name in KEY)})"
_LISTED_KEY: Final = f"({listed(KEY, 'candidates')}) = ({listed(KEY, 'listed')})"
STANDINGS: Final = f"""
    SELECT {listed(KEY, "candidates")}, status, status_at
    FROM candidates JOIN {_KEYS} AS listed ({listed(KEY)}) ON {_LISTED_KEY}
    ORDER BY {listed(KEY, "candidates")} FOR NO KEY UPDATE OF candidates
"""  # noqa: S608 – our own names
"""Locked in the order of keys, so that two writers never wait for each other."""
STATUSES: Final = f"""
    SELECT {listed(KEY, "candidates")}, status
    FROM candidates JOIN {_KEYS} AS listed ({listed(KEY)}) ON {_LISTED_KEY} WHERE expires_at > :now
"""  # noqa: S608 – our own names
SET_STATUSES: Final = f"""
    UPDATE candidates SET status = listed.status, status_at = listed.at, version = version + 1,
        updated_at = greatest(updated_at, listed.at)
    FROM unnest({", ".join(f"CAST(:{name} AS text[])" for name in (*KEY, "status"))}, CAST(:at AS timestamp[]))
        AS listed ({listed((*KEY, "status", "at"))})
    WHERE {_LISTED_KEY}
"""  # noqa: S608 – our own names

_OF_CUSTOMERS: Final = f"""
    ({listed(KEY)}) IN (
        SELECT {listed(KEY)} FROM candidates
        WHERE customer_id = ANY(:customers) AND (CAST(:program AS text) IS NULL OR program = :program)
        ORDER BY {listed(KEY)} FOR UPDATE
    )
"""  # noqa: S608 – our own names
REMOVE_WAITING: Final = f"""
    DELETE FROM candidates WHERE {_OF_CUSTOMERS} AND status IN ({", ".join(f"'{status}'" for status in sorted(SERVED))})
"""  # noqa: S608 – our own names


def bar(channel: str) -> str:
    """Take a channel's eligibility from customers' candidates. Raises EngageError for an unknown channel."""
    flag = flag_of(channel)
    return f"""
    UPDATE candidates SET {flag} = false, version = version + 1, updated_at = greatest(updated_at, :now)
    WHERE {_OF_CUSTOMERS} AND {flag}
"""  # noqa: S608 – our own names
