"""What silver's figures rest on, per day: attributes that are filled, values that are none, copies, late events."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import polars as pl

from engage_assets.summaries.silver_engine import parquet, run

QUALITY_SCHEMA: Final = {
    "service": pl.String,
    "date": pl.Date,
    "measure": pl.String,
    "name": pl.String,
    "events": pl.Int64,
    "found": pl.Int64,
    "share": pl.Float64,
}
"""One row per measure and name: `found` out of `events`, and their share (null without events).

coverage: `kind.attribute`, events of the kind with the attribute filled (numbers: valid). invalid: numbers that are
none, out of those filled. duplicates: copies left out, out of all. late: by days. set_aside: by reason, out of all
records of the arrival day. missing: 1 where no event of the day has what a figure needs, out of the events that should.
"""
_EXPECTED: Final[Mapping[str, tuple[str, ...]]] = {
    "session_start": (),
    "product_view": ("product_id", "product_name", "category", "seller"),
    "cart_add": ("product_id", "product_name", "category", "seller", "quantity", "price", "source"),
    "purchase": ("order_id", "amount", "payment_method"),
    "search": ("search_term", "result_count"),
    "result_click": ("product_id", "search_term"),
    "button_click": ("action", "menu_name", "page"),
    "page_change": ("from_path", "to_path"),
}
"""Attributes that events of a kind should have, beside user and session."""
_INVALID: Final = {
    "quantity": ("cart_add", "quantity", "is_quantity_invalid"),
    "price": ("cart_add", "price", "is_price_invalid"),
    "result_count": ("search", "result_count", "is_result_count_invalid"),
    "amount": ("purchase", "amount", "is_amount_invalid"),
}


class _Row(NamedTuple):
    measure: str
    name: str
    events: int
    found: int


def measure(
    connection: duckdb.DuckDBPyConnection,
    silver: Path,
    set_aside: Path | None,
    arrivals: Path | None = None,
    *,
    service: str,
    day: date,
    duplicates: int,
) -> pl.DataFrame:
    """The quality of a day (QUALITY_SCHEMA), sorted by measure and name.

    `arrivals` and `set_aside` are those of the arrival day `day`, where there are any.
    """
    described = run(connection, _counting(silver)).fetchall()
    names = [column[0] for column in connection.description or ()]
    kinds = {row[0]: dict(zip(names, row, strict=True)) for row in described}
    late = run(
        connection, f"SELECT days_late, count(*) FROM {parquet(silver)} WHERE days_late > 0 GROUP BY ALL"
    ).fetchall()
    events = sum(counts["events"] for counts in kinds.values())
    rows = [*_coverage(kinds), *_invalid(kinds), *_missing(kinds, events)]
    rows.append(_Row("duplicates", "all", events + duplicates, duplicates))
    rows += [_Row("late", str(days), events, count) for days, count in late]
    aside = _set_aside(set_aside)
    arrived = _kept(connection, arrivals) + sum(count for _, count in aside)
    rows += [_Row("set_aside", reason, arrived, count) for reason, count in aside]
    return _frame(rows, service, day)


def _counting(silver: Path) -> str:
    columns = {"user_id", "session_id", *(name for names in _EXPECTED.values() for name in names)}
    counted = ", ".join(f"count({name}) AS {name}" for name in sorted(columns))
    wrong = ", ".join(f"count(*) FILTER (WHERE {flag}) AS {flag}" for *_, flag in _INVALID.values())
    return (
        f"SELECT kind, count(*) AS events, {counted}, {wrong}, count(*) FILTER (WHERE is_term_attributed) AS attributed"
        f" FROM {parquet(silver)} GROUP BY kind"
    )


def _coverage(kinds: Mapping[str | None, Mapping[str, int]]) -> Iterator[_Row]:
    for kind, names in _EXPECTED.items():
        if kind in kinds:
            for name in ("user_id", "session_id", *names):
                yield _Row("coverage", f"{kind}.{name}", kinds[kind]["events"], kinds[kind][name])


def _invalid(kinds: Mapping[str | None, Mapping[str, int]]) -> Iterator[_Row]:
    for name, (kind, column, flag) in _INVALID.items():
        counts = kinds.get(kind, {column: 0, flag: 0})
        yield _Row("invalid", name, counts[column] + counts[flag], counts[flag])


def _missing(kinds: Mapping[str | None, Mapping[str, int]], events: int) -> Iterator[_Row]:
    """Inputs of figures that no event of the day has, though there are events that should."""
    starts = kinds.get("session_start", {"events": 0})["events"]
    yield _Row("missing", "session_start", events, int(events > 0 and starts == 0))
    bought = kinds.get("purchase", {"events": 0, "amount": 0, "payment_method": 0, "is_amount_invalid": 0})
    none_filled = bought["events"] > 0 and bought["amount"] + bought["is_amount_invalid"] == 0
    yield _Row("missing", "total_amount", bought["events"], int(none_filled))
    yield _Row(
        "missing", "payment_method", bought["events"], int(bought["events"] > 0 and not bought["payment_method"])
    )
    clicks = kinds.get("result_click", {"events": 0, "search_term": 0, "attributed": 0})
    without = clicks["events"] > 0 and clicks["search_term"] == clicks["attributed"]
    yield _Row("missing", "result_click_term", clicks["events"], int(without))


def _kept(connection: duckdb.DuckDBPyConnection, arrivals: Path | None) -> int:
    """Records of an arrival day that are events."""
    if arrivals is None or not arrivals.is_file():
        return 0
    ((kept,),) = run(connection, f"SELECT count(*) FROM {parquet(arrivals)} WHERE fault IS NULL").fetchall()
    return int(kept)


def _set_aside(path: Path | None) -> list[tuple[str, int]]:
    """Records by reason; what is said of a single line is left out of the reason."""
    if path is None or not path.is_file():
        return []
    reason = pl.col("reason").str.split(":").list.first()
    frame = (
        pl.read_parquet(path, glob=False).group_by(reason.alias("reason")).agg(pl.col("records").sum()).sort("reason")
    )
    return list(frame.iter_rows())


def _frame(rows: list[_Row], service: str, day: date) -> pl.DataFrame:
    shares = [row.found / row.events if row.events else None for row in rows]
    values = [(service, day, *row, share) for row, share in zip(rows, shares, strict=True)]
    return pl.DataFrame(values, schema=QUALITY_SCHEMA, orient="row").sort("measure", "name")
