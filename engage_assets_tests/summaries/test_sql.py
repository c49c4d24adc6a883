"""The SQL files: complete, within the subset, read by two parsers of Athena's dialect, and safe from their values."""

import json
import os
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
import sqlglot

from engage_assets.domain.errors import QueryError
from engage_assets.domain.summary_spec import DOCUMENTED, Window
from engage_assets.summaries import athena, dialect
from engage_assets.summaries.engine import Engine, run_table
from engage_assets.summaries.queries import NAMES, Span, inlined, plan, spans
from engage_assets.summaries.relations import SHARED_VIEWS, SQL
from engage_assets.summaries.tables import SHIPPED, TABLES, values
from engage_assets_tests.summaries.builders import DAY, SERVICE, event, write_inputs

PARTS = Path(__file__).parents[2] / ".parts" / "trino"
STRANGE = ["x' OR 1=1 --", "\\' OR 1=1 --", "'; DROP TABLE events; --", '"', "a\\", "$$", "/* */", ":service", "${x}"]


def athena_text(table, service=SERVICE):
    return dialect.write(inlined(plan(table, values(table, service, DAY))), "athena")


# --- completeness -----------------------------------------------------------------------------------


def test_every_documented_table_has_a_row_and_a_file():
    assert {name: table.family for name, table in TABLES.items()} == {
        name: family for family, names in DOCUMENTED.items() for name in names
    }
    files = {table.file for table in TABLES.values()} | {view.file for view in SHARED_VIEWS.values()}
    assert files == {path for folder in ("commerce", "behaviour", "shared") for path in (SQL / folder).iterdir()}


def test_every_column_is_explained_and_every_key_is_a_column():
    for table in TABLES.values():
        names = [column.name for column in table.columns]
        assert len(set(names)) == len(names)
        assert set(table.key) <= set(names)
        assert all(column.description.endswith(".") for column in table.columns)
        assert [column.name for column in table.columns][:4] == [
            "service",
            "calculation_date",
            "window_start",
            "window_days",
        ]


# --- two parsers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_sqlglot_reads_what_athena_gets(table):
    (tree,) = sqlglot.parse(athena_text(table), read="athena")
    assert tree.named_selects == [column.name for column in table.columns]
    assert not list(tree.find_all(sqlglot.exp.Anonymous, sqlglot.exp.Placeholder))


def test_an_independent_grammar_of_trino_reads_what_athena_gets():
    statements = [made(table) for table in TABLES.values() for made in (create_statement, publish_statement)]
    foreign = ["SELECT a FROM t GROUP BY ALL", "SELECT * EXCEPT (a) FROM t", "SELECT a FROM t QUALIFY b = 1"]
    found = complaints([*statements, *foreign])
    assert found[: len(statements)] == [None] * len(statements)
    assert None not in found[len(statements) :]


def create_statement(table):
    place = {"database": "log_db", "name": "run_1", "folder": "s3://logs/summary/run=1/", "prefix": "theshop_brand"}
    return athena.create_table(table, values(table, SERVICE, DAY), **place)


def publish_statement(table):
    return athena.publish(table, database="log_db", view=f"theshop_brand_{table.name}_summary", name="run_1")


def complaints(statements):
    if not shutil.which("node") or not (PARTS / "node_modules" / "dt-sql-parser").is_dir():
        message = "dt-sql-parser is missing; to get it: make parts (it needs Node.js and npm)"
        pytest.fail(message) if os.environ.get("CI") else pytest.skip(message)
    script = Path(__file__).with_name("trino_parser.mjs")
    done = subprocess.run(
        ["node", script, PARTS], input=json.dumps(statements), capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


# --- the subset -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "complaint"),
    [
        ("SELECT event_time AT TIME ZONE 'Asia/Seoul' AS a FROM events", "use business_date and business_hour"),
        ("SELECT m['k'] AS a FROM events", "use ELEMENT_AT"),
        ("SELECT TRY_CAST(event AS INTEGER) AS a FROM events", "use CAST"),
        ("SELECT event FROM events GROUP BY ALL", "name the columns of GROUP BY"),
        ("SELECT event FROM events GROUP BY ROLLUP (event)", "see ALLOWED"),
        ("SELECT * FROM events", "name the columns instead of *"),
        ("SELECT * EXCEPT (event) FROM events", "name the columns instead of *"),
        ("SELECT event FROM events QUALIFY ROW_NUMBER() OVER (ORDER BY event) = 1", "not SQL of Athena"),
        ("SELECT event FROM events LIMIT 5", "filter on a ROW_NUMBER"),
        ("SELECT quantity / 2 AS a FROM events", "divide CAST(… AS DOUBLE)"),
        ("SELECT price / quantity AS a FROM events", "divide CAST(… AS DOUBLE)"),
        ("SELECT ROUND(price, 1) AS a FROM events", "round to an integer"),
        ("SELECT DATE_ADD('day', 1, business_date) AS a FROM events", "wrap DATE_ADD in CAST"),
        ("SELECT CAST(event AS TIMESTAMP) AS a FROM events", "type TIMESTAMP is not among"),
        ("SELECT APPROX_DISTINCT(user_id) AS a FROM events", "distinct counts are exact"),
        ("SELECT APPROX_PERCENTILE(quantity, 0.5) AS a FROM events", "see ALLOWED"),
        ("SELECT ARBITRARY(user_id) AS a FROM events", "use MIN or MAX"),
        ("SELECT RANDOM() AS a FROM events", "see ALLOWED"),
        ("SELECT CURRENT_DATE AS a FROM events", "see ALLOWED"),
        ("SELECT read_text('/etc/passwd') AS a FROM events", "see ALLOWED"),
        ("SELECT a FROM read_csv('/etc/passwd') AS t(a)", "cannot be read here"),
        ("SELECT event FROM payroll", "payroll cannot be read here; there are events"),
        ("SELECT event FROM other.events", "no catalogue or database"),
        ("SELECT event FROM events; SELECT event FROM events", "write one SELECT"),
        ("DROP TABLE events", "write one SELECT"),
        ("SELEKT event", "write one SELECT"),
        ("SELECT event FROM (", "not SQL of Athena"),
    ],
)
def test_what_engines_read_differently_is_refused(sql, complaint):
    with pytest.raises(QueryError) as refused:
        dialect.parse(sql, "some.sql", frozenset({"events"}))
    assert complaint in str(refused.value)
    assert str(refused.value).startswith("some.sql")


def test_a_refusal_names_the_line():
    sql = "SELECT event\nFROM events\nWHERE\n  quantity / 2 > 1"
    with pytest.raises(QueryError, match=r"some\.sql, line 4: divide CAST"):
        dialect.parse(sql, "some.sql", NAMES)


# --- values -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRANGE)
def test_a_strange_name_is_text_and_nothing_else(name, tmp_path):
    inputs = write_inputs(tmp_path, [event("search", service=SERVICE), event("search", service=name)])
    with Engine(inputs) as engine:
        rows = engine.result(TABLES["event_distribution"], values(TABLES["event_distribution"], name, DAY)).to_pylist()
    assert [(row["service"], row["event_count"]) for row in rows] == [(name, 1)]
    (tree,) = sqlglot.parse(athena_text(TABLES["event_distribution"], name), read="athena")
    assert {one.this for one in tree.find_all(sqlglot.exp.Literal) if one.is_string} >= {name}


@pytest.mark.parametrize("value", [None, 1.5, True, ["a"]])
def test_a_value_of_another_type_is_refused(value):
    with pytest.raises(QueryError, match="cannot be bound"):
        dialect.literal(value)


def test_a_placeholder_without_a_value_is_named():
    tree = dialect.parse("SELECT event FROM events WHERE service = :service", "some.sql", NAMES)
    with pytest.raises(QueryError, match=r"some\.sql: there is no value for :service; there are day"):
        dialect.bind(tree, {"day": date(2025, 1, 1)}, "some.sql")


@pytest.mark.parametrize("name", ["x; DROP TABLE y", "X", "a.b", 'a"b', "a" * 256, ""])
def test_athena_takes_plain_names_alone(name):
    with pytest.raises(QueryError, match="cannot be a name in the catalogue"):
        athena.publish(TABLES["mau"], database="log_db", view=name, name="run_1")


@pytest.mark.parametrize("folder", ["s3://logs/", "s3://logs/a", "/tmp/a/", "s3://logs/a'/", "s3://logs/../a b/"])
def test_athena_takes_plain_folders_alone(folder):
    place = {"database": "log_db", "name": "run_1", "prefix": "theshop_brand"}
    with pytest.raises(QueryError, match="is no folder for a table"):
        athena.create_table(TABLES["mau"], values(TABLES["mau"], SERVICE, DAY), folder=folder, **place)


def test_windows_and_top_n_can_be_set(tmp_path):
    table = TABLES["button_interaction"]
    clicks = [
        event("button_click", action=action, at=f"{day} 12:00") for action, day in (("a", 0), ("b", -2), ("c", 0))
    ]
    given = values(table, SERVICE, DAY, {**SHIPPED, table.name: Window(2, 1)})
    with Engine(write_inputs(tmp_path, clicks)) as engine:
        rows = engine.result(table, given).to_pylist()
    assert [(row["action"], row["window_days"]) for row in rows] == [("a", 2)]


# --- files ------------------------------------------------------------------------------------------


def test_a_table_names_the_days_that_it_reads():
    assert spans(TABLES["dau"], values(TABLES["dau"], SERVICE, DAY)) == {
        "user_day": Span(date(2025, 7, 5), DAY),
        "session_day": Span(date(2025, 7, 31), DAY),
    }
    assert spans(TABLES["period_totals"], values(TABLES["period_totals"], SERVICE, DAY)) == {
        "events": Span(date(2025, 10, 2), DAY),
        "user_day": Span(date(2025, 10, 25), DAY),
        "session_day": Span(date(2025, 10, 22), DAY),
        "purchase_ledger": Span(date(2025, 7, 31), DAY),
        "order_first_seen": None,
    }


@pytest.mark.parametrize("name", ["purchase_analytics", "mau"])
def test_a_table_is_published_whole_with_the_same_bytes_again(name, tmp_path):
    inputs = write_inputs(tmp_path, [event("purchase", order_id="o1", amount="1.00", payment_method="card")])
    given, out = values(TABLES[name], SERVICE, DAY), tmp_path / "out" / f"{DAY}.parquet"
    rows = run_table(TABLES[name], inputs, given, out)
    first = out.read_bytes()
    assert run_table(TABLES[name], inputs, given, out) == rows > 0
    assert out.read_bytes() == first
    assert [path.name for path in out.parent.iterdir()] == [out.name]


def test_a_failure_leaves_the_table_as_it_was(tmp_path):
    out = tmp_path / "out.parquet"
    out.write_bytes(b"before")
    (tmp_path / f"{DAY}.parquet").write_bytes(b"no parquet")
    inputs = {"events": [tmp_path / f"{DAY}.parquet"]}
    with pytest.raises(QueryError, match="DuckDB cannot make"):
        run_table(TABLES["event_distribution"], inputs, values(TABLES["event_distribution"], SERVICE, DAY), out)
    assert out.read_bytes() == b"before"


def test_a_table_without_files_is_empty_and_has_its_columns(tmp_path):
    assert (
        run_table(TABLES["conversion"], {}, values(TABLES["conversion"], SERVICE, DAY), tmp_path / "out.parquet") == 0
    )
