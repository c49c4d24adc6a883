"""The demand archive as assets: one external asset per type, the errors, and the stream that all come from.

The worker writes the files; the sensor reports what came.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import dagster as dg

from engage_assets.archive.schemas import SCHEMAS, TYPES, Schema, inner, is_added, is_nullable
from engage_assets.domain.archive_spec import DemandArchive

GROUP: Final = "archive"
CHANGES: Final = dg.AssetKey([GROUP, "changes"])
ERRORS: Final = dg.AssetKey([GROUP, "errors"])
COMPACTED: Final = dg.AssetKey([GROUP, "compacted"])
PARTITIONS: Final = {name: dg.DynamicPartitionsDefinition(name=f"{GROUP}_{name}") for name in TYPES}
"""By type: the UTC days (YYYY-MM-DD) that have records, registered as they appear; those of sales and events may lie
years ahead."""
_DAYS: Final = {
    "demand": "the day on which the fan asked",
    "notification": "the day on which the message was made",
    "event": "the day on which the event was first seen, else the one on which it begins",
    "sale": "the day on which the sale begins",
}
_WORDS: Final = {"long": "bigint", "int": "int", "string": "string", "boolean": "boolean", "double": "double"}


def type_key(name: str) -> dg.AssetKey:
    """The asset of a type."""
    return dg.AssetKey([GROUP, name])


def archive_specs(spec: DemandArchive) -> list[dg.AssetSpec]:
    """`archive/changes`, one asset per type, and `archive/errors`."""
    shared: dict[str, Any] = {"group_name": GROUP, "owners": list(spec.owners)}
    return [
        dg.AssetSpec(
            CHANGES,
            description="The stream of changes that the archive is made of.\n\n**Grain:** one INSERT, MODIFY or REMOVE."
            f" **Source:** `{spec.source}`, read by `engage archive run`, or in bounded batches by the job"
            " `archive_drain` where no worker is alive.",
            kinds={_kind_of(spec.source)},
            metadata=_uri(spec.source),
            **shared,
        ),
        *(_type_spec(name, spec, shared) for name in TYPES),
        dg.AssetSpec(
            ERRORS,
            deps=[CHANGES],
            description="Records that could not be archived, one JSON file each, readable by their owner only.\n\n"
            "**Grain:** one refused record: message, stream position, original. `engage archive replay` takes them up"
            " again after a fix. Metadata here count messages, which name fields and never quote a value.",
            kinds={"json"},
            **shared,
        ),
    ]


def _type_spec(name: str, spec: DemandArchive, shared: Mapping[str, Any]) -> dg.AssetSpec:
    return dg.AssetSpec(
        type_key(name),
        deps=[CHANGES],
        partitions_def=PARTITIONS[name],
        description=_description(name),
        kinds={"avro"},
        metadata={
            "dagster/column_schema": dg.TableSchema([*columns_of(SCHEMAS[name])]),
            "dagster/column_lineage": _lineage(SCHEMAS[name]),
            "dagster/table_name": f"archive.{name}",
            **_uri(f"{spec.root.rstrip('/')}/data/{name}"),
        },
        **shared,
    )


def _uri(text: str) -> dict[str, str]:
    """Where something lies, where that is no folder of the home."""
    return {"dagster/uri": text} if ":" in text else {}


def _description(name: str) -> str:
    return (
        f"{SCHEMAS[name]['doc']}\n\n**Grain:** one change, each once; every row names the change it came from"
        f" (`lineage`). **Partition:** {_DAYS[name]} (UTC).\n\nAvro files below `data/{name}/partition_date=…/` of the"
        f" root; as SQL the view `{name}` of `engage sql`."
    )


def _kind_of(source: str) -> str:
    scheme = source.partition(":")[0]
    return scheme if scheme in ("kinesis", "dynamodb") else "json"


def columns_of(schema: Schema, before: str = "") -> Iterator[dg.TableColumn]:
    """The columns of an Avro record with their words; those of a nested record by dotted name."""
    for field in schema["fields"]:
        kind, name = inner(field["type"]), f"{before}{field['name']}"
        if isinstance(kind, dict) and kind["type"] == "record":
            yield from columns_of(kind, f"{name}.")
            continue
        yield dg.TableColumn(
            name,
            _type_word(kind),
            description=field["doc"],
            constraints=dg.TableColumnConstraints(nullable=is_nullable(field["type"])),
        )


def _type_word(kind: Any) -> str:
    if isinstance(kind, str):
        return _WORDS[kind]
    if kind["type"] == "array":
        items = inner(kind["items"])
        return "array<record>" if isinstance(items, dict) else f"array<{_WORDS[items]}>"
    return "timestamp" if "timestamp" in kind.get("logicalType", "") else _WORDS[kind["type"]]


def _lineage(schema: Schema) -> dg.TableColumnLineage:
    """Fields that the image brings come from the stream's field of the same name; added ones from the change."""
    return dg.TableColumnLineage(
        {
            column.name: [dg.TableColumnDep(CHANGES, f"image.{column.name}")]
            for field in schema["fields"]
            if not is_added(field)
            for column in columns_of({"fields": [field]})
        }
    )
