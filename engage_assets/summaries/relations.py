"""What the SQL of summaries reads: typed silver, daily atoms, roll-ups, and two views that several tables share."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

SQL: Final = Path(__file__).parent / "sql"
TEXT: Final = "VARCHAR"


SESSION_REACH: Final = 3
"""Days before a window that are read to know whether a session began in it."""


class SharedView(NamedTuple):
    """A relation made by SQL of its own; its window is that of the table which reads it, and SESSION_REACH before."""

    file: Path
    reads: tuple[str, ...]


@dataclass(frozen=True)
class Relation:
    """A relation that files are the source of: Trino types by column; the column of the day, None for a roll-up."""

    columns: Mapping[str, str]
    day: str | None


def _typed(texts: str, **others: str) -> Mapping[str, str]:
    return {**dict.fromkeys(texts.split(), TEXT), **others}


RELATIONS: Final[Mapping[str, Relation]] = {
    "events": Relation(
        _typed(
            "service event_id event kind user_id session_id action menu_name page product_id product_name category"
            " seller source search_term order_id payment_method from_path to_path",
            event_time="TIMESTAMP",
            business_date="DATE",
            business_hour="INTEGER",
            quantity="INTEGER",
            price="DECIMAL(18, 2)",
            result_count="INTEGER",
            amount="DECIMAL(18, 2)",
            invalid_values="INTEGER",
            is_amount_invalid="BOOLEAN",
        ),
        "business_date",
    ),
    "session_day": Relation(
        _typed(
            "service session_id",
            date="DATE",
            first_time="TIMESTAMP",
            last_time="TIMESTAMP",
            start_hour="INTEGER",
            has_session_start="BOOLEAN",
            events="BIGINT",
            event_types="ARRAY(VARCHAR)",
            event_type_count="BIGINT",
            has_view="BOOLEAN",
            has_cart="BOOLEAN",
            cart_users="ARRAY(VARCHAR)",
        ),
        "date",
    ),
    "user_day": Relation(_typed("service user_id", date="DATE", events="BIGINT"), "date"),
    "purchase_ledger": Relation(
        _typed(
            "service order_id session_id user_id payment_method",
            date="DATE",
            amount="DECIMAL(18, 2)",
            is_amount_invalid="BOOLEAN",
        ),
        "date",
    ),
    "user_first_seen": Relation(_typed("service user_id", first_date="DATE"), None),
    "order_first_seen": Relation(_typed("service order_id", first_date="DATE"), None),
    "month_total": Relation(
        _typed(
            "service",
            month="DATE",
            active_users="BIGINT",
            sessions="BIGINT",
            events="BIGINT",
            first_date="DATE",
        ),
        None,
    ),
}
"""The columns that tables read; files may have more."""

SHARED_VIEWS: Final[Mapping[str, SharedView]] = {
    "sessions": SharedView(SQL / "shared" / "sessions.sql", ("session_day",)),
    "purchases": SharedView(SQL / "shared" / "purchases.sql", ("purchase_ledger", "order_first_seen")),
}
"""Written once and read by several tables: an engine makes them once for the tables of a day."""
