"""The archive as SQL sees it: DuckDB views over the mirror's segments. All times are UTC, TIMESTAMP without a zone.

`demand`, `notification`, `event` and `sale` have the columns of their schemas (`date.requested` is a field of a
struct), `partition_date`, the `file` that holds the record and its `ordinal` there. The others build on them.
"""
# ruff: noqa: S608 - every part of these texts is ours

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from engage_assets.archive.schemas import SCHEMAS, TYPES, inner

MACROS: Final = {"unix_timestamp(moment)": "epoch(moment)", "to_unixtime(moment)": "epoch(moment)"}
"""Seconds since 1970 with their fraction, by the names that other engines have for them."""
_SIMPLE: Final = {"string": "VARCHAR", "boolean": "BOOLEAN"}
_NEWEST_FIRST: Final = (
    "lineage.changeTime DESC, lpad(lineage.sequenceNumber, 64, '0') DESC, lineage.shard DESC, segment, place"
)
"""Sequence numbers have up to 56 digits, more than any number type: filled up, texts are in the numbers' order."""
_READABLE: Final = "coalesce({}, '[redacted]') <> '[redacted]'"

_DERIVED: Final = {
    "demand_current": f"""
WITH several AS (SELECT reference.id AS id FROM mirror.demand GROUP BY ALL HAVING count(*) > 1),
older AS (
    SELECT segment, place FROM mirror.demand SEMI JOIN several ON reference.id = several.id
    QUALIFY row_number() OVER (PARTITION BY reference.id ORDER BY {_NEWEST_FIRST}) > 1
)
SELECT version.* EXCLUDE (segment, place) FROM mirror.demand AS version
ANTI JOIN older ON version.segment = older.segment AND version.place = older.place""",
    "deleted_audit": f"""
SELECT reference.id AS referenceId, fanId, eventId, saleId, date.requested AS requested, date.deleted AS deleted,
    NOT ({_READABLE.format("phoneNumber")} OR {_READABLE.format("email")}) AS isRedacted,
    lineage.eventId AS changeId, lineage.stream AS stream, lineage.shard AS shard,
    lineage.sequenceNumber AS sequenceNumber, partition_date, file, ordinal
FROM demand WHERE lineage.eventName = 'REMOVE'""",
    "deleted_but_readable": "\nUNION ALL\n".join(
        f"""
SELECT '{kind}' AS type, reference.id AS referenceId, lineage.changeTime AS changeTime, removed.deleted AS deletedAt,
    version.partition_date, file, ordinal
FROM {kind} AS version JOIN (
    SELECT reference.id AS id, max(lineage.changeTime) AS deleted FROM {kind}
    WHERE lineage.eventName = 'REMOVE' GROUP BY ALL
) AS removed ON version.reference.id = removed.id AND version.lineage.changeTime <= removed.deleted
WHERE {" OR ".join(_READABLE.format(name) for name in names)}""".strip()
        for kind, names in (
            ("demand", ("phoneNumber", "email")),
            ("notification", ("phoneNumber", "email", "messageBody")),
        )
    ),
    "notification_lag": """
SELECT reference.id AS referenceId, fanId, eventId, saleId, contactMethod, date.requested AS requested,
    date.triggered AS triggered, date.notified AS notified,
    date_diff('microsecond', date.requested, date.notified) / 1e6 AS lag_seconds,
    date_diff('microsecond', date.triggered, date.notified) / 1e6 AS triggered_lag_seconds,
    isDeleted, lineage.changeTime AS changeTime, partition_date
FROM demand WHERE date.notified IS NOT NULL""",
    "event_history": f"""
SELECT id, row_number() OVER versions AS version, lineage.changeTime AS changeTime,
    lead(lineage.changeTime) OVER versions AS until, lineage.eventName AS change, name,
    lag(name) OVER versions AS previousName,
    row_number() OVER versions > 1 AND name IS DISTINCT FROM lag(name) OVER versions AS isRenamed,
    eventDate.start.dateTime AS startsAt, isDeleted, partition_date, file, ordinal
FROM mirror.event
WINDOW versions AS (PARTITION BY id ORDER BY {_NEWEST_FIRST.replace(" DESC", "")})""",
    "archive_files": "\nUNION ALL\n".join(
        f"SELECT '{kind}' AS type, partition_date, file, count(*) AS records FROM {kind} GROUP BY ALL" for kind in TYPES
    ),
}


def views(segments: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """The text of each view by name, each after those that it asks; names in `mirror.` are for the others' use."""
    rows = {f"mirror.{kind}": _rows(kind, segments.get(kind, ())) for kind in TYPES}
    plain = {kind: f"SELECT * EXCLUDE (segment, place) FROM mirror.{kind}" for kind in TYPES}
    return rows | plain | {name: text.strip() for name, text in _DERIVED.items()}


def _rows(kind: str, paths: Sequence[Path]) -> str:
    """All records of a type; `segment` and `place` are two numbers that together no other record has."""
    if paths:
        files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
        return f"SELECT *, file_index AS segment, file_row_number AS place FROM read_parquet([{files}])"
    columns = {field["name"]: sql_type(field["type"]) for field in SCHEMAS[kind]["fields"]}
    columns |= {"partition_date": "DATE", "file": "VARCHAR", "ordinal": "BIGINT", "segment": "UBIGINT"}
    nothing = ", ".join(f'CAST(NULL AS {kind}) AS "{name}"' for name, kind in (columns | {"place": "BIGINT"}).items())
    return f"SELECT {nothing} WHERE false"


def sql_type(stated: Any) -> str:
    """DuckDB's type for an Avro type."""
    kind = inner(stated)
    if isinstance(kind, str):
        return _SIMPLE[kind]
    if kind["type"] == "record":
        fields = (f'"{one["name"]}" {sql_type(one["type"])}' for one in kind["fields"])
        return f"STRUCT({', '.join(fields)})"
    if kind["type"] == "array":
        return f"{sql_type(kind['items'])}[]"
    return "TIMESTAMP"
