"""Daily atoms of silver, which the tables add up, and what months keep of them for figures that look further back."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from engage_assets.domain.summary_spec import LATE_DAYS
from engage_assets.lake import replacing, write_parquet
from engage_assets.summaries.silver_engine import batches, parquet, run, sql_text

DAILY: Final = ("session_day", "user_day", "purchase_ledger")
"""Atoms of a day; their columns stand in `sql/atoms`."""
MONTHLY: Final = ("month_user", "month_order", "month_total")
"""Roll-ups of a month."""
SESSION_REACH: Final = timedelta(days=3)
"""A session is put together over so many days before and after a month."""
_DAY: Final = timedelta(days=1)
_COLUMNS: Final[Mapping[str, str]] = {
    "month_user": "service VARCHAR, month DATE, user_id VARCHAR, first_date DATE, last_date DATE, active_days BIGINT,"
    " events BIGINT",
    "month_order": "service VARCHAR, month DATE, order_id VARCHAR, first_date DATE",
    "month_total": "service VARCHAR, month DATE, active_users BIGINT, sessions BIGINT, events BIGINT, first_date DATE,"
    " last_date DATE, days BIGINT",
    "user_days": "service VARCHAR, user_id VARCHAR, date DATE, events BIGINT",
    "session_days": "service VARCHAR, session_id VARCHAR, date DATE, has_session_start BOOLEAN",
    "ledger_days": "service VARCHAR, order_id VARCHAR, date DATE",
}
"""Columns of roll-ups, and those of atoms that roll-ups are made of."""
_SORTED: Final[Mapping[str, str]] = {
    "month_user": "user_id NULLS FIRST",
    "month_order": "order_id",
    "month_total": "month",
}


class Parts(NamedTuple):
    """Of which roll-ups and which days' atoms a figure over all logs is made, as of a day."""

    months: tuple[date, ...]
    days: tuple[date, ...]
    session_days: tuple[date, ...]


def build_atoms(connection: duckdb.DuckDBPyConnection, silver: Path, out: Mapping[str, Path]) -> dict[str, int]:
    """Write the atoms of a day out of its silver, to the path of each name of DAILY; returns their rows.

    The same silver gives the same bytes. Raises QueryError.
    """
    rows = {}
    run(connection, f"CREATE OR REPLACE TEMP VIEW events AS FROM {parquet(silver)}")
    for name in DAILY:
        with replacing(out[name]) as aside:
            rows[name] = write_parquet(aside, batches(connection, sql_text(f"atoms/{name}"), {}))
    return rows


def build_month(
    connection: duckdb.DuckDBPyConnection, month: date, atoms: Mapping[str, Sequence[Path]], out: Mapping[str, Path]
) -> None:
    """Write the roll-ups of a month, to the path of each name of MONTHLY, out of files of each name of DAILY.

    `user_day` and `purchase_ledger`: the month's days; `session_day`: those and SESSION_REACH around them.
    """
    queries = _of_days(atoms["user_day"], atoms["session_day"], atoms["purchase_ledger"])
    for name in MONTHLY:
        query = f"FROM ({queries[name]}) WHERE month = DATE '{month}' ORDER BY {_SORTED[name]}"
        with replacing(out[name]) as aside:
            write_parquet(aside, batches(connection, query, {}))


def is_month_final(month: date, day: date) -> bool:
    """Whether the roll-ups of `month` (its first day) can change no more after the calculation date `day`."""
    return last_of(month) + SESSION_REACH + timedelta(days=LATE_DAYS) <= day


def last_of(month: date) -> date:
    """The last day of a month."""
    return (month.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY


def parts(day: date, months: Collection[date], days: Collection[date]) -> Parts:
    """What to add up for figures over all logs up to `day`: final months' roll-ups, else atoms; nothing later.

    `months`: roll-ups that there are, by first day; `days`: days whose atoms there are.
    """
    whole = sorted(month for month in months if is_month_final(month, day))
    own = sorted(one for one in days if one <= day and one.replace(day=1) not in whole)
    reach = {one + number * _DAY for one in own for number in range(-SESSION_REACH.days, 1)}
    return Parts(tuple(whole), tuple(own), tuple(sorted(one for one in days if one in reach)))


def rollup_views(monthly: Mapping[str, Sequence[Path]], atoms: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """DuckDB queries of month_user, month_order, month_total, user_first_seen and order_first_seen.

    `monthly`: files of each name of MONTHLY for `Parts.months`; `atoms`: files of each name of DAILY for `Parts.days`
    (session_day: `Parts.session_days`).
    """
    recent = _of_days(atoms["user_day"], atoms["session_day"], atoms["purchase_ledger"])
    views = {
        name: f"SELECT * FROM ({_stored(name, monthly[name])}) UNION ALL SELECT * FROM ({recent[name]})"
        for name in MONTHLY
    }
    for kind, key in (("user", "user_id"), ("order", "order_id")):
        views[f"{kind}_first_seen"] = (
            f"SELECT service, {key}, min(first_date) AS first_date FROM ({views[f'month_{kind}']})"
            f" WHERE {key} IS NOT NULL GROUP BY service, {key}"
        )
    return views


def _of_days(users: Iterable[Path], sessions: Iterable[Path], ledgers: Iterable[Path]) -> dict[str, str]:
    """Queries of the monthly roll-ups over files of daily atoms."""
    relations = (
        f"user_days AS ({_stored('user_days', users)}), session_days AS ({_stored('session_days', sessions)}),"
        f" ledger_days AS ({_stored('ledger_days', ledgers)})"
    )
    return {name: f"WITH {relations} SELECT * FROM ({sql_text(f'atoms/{name}')})" for name in MONTHLY}


def _stored(name: str, files: Iterable[Path]) -> str:
    """The columns of a relation out of files; without files no row."""
    columns = [column.split() for column in _COLUMNS[name].split(", ")]
    paths = tuple(files)
    if not paths:
        nothing = ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in columns)
        return f"SELECT {nothing} WHERE false"
    return f"SELECT {', '.join(column for column, _ in columns)} FROM {parquet(*paths)}"
