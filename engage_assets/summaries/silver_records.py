"""SQL that reads raw files into one relation: texts by meaning, aliases resolved, whatever the file's form."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from engage_assets.domain.summary_spec import AttributeNames, EventNames
from engage_assets.summaries.silver_engine import file_name, identifier, parquet, quoted

_NAMES: Final = {
    "user": "user_id",
    "session": "session_id",
    "quantity": "quantity_text",
    "price": "price_text",
    "result_count": "result_count_text",
    "total_amount": "total_amount_text",
    "search_term": "search_term_text",
    "from_path": "from_path_text",
    "to_path": "to_path_text",
    "path": "path_text",
}
"""Columns of `raw` for meanings that are worked on further."""
MAP: Final = "MAP(VARCHAR, VARCHAR)"


def raw_relation(relations: list[str], events: EventNames, attributes: AttributeNames) -> str:
    """A query of the relation that `sql/silver/arrivals.sql` reads, out of those of `ndjson` or `columns`."""
    kinds = " ".join(f"WHEN {quoted(name)} THEN {quoted(kind)}" for kind, name in events.kinds)
    places = _places(attributes)
    meanings = ", ".join(
        f"{_first_filled([places[name] for name in getattr(attributes, meaning)])} AS {_NAMES.get(meaning, meaning)}"
        for meaning in type(attributes).model_fields
    )
    return (
        f"SELECT *, CASE event {kinds} END AS kind FROM ("
        'SELECT file, "timestamp" AS at_text, trimmed(body) AS event, trimmed(record_id) AS record_id, service_name,'
        f" fingerprint, is_blank, is_odd, is_hollow, {meanings} FROM ({_spread(relations, attributes)}))"
    )


def _spread(relations: list[str], attributes: AttributeNames) -> str:
    """Each attribute as a column, so that no expression takes it out of the record again."""
    taken = ", ".join(f"attributes.{identifier(name)} AS {column}" for name, column in _places(attributes).items())
    return f"SELECT * EXCLUDE (attributes), {taken} FROM ({' UNION ALL '.join(relations)})"


def _places(attributes: AttributeNames) -> dict[str, str]:
    """By attribute the name of its column."""
    return {name: f"attribute_{number}" for number, name in enumerate(attributes.all)}


def _first_filled(places: Sequence[str]) -> str:
    filled = [f"trimmed({place})" for place in places]
    return filled[0] if len(filled) == 1 else f"coalesce({', '.join(filled)})"


def ndjson(path: Path, number: int, attributes: AttributeNames, *, with_maps: bool) -> str:
    """The records of a file of one JSON object a line; `with_maps`: where some have no record id.

    A line that is none comes as a row of nulls.
    """
    held = "JSON" if with_maps else f"STRUCT({', '.join(f'{identifier(name)} VARCHAR' for name in attributes.all)})"
    resource = "JSON" if with_maps else 'STRUCT("service.name" VARCHAR)'
    reader = (
        f"read_json({file_name(path)}, format = 'newline_delimited', compression = 'none', ignore_errors = true,"
        " columns = {"
        f"timestamp: 'VARCHAR', body: 'VARCHAR', record_id: 'VARCHAR', attributes: {quoted(held)},"
        f" resource: {quoted(resource)}"
        "})"
    )
    return _records(reader, number, attributes, is_json=with_maps)


def columns(path: Path, number: int, attributes: AttributeNames, types: dict[str, str]) -> str:
    """The records of a Parquet file; attributes and resource may be a map, a struct or JSON text."""
    texts = {
        name: f'CAST("{name}" AS VARCHAR)' if name in types else "NULL" for name in ("timestamp", "body", "record_id")
    }
    objects = {name: _as_json(name, types.get(name)) for name in ("attributes", "resource")}
    chosen = ", ".join(f'{value} AS "{name}"' for name, value in (texts | objects).items())
    return _records(f"(SELECT {chosen} FROM {parquet(path)})", number, attributes, is_json=True)


def _as_json(name: str, found: str | None) -> str:
    if found is None:
        return "CAST(NULL AS JSON)"
    if found in ("VARCHAR", "JSON"):
        return f"""coalesce(TRY_CAST("{name}" AS JSON), to_json(nullif("{name}", '')))"""
    return f'to_json("{name}")'


def _records(reader: str, number: int, attributes: AttributeNames, *, is_json: bool) -> str:
    """The columns of a record out of a reader.

    `is_odd`: its attributes are no object; where they were not read as JSON, `is_hollow` says that they may be none.
    """
    blank = " AND ".join(f'"{name}" IS NULL' for name in ("timestamp", "body", "record_id", "attributes", "resource"))
    values, service, known = "attributes", 'resource."service.name"', "CAST(NULL AS VARCHAR)"
    filled = ", ".join(f"attributes.{identifier(name)}" for name in attributes.all)
    odd, hollow = "false", f"attributes IS NOT NULL AND coalesce({filled}) IS NULL"
    if is_json:
        shape = json.dumps(dict.fromkeys(attributes.all, "VARCHAR"))
        values = f"from_json(attributes, {quoted(shape)})"
        service = """json_extract_string(resource, '$."service.name"')"""
        whole = f'fingerprint(as_instant("timestamp"), body, {_entries("attributes")}, {_entries("resource")})'
        odd, hollow = "coalesce(json_type(attributes) NOT IN ('OBJECT', 'NULL'), false)", "false"
        known = f"CASE WHEN trimmed(record_id) IS NULL THEN {whole} END"
    return (
        f'SELECT {number} AS file, "timestamp", body, record_id, {values} AS attributes, {service} AS service_name,'
        f" {known} AS fingerprint, {blank} AS is_blank, {odd} AS is_odd, {hollow} AS is_hollow FROM {reader}"
    )


def _entries(name: str) -> str:
    """All entries of an object; one that names an attribute twice is one entry."""
    whole = f"CASE WHEN {name} IS NOT NULL THEN MAP {{'': CAST({name} AS VARCHAR)}} END"
    return f"coalesce(TRY_CAST({name} AS {MAP}), {whole})"
