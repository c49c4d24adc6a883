"""Map the UCI "Online Retail" data set to raw log files.

    .venv/bin/python docs/summaries/map_online_retail.py SOURCE_FOLDER WAREHOUSE_FOLDER

SOURCE_FOLDER holds `online_retail.parquet` (or the publisher's rows as `online_retail.csv`); of it the invoices before
2011-10-01 are taken. WAREHOUSE_FOLDER is usually `$ENGAGE_HOME/warehouse`. The source is CC BY 4.0 (Chen, Sain and Guo,
2012); its rows stay out of this repository.

What the mapping decides:

- An invoice is a `commerce.purchase` at its first minute: `orderId` is its number, `totalAmount` the sum of quantity
  times unit price. A cancellation (its number begins with C) is a `commerce.order.cancel`, which no table but
  event_distribution counts: the tables know no negative revenue.
- A line of an invoice that is no cancellation is a `commerce.cart.add` at its own minute. Quantities and prices are
  the source's, whatever they are: what is not a quantity or a price of money (negative, over four digits, three
  decimals) is counted as invalid by the tables.
- The user is the customer's number. There are no sessions, no categories, no payment methods and no record ids, and
  none is invented.
- Local times bear no zone. They are read as Europe/London and written in UTC; an hour that occurs twice is its first
  occurrence.
"""

import sys
from datetime import datetime
from pathlib import Path

import polars as pl
from log_files import write_days

SERVICE = "online-retail"
UNTIL = datetime(2011, 10, 1)  # noqa: DTZ001  # the source's own, local
ZONE = "Europe/London"


def read(source: Path) -> pl.DataFrame:
    """The source's lines before UNTIL, with `at` in UTC."""
    path = source / "online_retail.parquet"
    lines = (
        pl.read_parquet(path) if path.is_file() else pl.read_csv(source / "online_retail.csv", infer_schema_length=None)
    )
    local = pl.col("InvoiceDate").cast(pl.String).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us")
    texts = pl.col("InvoiceNo", "StockCode").cast(pl.String), pl.col("CustomerID").cast(pl.Int64).cast(pl.String)
    utc = pl.col("local").dt.replace_time_zone(ZONE, ambiguous="earliest").dt.convert_time_zone("UTC")
    return lines.with_columns(*texts, local=local).filter(pl.col("local") < UNTIL).with_columns(at=utc)


def invoices(lines: pl.DataFrame) -> pl.DataFrame:
    """A record per invoice."""
    value = pl.col("Quantity") * pl.col("UnitPrice").cast(pl.Decimal(18, 3))
    made = lines.group_by("InvoiceNo", maintain_order=True).agg(
        pl.col("at").min(), pl.col("CustomerID").first(), amount=value.sum().round(2)
    )
    is_cancelled = pl.col("InvoiceNo").str.starts_with("C")
    return made.select(
        "at",
        body=pl.when(is_cancelled).then(pl.lit("commerce.order.cancel")).otherwise(pl.lit("commerce.purchase")),
        userId="CustomerID",
        orderId="InvoiceNo",
        totalAmount=pl.col("amount").cast(pl.Decimal(18, 2)).cast(pl.String),
    )


def adds(lines: pl.DataFrame) -> pl.DataFrame:
    """A record per line of an invoice that is no cancellation."""
    return lines.filter(~pl.col("InvoiceNo").str.starts_with("C")).select(
        "at",
        body=pl.lit("commerce.cart.add"),
        userId="CustomerID",
        invoiceNo="InvoiceNo",
        productId="StockCode",
        productName="Description",
        country="Country",
        quantity=pl.col("Quantity").cast(pl.String),
        price=pl.col("UnitPrice").cast(pl.String),
    )


def main(source: Path, warehouse: Path) -> dict[str, int]:
    """Write the log files; returns the records by event."""
    lines = read(source)
    made = pl.concat([invoices(lines), adds(lines)], how="diagonal")
    write_days(warehouse, SERVICE, made)
    return dict(made.group_by("body").len().sort("body").iter_rows())


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2])))
