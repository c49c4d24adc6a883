"""The embedded connector on a warehouse of a few rows: what a batch reads, and how its records are named."""

import tempfile
from datetime import UTC, date
from decimal import Decimal

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import QueryError, WarehouseError
from engage_assets.domain.purchases import DELIVERIES, ORDERS
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import CUSTOMERS, frame_schema
from engage_assets_tests.builders import a_customer, a_delivery, instant, rows_of
from engage_assets_tests.connectors.shops import DAY, a_reader

ARRIVAL = {"arrivalColumn": "arrived_at"}


def days_after(count):
    return date.fromordinal(DAY.toordinal() + count)


# --- records --------------------------------------------------------------------------------------


def test_a_day_is_read_with_all_declared_columns_sorted(shop):
    shop.deliver(
        a_delivery(delivery_id="d-3", customer_id="c-2", product_id="p-1"),
        a_delivery(delivery_id="d-2", customer_id="c-1", product_id="p-2"),
        a_delivery(delivery_id="d-4", customer_id=None, product_id="p-9"),
        a_delivery(delivery_id="d-5", customer_id="c-2", product_id=None),
        a_delivery(delivery_id="d-1", customer_id="c-1", product_id="p-2"),
        a_delivery(delivery_id="d-0", delivery_date=days_after(-1)),
        a_delivery(delivery_id="d-9", delivery_date=days_after(1)),
    )
    found = shop.read()
    assert found["record_id"].to_list() == ["d-4", "d-1", "d-2", "d-5", "d-3"]
    assert found.schema == pl.Schema(frame_schema(SOURCES["deliveries"].raw_columns))
    assert found.row(1, named=True) == a_delivery(product_id="p-2") | {"record_id": "d-1", "is_late": False}


def test_an_empty_day_has_its_columns(shop):
    shop.deliver(a_delivery())
    found = shop.read(days_after(5))
    assert found.height == 0
    assert found.schema == pl.Schema(frame_schema(SOURCES["deliveries"].raw_columns))


def test_rows_of_a_large_day_come_in_batches_and_keep_their_order(shop):
    shop.deliver(*(a_delivery(delivery_id=f"d-{n:05}", customer_id=f"c-{n % 97:02}") for n in range(5000)))
    connector = DuckDBConnector(Warehouse(shop.root), batch_rows=2048)
    batches = [batch.num_rows for batch in connector.read(a_reader(), DAY)]
    assert sum(batches) == 5000
    assert max(batches) <= 2048
    found = shop.read()
    assert_frame_equal(found, found.sort("customer_id", "product_id", "record_id"))


def test_repeated_keys_are_numbered_in_the_order_of_their_canonical_json(shop):
    rows = [a_delivery(order_value=value) for value in (9.0, 10.0, None)]
    wanted = {9.0: "d-1#2", 10.0: "d-1", None: "d-1#3"}  # 10 < 9 < null as text
    for order in ([0, 1, 2], [2, 1, 0], [1, 2, 0]):
        shop.deliver(*(rows[n] for n in order))
        found = shop.read()
        assert dict(zip(found["order_value"], found["record_id"], strict=True)) == wanted


def test_a_numbered_name_never_meets_another_rows_own_key(shop):
    shop.deliver(a_delivery(), a_delivery(order_value=50.0), a_delivery(delivery_id="d-1#2"))
    assert sorted(shop.read()["record_id"]) == ["d-1", "d-1#2", "d-1#3"]


@pytest.mark.parametrize("key", [None, "", "  ", "\t", "\u00a0", "\u3000"])
def test_blank_keys_are_named_by_a_hash_of_their_row(shop, key):
    shop.deliver(a_delivery(delivery_id=key), a_delivery(delivery_id=key, product_id="p-2"))
    names = shop.read()["record_id"].to_list()
    assert len(set(names)) == 2
    assert all(len(name) == 64 and set(name) <= set("0123456789abcdef") for name in names)


def test_keys_keep_their_white_space(shop):
    shop.deliver(a_delivery(delivery_id=" d-1 ", customer_id=" c-1"))
    assert shop.read().select("record_id", "customer_id").row(0) == (" d-1 ", " c-1")


# --- the same rows in every form ------------------------------------------------------------------

ODD = [
    a_delivery(delivery_id="007", order_id="000", customer_id="0042", product_id="1e5"),
    a_delivery(delivery_id="008", customer_id='with "quotes", and commas', order_value=None, delivered_at=None),
    a_delivery(delivery_id="009", customer_id="Zoë\nMüller", arrived_at=instant("2026-11-19 20:00:00.000001")),
    a_delivery(delivery_id="010", status="RETURNED", order_value=-0.1),
]


@pytest.mark.parametrize("form", ["csv", "parquet parts", "csv parts"])
def test_every_form_of_a_table_gives_the_same_rows(shop, tmp_path, form):
    shop.deliver(*ODD)
    wanted = shop.read(**ARRIVAL)
    assert wanted.select("record_id", "customer_id").rows() == [
        ("007", "0042"),
        ("009", "Zoë\nMüller"),
        ("010", "c-1"),
        ("008", 'with "quotes", and commas'),
    ]
    other = type(shop)(tmp_path / "other")
    other.deliver(*ODD, form=form)
    assert_frame_equal(other.read(**ARRIVAL), wanted)


def test_integers_and_strings_are_the_same_keys(shop):
    ids = ["delivery_id", "order_id", "customer_id", "product_id"]
    rows = [a_delivery(delivery_id=str(n), order_id="1", customer_id="2", product_id=str(n % 2)) for n in range(4)]
    shop.deliver(*rows, rows[0])
    wanted = shop.read()
    assert wanted["record_id"].to_list() == ["0", "0#2", "2", "1", "3"]
    shop.deliver(*rows, rows[0], **dict.fromkeys(ids, pl.Int64()))
    assert_frame_equal(shop.read(), wanted)
    shop.deliver(*rows, rows[0], **dict.fromkeys(ids, pl.UInt32()))
    assert_frame_equal(shop.read(), wanted)
    shop.deliver(*rows, rows[0], **dict.fromkeys(ids, pl.Categorical()))
    assert_frame_equal(shop.read(), wanted)


def test_order_of_columns_is_free_and_more_are_welcome(shop):
    frame = rows_of(DELIVERIES, a_delivery(), a_delivery(delivery_id="d-2"))
    shop.put(frame)
    wanted = shop.read()
    mixed = frame.select(reversed(frame.columns)).with_columns(colour=pl.lit("red"), order_value_note=pl.lit(None))
    shop.put(mixed)
    assert_frame_equal(shop.read(), wanted)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_parts_may_differ_in_order_and_in_optional_columns(shop, form):
    first, second = a_delivery(), a_delivery(delivery_id="d-2", order_value=None, delivered_at=None)
    frame = rows_of(DELIVERIES, first, second)
    shop.put(frame[:1], "deliveries/a", form=form)
    shop.put(frame[1:].select(reversed(frame.columns)).drop("order_value", "delivered_at"), "deliveries/b", form=form)
    assert shop.read().select(frame.columns).rows(named=True) == [first, second]


def test_physical_types_become_their_kinds(shop):
    frame = rows_of(DELIVERIES, a_delivery(), a_delivery(delivery_id="d-2", order_value=float("nan")))
    wanted = a_delivery() | {"record_id": "d-1", "is_late": False}
    berlin = pl.col("delivered_at").dt.replace_time_zone("UTC").dt.convert_time_zone("Europe/Berlin")
    for changed in (
        frame,
        frame.with_columns(berlin, pl.col("arrived_at").dt.cast_time_unit("ns")),
        frame.with_columns(pl.col("delivery_date").cast(pl.Datetime("ms")), pl.col("order_value").cast(pl.Float32)),
        frame.with_columns(pl.col("delivered_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
        frame.with_columns(pl.lit("2026-11-19 16:30:00+02:00").alias("delivered_at")),
        frame.with_columns(pl.col("delivery_date").cast(pl.String)),
        frame.with_columns(pl.lit("2026-11-18T23:30:00-05:00").alias("delivery_date")),
        frame.with_columns(pl.lit(Decimal("42.50")).alias("order_value")),
    ):
        shop.put(changed)
        assert shop.read().row(0, named=True) == wanted, changed.schema
    shop.put(frame)
    assert shop.read()["order_value"].to_list() == [42.5, None]


def test_instants_with_a_zone_mean_the_same_wherever_the_machine_stands(shop, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    frame = rows_of(DELIVERIES, a_delivery())
    shop.put(frame.with_columns(loaded_at=pl.lit(instant("2026-11-19 20:00").replace(tzinfo=UTC))))
    query = "SELECT * FROM deliveries WHERE CAST(loaded_at AS date) = DATE '2026-11-19' AND delivery_date = ?"
    assert shop.read(query=query).height == 1
    assert shop.read(arrivalColumn="loaded_at").height == 1


def test_an_optional_column_that_is_not_there_is_null(shop):
    optional = ["delivered_at", "order_value", "arrived_at"]
    shop.put(rows_of(DELIVERIES, a_delivery()).drop(optional))
    found = shop.read()
    assert found.select(optional).row(0) == (None, None, None)
    assert found.schema == pl.Schema(frame_schema(SOURCES["deliveries"].raw_columns))


# --- late records ---------------------------------------------------------------------------------


LATE_WINDOW = [
    # day, arrival, the partitions that read the row
    (DAY, "2026-11-19 20:00", [0]),
    (DAY, "2026-11-18 20:00", [0]),
    (DAY, "2026-11-20 02:00", [0]),  # at the batch instant
    (DAY, "2026-11-20 02:00:00.000001", [1]),
    (DAY, "2026-11-21 02:00", [1]),
    (DAY, "2026-11-21 02:00:00.000001", [2]),
    (DAY, "2026-11-22 02:00", [2]),
    (DAY, "2026-11-22 02:00:00.000001", []),  # three days late
    (DAY, None, [0]),
    (None, "2026-11-19 20:00", [0]),
    (None, "2026-11-20 02:00:00.000001", [1]),
    (None, None, []),
    (date(1999, 12, 31), "2026-11-19 20:00", [0]),
    (date(2000, 1, 1), "2026-11-19 20:00", []),  # plausible, and far too late
    (days_after(1), "2026-11-19 20:00", [1]),  # the day of the batch instant is not in its future
    (days_after(2), "2026-11-19 20:00", [0]),  # refused there, and not read again on its day
    (days_after(2), "2026-11-20 20:00", [2]),
    (days_after(2), None, [2]),
]


def test_late_window(shop):
    shop.deliver(
        *(
            a_delivery(delivery_id=str(n), delivery_date=day, arrived_at=arrived_at and instant(arrived_at))
            for n, (day, arrived_at, _) in enumerate(LATE_WINDOW)
        )
    )
    found = {after: shop.read(days_after(after), **ARRIVAL) for after in range(-1, 5)}
    for n, (day, arrived_at, partitions) in enumerate(LATE_WINDOW):
        readers = [after for after, rows in found.items() if str(n) in rows["record_id"]]
        assert readers == partitions, (day, arrived_at)
        for after in partitions:
            (is_late,) = found[after].filter(pl.col("record_id") == str(n))["is_late"]
            assert is_late == (day is not None and date(2000, 1, 1) <= day < days_after(after)), (day, arrived_at)


def test_unparseable_days_are_refused_by_the_batch_in_whose_window_they_arrived(shop):
    frame = rows_of(DELIVERIES, a_delivery(), a_delivery(delivery_id="d-2"), a_delivery(delivery_id="d-3"))
    for unread in ("19/11/2026", "2026-02-30", "infinity", "soon", ""):
        shop.put(frame.with_columns(delivery_date=pl.Series(["2026-11-19", unread, None])))
        found = shop.read(**ARRIVAL)
        assert found["delivery_date"].to_list() == [DAY, None, None]
        assert shop.read(days_after(1), **ARRIVAL).height == 0
        assert shop.read()["record_id"].to_list() == ["d-1"]


def test_an_unparseable_event_is_kept_as_one_that_the_contract_refuses(shop):
    frame = rows_of(DELIVERIES, a_delivery(), a_delivery(delivery_id="d-2"), a_delivery(delivery_id="d-3"))
    shop.put(frame.with_columns(delivered_at=pl.Series(["2026-11-19 14:30", "soon", None])))
    assert shop.read()["delivered_at"].to_list() == [instant("2026-11-19 14:30"), instant("0001-01-01"), None]


def test_without_an_arrival_column_there_are_no_late_rows(shop):
    shop.deliver(a_delivery(arrived_at=instant("2026-11-25 00:00")), a_delivery(delivery_id="d-2", delivery_date=None))
    assert shop.read()["is_late"].to_list() == [False]
    assert [shop.read(days_after(after)).height for after in range(-1, 5)] == [0, 1, 0, 0, 0, 0]


def test_late_days_are_the_programs(shop):
    shop.deliver(a_delivery(arrived_at=instant("2026-11-24 20:00")))
    assert [shop.read(days_after(5), **ARRIVAL, lateDays=days).height for days in (0, 4, 5)] == [0, 0, 1]


def test_rows_that_no_batch_reads_are_counted(shop):
    shop.deliver(
        a_delivery(),
        a_delivery(delivery_date=None, arrived_at=None),
        a_delivery(delivery_date=date(1999, 12, 31), arrived_at=None),
        a_delivery(delivery_date=None),
        a_delivery(delivery_date=days_after(40), arrived_at=None),  # its own day reads it
        a_delivery(delivery_date=days_after(-3)),
        a_delivery(delivery_date=days_after(-3), arrived_at=instant("2026-11-19 02:00")),
        a_delivery(delivery_date=days_after(-2)),
    )
    assert shop.unread(**ARRIVAL) == {"without_day": 2, "too_late": 1}
    assert shop.unread(days_after(-1), **ARRIVAL) == {"without_day": 2, "too_late": 0}
    assert shop.unread() == {"without_day": 3, "too_late": 0}


def test_another_column_may_give_the_day_and_the_arrival(shop):
    frame = rows_of(DELIVERIES, a_delivery(), a_delivery(delivery_id="d-2")).with_columns(
        loaded_on=pl.Series(["2026-11-19", "2026-11-20"]),
        loaded_at=pl.Series(["2026-11-21T03:00:00+02:00", "2026-11-21T01:00:00Z"]),
    )
    shop.put(frame)
    config = {"partitionColumn": "loaded_on", "query": "SELECT delivery_id FROM deliveries"}
    assert shop.read(**config)["record_id"].to_list() == ["d-1"]
    late = shop.read(days_after(1), **config, arrivalColumn="loaded_at")
    assert late.select("record_id", "is_late").rows() == [("d-1", True), ("d-2", False)]


def test_an_instant_gives_the_day_on_which_it_falls(shop):
    shop.deliver(a_delivery(), a_delivery(delivery_id="d-2", delivered_at=instant("2026-11-20 00:00")))
    for query in ("SELECT * FROM deliveries", "SELECT * FROM deliveries WHERE delivered_at = ?"):
        assert shop.read(query=query, partitionColumn="delivered_at")["record_id"].to_list() == ["d-1"]
        found = shop.read(query=query, partitionColumn="delivered_at", **ARRIVAL)
        assert found.select("record_id", "is_late").rows() == [("d-1", False)]


# --- queries --------------------------------------------------------------------------------------

QUERIES = [
    ("athena", "SELECT * FROM deliveries WHERE delivery_date = ?"),
    ("athena", "SELECT * FROM ecommerce.deliveries WHERE ecommerce.deliveries.delivery_date = ?"),
    ("athena", "SELECT * FROM deliveries WHERE delivery_date = date_add('day', -1, current_date)"),
    ("athena", "SELECT customer_id FROM deliveries WHERE status = 'COMPLETED' OR status = 'RETURNED'"),
    ("athena", "SELECT DELIVERY_ID, STATUS FROM DELIVERIES AS D WHERE D.DELIVERY_DATE = ?"),
    ("athena", "WITH d AS (SELECT * FROM deliveries WHERE delivery_date = ?) SELECT * FROM d"),
    ("athena", "WITH deliveries AS (SELECT * FROM deliveries) SELECT status FROM deliveries"),
    ("athena", "SELECT d.status FROM deliveries d JOIN orders o ON o.order_id = d.order_id WHERE d.delivery_date = ?"),
    ("athena", "SELECT d.*, o.ordered_at FROM orders o JOIN deliveries d ON o.order_id = d.order_id"),
    ("redshift", "SELECT * FROM deliveries WHERE delivery_date BETWEEN CURRENT_DATE - 1 AND GETDATE()::date - 1"),
    ("snowflake", "SELECT * FROM deliveries d WHERE TO_DATE(d.delivery_date) = ?"),
    ("duckdb", "FROM deliveries WHERE delivery_date = ?"),
]  # fmt: skip


@pytest.mark.parametrize(("dialect", "query"), QUERIES)
def test_a_query_in_any_shape_gives_the_days_records(shop, dialect, query):
    rows = [a_delivery(delivery_id=f"d-{n}", delivery_date=days_after(n), order_id="o-1") for n in (-1, 0, 1)]
    shop.deliver(*rows)
    shop.put(
        rows_of(ORDERS, {"order_id": "o-1", "customer_id": "c-1", "ordered_at": None, "status": "COMPLETED"}), "orders"
    )
    found = shop.read(dialect=dialect, query=query)
    assert found.rows(named=True) == [rows[1] | {"record_id": "d-0", "is_late": False}]
    if "current" not in query.lower():
        late = shop.read(days_after(1), dialect=dialect, query=query, **ARRIVAL)
        assert late["record_id"].to_list() == ["d-1"]


def test_a_table_that_the_program_shares_is_read_from_its_own_database(shop):
    shop.deliver(a_delivery(), a_delivery(delivery_id="d-2", customer_id="c-2"))
    shop.put(rows_of(CUSTOMERS, a_customer(), a_customer(customer_id="c-2", marketplace="US")), "customers", "crm")
    query = "SELECT d.* FROM deliveries d JOIN customers c USING (customer_id) WHERE c.marketplace = 'US'"
    assert shop.read(query=query)["record_id"].to_list() == ["d-2"]


def test_a_rebuilt_partition_gives_the_same_rows_when_rows_were_added_since(shop):
    shop.deliver(a_delivery())
    then = shop.read(**ARRIVAL)
    shop.deliver(a_delivery(delivery_id="d-2", arrived_at=instant("2027-11-19 20:00")), a_delivery())
    assert_frame_equal(shop.read(**ARRIVAL), then)


# --- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"database": "shop"}, r"table shop\.deliveries is missing: put deliveries\.parquet \(or \.csv,"),
        ({"database": "../ecommerce"}, "is missing"),
        ({"arrivalColumn": "seen_at"}, "has no column seen_at, which product-reviews names as arrivalColumn"),
        ({"partitionColumn": "dt"}, "has no column dt, which product-reviews names as partitionColumn"),
        (
            {"query": "SELECT * FROM deliveries JOIN visits USING (order_id)"},
            r"table ecommerce\.visits, which the query of",
        ),
    ],
)
def test_what_the_warehouse_lacks_is_named(shop, config, message):
    shop.deliver(a_delivery())
    with pytest.raises(WarehouseError, match=message):
        shop.read(**config)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELECT colour FROM deliveries", 'DuckDB cannot run the query: .*"colour"'),
        ("WITH d AS (SELECT order_id FROM deliveries) SELECT * FROM d WHERE 1 = 1", "DuckDB cannot run the query"),
        (
            "WITH d AS (SELECT delivery_date, order_id FROM deliveries) SELECT * FROM d",
            "the query returns no delivery_id, ",
        ),
    ],
)
def test_a_query_that_cannot_give_records_says_why(shop, query, message):
    shop.deliver(a_delivery())
    with pytest.raises(QueryError, match=message):
        shop.read(query=query)


def test_a_failing_query_does_not_repeat_the_data(shop):
    shop.deliver(a_delivery(status="ada@example.invalid"))
    with pytest.raises(QueryError) as error:
        shop.read(query="SELECT * FROM deliveries WHERE CAST(status AS int) = 1 AND delivery_date = ?")
    assert "DuckDB cannot run the query: Conversion Error" in str(error.value)
    assert "ada" not in str(error.value)


def test_nothing_is_left_of_the_temporary_folder(shop, tmp_path, monkeypatch):
    spill = tmp_path / "spill"
    spill.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(spill))
    shop.deliver(a_delivery())
    reading = DuckDBConnector(Warehouse(shop.root)).read(a_reader(), DAY)
    next(reading)
    assert len(list(spill.iterdir())) == 1
    reading.close()
    shop.read()
    shop.unread()
    with pytest.raises(QueryError):
        shop.read(query="SELECT colour FROM deliveries")
    assert list(spill.iterdir()) == []
