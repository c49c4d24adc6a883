"""Real shops' events, mapped to raw logs, where they lie beside the project."""

import os
from datetime import date
from pathlib import Path

import polars as pl
import pytest

from engage_assets_tests.summaries.made import build_days, tables

ROOT = Path(__file__).parent.parent.parent
SHARED = Path(os.environ.get("ENGAGE_REAL_DATA") or ROOT.parent / "shared" / "data")
REES46, RETAIL = SHARED / "rees46_oct2019", SHARED / "online_retail"


def needs(folder):
    reason = f"needs the real data in {folder}: get them (docs/summaries) and name their folder in ENGAGE_REAL_DATA"
    return [pytest.mark.shared_data, pytest.mark.skipif(not folder.is_dir(), reason=reason)]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "summaries")


@pytest.mark.parametrize("source", [pytest.param(REES46, marks=needs(REES46))])
def test_rees46(tmp_path, source):
    import map_rees46

    totals = map_rees46.main(source, tmp_path)
    assert totals == {"commerce.cart.add": 110, "commerce.product.view": 11_313, "commerce.purchase": 139}

    day = date(2019, 10, 1)
    days = build_days(tmp_path, "rees46", "UTC", [])
    assert days.build(day).duplicates == 4
    found = tables(days, day)
    rows = pl.read_parquet(source / "events.parquet").filter(pl.col("event_time") < "2019-10-01 02:40:00 UTC").unique()
    adds = rows.filter(event_type="cart").with_columns(pl.col("product_id").cast(pl.String))
    assert [
        (row["productId"], row["cart_add_count"], row["unique_users"], float(row["total_cart_value"]))
        for row in found["product_ranking"][:10]
    ] == adds.group_by("product_id").agg(
        pl.len(), pl.col("user_id").n_unique(), pl.col("price").sum().round(2).alias("value")
    ).sort("len", "product_id", descending=[True, False]).head(10).rows()

    [visits] = found["conversion"]
    bought = rows.filter(event_type="purchase")
    assert visits["total_sessions"] == rows["user_session"].drop_nulls().n_unique()
    assert visits["purchase_sessions"] == bought["user_session"].n_unique()
    assert visits["purchasing_users"] == bought["user_id"].n_unique()
    assert float(found["purchase_analytics"][-1]["total_revenue"]) == pytest.approx(bought["price"].sum())
    assert found["button_interaction"] == found["search_analytics"] == found["navigation_flow"] == []


@pytest.mark.parametrize("source", [pytest.param(RETAIL, marks=needs(RETAIL))])
def test_online_retail(tmp_path, source):
    import map_online_retail

    totals = map_online_retail.main(source, tmp_path)
    assert (totals["commerce.order.cancel"], sum(totals.values()) - totals["commerce.cart.add"]) == (2_887, 18_786)
    lines = map_online_retail.read(source).filter(~pl.col("InvoiceNo").str.starts_with("C"))
    assert totals["commerce.cart.add"] == lines.height

    last = date(2011, 9, 30)
    recent = lines.filter(pl.col("local").dt.date() >= date(2011, 9, 24))
    days = build_days(tmp_path, "online-retail", "Europe/London", [])
    built = [days.build(day) for day in sorted(set(recent["local"].dt.date()))]
    assert sum(one.duplicates for one in built) == recent.height - recent.unique().height
    found = tables(days, last)

    valid = (pl.col("Quantity") > 0) & (pl.col("Quantity") < 10_000)
    assert [
        (row["productId"], row["cart_add_count"], row["unique_users"], row["total_quantity"])
        for row in found["product_ranking"][:10]
    ] == recent.unique().group_by("StockCode").agg(
        pl.len(), pl.col("CustomerID").drop_nulls().n_unique(), pl.col("Quantity").filter(valid).sum()
    ).sort("len", "StockCode", descending=[True, False]).head(10).rows()

    values = pl.col("Quantity") * pl.col("UnitPrice")
    on_day = recent.filter(pl.col("local").dt.date() == last)
    purchases = found["purchase_analytics"][-1]
    assert purchases["total_purchases"] == on_day["InvoiceNo"].n_unique()
    assert float(purchases["total_revenue"]) == pytest.approx(on_day.select(values.sum()).item())
    assert found["session_metrics"] == found["conversion"] == []
