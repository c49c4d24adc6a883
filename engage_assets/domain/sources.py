"""The sources that programs may name, and all tables that they read from a warehouse."""

from typing import Final

from engage_assets.domain import events, music, purchases
from engage_assets.domain.source import Source
from engage_assets.domain.tables import CUSTOMER_TRUST, CUSTOMERS, OPT_OUTS, Table

SOURCES: Final[dict[str, Source]] = {
    source.table.name: source for source in (purchases.SOURCE, music.SOURCE, events.SOURCE)
}
"""Sources by the name of their table."""

_OF_CUSTOMERS: Final = (CUSTOMERS, CUSTOMER_TRUST, OPT_OUTS)
INPUT_TABLES: Final[dict[str, Table]] = {
    table.name: table for table in (*_OF_CUSTOMERS, *(table for source in SOURCES.values() for table in source.tables))
}
"""Every table that a program may read from the warehouse, by noun."""


def tables_of(source: Source) -> tuple[Table, ...]:
    """The tables that a program of `source` reads: other tables of its database may be named as they like."""
    return (*_OF_CUSTOMERS, *source.tables)
