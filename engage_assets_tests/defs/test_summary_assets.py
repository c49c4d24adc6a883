"""Summaries through Dagster in this process: a day of both services, late events, failures, checks, schedules."""

import gc
import itertools
import shutil
import tempfile
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from engage_assets.connectors.adhoc import FilesGone, asked
from engage_assets.defs.summary_catalog import summary_catalog
from engage_assets.defs.summary_columns import ROLL_UP_COLUMNS, SHEETS
from engage_assets.defs.summary_desk import Made, NotMade
from engage_assets.defs.summary_families import FAMILIES
from engage_assets.defs.summary_quality import judged
from engage_assets.defs.summary_state import table_states
from engage_assets.defs.summary_times import begins_at, cron, expected_day, final_day
from engage_assets.domain.errors import EngageError
from engage_assets.domain.summary_spec import DOCUMENTED
from engage_assets.lake import read_whole
from engage_assets.summaries.atoms import MONTHLY
from engage_assets.summaries.tables import TABLES
from engage_assets_tests.builders import instant
from engage_assets_tests.defs.homes import digests
from engage_assets_tests.defs.summary_works import (
    FIRST,
    LATER,
    PHARMACY,
    SECOND,
    SHOP,
    Works,
    a_spec,
    failed_checks,
    told,
)

READS = 1_000
SCHEDULED = {"dagster/schedule_name": "a schedule"}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A home whose silver and atoms are made up to SECOND."""
    works = Works(tmp_path_factory.mktemp("prepared")).fill()
    for service in (SHOP, PHARMACY):
        works.desk(service).prepare(SECOND)
    return works.home.root


@pytest.fixture
def works(tmp_path, prepared):
    return Works(shutil.copytree(prepared, tmp_path / "home"))


def make_all(works, service, day):
    desk = works.desk(service)
    desk.prepare(day)
    return [one for family in FAMILIES for one in desk.make(family, day)]


def judge(works, day):
    """Checks of the day's logs that failed."""
    works.desk().prepare(day)
    return {check.check_name: check for check in judged(works.desk(), day) if not check.passed}


def test_every_asset_says_what_it_is(works):
    specs = {spec.key.to_user_string(): spec for spec in works.definitions.resolve_all_asset_specs()}
    tables = [f"{table.family}/theshop_brand/{name}" for name, table in TABLES.items()]
    days = [f"services/theshop_brand/{name}" for name in ("logs", *SHEETS, *MONTHLY)]
    shared = ["commerce_dashboard", "summaries/monitoring"]
    assert len(tables) == 16
    assert set(specs) == {*(k.replace("brand", s) for k in tables + days for s in ("brand", "pharmacy")), *shared}
    columns = {key: spec.metadata["dagster/column_schema"].columns for key, spec in specs.items() if key in tables}
    assert all(column.description for found in columns.values() for column in found)
    for key in tables:
        owner = "team:business" if key.startswith("commerce") else "team:product"
        assert specs[key].owners == [owner]
        assert specs[key].freshness_policy is not None
    assert specs["commerce/theshop_brand/product_ranking"].metadata["dagster/table_name"] == (
        "theshop_brand_commerce_product_ranking_summary"
    )


def test_lineage_leads_to_columns_that_there_are(works):
    schemas = {
        spec.key: {column.name for column in spec.metadata["dagster/column_schema"].columns}
        for spec in works.definitions.resolve_all_asset_specs()
        if "dagster/column_schema" in spec.metadata
    }
    for spec in works.definitions.resolve_all_asset_specs():
        lineage = spec.metadata.get("dagster/column_lineage")
        for column, parts in lineage.deps_by_column.items() if lineage else ():
            assert column in schemas[spec.key], spec.key
            assert all(part.column_name in schemas[part.asset_key] for part in parts), (spec.key, column)
            assert {part.asset_key for part in parts} <= {dep.asset_key for dep in spec.deps}, (spec.key, column)


def test_files_have_the_columns_that_are_told(works):
    desk = works.desk()
    desk.prepare(LATER)
    for name, sheet in SHEETS.items():
        assert list(read_whole(desk.days.path(name, FIRST)).columns) == [column.name for column in sheet.columns]
    for name, columns in ROLL_UP_COLUMNS.items():
        assert read_whole(desk.days.path(name, "2026-10")).columns == [column.name for column in columns]


def test_a_day_of_both_services(works):
    before = works.desk().days.path("events", SECOND).stat().st_ino
    for prefix in ("theshop_brand", "theshop_pharmacy"):
        for family in FAMILIES:
            run = works.run(f"{prefix}_{family}", SECOND, tags=SCHEDULED)
            assert run.success
            assert not failed_checks(run)
            made = told(run)
            assert all(made[f"{family}/{prefix}/{table}"] == ["2026-10-31"] for table in DOCUMENTED[family])
            assert made[f"services/{prefix}/events"] == ["2026-10-31"]
    assert works.desk().days.path("events", SECOND).stat().st_ino == before, "a day that is current was made again"
    by_dagster = works.made()
    assert all(isinstance(one, Made) for one in make_all(works, SHOP, SECOND))
    assert works.made() == by_dagster

    assert works.run("summaries_close", SECOND).success
    page = works.home.lake / "commerce_dashboard" / "2026-10-31.html"
    assert {SHOP, PHARMACY} <= set(page.read_text(encoding="utf-8").split('"'))


def test_late_events_reopen_their_day_and_nothing_else(tmp_path):
    works = Works(tmp_path)
    works.log(SHOP, FIRST, ("u1", f"{FIRST} 09:00"))
    works.desk().prepare(FIRST)
    works.log(SHOP, SECOND, ("u2", f"{SECOND} 09:00"), ("u3", f"{FIRST} 18:00"))

    made = told(works.run("theshop_brand_behaviour", SECOND))["services/theshop_brand/events"]

    assert {"2026-10-30", "2026-10-31"} <= set(made)
    assert set(read_whole(works.desk().days.path("events", FIRST))["user_id"]) == {"u1", "u3"}
    works.log(SHOP, LATER, ("u4", f"{LATER} 09:00"))
    assert not {FIRST, SECOND} & works.desk().prepare(LATER).days.keys()


def test_backfills_in_any_order_have_the_same_bytes_and_so_has_a_rerun(tmp_path):
    days = (SECOND, LATER)
    found = []
    for number, order in enumerate([days, days[::-1]]):
        works = Works(tmp_path / str(number)).fill()
        for day in order:
            make_all(works, SHOP, day)
        found.append(works.made())
    assert len(found[0]) > 2 * 16
    assert any("month_total/2026-10" in path for path in found[0])
    assert found[0] == found[1]

    works.desk().prepare(SECOND, anew=True)
    make_all(works, SHOP, SECOND)
    assert works.made() == found[0]


def test_a_failure_of_commerce_leaves_behaviour_and_the_rest_of_commerce(works):
    broken = works.home.lake / "summaries" / "theshop_brand_commerce_button_interaction_summary"
    broken.parent.mkdir(parents=True)
    broken.write_text("in the way")

    run = works.run("theshop_brand_commerce", SECOND)

    assert not run.success
    (failure,) = [event for event in run.all_node_events if event.is_step_failure]
    assert "theshop_brand_commerce_button_interaction_summary: " in (
        failure.step_failure_data.user_failure_data.description
    )
    made = {key for key in told(run) if key.startswith("commerce/")}
    assert made == {f"commerce/theshop_brand/{name}" for name in DOCUMENTED["commerce"] if name != "button_interaction"}
    assert all(isinstance(one, Made) for one in works.desk().make("behaviour", SECOND))


def test_a_failed_table_keeps_what_was_published_before(works):
    list(works.desk().make("behaviour", SECOND))
    before = works.made()
    works.desk().days.path("user_day", SECOND).write_bytes(b"no parquet")

    failed = [one for one in works.desk().make("behaviour", SECOND) if isinstance(one, NotMade)]

    assert {one.table for one in failed} == {"dau", "mau", "retention", "user_cohort"}
    tables = {path: digest for path, digest in works.made().items() if path.startswith("summaries/")}
    assert tables == {path: digest for path, digest in before.items() if path.startswith("summaries/")}


@pytest.mark.parametrize(
    ("without", "check", "words"),
    [
        ("commerce.session.start", "session_starts_are_logged", "commerce.session.start: sessions start with"),
        ("totalAmount", "amounts_are_logged", "attribute totalAmount: revenue and order values are null"),
        ("paymentMethod", "payment_methods_are_logged", "attribute paymentMethod"),
        ("query", "result_clicks_name_their_term", "attribute query or payload_query or searchTerm or searchQuery"),
    ],
)
def test_what_is_missing_is_named(tmp_path, without, check, words):
    works = Works(tmp_path)
    works.log(SHOP, FIRST, ("u1", f"{FIRST} 09:00"), without=(without,))
    found = judge(works, FIRST)
    assert words in found[check].description
    assert found[check].severity == dg.AssetCheckSeverity.WARN


def test_a_day_without_a_log_and_lines_that_are_none(tmp_path):
    works = Works(tmp_path)
    works.log(SHOP, FIRST, ("u1", f"{FIRST} 09:00"))
    with (works.home.logs / SHOP / f"{FIRST}.ndjson").open("a") as file:
        file.write("{no json\n")
    assert judge(works, FIRST).keys() == {"records_are_readable"}
    assert "no log of 2026-10-31" in judge(works, SECOND)["logs_have_come"].description
    with pytest.raises(EngageError, match=r"begin with 2026-10-30: none is of 2026-10-01"):
        works.desk().prepare(date(2026, 10, 1))
    with pytest.raises(EngageError, match="there are no logs"):
        works.desk(PHARMACY).prepare(FIRST)


def test_a_batch_that_takes_too_long_is_told(works):
    batches = [{"tables": list(DOCUMENTED["commerce"]), "deadline": "0min"}]
    hurried = Works(works.home.root, a_spec(commerce={"batches": batches}))
    run = hurried.run("theshop_brand_commerce", SECOND)
    assert run.success
    late = [check for check in run.get_asset_check_evaluations() if not check.passed]
    assert [check.check_name for check in late] == ["batch_in_time"] * 9
    assert {check.severity for check in late} == {dg.AssetCheckSeverity.WARN}


def test_monitoring_tells_what_is_missing(works):
    list(works.desk().make("behaviour", SECOND))
    works.clock.time = instant("2026-11-01 06:00")
    run = works.run("summaries_close", SECOND)

    assert "and 20 more" in failed_checks(run)["every_table_is_there"].description
    assert list(works.alerts.raised) == ["summaries:missing:2026-11-01"]
    states = read_whole(works.home.lake / "summaries" / "monitoring.parquet")
    assert states.height == 32
    (dau,) = states.filter(table_name="theshop_brand_dau_summary").to_dicts()
    assert (dau["last_date"], dau["expected_date"], dau["is_missing"]) == (SECOND, SECOND, False)
    assert (dau["row_count"], dau["dates_kept"], dau["owner"]) == (90, 1, "team:product")
    (mau,) = states.filter(table_name="theshop_pharmacy_mau_summary").to_dicts()
    assert (mau["last_date"], mau["is_missing"], mau["last_run"]) == (None, True, None)


def test_a_date_between_two_is_told_when_it_is_missing(works):
    """Though it is not the newest: once, on the day after."""
    for desk in map(works.desk, (SHOP, PHARMACY)):
        for table, day in itertools.product(TABLES, (SECOND, LATER)):
            desk.lake.write(("summaries", desk.table_name(table)), str(day), pl.DataFrame({"one": [1]}))
    works.desk().path("dau", SECOND).unlink()  # the others of its family begin with SECOND
    works.clock.time = instant("2026-11-07 06:00")
    run = works.run("summaries_close", LATER)
    words = failed_checks(run)["every_table_is_there"].description
    assert "theshop_brand_mau_summary: 5 dates, the newest 2026-11-05" in words
    states = {row["table_name"]: row for row in read_whole(works.home.lake / "summaries/monitoring.parquet").to_dicts()}
    assert (states["theshop_brand_dau_summary"]["gaps"], states["theshop_brand_mau_summary"]["gaps"]) == (6, 5)
    assert not any(row["is_missing"] for row in states.values())
    assert list(works.alerts.raised) == ["summaries:gaps:2026-11-05"]


def test_a_day_that_has_not_begun_is_not_the_newest(works):
    for day in (SECOND, date(2052, 10, 28)):
        works.desk().prepare(day)
        list(works.desk().make("behaviour", day, {"dau"}))
    view = summary_catalog(works.spec, works.home, works.clock.time).views["theshop_brand_dau_summary"]
    assert str(SECOND) in view
    assert "2052" not in view
    states = table_states(works.spec, works.home, works.clock.time)
    assert states.filter(table_name="theshop_brand_dau_summary")["last_date"].to_list() == [SECOND]


@pytest.mark.parametrize("name", ["events", "user_day", "quality"])
def test_a_file_of_a_day_that_was_removed_is_made_again(works, name):
    before = works.made()
    works.desk().days.path(name, FIRST).unlink()
    assert list(works.desk().prepare(SECOND).days) == [FIRST]
    assert works.made() == before


def test_a_part_that_was_removed_takes_nothing_with_it(tmp_path):
    works = Works(tmp_path)
    folder = works.home.logs / SHOP / str(FIRST)
    folder.mkdir(parents=True)
    for number, user in enumerate(("u1", "u2")):
        works.log(SHOP, FIRST, (user, f"{FIRST} 09:00"))
        (works.home.logs / SHOP / f"{FIRST}.ndjson").rename(folder / f"{number}.ndjson")

    def users():
        return set(read_whole(works.desk().days.path("events", FIRST))["user_id"])

    works.desk().prepare(FIRST)
    (folder / "0.ndjson").unlink()
    assert not works.desk().prepare(FIRST).days
    works.log(SHOP, FIRST, ("u3", f"{FIRST} 10:00"))
    with pytest.raises(EngageError, match=r"0\.ndjson.* is gone, and 2026-10-30\.ndjson is new or has changed"):
        works.desk().prepare(FIRST)
    assert users() == {"u1", "u2"}
    works.desk().days.path("arrivals", FIRST).unlink()
    works.desk().prepare(FIRST)
    assert users() == {"u2", "u3"}


def test_history_that_was_removed_keeps_its_roll_ups(tmp_path):
    """Days before November go: neither October nor days that lived on them are made anew of what is left."""
    works, november = Works(tmp_path), date(2026, 11, 1)
    for number in range(8):
        day = FIRST + timedelta(days=number)
        early = (("u99", f"{day - timedelta(days=1)} 23:00"),)
        works.log(SHOP, day, (f"u{number}", f"{day} 09:00"), *early)
    works.desk().prepare(LATER)
    before, days = works.made(), works.desk().days
    assert any("month_total/2026-10" in path for path in before)
    for name in (*SHEETS, "arrivals", "set_aside", "made_of"):
        for path in days.path(name, FIRST).parent.glob("20*"):
            if path.name < str(november):
                path.unlink()
    for path in (works.home.logs / SHOP).glob("2026-10-*"):
        path.unlink()

    assert not works.desk().prepare(LATER).days
    assert not works.desk().prepare(LATER, anew=True).months
    kept = works.made()
    assert kept == {path: digest for path, digest in before.items() if path in kept}
    assert {path for path in before if "month_" in path} <= kept.keys()
    assert not works.desk().prepare(november).days
    with pytest.raises(EngageError, match=r"2026-10-31 cannot be made any more: logs before 2026-11-01 were removed"):
        works.desk().prepare(SECOND)
    works.log(SHOP, LATER, ("late", f"{LATER - timedelta(days=1)} 23:30"))
    assert set(works.desk().prepare(LATER).days) == {LATER - timedelta(days=number) for number in range(3)}


def test_schedules_wait_until_the_day_is_over(tmp_path):
    works = Works(tmp_path, a_spec("Asia/Seoul"))
    crons = {one.name: one.cron_schedule for one in works.definitions.get_repository_def().schedule_defs}
    assert crons == {
        "theshop_brand_behaviour_schedule": "0 2 * * *",
        "theshop_brand_commerce_schedule": "0 4 * * *",
        "theshop_pharmacy_behaviour_schedule": "0 2 * * *",
        "theshop_pharmacy_commerce_schedule": "0 4 * * *",
        "summaries_close_schedule": "37 4 * * *",
    }
    spec = a_spec("America/New_York")
    assert cron(begins_at(spec, "behaviour", spec.services[0])) == "0 5 * * *"
    assert cron(begins_at(spec, "commerce", spec.services[0])) == "0 5 * * *"
    shop, pharmacy = a_spec("Asia/Seoul").services
    assert expected_day(works.spec, "commerce", shop, instant("2026-11-01 04:17")) == FIRST
    assert expected_day(works.spec, "commerce", shop, instant("2026-11-01 04:18")) == SECOND
    assert expected_day(works.spec, "commerce", pharmacy, instant("2026-11-01 04:35")) == FIRST
    assert final_day(shop, instant("2026-11-03 02:00")) == SECOND
    assert final_day(spec.services[0], instant("2026-11-03 05:00")) == FIRST


def test_a_day_is_asked_for_when_it_is_over_and_when_it_is_final(works):
    tick = datetime(2026, 11, 3, 2, tzinfo=UTC)
    assert works.tick("theshop_brand_behaviour_schedule", tick) == [("2026-11-02", "2026-11-02")]
    list(works.desk().make("behaviour", SECOND, {"event_distribution"}))  # any table of the family
    assert works.tick("theshop_brand_behaviour_schedule", tick) == [
        ("2026-11-02", "2026-11-02"),
        ("2026-10-31:final", "2026-10-31"),
    ]
    assert works.tick("summaries_close_schedule", datetime(2026, 11, 3, 4, 37, tzinfo=UTC)) == [
        ("2026-11-02", "2026-11-02")
    ]


def test_readers_find_whole_tables_while_they_are_made_again(works):
    """Two editions take turns; every read is one of them."""
    desk = works.desk()
    path = desk.path("dau", SECOND)
    editions = [a_spec(tables={"dau": {"windowDays": days}}) for days in (20, 90)]
    stop, found, asks = threading.Event(), [], []

    def publish():
        turn = 0
        while not stop.is_set():
            again = Works(works.home.root, editions[turn % 2]).desk()
            assert [type(one) for one in again.make("behaviour", SECOND, ["dau"])] == [Made]
            turn += 1

    def read():
        found.extend(read_whole(path)["window_days"].unique().to_list() for _ in range(READS // 4))

    def ask():
        query = "SELECT count(*) AS n, min(window_days) AS a, max(window_days) AS b FROM theshop_brand_dau_summary"
        for _ in range(20):
            try:
                with (
                    tempfile.TemporaryDirectory() as spill,
                    asked(
                        summary_catalog(works.spec, works.home, works.clock.time), query, Path(spill), threads=1
                    ) as answer,
                ):
                    asks.append([row for batch in answer.rows() for row in batch.to_pylist()])
            except FilesGone:
                continue

    list(desk.make("behaviour", SECOND, ["dau"]))
    readers = [threading.Thread(target=read) for _ in range(4)] + [threading.Thread(target=ask)]
    publisher = threading.Thread(target=publish)
    gc.collect()  # else a reader's thread may end up closing databases of tests before
    for thread in (publisher, *readers):
        thread.start()
    for thread in readers:
        thread.join()
    stop.set()
    publisher.join()
    assert len(found) == READS
    assert {tuple(days) for days in found} == {(20,), (90,)}
    assert asks
    assert all(rows in ([{"n": n, "a": n, "b": n}] for n in (20, 90)) for rows in asks)


def test_readers_find_every_table_whole_while_all_are_made_again(works):
    """Two editions of all 16 tables take turns; what is read is one of them, byte for byte."""
    desk = works.desk()
    paths = {name: desk.path(name, SECOND) for name in TABLES}
    windowed = [name for family in FAMILIES for name, window in DOCUMENTED[family].items() if window.days]
    editions = [a_spec(tables={name: {"windowDays": days} for name in windowed}) for days in (20, 90)]
    known = {name: set() for name in TABLES}
    found = {name: [] for name in TABLES}
    stop = threading.Event()

    def publish(edition):
        again = Works(works.home.root, edition).desk()
        return [type(one) for family in FAMILIES for one in again.make(family, SECOND)]

    def read():
        while not stop.is_set() or min(map(len, found.values())) < READS // len(TABLES) + 1:
            for name, path in paths.items():
                found[name].append(path.read_bytes())
            stop.wait(0.01)  # leaves the processor to the publisher

    for edition in editions:
        assert publish(edition) == [Made] * len(TABLES)
        for name, path in paths.items():
            known[name].add(path.read_bytes())
    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in readers:
        thread.start()
    made = [publish(editions[turn % 2]) for turn in range(2)]
    stop.set()
    for thread in readers:
        thread.join()
    assert made == [[Made] * len(TABLES)] * 2
    assert sum(map(len, found.values())) >= READS
    assert sum(len(both) == 2 for both in known.values()) >= 12  # `mau` has no window
    assert all(set(found[name]) <= known[name] for name in TABLES)


def test_no_more_services_ask_at_once_than_may(works):
    limited = Works(works.home.root, a_spec(maxConcurrentQueries=1))
    making = limited.desk().make("behaviour", SECOND)
    next(making)
    other = threading.Thread(target=limited.desk(PHARMACY).prepare, args=(SECOND,))
    other.start()
    other.join(timeout=0.3)
    assert other.is_alive()
    making.close()
    other.join()


def test_no_table_is_half_of_a_day_when_its_process_dies(works):
    """The marker of a day comes last: what was not finished is made again, the same."""
    desk = works.desk()
    before = works.made()
    desk.days.path("user_day", FIRST).unlink()
    desk.days.path("made_of", FIRST).with_suffix(".txt").unlink()
    assert list(desk.prepare(SECOND).days) == [FIRST]
    assert works.made() == before
    assert digests(works.home.lake / "summaries") == {}
    assert isinstance(read_whole(desk.days.path("user_day", FIRST)), pl.DataFrame)
