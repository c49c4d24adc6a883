"""A few deliveries through the contract of their source."""

from datetime import date
from typing import Any

import narwhals as nw
import polars as pl

from engage_assets.candidates.contract import check_contract
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import CUSTOMERS, frame_schema
from engage_assets_tests.builders import a_customer, a_delivery, a_program, rows_of

DAY = date(2026, 11, 19)
SOURCE = SOURCES["deliveries"]
PLACES = {
    "US": ("America/New_York", "en-US"),
    "UK": ("Europe/London", "en-GB"),
    "DE": ("Europe/Berlin", "de-DE"),
    "FR": ("Europe/Paris", "fr-FR"),
    "JP": ("Asia/Tokyo", "ja-JP"),
}
MARKETPLACES = {
    code: Marketplace(
        name=code,
        time_zone=time_zone,
        locale=locale,
        currency="EUR",
        sender_name="The Shop",
        sender_address="reviews@example.invalid",
        reply_to="help@example.invalid",
        postal_address="1 Market Street",
        site_url="https://shop.example",
    )
    for code, (time_zone, locale) in PLACES.items()
}


def records(*deliveries: dict[str, Any]) -> pl.DataFrame:
    """Raw records: deliveries named by their key, which must not repeat."""
    rows = [delivery | {"record_id": delivery["delivery_id"] or "hash", "is_late": False} for delivery in deliveries]
    return pl.DataFrame(rows, schema=frame_schema(SOURCE.raw_columns))


def checked(
    *deliveries: dict[str, Any], customers: pl.DataFrame | None = None, program: Program | None = None
) -> nw.LazyFrame[pl.LazyFrame]:
    """The records of partition 2026-11-19 with their reason and the candidate's columns."""
    if customers is None:
        customers = rows_of(CUSTOMERS, a_customer())
    return check_contract(
        nw.from_native(records(*deliveries).lazy()),
        nw.from_native(customers.lazy()),
        source=SOURCE,
        program=program or a_program(),
        marketplaces=MARKETPLACES,
        partition=DAY,
    )


def the_one(*, customers: pl.DataFrame | None = None, program: Program | None = None, **changes: Any) -> dict[str, Any]:
    """The one good delivery with some fields changed, checked."""
    found = checked(a_delivery(**changes), customers=customers, program=program).to_native().collect()
    assert found.height == 1
    return found.row(0, named=True)


def one_by_one(frame: nw.LazyFrame[Any]) -> dict[str, str | None]:
    """The reason of each record."""
    found = frame.to_native().collect()
    return dict(zip(found["record_id"], found["reason"], strict=True))
