"""The dashboard page of a calculation date, out of what the lake holds. Knows nothing of Dagster."""

from datetime import date
from pathlib import Path
from typing import Final

import polars as pl

from engage_assets.defs.summary_desk import ServiceDesk
from engage_assets.defs.summary_services import desks
from engage_assets.domain.errors import EngageError
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.home import Home
from engage_assets.lake import Lake, read_whole, replacing
from engage_assets.summaries.dashboard import render
from engage_assets.summaries.silver_quality import QUALITY_SCHEMA
from engage_assets.summaries.tables import TABLES

NAME: Final = "commerce_dashboard"
SHOWN_DAYS: Final = 7
"""Calculation dates that a page offers: the newest ones up to its own."""


def write_dashboard(spec: CommerceAnalytics, home: Home, day: date) -> Path:
    """Make the page of `day` out of the tables of that day and before. Raises EngageError where there are none."""
    found = {desk.service.service: desk for desk in desks(spec, home)}
    dates = sorted({one for desk in found.values() for table in TABLES for one in desk.dates(table) if one <= day})
    shown = dates[-SHOWN_DAYS:]
    if not shown:
        raise EngageError(f"no summary table of {day} or before was made: run `engage summaries run SERVICE {day}`")
    tables = {name: {one: _tables(desk, one) for one in shown} for name, desk in found.items()}
    page = render(tables, dates=shown, quality=_quality(list(found.values()), shown), generated_for=day)
    path = Lake(home.lake).path((NAME,), day.isoformat(), ".html")
    with replacing(path) as aside:
        aside.write_text(page, encoding="utf-8")
    return path


def _tables(desk: ServiceDesk, day: date) -> dict[str, pl.DataFrame]:
    paths = {table: desk.path(table, day) for table in TABLES}
    return {table: read_whole(path) for table, path in paths.items() if path.is_file()}


def _quality(found: list[ServiceDesk], days: list[date]) -> pl.DataFrame:
    paths = [desk.days.path("quality", day) for desk in found for day in days]
    frames = [read_whole(path) for path in paths if path.is_file()]
    return pl.concat([pl.DataFrame(schema=QUALITY_SCHEMA), *frames])
