from collections import Counter
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.domain.reasons import REASONS
from engage_assets.domain.slots import known_zones
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.domain.tables import POLARS_TYPES, SOURCE_TYPES
from engage_assets.sample.catalogue import draw_products
from engage_assets.sample.customers import draw_customers
from engage_assets.sample.lines import draw_lines
from engage_assets.sample.oddities import ODDITIES, UNREAD
from engage_assets.sample.people import draw_people
from engage_assets.sample.world import WorldSummary, generate
from engage_assets_tests.sample import rules
from engage_assets_tests.sample.worlds import FIRST_DAY, MARKETPLACES, SMALL, partitions, small_world, tables

EXACT = {code for stage in ("contract", "duplicate", "trust") for code in REASONS[stage]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    warehouse = tmp_path_factory.mktemp("warehouse")
    return warehouse, small_world(warehouse)


@pytest.fixture(scope="module")
def world(made: tuple[Path, WorldSummary]) -> dict[str, pl.DataFrame]:
    return tables(made[0])


def files(warehouse: Path) -> dict[str, bytes]:
    return {str(path.relative_to(warehouse)): path.read_bytes() for path in warehouse.rglob("*") if path.is_file()}


def test_same_seed_same_bytes(made, tmp_path):
    small_world(tmp_path)
    assert files(tmp_path) == files(made[0])
    small_world(tmp_path)
    assert files(tmp_path) == files(made[0]), "writing over an older world replaces it and leaves nothing else"


def test_another_seed_changes_every_table(made, tmp_path):
    small_world(tmp_path, seed=8)
    mine, theirs = files(made[0]), files(tmp_path)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if mine[name] == theirs[name]] == []


def test_tables_have_the_declared_columns(world):
    for name, frame in world.items():
        expected = {column.name: POLARS_TYPES[column.kind] for column in INPUT_TABLES[name].columns}
        if name == "deliveries":
            assert "string" in SOURCE_TYPES["date"]
            expected["delivery_date"] = pl.String()
        assert dict(frame.schema) == expected


def test_rows_are_counted(made, world):
    assert made[1].rows == {name: frame.height for name, frame in world.items()}


def test_every_oddity_is_there_in_every_week():
    people, products = draw_people(7, 400), draw_products(7, 40)
    zones = draw_customers(7, people, MARKETPLACES).select("customer_id", "time_zone")
    start, end = FIRST_DAY - timedelta(days=17), FIRST_DAY + timedelta(days=14)
    lines = draw_lines(7, people, zones, products, start, FIRST_DAY, end)
    week = ((pl.col("day") - pl.lit(FIRST_DAY)).dt.total_days() // 7).clip(-2, 1)
    kinds = {week: set(part["kind"]) for (week,), part in lines.group_by(week.alias("week"))}
    assert kinds.keys() == {-2, -1, 0, 1}
    for present in kinds.values():
        assert ODDITIES.keys() - present == set()


def test_oddities_lead_to_the_documented_reasons(made, world):
    """What the summary says of each partition is what the documented rules find in the tables, to the record."""
    for partition in partitions():
        found = {code: n for code, n in rules.reasons(world, partition).items() if code in EXACT}
        told = {code: n for code, n in made[1].refusals(partition).items() if code in EXACT}
        assert told == found, partition
    everywhere = Counter(code for day in partitions() for code in made[1].refusals(day))
    assert everywhere.keys() == {oddity.reason for oddity in ODDITIES.values() if oddity.reason}


def test_rows_that_no_batch_reads_are_the_ones_named(made, world):
    days = [FIRST_DAY + timedelta(days=day) for day in range(-17, 17)]
    unread = [
        row for row in world["deliveries"].iter_rows(named=True) if not any(rules.is_read_in(row, day) for day in days)
    ]
    assert len(unread) == sum(made[1].oddities[kind] for kind in UNREAD)


def test_no_row_is_read_twice(world):
    days = [FIRST_DAY + timedelta(days=day) for day in range(-18, 17)]
    for row in world["deliveries"].iter_rows(named=True):
        assert sum(rules.is_read_in(row, day) for day in days) <= 1, row


def test_late_rows_are_read_by_a_later_batch(made):
    late = made[1].oddities_by_day.filter(pl.col("kind") == "late")
    assert late["read_in"].null_count() == 0
    assert late["read_in"].max() > FIRST_DAY + timedelta(days=13)


def test_keys_are_unique(world):
    for name, key in {
        "customers": ["customer_id"],
        "orders": ["order_id"],
        "order_items": ["order_id", "product_id"],
        "products": ["product_id"],
        "reviews": ["customer_id", "product_id"],
    }.items():
        assert world[name].select(key).is_duplicated().sum() == 0, name
    assert world["reviews"]["review_id"].is_duplicated().sum() == 0
    assert world["products"]["name"].is_duplicated().sum() == 0


def test_most_deliveries_match_an_earlier_order(world):
    matched = (
        world["deliveries"]
        .join(world["orders"].filter(pl.col("status") == "COMPLETED"), on=["order_id", "customer_id"], how="inner")
        .join(world["order_items"], on=["order_id", "product_id"], how="inner")
        .filter(pl.col("delivered_at").dt.year().is_between(2026, 2026))
    )
    assert matched.height > 0.85 * world["deliveries"].height
    assert (matched["ordered_at"] < matched["delivered_at"]).all()
    assert (matched["unit_price"] > 0).all()


def test_customers_live_where_they_shop(world):
    zones = {
        code: set(part["time_zone"].drop_nulls()) & known_zones()
        for (code,), part in world["customers"].group_by("marketplace")
    }
    assert zones["US"] == {"America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles"}
    assert zones["DE"] <= {"Europe/Berlin", "Europe/Vienna", "Europe/Zurich"}
    assert zones.keys() == {*MARKETPLACES, "IT"}
    names = dict(world["customers"].select("marketplace", "name").iter_rows())
    assert not names["JP"].isascii()
    share = world["customers"]["email"].null_count() / 400
    assert 0.03 < share < 0.07
    assert world["customers"]["email"].drop_nulls().str.ends_with("@example.invalid").all()


def test_customers_with_many_deliveries(world):
    """Enough for a cap of 3 in 30 days to matter, also within one day's batch."""
    days = world["deliveries"].group_by("customer_id", "delivery_date").len()
    assert days.filter(pl.col("len") > 1).height > 20
    months = world["deliveries"].group_by("customer_id").len().drop_nulls()
    assert 0.05 < months.filter(pl.col("len") > 5).height / 400 < 0.5


def test_default_size_has_a_weekly_rhythm(tmp_path):
    generate(tmp_path, seed=3, first_day=FIRST_DAY, days=14, history_days=0, marketplaces=MARKETPLACES)
    by_day = (
        tables(tmp_path)["deliveries"]
        .filter(pl.col("arrived_at") - pl.col("delivered_at") < timedelta(hours=2))
        .group_by(pl.col("delivered_at").dt.date().alias("day"))
        .len()
        .filter(pl.col("len") > 5)
        .with_columns(weekday=pl.col("day").dt.weekday())
    )
    assert by_day["len"].is_between(150, 400).all()
    assert by_day.filter(weekday=7)["len"].max() < by_day.filter(weekday=1)["len"].min()


def test_too_small_a_world_says_what_to_do(tmp_path):
    with pytest.raises(EngageError, match="take 200 or more"):
        small_world(tmp_path, customers=60)
    with pytest.raises(EngageError, match="take more customers"):
        small_world(tmp_path, customers=200, days=2, history_days=0)
    with pytest.raises(EngageError, match="products=5"):
        small_world(tmp_path, products=5)
    with pytest.raises(EngageError, match="'AU'"):
        generate(tmp_path, **SMALL, marketplaces={"AU": MARKETPLACES["UK"]})
    assert files(tmp_path) == {}


def test_an_interrupted_write_leaves_the_old_file(made, tmp_path, monkeypatch):
    small_world(tmp_path)

    def torn(self, file, **_):
        Path(file).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", torn)
    with pytest.raises(OSError, match="disk full"):
        small_world(tmp_path, seed=8)
    after = {name: content for name, content in files(tmp_path).items() if name.endswith(".parquet")}
    assert after == files(made[0])
