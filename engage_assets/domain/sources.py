"""What kind of record a source table holds: which column is its key, its day, its customer, its subject.

A program differs from another by the source it names, never by an `if` on its id. Adding a source is
adding a row here, its table to `domain.tables`, and its contract to `candidates.contract`.
"""

from dataclasses import dataclass
from typing import Final

from engage_assets.domain.tables import CANDIDATES, DELIVERIES, Column, Table


@dataclass(frozen=True)
class Source:
    """A source table and the part that its columns play."""

    table: Table
    record_key: str | None
    customer: str
    subject: str
    subject_type: str
    day: str
    event: str
    carried: tuple[str, ...]
    """Columns that candidates keep because filters ask about them."""

    @property
    def raw_asset(self) -> str:
        """Name of the asset that holds its records, `raw_deliveries`."""
        return f"raw_{self.table.name}"

    @property
    def raw_columns(self) -> tuple[Column, ...]:
        """Columns of the raw asset: the declared ones, the record's id, lateness."""
        return (
            Column(
                "record_id", "key", "The declared key; repeats are numbered #2, #3; without a key, a hash of the row."
            ),
            *self.table.columns,
            Column("is_late", "flag", "Of an earlier day, arrived after that day's batch."),
        )

    @property
    def candidate_columns(self) -> tuple[Column, ...]:
        """Columns of the candidates: the unified model and what is carried for the filters."""
        return (*CANDIDATES.columns, *(self.table[name] for name in self.carried))


SOURCES: Final[dict[str, Source]] = {
    source.table.name: source
    for source in (
        Source(
            table=DELIVERIES,
            record_key="delivery_id",
            customer="customer_id",
            subject="product_id",
            subject_type="product",
            day="delivery_date",
            event="delivered_at",
            carried=("order_id", "order_value"),
        ),
    )
}
