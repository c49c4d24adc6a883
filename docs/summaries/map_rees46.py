"""Map the first hours of REES46's "eCommerce behavior data from multi category store" to raw log files.

    .venv/bin/python docs/summaries/map_rees46.py SOURCE_FOLDER WAREHOUSE_FOLDER

SOURCE_FOLDER holds `events.parquet` (or the publisher's `2019-Oct.csv`); of it the events before 02:40 UTC of
2019-10-01 are taken. WAREHOUSE_FOLDER is usually `$ENGAGE_HOME/warehouse`. The publisher allows use with attribution
to REES46: the rows stay out of this repository.

What the mapping decides:

- `view`, `cart` and `purchase` are `commerce.product.view`, `commerce.cart.add` and `commerce.purchase`. Sessions and
  users are the source's; a row without session stays without.
- An event is of one product: a cart add has quantity 1, a purchase the product's price as its amount. The source has
  no order ids, so every purchase is counted as one without an order, and no payment method.
- `category_code` is the category; null stays null. The brand is logged as `brand`, which no table reads: it is not a
  seller.
- Instants are the source's, in UTC and whole seconds. There are no record ids.
- Searches, buttons, page changes and session starts are not in the source, and none is invented.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
from log_files import write_days

SERVICE = "rees46"
UNTIL = datetime(2019, 10, 1, 2, 40, tzinfo=UTC)
BODIES = {"view": "commerce.product.view", "cart": "commerce.cart.add", "purchase": "commerce.purchase"}


def read(source: Path) -> pl.DataFrame:
    """The source's rows before UNTIL, all columns as texts, and `at`."""
    path = source / "events.parquet"
    rows = pl.read_parquet(path) if path.is_file() else pl.read_csv(source / "2019-Oct.csv", infer_schema=False)
    rows = rows.with_columns(pl.all().cast(pl.String))
    instant = pl.col("event_time").str.strptime(pl.Datetime("us", "UTC"), "%Y-%m-%d %H:%M:%S UTC")
    return rows.with_columns(at=instant).filter(pl.col("at") < UNTIL)


def records(rows: pl.DataFrame) -> pl.DataFrame:
    """Log records of rows, as `write_days` takes them."""
    is_cart, is_purchase = pl.col("event_type") == "cart", pl.col("event_type") == "purchase"
    return rows.select(
        "at",
        body=pl.col("event_type").replace_strict(BODIES),
        userId="user_id",
        sessionId="user_session",
        productId="product_id",
        category="category_code",
        categoryId="category_id",
        brand="brand",
        price="price",
        quantity=pl.when(is_cart).then(pl.lit("1")),
        totalAmount=pl.when(is_purchase).then("price"),
    )


def main(source: Path, warehouse: Path) -> dict[str, int]:
    """Write the log files; returns the records by event."""
    made = records(read(source))
    write_days(warehouse, SERVICE, made)
    return dict(made.group_by("body").len().sort("body").iter_rows())


if __name__ == "__main__":
    print(main(Path(sys.argv[1]), Path(sys.argv[2])))
