"""Checks of a day's logs: what figures need is there, numbers are numbers, lines are records."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Final

import dagster as dg
import polars as pl
import pyarrow.parquet as pq

from engage_assets.defs.describe import markdown_table
from engage_assets.defs.summary_desk import ServiceDesk
from engage_assets.defs.summary_sheets import day_key
from engage_assets.domain.summary_spec import LATE_DAYS, CommerceAnalytics, EventNames, day_begins
from engage_assets.lake import read_whole
from engage_assets.summaries.silver import final_arrival

LOGS: Final = "logs_have_come"
FILLED: Final = "attributes_are_filled"
VALID: Final = "numbers_are_valid"
READABLE: Final = "records_are_readable"
KNOWN: Final = "every_kind_is_logged"
LIKE_BEFORE: Final = "kinds_are_logged_as_before"
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
    LOGS: "There is a log of every UTC day that the business date lies on, with records in it.",
    KNOWN: "Of every kind that tables count there is an event on the day or the 7 days before.",
    LIKE_BEFORE: "Kinds that were logged on the 7 days before are logged on the day.",
    **{name: f"Some {what} are logged; where none are, {words}." for name, what, words in _MISSING.values()},
    FILLED: "At least half of the events of each kind have the attributes that figures need.",
    VALID: "At most one in a hundred of the numbers that were given is none.",
    READABLE: "At most one in a hundred of the day's records was set aside.",
}
"""Checks by name. All of them warn: a table is made of what there is."""
_LOOK_BACK: Final = 7
_UNUSED: Final = tuple(f"product_view.{name}" for name in ("product_id", "product_name", "category", "seller"))
"""Attributes that no table looks at."""
_ENOUGH: Final = 0.5
_TOLERATED: Final = 0.01
_MEANINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "user_id": ("user",),
    "session_id": ("session",),
    "amount": ("total_amount",),
    "from_path": ("from_path", "path"),
    "to_path": ("to_path", "path"),
}
"""What the program file calls silver's columns, where it is not the column's name."""


def judged(desk: ServiceDesk, day: date) -> list[dg.AssetCheckResult]:
    """The results of CHECKS for a business date."""
    quality = read_whole(desk.days.path("quality", day))
    kinds, before = _kinds(quality), _kinds_before(desk, day)
    found = {
        LOGS: _logs(desk, day),
        KNOWN: _never(desk.spec.events, set(EventNames.model_fields) - kinds - before - {"session_start"}),
        LIKE_BEFORE: _no_more(desk.spec.events, before - kinds),
        **{check: _missing(desk.spec, quality, name, words) for name, (check, _, words) in _MISSING.items()},
        FILLED: _rarely(desk.spec, quality),
        VALID: _above(quality, "invalid"),
        READABLE: _above(quality, "set_aside") + _all_aside(quality),
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
    folder = desk.home.logs / desk.service.service
    lacking = desk.lacking(day)
    found = [f"there is no log of {', '.join(map(str, lacking))} (UTC) in {folder}"] if lacking else []
    if empty := [one for one in _utc_days(desk, day) if one not in lacking and not _records(desk, one)]:
        found.append(f"the log of {', '.join(map(str, empty))} (UTC) in {folder} holds no record")
    return "; ".join(found)


def _utc_days(desk: ServiceDesk, day: date) -> list[date]:
    """UTC days that a business date lies on."""
    zone = desk.service.time_zone
    first, last = day_begins(day, zone).date(), final_arrival(day, zone) - timedelta(days=LATE_DAYS)
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]


def _records(desk: ServiceDesk, arrival: date) -> int:
    """Records of an arrival day, those that were set aside too."""
    paths = [desk.days.path(name, arrival) for name in ("arrivals", "set_aside")]
    return sum(pq.read_metadata(path).num_rows for path in paths if path.is_file())


def _kinds(quality: pl.DataFrame) -> set[str]:
    """Kinds of which a day has events."""
    return {name.split(".")[0] for name in quality.filter(pl.col("measure") == "coverage")["name"]}


def _kinds_before(desk: ServiceDesk, day: date) -> set[str]:
    paths = [desk.days.path("quality", day - timedelta(days=days)) for days in range(1, _LOOK_BACK + 1)]
    return {kind for path in paths if path.is_file() for kind in _kinds(read_whole(path))}


def _never(events: EventNames, kinds: set[str]) -> str:
    if not kinds:
        return ""
    names = "; ".join(f"{kind}: {_either(getattr(events, kind))}" for kind in sorted(kinds))
    return (
        f"no event of the day or the {_LOOK_BACK} days before is called {names}: what tables count of them is empty;"
        " where they are logged by another name, add it to events in the program file"
    )


def _no_more(events: EventNames, kinds: set[str]) -> str:
    if not kinds:
        return ""
    names = "; ".join(f"{kind}: {_either(getattr(events, kind))}" for kind in sorted(kinds))
    return (
        f"no event of the day is called {names}, as some of the {_LOOK_BACK} days before are;"
        " where the name has changed, add the new one to events in the program file"
    )


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


def _rarely(spec: CommerceAnalytics, quality: pl.DataFrame) -> str:
    """Attributes that most events of their kind lack, with the names that they may be logged by."""
    known = quality.filter(~pl.col("name").is_in(_UNUSED), pl.col("measure") == "coverage", pl.col("share") < _ENOUGH)
    return "; ".join(
        f"{name} ({_either(_logged_as(spec, name))}): {share:.0%}"
        for name, share in known.select("name", "share").iter_rows()
    )


def _logged_as(spec: CommerceAnalytics, name: str) -> tuple[str, ...]:
    """Attributes of a `kind.column`."""
    column = name.split(".")[1]
    return tuple(one for meaning in _MEANINGS.get(column, (column,)) for one in getattr(spec.attributes, meaning))


def _all_aside(quality: pl.DataFrame) -> str:
    rows = quality.filter(measure="set_aside")
    is_all = rows.height > 0 and rows["found"].sum() == rows["events"][0]
    return ": no record of the day's log is an event" if is_all else ""


def _above(quality: pl.DataFrame, measure: str) -> str:
    rows = quality.filter(pl.col("measure") == measure, pl.col("share") > _TOLERATED)
    return "; ".join(
        f"{name}: {found:,} of {events:,}" for name, found, events in rows.select("name", "found", "events").iter_rows()
    )


def _table(quality: pl.DataFrame, check: str) -> dict[str, Any]:
    measure = {FILLED: "coverage", VALID: "invalid", READABLE: "set_aside"}.get(check, "")
    rows = quality.filter(pl.col("measure") == measure).select("name", "found", "events", "share")
    return {"figures": markdown_table(rows)} if rows.height else {}
