"""Small silver, with its atoms and roll-ups, by hand: what the SQL reads, without the code that otherwise makes it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.summaries.relations import RELATIONS

SERVICE = "theshop-brand"
DAY = date(2025, 10, 31)
"""The calculation date of the examples."""
NAMES = {
    "session_start": "commerce.session.start",
    "product_view": "commerce.product.view",
    "cart_add": "commerce.cart.add",
    "purchase": "commerce.purchase",
    "search": "commerce.search",
    "result_click": "commerce.search.result_click",
    "button_click": "commerce.button.click",
    "page_change": "client.routing",
}
_POLARS = {
    "VARCHAR": pl.String(),
    "TIMESTAMP": pl.Datetime("us"),
    "DATE": pl.Date(),
    "INTEGER": pl.Int32(),
    "BIGINT": pl.Int64(),
    "BOOLEAN": pl.Boolean(),
    "DECIMAL(18, 2)": pl.Decimal(18, 2),
    "ARRAY(VARCHAR)": pl.List(pl.String()),
}
Row = dict[str, Any]


def event(kind: str | None, user: str | None = "u1", session: str | None = "s1", at: str = "12:00", **more: Any) -> Row:
    """An event as silver has it. `at` is HH:MM[:SS[.ffffff]] or so many days before the last: `-3 12:00`."""
    days, clock = at.split(" ") if " " in at else ("0", at)
    moment = datetime.combine(DAY + timedelta(days=int(days)), time.fromisoformat(clock))
    known = {
        "service": SERVICE,
        "event_time": moment,
        "business_date": moment.date(),
        "business_hour": moment.hour,
        "event": NAMES.get(kind or "", kind),
        "kind": kind if kind in NAMES else None,
        "user_id": user,
        "session_id": session,
        "invalid_values": 0,
        "is_amount_invalid": False,
    }
    for money in ("price", "amount"):
        if more.get(money) is not None:
            more[money] = Decimal(more[money])
    row = dict.fromkeys(RELATIONS["events"].columns) | known | more
    assert row.keys() == RELATIONS["events"].columns.keys(), f"{more} has a key that silver does not have"
    return row


def write_inputs(folder: Path, events: Sequence[Row]) -> dict[str, list[Path]]:
    """Parquet files of silver, atoms and roll-ups, as an engine takes them."""
    rows = sorted(({**row, "event_id": f"e{number}"} for number, row in enumerate(events)), key=_place)
    made: dict[str, list[Path]] = {}
    for name, own in {
        "events": rows,
        "session_day": session_days(rows),
        "user_day": user_days(rows),
        "purchase_ledger": ledger(rows),
    }.items():
        by_day = _grouped(own, RELATIONS[name].day or "")
        made[name] = [_write(folder / name / f"{day}.parquet", name, part) for (day,), part in by_day.items()]
    for name, own in {
        "user_first_seen": first_seen(rows, "user_id"),
        "order_first_seen": first_seen([row for row in rows if row["kind"] == "purchase"], "order_id"),
        "month_total": months(rows),
    }.items():
        made[name] = [_write(folder / f"{name}.parquet", name, own)]
    return made


def session_days(rows: Iterable[Row]) -> list[Row]:
    made = []
    for (service, session, day), own in _grouped(rows, "service", "session_id", "business_date").items():
        starts = [row for row in own if row["kind"] == "session_start"]
        carts = [row for row in own if row["kind"] == "cart_add"]
        names = sorted({row["event"] for row in own} - {None})
        if session is not None:
            made.append(
                {
                    "service": service,
                    "session_id": session,
                    "date": day,
                    "first_time": own[0]["event_time"],
                    "last_time": own[-1]["event_time"],
                    "start_hour": (starts or own)[0]["business_hour"],
                    "has_session_start": bool(starts),
                    "events": len(own),
                    "event_types": names,
                    "event_type_count": len(names),
                    "has_view": any(row["kind"] == "product_view" for row in own),
                    "has_cart": bool(carts),
                    "cart_users": sorted({row["user_id"] for row in carts} - {None}),
                }
            )
    return made


def user_days(rows: Iterable[Row]) -> list[Row]:
    return [
        {"service": service, "user_id": user, "date": day, "events": len(own)}
        for (service, user, day), own in _grouped(rows, "service", "user_id", "business_date").items()
    ]


def ledger(rows: Iterable[Row]) -> list[Row]:
    made = []
    bought = [row for row in rows if row["kind"] == "purchase"]
    for (_, order, day), own in _grouped(bought, "service", "order_id", "business_date").items():
        made += [{**row, "date": day} for row in (own if order is None else own[:1])]
    return made


def first_seen(rows: Iterable[Row], key: str) -> list[Row]:
    return [
        {"service": service, key: value, "first_date": own[0]["business_date"]}
        for (service, value), own in _grouped(rows, "service", key).items()
        if value is not None
    ]


def months(rows: Iterable[Row]) -> list[Row]:
    rows = [{**row, "month": row["business_date"].replace(day=1)} for row in rows]
    firsts = [own[0] for (_, session), own in _grouped(rows, "service", "session_id").items() if session is not None]
    return [
        {
            "service": service,
            "month": month,
            "active_users": len({row["user_id"] for row in own} - {None}),
            "sessions": sum(row["month"] == month and row["service"] == service for row in firsts),
            "events": len(own),
            "first_date": own[0]["business_date"],
        }
        for (service, month), own in _grouped(rows, "service", "month").items()
    ]


def _grouped(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


def _place(row: Row) -> tuple[Any, ...]:
    """Time, session, amount, payment method, event id; nulls first."""
    rest = ((row[name] is not None, row[name] or 0) for name in ("session_id", "amount", "payment_method"))
    return (row["event_time"], *rest, row["event_id"])


def _write(path: Path, relation: str, rows: Sequence[Row]) -> Path:
    columns = RELATIONS[relation].columns
    schema = {name: _POLARS[kind] for name, kind in columns.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame([{name: row[name] for name in columns} for row in rows], schema=schema).write_parquet(path)
    return path
