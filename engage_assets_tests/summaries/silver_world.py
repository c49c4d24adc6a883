"""A small service for tests of silver and atoms: raw records written by hand, days built, rows read back."""

import json
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.lake import Lake
from engage_assets.summaries.silver_days import ServiceDays, service_days

SHOP = "theshop-brand"
DAY = date(2025, 10, 31)
NEXT = DAY + timedelta(days=1)
BEFORE = DAY - timedelta(days=1)
KINDS = {
    "start": "commerce.session.start",
    "view": "commerce.product.view",
    "cart": "commerce.cart.add",
    "purchase": "commerce.purchase",
    "search": "commerce.search",
    "click": "commerce.search.result_click",
    "button": "commerce.button.click",
    "page": "client.routing",
}
Row = dict[str, Any]


def log(name: str, at: str = "12:00", record_id: str | None = None, **attributes: str | None) -> Row:
    """A raw record: `at` is HH:MM[:SS[.ffffff]] of DAY or begins with another date; name as in KINDS, or as logged."""
    moment = at if "-" in at else f"{DAY} {at}"
    return {
        "timestamp": f"{moment.replace(' ', 'T')}{'' if moment.endswith('Z') else 'Z'}",
        "body": KINDS.get(name, name),
        "attributes": attributes,
        "resource": {"service.name": SHOP},
        **({} if record_id is None else {"record_id": record_id}),
    }


def write_lines(folder: Path, arrival: date, lines: Iterable[str | bytes]) -> Path:
    """Raw lines of an arrival day."""
    path = folder / "logs" / SHOP / f"{arrival}.ndjson"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\n" for line in lines))
    return path


def write_logs(folder: Path, records: Iterable[Row], arrival: date | None = None) -> None:
    """Raw records; without `arrival` each in the file of its own UTC day."""
    days: dict[date, list[str]] = defaultdict(list)
    for record in records:
        days[arrival or date.fromisoformat(record["timestamp"][:10])].append(json.dumps(record, ensure_ascii=False))
    for day, lines in days.items():
        write_lines(folder, day, lines)


def shop(folder: Path, zone: str = "UTC", **names: Any) -> ServiceDays:
    """The service below `folder`."""
    spec = CommerceAnalytics.model_validate({"services": [{"service": SHOP, "timeZone": zone}], **names})
    return service_days(Lake(folder / "lake"), folder / "logs", spec, SHOP)


def silver(days: ServiceDays, day: date = DAY) -> list[Row]:
    """The day's events, built anew, by time."""
    days.build(day)
    return rows(days, "events", day, "event_time")


def rows(days: ServiceDays, name: str, day: date = DAY, *by: str) -> list[Row]:
    """What lies in the lake; in its order, or by columns."""
    frame = pl.read_parquet(days.path(name, day), glob=False)
    return (frame.sort(by, nulls_last=False, maintain_order=True) if by else frame).to_dicts()


def made(folder: Path, *records: Row, zone: str = "UTC") -> list[Row]:
    """Events of DAY out of records that arrived on their own days."""
    write_logs(folder, records)
    return silver(shop(folder, zone))


def column(events: Iterable[Row], name: str) -> list[Any]:
    """One column."""
    return [event[name] for event in events]
