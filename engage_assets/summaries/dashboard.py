"""The dashboard: one HTML page that holds all tables of all services with their pictures, and asks for nothing.

It works from a disk as from a web server: scripts, styles and figures are inside, and its policy forbids requests.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Final

import polars as pl
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from engage_assets.summaries.dashboard_data import Frames, page_data

_ROOM: Final = Path(__file__).parent
_VENDORED: Final = "vendor/echarts.min.js"
_OWN: Final = ("dashboard_numbers.js", "dashboard_charts.js", "dashboard.js")
"""One script in this order, with its names to itself."""


def render(tables: Frames, *, dates: Sequence[date], quality: pl.DataFrame, generated_for: date) -> str:
    """The page; the same arguments give the same text.

    `tables`: by service, calculation date and table the table's rows, all columns of `TABLES[name].columns`. A table
    that was not made for a date is left out and shown as such; a frame without rows is a table without rows.
    `dates`: the calculation dates to choose from; one that a service has no table of is not offered for it.
    `quality`: rows of `silver_quality.QUALITY_SCHEMA` of any services and days; they name what a null is for want of.
    `generated_for`: the business date that the page is of; tables of a day before it are marked as stale.

    Raises EngageError for a table that is not known or lacks a column.
    """
    data = page_data(tables, dates=dates, quality=quality, generated_for=generated_for)
    own = "\n".join(_text(f"templates/{name}") for name in _OWN)
    scripts = [_text(_VENDORED), f'(() => {{\n"use strict";\n{own}}})();\n']
    return _template().render(
        policy=_policy(scripts),
        styles=Markup(_text("templates/dashboard.css")),  # noqa: S704 - our own file
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files and the vendored one
        data=Markup(_inert(data)),  # noqa: S704 - JSON without a letter that HTML reads
        generated_for=generated_for,
    )


def _inert(data: object) -> str:
    """JSON in which nothing can end the script element that holds it."""
    written = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for letter in "<>&\u2028\u2029":
        written = written.replace(letter, f"\\u{ord(letter):04x}")
    return written


def _policy(scripts: Sequence[str]) -> str:
    """Nothing is loaded, and only these scripts run; ECharts lays out its tooltips by style attributes."""
    hashes = " ".join(f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'none'; img-src data:; script-src {hashes}; style-src 'unsafe-inline';"
        " base-uri 'none'; form-action 'none'"
    )


@cache
def _text(name: str) -> str:
    return (_ROOM / name).read_text(encoding="utf-8")


def _template() -> Template:
    folder = FileSystemLoader(_ROOM / "templates")
    return Environment(loader=folder, autoescape=True, undefined=StrictUndefined).get_template("dashboard.html.j2")
