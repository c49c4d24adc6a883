"""Map the Olist data set to the tables that the product-reviews program reads.

    .venv/bin/python docs/olist/map_olist.py SOURCE_FOLDER WAREHOUSE_FOLDER

SOURCE_FOLDER holds `olist_orders_dataset`, `olist_order_items_dataset`, `olist_order_reviews_dataset`,
`olist_customers_dataset`, `olist_products_dataset` and `product_category_name_translation`, as .parquet or as
the publisher's .csv. WAREHOUSE_FOLDER is usually `$ENGAGE_HOME/warehouse`. The source is CC BY-NC-SA 4.0: its
rows stay out of this repository.

What the mapping decides:

- The person is `customer_unique_id`; Olist's `customer_id` is one order's. A person's marketplace and zone are
  those of the state of the latest order.
- Local times bear no zone. They are read as America/Sao_Paulo and written in UTC. An hour that occurs twice
  (end of summer time) is its first occurrence; one that never occurs (begin of summer time, 00:00 to 01:00)
  is the transition itself, 01:00.
- A delivery is one order and product; several pieces are several source lines and one delivery. Its key is the
  order's and the product's first line number in it. Deliveries of orders that were not completed keep their
  status, so that the contract refuses them in sight.
- "Reviewed" means a comment with text. A review belongs to an order, so it counts for each of its products.
  Ratings without text are not reviews here: nearly every order has one.
- `extra_*` files are not read: nothing is known of the reviews of their orders, so a customer who wrote one
  would pass for somebody who did not.
- There are no trust, fraud or account facts, no returns, no opt-outs, no names and no addresses, and none is
  invented: those tables and columns are absent, and what needs them is reported as not evaluated. A list price
  is not known either; one derived from sales would look into the future.

The same source gives the same bytes. All tables are built before the first is written, and each appears under
its name only when it is complete.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.purchases import DELIVERIES, ORDER_ITEMS, ORDERS, PRODUCTS, REVIEWS
from engage_assets.domain.tables import CUSTOMERS, Table

SOURCE_ZONE = "America/Sao_Paulo"
SOURCE_TIME = "%Y-%m-%d %H:%M:%S"

SOURCES: dict[str, dict[str, pl.DataType]] = {
    "olist_orders_dataset": {
        "order_id": pl.String(),
        "customer_id": pl.String(),
        "order_status": pl.String(),
        "order_purchase_timestamp": pl.Datetime("us"),
        "order_delivered_customer_date": pl.Datetime("us"),
    },
    "olist_order_items_dataset": {
        "order_id": pl.String(),
        "order_item_id": pl.Int64(),
        "product_id": pl.String(),
        "price": pl.Float64(),
    },
    "olist_order_reviews_dataset": {
        "review_id": pl.String(),
        "order_id": pl.String(),
        "review_score": pl.Int64(),
        "review_answer_timestamp": pl.Datetime("us"),
        "has_comment_message": pl.Boolean(),
    },
    "olist_customers_dataset": {
        "customer_id": pl.String(),
        "customer_unique_id": pl.String(),
        "customer_state": pl.String(),
    },
    "olist_products_dataset": {"product_id": pl.String(), "product_category_name": pl.String()},
    "product_category_name_translation": {
        "product_category_name": pl.String(),
        "product_category_name_english": pl.String(),
    },
}
"""Columns that are read, with the type that they become; instants are local time in the source."""

STATES: dict[str, tuple[str, str]] = {
    "AC": ("BR-N", "America/Rio_Branco"),
    "AL": ("BR-NE", "America/Maceio"),
    "AM": ("BR-N", "America/Manaus"),
    "AP": ("BR-N", "America/Belem"),
    "BA": ("BR-NE", "America/Bahia"),
    "CE": ("BR-NE", "America/Fortaleza"),
    "DF": ("BR-CO", "America/Sao_Paulo"),
    "ES": ("BR-SE", "America/Sao_Paulo"),
    "GO": ("BR-CO", "America/Sao_Paulo"),
    "MA": ("BR-NE", "America/Fortaleza"),
    "MG": ("BR-SE", "America/Sao_Paulo"),
    "MS": ("BR-CO", "America/Campo_Grande"),
    "MT": ("BR-CO", "America/Cuiaba"),
    "PA": ("BR-N", "America/Belem"),
    "PB": ("BR-NE", "America/Fortaleza"),
    "PE": ("BR-NE", "America/Recife"),
    "PI": ("BR-NE", "America/Fortaleza"),
    "PR": ("BR-S", "America/Sao_Paulo"),
    "RJ": ("BR-SE", "America/Sao_Paulo"),
    "RN": ("BR-NE", "America/Fortaleza"),
    "RO": ("BR-N", "America/Porto_Velho"),
    "RR": ("BR-N", "America/Boa_Vista"),
    "RS": ("BR-S", "America/Sao_Paulo"),
    "SC": ("BR-S", "America/Sao_Paulo"),
    "SE": ("BR-NE", "America/Maceio"),
    "SP": ("BR-SE", "America/Sao_Paulo"),
    "TO": ("BR-N", "America/Araguaina"),
}
"""Region and zone by state (IANA's zone of the state's capital)."""

Frames = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Mapped:
    """A table of the warehouse, and what became of each source row: read = used + set aside."""

    table: Table
    database: str
    rows: pl.DataFrame
    source: str
    read: int
    set_aside: Mapping[str, int] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The account of the table, one line."""
        used = self.read - sum(self.set_aside.values())
        aside = "; ".join(f"{count:,} {reason}" for reason, count in self.set_aside.items() if count) or "none"
        name = f"{self.database}/{self.table.name}"
        return (
            f"{name:<19} {self.rows.height:>7,} rows written  <- {self.source}: {self.read:,} read, {used:,} used,"
            f" set aside: {aside}"
        )


def read_source(folder: Path, name: str, columns: Mapping[str, pl.DataType] | None = None) -> pl.DataFrame:
    """The `columns` of a source file, typed; by default those of `SOURCES`. Raises WarehouseError: file and column."""
    wanted = SOURCES[name] if columns is None else columns
    path = next((file for end in (".parquet", ".csv") if (file := folder / f"{name}{end}").is_file()), None)
    if path is None:
        raise WarehouseError(f"{folder}: neither {name}.parquet nor {name}.csv is there; give the folder that has it")
    frame = pl.read_parquet(path) if path.suffix == ".parquet" else pl.read_csv(path, infer_schema=False)
    if "has_comment_message" in wanted and "review_comment_message" in frame.columns:
        text = pl.col("review_comment_message").str.strip_chars()
        frame = frame.with_columns(has_comment_message=(text != "").fill_null(False))
    missing = [column for column in wanted if column not in frame.columns]
    if missing:
        raise WarehouseError(f"{path}: column {missing[0]} is missing; found {', '.join(frame.columns)}")
    return frame.select(_typed(path, frame[column], kind) for column, kind in wanted.items())


def _typed(path: Path, values: pl.Series, wanted: pl.DataType) -> pl.Series:
    """`values` as `wanted`; raises WarehouseError naming file, column and the first value that does not fit."""
    if isinstance(wanted, pl.Datetime) and values.dtype == pl.String:
        typed = values.str.to_datetime(SOURCE_TIME, time_unit="us", strict=False)
    else:
        typed = values.cast(wanted, strict=False)
    broken = values.filter(values.is_not_null() & typed.is_null())
    if broken.len():
        rule = "YYYY-MM-DD HH:MM:SS" if isinstance(wanted, pl.Datetime) else str(wanted)
        raise WarehouseError(
            f"{path}: column {values.name}: {broken.len()} of {values.len()} values are not {rule},"
            f" the first is {broken[0]!r}; correct them in the source"
        )
    return typed


def in_utc(column: str) -> pl.Expr:
    """A local time of the source as an instant in UTC."""
    local = pl.col(column)
    known = local.dt.replace_time_zone(SOURCE_ZONE, ambiguous="earliest", non_existent="null")
    # São Paulo's gaps were whole hours, so the transition is the next full hour on the clock.
    after_gap = (local.dt.truncate("1h") + pl.duration(hours=1)).dt.replace_time_zone(
        SOURCE_ZONE, ambiguous="earliest", non_existent="null"
    )
    return pl.coalesce(known, after_gap).dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def status() -> pl.Expr:
    """The source's status in our words: delivered is COMPLETED."""
    return (
        pl.when(pl.col("order_status") == "delivered")
        .then(pl.lit("COMPLETED"))
        .otherwise(pl.col("order_status").str.to_uppercase())
    )


def orders_of_people(sources: Frames) -> pl.DataFrame:
    """Orders with the person in `customer_id`, instants in UTC, our status."""
    people = sources["olist_customers_dataset"]
    return (
        sources["olist_orders_dataset"]
        .join(people, on="customer_id", how="left", maintain_order="left")
        .select(
            "order_id",
            "customer_state",
            customer_id="customer_unique_id",
            ordered_at=in_utc("order_purchase_timestamp"),
            delivered_at=in_utc("order_delivered_customer_date"),
            status=status(),
        )
    )


def items_of_orders(sources: Frames) -> pl.DataFrame:
    """One row per order and product: pieces, value, the first line's number."""
    return (
        sources["olist_order_items_dataset"]
        .group_by("order_id", "product_id")
        .agg(line=pl.col("order_item_id").min(), quantity=pl.len(), order_value=pl.col("price").sum().round(2))
        .sort("order_id", "product_id")
    )


def map_customers(sources: Frames) -> Mapped:
    """People, where they last ordered from."""
    orders = orders_of_people(sources)
    known = orders.drop_nulls("customer_id")
    latest = known.sort("customer_id", "ordered_at", "order_id").unique("customer_id", keep="last", maintain_order=True)
    unknown = latest.filter(~pl.col("customer_state").is_in(list(STATES)).fill_null(False))
    if unknown.height:
        raise WarehouseError(
            f"olist_customers_dataset: column customer_state: {unknown['customer_state'][0]!r} is no state of Brazil"
            f" ({unknown.height} people); correct it in the source"
        )
    state = pl.col("customer_state")
    rows = latest.select(
        "customer_id",
        marketplace=state.replace_strict(
            {code: region for code, (region, _) in STATES.items()}, return_dtype=pl.String
        ),
        time_zone=state.replace_strict({code: zone for code, (_, zone) in STATES.items()}, return_dtype=pl.String),
        locale=pl.lit("pt-BR"),
    )
    people = sources["olist_customers_dataset"]
    aside = {
        "without an order": people.join(sources["olist_orders_dataset"], on="customer_id", how="anti").height,
        "of a person's earlier orders": known.height - latest.height,
    }
    return Mapped(CUSTOMERS, "crm", rows, "olist_customers_dataset", people.height, aside)


def map_orders(sources: Frames) -> Mapped:
    """Orders of people."""
    orders = orders_of_people(sources)
    rows = orders.drop_nulls("customer_id").select("order_id", "customer_id", "ordered_at", "status").sort("order_id")
    aside = {"orders of nobody known": orders["customer_id"].null_count()}
    return Mapped(ORDERS, "olist", rows, "olist_orders_dataset", orders.height, aside)


def map_order_items(sources: Frames) -> Mapped:
    """Products of orders; lines of the same product become one row."""
    lines = sources["olist_order_items_dataset"]
    orders = orders_of_people(sources).drop_nulls("customer_id")
    rows = (
        items_of_orders(sources)
        .join(orders, on="order_id", how="semi", maintain_order="left")
        .select(
            "order_id",
            "product_id",
            quantity=pl.col("quantity").cast(pl.Int64),
            unit_price=(pl.col("order_value") / pl.col("quantity")).round(2),
        )
    )
    aside = {"lines without an order": lines.join(orders, on="order_id", how="anti").height}
    return Mapped(ORDER_ITEMS, "olist", rows, "olist_order_items_dataset", lines.height, aside)


def map_deliveries(sources: Frames) -> Mapped:
    """One row per order and product that has a delivery date, whatever the order's status."""
    orders = orders_of_people(sources)
    items = items_of_orders(sources)
    known = orders.drop_nulls("customer_id")
    dated = known.drop_nulls("delivered_at")
    rows = (
        dated.join(items, on="order_id")
        .select(
            "order_id",
            "customer_id",
            "product_id",
            "status",
            "delivered_at",
            "order_value",
            delivery_id=pl.format("{}-{}", "order_id", "line"),
            delivery_date=pl.col("delivered_at").dt.date(),
        )
        .sort("delivered_at", "delivery_id")
    )
    undated = known.filter(pl.col("delivered_at").is_null())
    aside = {
        "orders of nobody known": orders.height - known.height,
        "orders without delivery date": undated.height,
        "delivered orders without items": dated.join(items, on="order_id", how="anti").height,
    }
    return Mapped(DELIVERIES, "olist", rows, "olist_orders_dataset", orders.height, aside)


def map_products(sources: Frames) -> Mapped:
    """The catalogue; a category without English name keeps its own."""
    products = sources["olist_products_dataset"]
    rows = (
        products.join(sources["product_category_name_translation"], on="product_category_name", how="left")
        .select("product_id", category=pl.coalesce("product_category_name_english", "product_category_name"))
        .sort("product_id")
    )
    return Mapped(PRODUCTS, "olist", rows, "olist_products_dataset", products.height)


def map_reviews(sources: Frames) -> Mapped:
    """Comments with text, once for each product of the order."""
    reviews = sources["olist_order_reviews_dataset"]
    written = reviews.filter("has_comment_message")
    orders = orders_of_people(sources).drop_nulls("customer_id").select("order_id", "customer_id")
    owned = written.join(orders, on="order_id")
    items = items_of_orders(sources).select("order_id", "product_id")
    rows = (
        owned.join(items, on="order_id")
        .select(
            "customer_id",
            "product_id",
            "review_id",
            reviewed_at=in_utc("review_answer_timestamp"),
            rating="review_score",
        )
        .unique()
        .sort("reviewed_at", "review_id", "customer_id", "product_id")
    )
    aside = {
        "ratings without text": reviews.height - written.height,
        "of orders of nobody known": written.height - owned.height,
        "of orders without items": owned.join(items, on="order_id", how="anti").height,
    }
    return Mapped(REVIEWS, "olist", rows, "olist_order_reviews_dataset", reviews.height, aside)


TABLES: tuple[Callable[[Frames], Mapped], ...] = (
    map_customers,
    map_orders,
    map_order_items,
    map_deliveries,
    map_products,
    map_reviews,
)


def to_contract(mapped: Mapped) -> pl.DataFrame:
    """The rows with the declared types, columns in the declared order; absent ones stay absent."""
    names = [name for name in mapped.table.names if name in mapped.rows.columns]
    required = {column.name for column in mapped.table.columns if column.required}
    assert required <= set(names), f"{mapped.table.name}: {required - set(names)} not mapped"
    return mapped.rows.select(pl.col(name).cast(mapped.table.schema[name]) for name in names)


def write(frames: Mapping[Path, pl.DataFrame]) -> None:
    """Write all frames beside their places, then move each into its place."""
    waiting = {}
    try:
        for path, frame in frames.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting[path] = path.with_name(f".{path.name}.{os.getpid()}")
            frame.write_parquet(waiting[path])
        for path, file in waiting.items():
            file.replace(path)
    finally:
        for file in waiting.values():
            file.unlink(missing_ok=True)


def main(source: Path, warehouse: Path) -> None:
    """Map every table of `source` into `warehouse` and print what became of the rows."""
    sources = {name: read_source(source, name) for name in SOURCES}
    mapped = [table(sources) for table in TABLES]
    write({warehouse / one.database / f"{one.table.name}.parquet": to_contract(one) for one in mapped})
    print(*(one.line for one in mapped), sep="\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: map_olist.py SOURCE_FOLDER WAREHOUSE_FOLDER")
    try:
        main(Path(sys.argv[1]), Path(sys.argv[2]))
    except WarehouseError as error:
        sys.exit(f"map_olist.py: {error}")
