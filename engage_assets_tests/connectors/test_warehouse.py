"""The warehouse folder: where tables lie, what they become, and what is said when they break their contract."""

from datetime import date

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.purchases import DELIVERIES, PRODUCTS, REVIEWS
from engage_assets.domain.tables import CUSTOMERS, OPT_OUTS
from engage_assets_tests.builders import a_customer, a_delivery, instant, rows_of

FORMS = ["parquet", "csv", "parquet parts", "csv parts"]


def scanned(shop, table, **options):
    frame = Warehouse(shop.root).scan(table, "ecommerce", **options)
    return None if frame is None else frame.collect()


def refusal(shop, table, **options):
    with pytest.raises(WarehouseError) as error:
        scanned(shop, table, **options)
    return str(error.value)


# --- tables ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_declared_columns_as_their_kinds(shop, form):
    frame = rows_of(
        CUSTOMERS,
        a_customer(customer_id="007", name='Zoë, "the" O\'Hara'),
        a_customer(customer_id="08", time_zone=None, locale=None, email=None, is_test=True),
        a_customer(customer_id="9", name="12345", voice_allowed=True),
    )
    shop.put(frame.with_columns(colour=pl.lit("red")), "customers", "crm", form)
    assert_frame_equal(scanned(shop, CUSTOMERS), frame)


@pytest.mark.parametrize("form", FORMS)
def test_dates_numbers_and_instants(shop, form):
    frame = rows_of(DELIVERIES, a_delivery(), a_delivery(delivery_id="2", order_value=None, delivered_at=None))
    shop.put(frame, form=form)
    assert_frame_equal(scanned(shop, DELIVERIES), frame)


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_table_without_rows_is_a_table(shop, form):
    for table in (CUSTOMERS, REVIEWS):
        shop.put(rows_of(table), table.name, table.database or "ecommerce", form)
        assert_frame_equal(scanned(shop, table), rows_of(table))


def test_a_csv_column_without_values_is_null_whatever_it_should_hold(shop):
    frame = rows_of(
        PRODUCTS, {"product_id": "p-1", "name": None, "category": "7", "price": None, "is_reviewable": None}
    )
    shop.put(frame, "products", form="csv")
    assert_frame_equal(scanned(shop, PRODUCTS), frame)


def test_numbers_that_are_none_are_null(shop):
    frame = rows_of(PRODUCTS, {"product_id": "p-1", "price": float("nan")}, {"product_id": "p-2", "price": 1.0})
    for form in ("parquet", "csv"):
        shop.put(frame, "products", form=form)
        assert scanned(shop, PRODUCTS)["price"].to_list() == [None, 1.0]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-19", "2026-11-19 00:00"),
        ("2026-11-19 14:30", "2026-11-19 14:30"),
        ("2026-11-19T14:30:00", "2026-11-19 14:30"),
        ("2026-11-19 14:30:00.5", "2026-11-19 14:30:00.500000"),
        ("2026-11-19T14:30:00Z", "2026-11-19 14:30"),
        ("2026-11-19T14:30:00.25+05:30", "2026-11-19 09:00:00.250000"),
        ("2026-11-19 14:30:00-0300", "2026-11-19 17:30"),
        ("19/11/2026", None),
        ("11/19/2026 14:30", None),
        ("2026-02-30", None),
        ("20261119", None),
        ("infinity", None),
        ("soon", None),
    ],
)
def test_written_instants_are_iso_and_utc(shop, written, meant):
    frame = pl.DataFrame({"customer_id": ["c-1"], "product_id": ["p-1"], "reviewed_at": [written]})
    for form in ("parquet", "csv"):
        shop.put(frame, "reviews", form=form)
        assert scanned(shop, REVIEWS)["reviewed_at"].to_list() == [instant(meant) if meant else None]


def test_instants_with_a_zone_become_utc(shop):
    at = pl.Series([instant("2026-11-19 14:30")]).dt.replace_time_zone("Asia/Tokyo")
    shop.put(pl.DataFrame({"customer_id": [1], "product_id": [2], "reviewed_at": at}), "reviews")
    assert scanned(shop, REVIEWS).row(0) == ("1", "2", instant("2026-11-19 05:30"))
    shop.put(pl.DataFrame({"customer_id": [1], "at": at.dt.date()}), "opt_outs", "crm")
    assert scanned(shop, OPT_OUTS).row(0) == ("1", instant("2026-11-19 00:00"))


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_parts_may_differ_in_order_optional_columns_and_type_of_keys(shop, form):
    first = pl.DataFrame({"customer_id": [1], "product_id": [2], "reviewed_at": [date(2026, 11, 19)], "rating": [5]})
    second = pl.DataFrame({"reviewed_at": [date(2026, 11, 20)], "product_id": ["x"], "customer_id": ["y"]})
    shop.put(first, "reviews/a", form=form)
    shop.put(second, "reviews/b", form=form)
    found = scanned(shop, REVIEWS).select("customer_id", "product_id", "reviewed_at", "rating")
    assert found.rows() == [("1", "2", instant("2026-11-19"), 5), ("y", "x", instant("2026-11-20"), None)]


def test_hidden_files_are_no_parts(shop):
    shop.put(rows_of(DELIVERIES, a_delivery()), "deliveries/a")
    (shop.root / "ecommerce/deliveries/.b.parquet").write_bytes(b"unfinished")
    assert scanned(shop, DELIVERIES).height == 1


# --- mistakes -------------------------------------------------------------------------------------


def test_a_missing_table_names_what_it_needs_and_where(shop):
    assert scanned(shop, REVIEWS) is None
    assert refusal(shop, REVIEWS, required=True) == (
        f"table ecommerce.reviews is missing: put reviews.parquet (or .csv, or a folder of them) into"
        f" {shop.root / 'ecommerce'}; it needs customer_id (string or integer), product_id (string or integer),"
        " reviewed_at (timestamp, date or string)"
    )
    assert f"into {shop.root / 'crm'};" in refusal(shop, CUSTOMERS, required=True)


def test_every_fault_of_a_table_is_told_at_once(shop):
    frame = rows_of(DELIVERIES, a_delivery()).drop("product_id", "arrived_at")
    wrong = frame.with_columns(
        order_id=pl.lit(1.5), delivery_date=pl.lit(20261119), order_value=pl.lit("9,99"), status=pl.lit(True)
    )
    shop.put(wrong)
    assert refusal(shop, DELIVERIES).splitlines() == [
        f"table ecommerce.deliveries ({shop.root / 'ecommerce/deliveries.parquet'}) breaks its contract:",
        "  column order_id: expected string or integer, found Float64; cast it where the table is written",
        "  column product_id is missing: expected string or integer; add or rename it",
        "  column delivery_date: expected date, timestamp or string, found Int32; cast it where the table is written",
        "  column status: expected string, found Boolean; cast it where the table is written",
        "  column order_value: expected number, found String; cast it where the table is written",
    ]


def test_a_wrong_type_in_csv_is_told_too(shop):
    place = shop.root / "ecommerce/products.csv"
    place.parent.mkdir(parents=True)
    place.write_text("product_id,price,is_reviewable\np-1,cheap,maybe\n", encoding="utf-8")
    assert refusal(shop, PRODUCTS).splitlines()[1:] == [
        "  column price: expected number, found String; cast it where the table is written",
        "  column is_reviewable: expected boolean, found String; cast it where the table is written",
    ]


@pytest.mark.parametrize("name", ["reviews.parquet", "reviews.csv"])
def test_a_file_that_cannot_be_read_is_named(shop, name):
    place = shop.root / "ecommerce" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(
        "customer_id,product_id,reviewed_at\nZoë,1,\n".encode("latin-1") if name.endswith("csv") else b"PAR0"
    )
    message = refusal(shop, REVIEWS)
    assert message.startswith(f"{place} cannot be read (")
    assert "CSV in UTF-8 with commas and a header line" in message
    assert "Zo" not in message


@pytest.mark.parametrize("name", ["..", "", ".", "a/b"])
def test_only_names_lead_into_the_folder(shop, name):
    shop.put(rows_of(DELIVERIES, a_delivery()))
    assert Warehouse(shop.root / "ecommerce").find("deliveries", name) is None
    assert Warehouse(shop.root).find(name, "ecommerce") is None
