"""Grafana's dashboards: built from code, and every query parsed, bound to the real tables and right."""

import itertools
import json
import re
from datetime import timedelta
from functools import partial

import duckdb
import pytest
import yaml
from sqlglot import exp

from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.summaries.engine import Engine
from engage_assets.summaries.tables import TABLES, values
from engage_assets_tests.summaries import builders
from engage_assets_tests.summaries.builders import DAY, write_inputs
from engage_assets_tests.summaries.dashboard_files import (
    FILES,
    FOLDER,
    SERVICES,
    catalogue,
    faults,
    filled,
    load,
    parsed,
    queries,
    tables_read,
)
from engage_assets_tests.summaries.test_sql import complaints

QUERIES = list(queries())
SHOWN = [query for query in QUERIES if query.panel]
DOCUMENTED_SERVICES = ["theshop_brand", "theshop_pharmacy"]


def missing_sdk():
    return pytest.importorskip(
        "grafana_foundation_sdk", reason="grafana-foundation-sdk is missing; it comes with the extra dev: make setup"
    )


# --- files ------------------------------------------------------------------------------------------


def test_the_files_are_what_the_code_builds():
    missing_sdk()
    from dashboards.build import files, shipped

    built = files(shipped())
    assert {path.relative_to(FOLDER).as_posix() for path in FOLDER.rglob("*") if path.suffix in (".json", ".yaml")} == (
        built.keys()
    )
    stale = [name for name, content in built.items() if (FOLDER / name).read_text(encoding="utf-8") != content]
    assert not stale, "write them again: python -m dashboards.build"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_sdk_reads_a_file_as_it_was_written(path):
    missing_sdk()
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models.dashboard import Dashboard

    register_default_plugins()
    assert json.loads(JSONEncoder().encode(Dashboard.from_json(load(path)))) == load(path)


def test_the_dashboards_have_their_documented_names():
    assert {path.stem: load(path)["uid"] for path in FILES} == {
        name: name
        for name in ("commerce-analytics-multi-service", "otel-analytics-multi-service", "pipeline-comparison")
    }


def test_the_data_source_is_the_documented_one():
    (source,) = yaml.safe_load((FOLDER / "provisioning/datasources/athena.yaml").read_text())["datasources"]
    assert (source["name"], source["type"]) == ("Athena Commerce", "grafana-athena-datasource")
    assert {key: source["jsonData"][key] for key in ("database", "workgroup", "defaultRegion", "outputLocation")} == {
        "database": "log_db",
        "workgroup": "primary",
        "defaultRegion": "ap-northeast-2",
        "outputLocation": "s3://aws-athena-query-results-123456789012-ap-northeast-2/",
    }
    assert "secureJsonData" not in source


def test_variables():
    variables = {
        one["name"]: one for one in load(FOLDER / "commerce-analytics-multi-service.json")["templating"]["list"]
    }
    assert variables["service"]["query"].split(",") == DOCUMENTED_SERVICES
    assert [one["value"] for one in variables["action"]["options"]] == ["smart_order_open", "quick_add", "view_detail"]
    assert [one["value"] for one in variables["category"]["options"]] == ["health", "beauty", "supplement"]
    for path in FILES:
        known = {one["name"] for one in load(path)["templating"]["list"]}
        assert {"service", "datasource"} <= known
        assert set(re.findall(r"\$\{?(\w+)", path.read_text(encoding="utf-8"))) == known


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_panels_lie_side_by_side(path):
    panels = load(path)["panels"]
    places = [panel["gridPos"] for panel in panels]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for (a, one), (b, other) in itertools.combinations(zip(places, panels, strict=True), 2):
        is_apart = (
            a["x"] + a["w"] <= b["x"]
            or b["x"] + b["w"] <= a["x"]
            or a["y"] + a["h"] <= b["y"]
            or b["y"] + b["h"] <= a["y"]
        )
        assert is_apart, f"{one['title']} and {other['title']} overlap"
    assert len({panel["id"] for panel in panels}) == len(panels)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_grafana_adds_up_nothing_itself(path):
    def reducers(node):
        if isinstance(node, dict):
            for key, value in node.items():
                if key in ("calcs", "reducer", "transformations"):
                    yield from value
                yield from reducers(value)
        elif isinstance(node, list):
            for value in node:
                yield from reducers(value)

    assert set(reducers(load(path))) <= {"lastNotNull"}


# --- queries ----------------------------------------------------------------------------------------


def test_queries_read_real_tables_and_add_up_what_may_be_added_up():
    found = {query.place: faults(parsed(query.sql)) for query in QUERIES}
    assert not {place: wrong for place, wrong in found.items() if wrong}
    for service, prefix in zip(SERVICES, DOCUMENTED_SERVICES, strict=True):
        read = {name for query in QUERIES for name in tables_read(parsed(query.sql, {"service": prefix}))}
        assert read == catalogue(service).keys()


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("SELECT SUM(unique_users) AS users FROM {button}", "adds up distinct count unique_users"),
        ("SELECT SUM(u) FROM (SELECT unique_users AS u FROM {button}) AS x", "adds up distinct count unique_users"),
        ("SELECT SUM(DISTINCT sessions) FROM {hours}", "adds up distinct count sessions"),
        ("SELECT SUM(base_users) FROM {retention} WHERE basis = 'active'", "adds up distinct count base_users"),
        ("SELECT AVG(click_through_rate) AS ctr FROM {search}", "averages click_through_rate"),
        ("SELECT AVG(r) FROM (SELECT click_through_rate AS r FROM {search}) AS x", "averages click_through_rate"),
        ("SELECT SUM(stickiness) FROM {dau}", "adds up ratio stickiness"),
        ("SELECT total_clicks FROM {button}", "not its newest calculation date alone"),
        ("SELECT total_clicks FROM theshop_theshop_brand_commerce_button_interaction_summary", "no such table"),
        ("SELECT 100.0 * total_clicks AS x FROM {button}", "100.0: a decimal"),
    ],
)
def test_the_lint_sees(sql, fault):
    known = {table: name for name, table in catalogue(SERVICES[0]).items()}
    short = {"button": "button_interaction", "search": "search_analytics", "hours": "hourly_traffic"}
    names = {word: known[short.get(word, word)] for word in (*short, "retention", "dau")}
    assert any(fault in found for found in faults(parsed(sql.format(**names))))


def test_every_table_has_a_panel_of_its_own():
    known = catalogue(SERVICES[0])
    alone = {name for query in SHOWN if len(read := tables_read(parsed(query.sql))) == 1 for name in read}
    assert alone == known.keys()
    families = {"commerce-analytics-multi-service": "commerce", "otel-analytics-multi-service": "behaviour"}
    for query in SHOWN:
        name = query.place.split(":")[0]
        read = {TABLES[known[table]].family for table in tables_read(parsed(query.sql))}
        assert name == "pipeline-comparison" or read == {families[name]}


def test_an_independent_grammar_of_trino_reads_every_query():
    found = complaints([filled(query.sql) for query in QUERIES] + ["SELECT a FROM t QUALIFY b = 1"])
    assert [query.place for query, fault in zip(QUERIES, found, strict=False) if fault] == []
    assert found[-1]


def test_quotes_in_a_value_stay_in_it():
    sql = next(query.sql for query in SHOWN if query.place.endswith("Clicks of $action"))
    strange = "x' OR '1' = '1"
    assert "${action:sqlstring}" in sql
    assert strange in {one.this for one in parsed(sql, {"action": strange}).find_all(exp.Literal)}


# --- on tables --------------------------------------------------------------------------------------


def some_events(service):
    """Days of two regular customers, one that comes on the last day alone, and one that never comes back."""
    event = partial(builders.event, service=service)
    made = []
    for day in (-40, -39, -33, -10, -3, -1, 0):
        for user in ("u1", "u2"):
            session = f"{user}{day}"
            on_it = partial(event, user=user, session=session)
            made += [
                on_it("session_start", at=f"{day} 10:00"),
                on_it("product_view", at=f"{day} 10:01", product_id="p1"),
                on_it("page_change", at=f"{day} 10:02", from_path="/", to_path="/p/{id}"),
                on_it(
                    "cart_add",
                    at=f"{day} 10:03",
                    product_id="p1",
                    category="health",
                    quantity=2,
                    price="5.00",
                    source="list",
                ),
                on_it("purchase", at=f"{day} 10:05", order_id=session, amount="10.00", payment_method="card"),
            ]
    made += [event("product_view", user="u4", session="u4", at="-10 09:00", product_id="p1")]
    last = partial(event, user="u3", session="u3")
    made += [last("cart_add", at="11:00", product_id="p2", source="search")]
    made += [
        last("button_click", at="11:01", action=action)
        for action in ("smart_order_open", "smart_order_open", "quick_add")
    ]
    made += [event("button_click", user="u1", session="u10", at="11:02", action="smart_order_open")]
    for user, term, is_clicked in (
        ("u1", "red", True),
        ("u2", "red", False),
        ("u3", "red", False),
        ("u3", "blue", True),
        ("u5", "red", False),
    ):
        found = partial(event, user=user, session="u3" if user == "u3" else f"{user}0", search_term=term)
        made += [found("search", at="12:00", result_count=3)] + [found("result_click", at="12:01")] * is_clicked
    return made


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """DuckDB with the sixteen tables of a service, and the same rows again as of the day before."""
    connection = duckdb.connect()
    connection.execute("CREATE SCHEMA log_db")
    connection.execute("SET schema = 'log_db'")
    service = SERVICES[0]
    with Engine(write_inputs(tmp_path_factory.mktemp("inputs"), some_events(service))) as engine:
        for name, table in catalogue(service).items():
            connection.register("made", engine.result(TABLES[table], values(TABLES[table], service, DAY)))
            connection.execute(f"CREATE TABLE {name} AS FROM made")
            connection.execute(
                f"INSERT INTO {name} SELECT * REPLACE (calculation_date - 1 AS calculation_date) FROM made"
            )
    yield connection
    connection.close()


def answer(database, query, **chosen):
    return database.sql(parsed(query.sql, chosen).sql("duckdb"))


def shown(database, title, dashboard="commerce", **chosen):
    (query,) = (one for one in SHOWN if one.place.startswith(dashboard) and one.place.endswith(f": {title}"))
    return answer(database, query, **chosen).fetchall()


def test_every_query_is_answered_by_the_tables(database):
    for query in QUERIES:
        result = answer(database, query)
        kinds = dict(zip(result.columns, map(str, result.types), strict=True))
        assert bool(result.fetchall()) != query.place.endswith("Tables missing"), query.place
        as_text = [
            name for name, kind in kinds.items() if kind.startswith(("DECIMAL", "MAP", "STRUCT")) or "[]" in kind
        ]
        assert not as_text, f"{query.place}: Grafana gets {as_text} as text"
        assert not misplaced(query.panel or {}, kinds), query.place


def misplaced(panel, kinds):
    """Columns that a panel wants and the query does not give."""
    overrides = panel.get("fieldConfig", {}).get("overrides", ())
    wanted = {one["matcher"]["options"] for one in overrides} - kinds.keys()
    if panel.get("type") == "barchart" and kinds[panel["options"]["xField"]] != "VARCHAR":
        wanted.add("an x axis of text")
    if panel.get("type") == "timeseries":
        numbers = [kind for name, kind in kinds.items() if name != "time"]
        if kinds.get("time") != "DATE" or "VARCHAR" in numbers or not numbers:
            wanted.add("time and numbers")
    return wanted


def test_the_newest_calculation_date_alone(database):
    assert shown(database, "Clicks of $action") == [(3, 2)]
    assert [row[0] for row in shown(database, "Users by class", "otel")] == ["New", "Recent", "Active", "Veteran"]
    assert len(shown(database, "Hourly traffic")) == 24


def test_users_are_counted_once_over_all_buttons(database):
    assert [row[1:4] for row in shown(database, "Buttons by clicks")] == [
        ("smart_order_open", 3, 2),
        ("quick_add", 1, 1),
    ]
    assert shown(database, "All buttons") == [(4, 2, 2)]


def test_the_click_through_rate_is_of_sessions_not_of_rates(database):
    rates = {row[1]: row[6] for row in shown(database, "Search terms")}
    assert rates == {"red": 25.0, "blue": 100.0}
    assert shown(database, "Search click-through rate") == [(50.0,)]


def test_products_without_a_category_are_found_under_the_name_that_categories_give_them(database):
    assert ("Uncategorized",) in {(row[1],) for row in shown(database, "Categories")}
    assert [row[1] for row in shown(database, "Products of $category", category="Uncategorized")] == [None]
    assert [row[4] for row in shown(database, "Products of $category", category="health")] == [8]


def test_purchases_of_the_window(database):
    assert shown(database, "Purchases and revenue") == [(14, 140.0)]
    assert shown(database, "Purchasers") == [(2, 14)]
    assert shown(database, "Payment methods") == [("card", 14)]


def test_retention_is_pooled_over_the_cohorts_of_new_users(database):
    two_of_three = pytest.approx(200 / 3)
    found = shown(database, "New users that came back", "otel")
    assert found == [("D+1", two_of_three), ("D+7", two_of_three), ("D+30", 100)]


def test_freshness(database):
    runs = shown(database, "Last run and rows")
    assert {row[1] for row in runs} == {str(DAY)}
    assert ("hourly_traffic", str(DAY), 24) in runs
    for title in ("Runs of user behaviour", "Runs of commerce"):
        assert [row[0] for row in shown(database, title, "pipeline")][-1] == str(DAY)


@pytest.mark.parametrize(
    ("now", "behind"),
    [("2025-11-01 04:20", 0), ("2025-11-01 04:36", 0), ("2025-11-02 04:35", 0), ("2025-11-02 04:36", 1)],
)
def test_tables_are_behind_when_the_next_day_should_be_there(database, now, behind):
    (query,) = (
        one for one in SHOWN if one.place.endswith("service: Days behind and empty tables") and "commerce" in one.sql
    )
    assert "CURRENT_TIMESTAMP" in query.sql
    frozen = query._replace(sql=query.sql.replace("CURRENT_TIMESTAMP", f"CAST('{now}' AS TIMESTAMP)"))
    assert answer(database, frozen).fetchall() == [(behind, 0)]


def test_tables_without_a_row_are_far_behind(database):
    (query,) = (
        one for one in SHOWN if one.place.endswith("service: Days behind and empty tables") and "commerce" in one.sql
    )
    tables = tables_read(parsed(query.sql))
    database.execute("BEGIN")
    try:
        for name in tables:
            database.execute(f"DELETE FROM {name}")
        ((behind, empty),) = answer(database, query).fetchall()
    finally:
        database.execute("ROLLBACK")
    assert empty == len(tables)
    assert behind > 20_000


def test_tables_are_due_when_every_service_is_done():
    from dashboards.queries import due_after

    def due(*zones):
        services = [{"service": f"s{number}", "timeZone": zone} for number, zone in enumerate(zones)]
        return due_after(CommerceAnalytics.model_validate({"services": services}), "commerce")

    assert due("Asia/Seoul", "Asia/Seoul") == timedelta(hours=4, minutes=36)
    assert due("America/Los_Angeles") == timedelta(hours=8, minutes=18)


def test_a_missing_table_is_named(database):
    database.execute("ALTER TABLE theshop_brand_mau_summary RENAME TO away")
    try:
        assert shown(database, "Tables missing", "pipeline") == [("theshop_brand_mau_summary",)]
    finally:
        database.execute("ALTER TABLE away RENAME TO theshop_brand_mau_summary")
