"""The archive as Athena sees it: text of tables over the Avro files in S3, and of views that show each record once."""
# ruff: noqa: S608 - every part of these texts is ours, the location aside, which is checked

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from engage_assets.archive.schemas import SCHEMAS, TYPES, inner, is_nullable
from engage_assets.domain.errors import EngageError

FIRST_DAY: Final = "2020-01-01"
"""From which on partitions are looked for; Athena asks S3 for each day that a query does not rule out."""
_LOCATION: Final = re.compile(r"s3://[a-z0-9.-]+(/[\w.=/-]*)?", re.ASCII)
_SIMPLE: Final = {"string": "varchar", "boolean": "boolean"}
_HIVE: Final = {"string": "string", "boolean": "boolean"}
_RESERVED: Final = frozenset({"date", "end", "start", "timestamp"})
_NUMBER: Final = "coalesce(lineage.eventid, concat(lineage.stream, '/', lineage.shard, '/', lineage.sequencenumber))"

_DERIVED: Final = {
    "demand_current": """
SELECT * FROM (
    SELECT *, row_number() OVER (PARTITION BY reference.id ORDER BY lineage.changetime DESC,
        lpad(lineage.sequencenumber, 64, '0') DESC, lineage.shard DESC) AS age FROM demand)
WHERE age = 1""",
    "deleted_audit": """
SELECT reference.id AS referenceid, fanid, eventid, saleid, "date".requested AS requested, "date".deleted AS deleted,
    lineage.eventid AS changeid, partition_date
FROM demand WHERE lineage.eventname = 'REMOVE'""",
    "notification_lag": """
SELECT reference.id AS referenceid, fanid, eventid, saleid, "date".requested AS requested, "date".notified AS notified,
    date_diff('millisecond', "date".requested, "date".notified) / 1e3 AS lag_seconds, isdeleted, partition_date
FROM demand WHERE "date".notified IS NOT NULL""",
}


def athena_ddl(location: str, first_day: str = FIRST_DAY) -> str:
    """Statements that make tables and views for a root `s3://bucket/prefix`, separated by `;`.

    Tables `<type>_files` have times as µs since 1970; views have timestamps of ms. Raises EngageError for a location
    that is none.
    """
    if not _LOCATION.fullmatch(location):
        raise EngageError(f"{location!r}: write s3://bucket/prefix")
    root = location.rstrip("/")
    statements = [text for kind in TYPES for text in (_table(kind, root, first_day), _view(kind))]
    statements += [f"CREATE OR REPLACE VIEW {name} AS{text}" for name, text in _DERIVED.items()]
    return ";\n\n".join(statements) + ";\n"


def _table(kind: str, root: str, first_day: str) -> str:
    columns = ",\n".join(f"  `{one['name'].lower()}` {_hive(one['type'])}" for one in SCHEMAS[kind]["fields"])
    folder = f"{root}/data/{kind}/"
    return f"""CREATE EXTERNAL TABLE IF NOT EXISTS {kind}_files (
{columns}
)
PARTITIONED BY (`partition_date` string)
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.avro.AvroSerDe'
WITH SERDEPROPERTIES ('avro.schema.literal' = '{json.dumps(_plain(SCHEMAS[kind]))}')
STORED AS INPUTFORMAT 'org.apache.hadoop.hive.ql.io.avro.AvroContainerInputFormat'
OUTPUTFORMAT 'org.apache.hadoop.hive.ql.io.avro.AvroContainerOutputFormat'
LOCATION '{folder}'
TBLPROPERTIES (
  'projection.enabled' = 'true',
  'projection.partition_date.type' = 'date',
  'projection.partition_date.format' = 'yyyy-MM-dd',
  'projection.partition_date.range' = '{first_day},NOW+11YEARS',
  'storage.location.template' = '{folder}partition_date=${{partition_date}}/'
)"""


def _view(kind: str) -> str:
    """Each record once: while compaction publishes, a file and the one that replaces it lie side by side."""
    columns = ",\n".join(
        f"  {_value(_quoted(one['name']), one['type'])} AS {_quoted(one['name'])}" for one in SCHEMAS[kind]["fields"]
    )
    return f"""CREATE OR REPLACE VIEW {kind} AS
SELECT
{columns},
  partition_date,
  file
FROM (
  SELECT *, "$path" AS file,
    row_number() OVER (PARTITION BY partition_date, {_NUMBER} ORDER BY "$path") AS copy
  FROM {kind}_files)
WHERE copy = 1"""


def _plain(stated: Any) -> Any:
    """A schema without words and without logical types, which Hive's reader does not know."""
    if isinstance(stated, dict):
        return {name: _plain(one) for name, one in stated.items() if name not in {"doc", "from", "logicalType"}}
    return [_plain(one) for one in stated] if isinstance(stated, list) else stated


def _hive(stated: Any) -> str:
    kind = inner(stated)
    if isinstance(kind, str):
        return _HIVE[kind]
    if kind["type"] == "record":
        fields = (f"{_hive_name(one['name'].lower())}:{_hive(one['type'])}" for one in kind["fields"])
        return f"struct<{','.join(fields)}>"
    return f"array<{_hive(kind['items'])}>" if kind["type"] == "array" else "bigint"


def _hive_name(name: str) -> str:
    return f"`{name}`" if name in _RESERVED else name


def _value(place: str, stated: Any) -> str:
    """A column with its times as timestamps."""
    kind = inner(stated)
    if "timestamp-micros" not in json.dumps(kind):
        return place
    if kind["type"] == "long":
        return f"CAST(from_unixtime({place} / 1e6) AS timestamp)"
    fields = ", ".join(_value(f"{place}.{_quoted(one['name'])}", one["type"]) for one in kind["fields"])
    row = f"CAST(ROW({fields}) AS {_presto(kind)})"
    return f"IF({place} IS NULL, NULL, {row})" if is_nullable(stated) else row


def _presto(stated: Any) -> str:
    kind = inner(stated)
    if isinstance(kind, str):
        return _SIMPLE[kind]
    if kind["type"] == "record":
        return f"ROW({', '.join(_row_fields(kind))})"
    return f"ARRAY({_presto(kind['items'])})" if kind["type"] == "array" else "timestamp"


def _row_fields(kind: Any) -> Iterator[str]:
    return (f"{_quoted(one['name'])} {_presto(one['type'])}" for one in kind["fields"])


def _quoted(name: str) -> str:
    return f'"{name.lower()}"'
