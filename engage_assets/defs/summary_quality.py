"""Checks of a day's logs: what figures need is there, numbers are numbers, lines are records."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.defs.describe import markdown_table
from engage_assets.defs.summary_desk import ServiceDesk, read_whole
from engage_assets.defs.summary_sheets import day_key
from engage_assets.domain.summary_spec import CommerceAnalytics

LOGS: Final = "logs_have_come"
FILLED: Final = "attributes_are_filled"
VALID: Final = "numbers_are_valid"
READABLE: Final = "records_are_readable"
_MISSING: Final[Mapping[str, tuple[str, str, str]]] = {
    "session_start": ("session_starts_are_logged", "starts of sessions", "sessions start with their first event"),
    "total_amount": ("amounts_are_logged", "amounts of purchases", "revenue and order values are null"),
    "payment_method": (
        "payment_methods_are_logged",
        "payment methods of purchases",
        "purchases are in no entry of payment_method_counts",
    ),
    "result_click_term": (
        "result_clicks_name_their_term",
        "search terms of clicks on results",
        "they count for the session's last search within 30 minutes before",
    ),
}
"""By name of a `missing` figure: its check, what is logged, and what figures do without."""
CHECKS: Final[Mapping[str, str]] = {
    LOGS: "There is a log of every UTC day that the business date lies on.",
    **{name: f"Some {what} are logged; where none are, {words}." for name, what, words in _MISSING.values()},
    FILLED: "At least half of the events of each kind have the attributes that figures need.",
    VALID: "At most one in a hundred of the numbers that were given is none.",
    READABLE: "At most one in a hundred of the day's records was set aside.",
}
"""Checks by name. All of them warn: a table is made of what there is."""
_UNUSED: Final = tuple(f"product_view.{name}" for name in ("product_id", "product_name", "category", "seller"))
"""Attributes that no table looks at."""
_ENOUGH: Final = 0.5
_TOLERATED: Final = 0.01


def judged(desk: ServiceDesk, day: date) -> list[dg.AssetCheckResult]:
    """The results of CHECKS for a business date."""
    quality = read_whole(desk.days.path("quality", day))
    found = {
        LOGS: _logs(desk, day),
        **{check: _missing(desk.spec, quality, name, words) for name, (check, _, words) in _MISSING.items()},
        FILLED: _below(quality.filter(~pl.col("name").is_in(_UNUSED)), "coverage", _ENOUGH),
        VALID: _above(quality, "invalid"),
        READABLE: _above(quality, "set_aside"),
    }
    return [
        dg.AssetCheckResult(
            passed=not words,
            asset_key=day_key(desk.service, "events"),
            check_name=name,
            severity=dg.AssetCheckSeverity.WARN,
            description=words or None,
            metadata={"partition": day.isoformat(), **_table(quality, name)},
        )
        for name, words in found.items()
    ]


def _logs(desk: ServiceDesk, day: date) -> str:
    if lacking := ", ".join(map(str, desk.lacking(day))):
        return f"there is no log of {lacking} (UTC) in {desk.home.logs / desk.service.service}"
    return ""


def _missing(spec: CommerceAnalytics, quality: pl.DataFrame, name: str, words: str) -> str:
    """What is nowhere logged, by the names that the program file gives it; empty where it is or nothing needs it."""
    row = quality.filter(measure="missing", name=name)
    if not row["found"].sum():
        return ""
    events, attributes = spec.events, spec.attributes
    what = {
        "session_start": f"no event of the day is called {_either(events.session_start)}",
        "total_amount": f"no purchase of the day has the attribute {_either(attributes.total_amount)}",
        "payment_method": f"no purchase of the day has the attribute {_either(attributes.payment_method)}",
        "result_click_term": f"no click on a result has the attribute {_either(attributes.search_term)}",
    }
    return f"{what[name]}: {words}"


def _either(names: tuple[str, ...]) -> str:
    return " or ".join(names)


def _below(quality: pl.DataFrame, measure: str, least: float) -> str:
    rows = quality.filter(pl.col("measure") == measure, pl.col("share") < least)
    return "; ".join(f"{name}: {share:.0%}" for name, share in rows.select("name", "share").iter_rows())


def _above(quality: pl.DataFrame, measure: str) -> str:
    rows = quality.filter(pl.col("measure") == measure, pl.col("share") > _TOLERATED)
    return "; ".join(
        f"{name}: {found:,} of {events:,}" for name, found, events in rows.select("name", "found", "events").iter_rows()
    )


def _table(quality: pl.DataFrame, check: str) -> dict[str, Any]:
    measure = {FILLED: "coverage", VALID: "invalid", READABLE: "set_aside"}.get(check, "")
    rows = quality.filter(pl.col("measure") == measure).select("name", "found", "events", "share")
    return {"figures": markdown_table(rows)} if rows.height else {}
