from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from engage_assets.domain.summary_spec import (
    DOCUMENTED,
    AttributeNames,
    CommerceAnalytics,
    EventNames,
    Service,
    Window,
    day_begins,
    day_is_over,
    last_complete_day,
    require_own_tables,
    run_instant,
    table_names,
)
from engage_assets.programs import read_summaries

SHOPS = [{"service": "theshop-brand", "timeZone": "Asia/Seoul"}, {"service": "theshop-pharmacy"}]
SEOUL, NEW_YORK = "Asia/Seoul", "America/New_York"
DAY = date(2025, 10, 31)


utc = datetime.fromisoformat


def spec(**changed):
    return CommerceAnalytics.model_validate({"services": SHOPS, **changed})


def complaint(**changed):
    with pytest.raises(ValidationError) as caught:
        spec(**changed)
    return str(caught.value)


def test_the_shipped_file_says_what_is_documented():
    shipped = read_summaries(Path(__file__).parents[2] / "programs")
    services = tuple(Service(service=f"theshop-{name}", time_zone="Asia/Seoul") for name in ("brand", "pharmacy"))
    plain = CommerceAnalytics(services=services)
    assert shipped is not None
    assert shipped.model_copy(update={"tables": {}}) == plain
    known = {**DOCUMENTED["commerce"], **DOCUMENTED["behaviour"]}
    assert {table: shipped.window(table) for table in known} == known
    assert shipped.tables.keys() == {table for table, window in known.items() if window.days}


def test_what_is_left_out_is_as_documented():
    read = spec()
    assert [(one.service, one.time_zone) for one in read.services] == [
        ("theshop-brand", "Asia/Seoul"),
        ("theshop-pharmacy", "UTC"),
    ]
    assert (read.behaviour.owner, read.behaviour.at) == ("product", time(2))
    assert (read.commerce.owner, read.commerce.at) == ("business", time(4))
    assert [len(batch.tables) for batch in read.commerce.batches] == [2, 2, 5]
    assert read.commerce.batches[-1].tables[-2:] == ("cart_source", "period_totals")
    assert [batch.deadline for batch in read.commerce.batches] == [timedelta(minutes=n) for n in (5, 6, 7)]
    assert read.events == EventNames()
    assert read.attributes == AttributeNames()


def test_tables_have_the_documented_windows_unless_the_file_says_otherwise():
    read = spec(tables={"search_analytics": {"top": 10}, "dau": {"windowDays": 30}})
    assert read.window("search_analytics") == Window(7, 10)
    assert read.window("dau") == Window(30, None)
    assert read.window("button_interaction") == Window(7, 50)
    assert [len(tables) for tables in DOCUMENTED.values()] == [9, 7]


def test_table_names_hold_the_service_once():
    brand = spec().service("theshop-brand")
    assert table_names(brand, "commerce")["product_ranking"] == "theshop_brand_commerce_product_ranking_summary"
    assert table_names(brand, "behaviour")["dau"] == "theshop_brand_dau_summary"


def test_an_unknown_service_is_named_with_the_known_ones():
    with pytest.raises(KeyError, match=r"no service is called 'shop' .there are: theshop-brand, theshop-pharmacy"):
        spec().service("shop")


@pytest.mark.parametrize(
    "name", ["Shop", "1shop", "shop_a", "shop a", "", "s" * 32, "shop'; DROP TABLE x; --", 'a"b', "shop\n", "숍", "-a"]
)
def test_service_names_that_could_mean_something_else_are_refused(name):
    assert "should match pattern" in complaint(services=[{"service": name}])


def test_services_that_would_write_the_same_tables_are_refused():
    # The pattern lets none through yet: these are made around it.
    dash, underscore = (Service.model_construct(service=name) for name in ("a-b", "a_b"))
    with pytest.raises(ValueError, match="a-b and a_b would both write a_b_commerce_button_interaction_summary"):
        require_own_tables([dash, underscore])
    with pytest.raises(ValueError, match="over 255 letters; shorten sss"):
        require_own_tables([Service.model_construct(service="s" * 230)])
    assert "service a stands more than once" in complaint(services=[{"service": "a"}, {"service": "a"}])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"services": [{"service": "a", "timeZone": "Seoul"}]}, "not an IANA time zone"),
        ({"tables": {"ranking": {}}}, "no table is called 'ranking'"),
        ({"tables": {"mau": {"windowDays": 3}}}, "mau has no window of days"),
        ({"tables": {"dau": {"top": 3}}}, "dau keeps all its rows"),
        ({"tables": {"dau": {"windowDays": 0}}}, "greater than or equal to 1"),
        ({"events": {"search": ["x"], "cartAdd": ["x"]}}, "event name x stands more than once"),
        ({"attributes": {"user": ["uid", "uid"]}}, "attribute of user uid stands more than once"),
        ({"attributes": {"user": ["uid"], "session": ["UID"]}}, "differ in case alone"),
        ({"attributes": {"user": ["a' OR 1=1 --"]}}, "has quotes"),
        ({"attributes": {"user": ['a" VARCHAR)']}}, "has quotes"),
        ({"attributes": {"user": []}}, "at least 1 item"),
        ({"events": {"purchse": ["x"]}}, "Extra inputs are not permitted"),
        ({"commerce": {"batches": [{"tables": ["dau"], "deadline": "5min"}]}}, "no table is called 'dau'"),
        ({"commerce": {"batches": [{"tables": ["cart_source"], "deadline": "5min"}]}}, "no batch makes button_interac"),
        ({"behaviour": {"at": "25:00"}}, "time"),
        ({"behaviour": {"deadline": "soon"}}, "write a duration as"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(changed, words):
    assert words in complaint(**changed)


def test_a_spec_cannot_be_changed():
    with pytest.raises(ValidationError, match="frozen"):
        spec().services = ()


@pytest.mark.parametrize(
    ("zone", "begins", "over"),
    [
        ("UTC", utc("2025-10-31 00:00"), utc("2025-11-01 00:00")),
        (SEOUL, utc("2025-10-30 15:00"), utc("2025-10-31 15:00")),
        (NEW_YORK, utc("2025-10-31 04:00"), utc("2025-11-01 04:00")),
        ("Pacific/Kiritimati", utc("2025-10-30 10:00"), utc("2025-10-31 10:00")),
    ],
)
def test_a_day_lasts_from_midnight_to_midnight_of_its_zone(zone, begins, over):
    assert (day_begins(DAY, zone), day_is_over(DAY, zone)) == (begins, over)


def test_days_of_a_changing_clock_have_23_and_25_hours():
    lasts = [day_is_over(day, NEW_YORK) - day_begins(day, NEW_YORK) for day in (date(2025, 3, 9), date(2025, 11, 2))]
    assert lasts == [timedelta(hours=23), timedelta(hours=25)]
    # In Santiago clocks go from 24:00 to 01:00: the day begins at 01:00.
    assert day_begins(date(2025, 9, 7), "America/Santiago") == utc("2025-09-07 04:00")


def test_a_run_waits_until_the_day_is_over():
    assert run_instant(DAY, SEOUL, time(2)) == utc("2025-11-01 02:00")
    assert run_instant(DAY, NEW_YORK, time(2)) == utc("2025-11-01 04:00")
    assert run_instant(DAY, NEW_YORK, time(4)) == utc("2025-11-01 04:00")


def test_the_last_complete_day_is_the_latest_whose_run_has_come():
    assert last_complete_day(utc("2025-11-01 02:00"), SEOUL, time(2)) == DAY
    assert last_complete_day(utc("2025-11-01 01:59"), SEOUL, time(2)) == DAY - timedelta(days=1)
    assert last_complete_day(utc("2025-11-01 03:59"), NEW_YORK, time(2)) == DAY - timedelta(days=1)


def test_a_service_has_the_prefix_of_its_tables():
    assert Service(service="a-b-c").table_prefix == "a_b_c"
