"""The statements that make and publish a table in Athena: text alone, nothing here runs them.

A run writes a table of its own into an empty folder; a view under the documented name is then pointed at it, so that
readers see the old rows or the new ones. A failed CREATE TABLE leaves files behind: the next run takes another folder.
"""

import re
from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from engage_assets.domain.errors import QueryError
from engage_assets.summaries.dialect import Value, write
from engage_assets.summaries.queries import inlined, plan
from engage_assets.summaries.relations import RELATIONS
from engage_assets.summaries.tables import SummaryTable

_FOLDER: Final = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/([A-Za-z0-9=._-]+/)+")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,254}")


def create_table(
    table: SummaryTable, values: Mapping[str, Value], *, database: str, name: str, folder: str, prefix: str
) -> str:
    """CREATE TABLE AS of one run. `folder` must be empty; the inputs are `prefix`_events and so on, in `database`.

    Raises QueryError for a name or a folder that could be anything else.
    """
    if not _FOLDER.fullmatch(folder):
        raise QueryError(f"{folder!r} is no folder for a table: write s3://bucket/folder/, ending with a slash")
    query = inlined(plan(table, values))
    own = {cte.alias for cte in query.find_all(exp.CTE)}
    for node in query.find_all(exp.Table):
        if node.name in RELATIONS and node.name not in own:
            alias = node.alias or node.name
            node.replace(exp.alias_(_table(database, f"{prefix}_{node.name}"), alias, table=True))
    options = f"format = 'PARQUET', write_compression = 'ZSTD', external_location = '{folder}'"
    return f"CREATE TABLE {_table(database, name).sql('athena')}\nWITH ({options}) AS\n{write(query, 'athena')}"


def publish(table: SummaryTable, *, database: str, view: str, name: str) -> str:
    """CREATE OR REPLACE VIEW that points the documented name at a run's table."""
    columns = ", ".join(column.name.lower() for column in table.columns)
    source = _table(database, name).sql("trino")
    return f"CREATE OR REPLACE VIEW {_table(database, view).sql('trino')} AS SELECT {columns} FROM {source}"


def _table(database: str, name: str) -> exp.Table:
    for part in (database, name):
        if not _NAME.fullmatch(part):
            raise QueryError(
                f"{part!r} cannot be a name in the catalogue: write lower-case letters, digits and _, at most 255"
            )
    return exp.table_(name, db=database)
