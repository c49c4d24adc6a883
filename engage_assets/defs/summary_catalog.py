"""Summaries as tables of ad-hoc SQL: those of the catalogue by their names, silver and atoms by service."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from engage_assets.connectors.adhoc import Catalog
from engage_assets.defs.summary_columns import SHEETS
from engage_assets.defs.summary_desk import FOLDER, ServiceDesk
from engage_assets.defs.summary_services import desks
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.summaries.atoms import MONTHLY
from engage_assets.summaries.tables import TABLES

FOLDERS = ("services", FOLDER)
"""Folders of the lake whose files stand here under other names."""


def summary_catalog(spec: CommerceAnalytics, home: Home, now: datetime) -> Catalog:
    """What there is at `now` (UTC), by name.

    `<table>_summary`: the newest calculation date that has begun; `history.<table>_summary`: all of them;
    `services.<service>_<name>`: silver, atoms, quality and roll-ups; `summaries.monitoring`.
    """
    relations = {name: paths for desk in desks(spec, home) for name, paths in _relations(desk, now) if paths}
    monitoring = Lake(home.lake).path((FOLDER, "monitoring"), None)
    if monitoring.is_file():
        relations["summaries.monitoring"] = [monitoring]
    return Catalog(
        {name: _view(paths) for name, paths in relations.items()},
        sorted({path for paths in relations.values() for path in paths}),
    )


def _relations(desk: ServiceDesk, now: datetime) -> Iterator[tuple[str, list[Path]]]:
    for table in TABLES:
        dates = desk.dates(table)
        begun = [day for day in dates if desk.has_begun(day, now)]
        yield desk.table_name(table), [desk.path(table, day) for day in (begun or dates)[-1:]]
        yield f"history.{desk.table_name(table)}", [desk.path(table, day) for day in dates]
    for name in (*SHEETS, *MONTHLY):
        partitions = desk.lake.partitions(("services", desk.service.service, name))
        yield f"services.{desk.service.table_prefix}_{name}", [desk.days.path(name, one) for one in partitions]


def _view(paths: Sequence[Path]) -> str:
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    return f"SELECT * FROM read_parquet([{files}], union_by_name = true)"  # noqa: S608 - paths of our own files, quoted
