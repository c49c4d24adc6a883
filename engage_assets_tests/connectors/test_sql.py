"""A program's SQL on its syntax tree: time, parameters and conditions, run in DuckDB to see what they mean."""

from datetime import date, time
from functools import cache

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from engage_assets.connectors import sql
from engage_assets.domain.errors import QueryError
from engage_assets_tests.builders import instant

DAY = date(2026, 11, 19)
INSTANT = instant("2026-11-20 02:00")
TODAY = INSTANT.date()


def value_of(expression, dialect):
    tree = sql.bind_now(sql.parse(f"SELECT {expression} AS x", dialect), INSTANT)
    return duckdb.sql(tree.sql(dialect="duckdb")).fetchall()[0][0]


# --- time -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "expression", "expected"),
    [
        ("athena", "current_date", TODAY),
        ("athena", "now()", INSTANT),
        ("athena", "current_timestamp", INSTANT),
        ("athena", "current_timestamp(3)", INSTANT),
        ("athena", "localtimestamp", INSTANT),
        ("athena", "current_time", time(2)),
        ("athena", "date_add('day', -1, current_date)", instant("2026-11-19 00:00")),
        ("athena", "now() AT TIME ZONE 'UTC'", INSTANT),
        ("athena", "CAST(now() AT TIME ZONE 'America/New_York' AS date)", DAY),
        ("athena", "'now()'", "now()"),
        ("redshift", "CURRENT_DATE - 7", date(2026, 11, 13)),
        ("redshift", "GETDATE()", INSTANT),
        ("redshift", "SYSDATE", INSTANT),
        ("redshift", "NOW()", INSTANT),
        ("redshift", "CURRENT_TIMESTAMP", INSTANT),
        ("redshift", "DATEADD(day, -1, GETDATE())", instant("2026-11-19 02:00")),
        ("snowflake", "CURRENT_DATE()", TODAY),
        ("snowflake", "CURRENT_DATE", TODAY),
        ("snowflake", "CURRENT_TIMESTAMP()", INSTANT),
        ("snowflake", "SYSDATE()", INSTANT),
        ("snowflake", "GETDATE()", INSTANT),
        ("snowflake", "CURRENT_TIME()", time(2)),
        ("duckdb", "today()", TODAY),
        ("duckdb", "get_current_timestamp()", INSTANT),
        ("duckdb", "current_localtime()", time(2)),
    ],
)
def test_what_asks_the_time_gets_the_batch_instant(dialect, expression, expected):
    assert value_of(expression, dialect) == expected


def test_unknown_zone_is_a_mistake_in_the_query():
    with pytest.raises(QueryError, match="time zone 'Mars/Olympus'"):
        value_of("now() AT TIME ZONE 'Mars/Olympus'", "athena")


def test_no_function_of_the_engine_tells_the_time_or_gives_chance():
    """Every function of DuckDB that changes from run to run is bound, or refused."""
    changing = duckdb.sql(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' AND len(parameters) = 0"
        " AND (has_side_effects OR return_type IN ('DATE', 'TIME', 'TIMESTAMP', 'TIMESTAMP WITH TIME ZONE'))"
        " ORDER BY 1"
    ).fetchall()
    assert len(changing) > 8
    left = []
    for (name,) in changing:
        try:
            tree = sql.bind_now(sql.parse(f"SELECT {name}() AS x", "duckdb"), INSTANT)
        except QueryError:
            continue
        if not isinstance(tree.expressions[0].this, exp.Cast):
            left.append(name)
    # The text of the query is the same in every run.
    assert left == ["current_query"]


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("athena", "SELECT * FROM t WHERE random() < 0.1"),
        ("athena", "SELECT *, uuid() FROM t"),
        ("athena", "SELECT * FROM t TABLESAMPLE BERNOULLI (10)"),
        ("redshift", "SELECT * FROM t ORDER BY RANDOM()"),
        ("snowflake", "SELECT UUID_STRING() FROM t"),
        ("snowflake", "SELECT UNIFORM(1, 10, RANDOM()) FROM t"),
        ("snowflake", "SELECT RANDSTR(5, RANDOM()) FROM t"),
        ("duckdb", "SELECT * FROM t USING SAMPLE 10%"),
        ("duckdb", "SELECT gen_random_uuid() FROM t"),
    ],
)
def test_chance_is_refused(dialect, query):
    with pytest.raises(QueryError, match=r"^the query uses .*: a partition must give the same rows again; remove it$"):
        sql.parse(query, dialect)


@pytest.mark.parametrize("part", ["LIMIT 10", "OFFSET 10", "FETCH FIRST 10 ROWS ONLY"])
def test_a_cut_without_an_order_is_chance(part):
    for query in (f"SELECT * FROM t {part}", f"SELECT * FROM (SELECT * FROM t {part})"):
        with pytest.raises(QueryError, match="without ORDER BY"):
            sql.parse(query, "athena")
    assert sql.parse(f"SELECT * FROM t ORDER BY a {part}", "athena")


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("DELETE FROM deliveries", "DELETE"),
        ("SELECT 1; DROP TABLE deliveries", "SELECT, DROP"),
        ("SELECT 1 UNION ALL SELECT 2", "UNION"),
        ("CREATE TABLE x AS SELECT 1", "CREATE"),
        ("INSERT INTO x SELECT 1", "INSERT"),
        ("", "NONETYPE"),
    ],
)
def test_anything_but_one_select_is_refused(query, found):
    with pytest.raises(QueryError, match=f"one SELECT statement, found {found}"):
        sql.parse(query, "athena")


def test_syntax_error_tells_its_place_in_one_plain_line():
    with pytest.raises(QueryError) as error:
        sql.parse("SELECT *\nFROM deliveries\nWHERE = ?", "redshift")
    message = str(error.value)
    assert message.startswith("the query is not valid redshift SQL: line 3, column ")
    assert message.isprintable()


@pytest.mark.parametrize("query", ["SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM glob('*') AS g"])
def test_only_tables_can_be_read(query):
    with pytest.raises(QueryError, match="it may only read tables of the warehouse"):
        sql.rename_tables(sql.parse(query, "duckdb"), lambda table: table.name)


# --- the day --------------------------------------------------------------------------------------

ROWS = [(1, "2026-11-18", "A"), (2, "2026-11-19", "A"), (3, "2026-11-19", "B"), (4, "2026-11-20", "A"), (5, None, "A")]


@cache
def a_database():
    connection = duckdb.connect()
    connection.execute("CREATE TABLE deliveries (id INT, delivery_date DATE, status VARCHAR)")
    connection.executemany("INSERT INTO deliveries VALUES (?, ?, ?)", ROWS)
    connection.execute("CREATE TABLE orders AS SELECT 2 AS id, DATE '2026-11-18' AS delivery_date")
    return connection


def ids(query, dialect="athena", *, window=None, column="delivery_date"):
    """Ids of ROWS that the query returns when it is bound to the day."""
    tree = sql.bind_day(sql.parse(query, dialect), column=column, day=DAY, table="deliveries", window=window)
    return sorted(row[0] for row in a_database().execute(tree.sql(dialect="duckdb")).fetchall())


def a_window(qualifier):
    """A stand-in for the arrival window: the day and the one before."""
    day = exp.column("delivery_date", table=qualifier)
    return exp.or_(day.eq(sql.date_literal(DAY)), day.eq(sql.date_literal(date(2026, 11, 18))))


FORMS = [
    ("athena", "delivery_date = ?"),
    ("athena", "? = delivery_date"),
    ("athena", "(delivery_date) = (?)"),
    ("athena", "DELIVERY_DATE = ?"),
    ("athena", '"delivery_date" = ?'),
    ("athena", "d.delivery_date = ?"),
    ("athena", "date(delivery_date) = CAST(? AS date)"),
    ("redshift", "delivery_date = CAST(? AS date)"),
    ("redshift", "d.delivery_date::date = ?"),
    ("snowflake", "TO_DATE(delivery_date) = TO_DATE(?)"),
    ("snowflake", "delivery_date = ? -- the day?"),
]


@pytest.mark.parametrize(("dialect", "condition"), FORMS)
def test_every_way_to_write_the_day_means_the_day(dialect, condition):
    query = f"SELECT * FROM deliveries d WHERE status <> '?' AND {condition}"
    assert ids(query, dialect) == [2, 3]
    assert ids(query, dialect, window=a_window) == [1, 2, 3]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM deliveries WHERE delivery_date BETWEEN ? AND ?", [2, 3]),
        ("SELECT * FROM deliveries WHERE delivery_date IN (?)", [2, 3]),
        ("SELECT * FROM deliveries WHERE delivery_date >= ?", [2, 3, 4]),
        ("SELECT * FROM deliveries WHERE date_add('day', 1, delivery_date) = ?", [1]),
    ],
)
def test_other_comparisons_are_bound_but_not_where_late_rows_could_be_lost(query, expected):
    assert ids(query) == expected
    with pytest.raises(QueryError, match="write delivery_date = \\?, or remove arrivalColumn"):
        ids(query, window=a_window)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("", [2, 3]),
        (" WHERE status = 'B' OR status = 'A'", [2, 3]),
        (" WHERE status = 'B' OR status = 'C' AND id = 1", [3]),
        (" WHERE id > 0 ORDER BY id", [2, 3]),
    ],
)
def test_a_query_without_a_day_gets_one_and_keeps_its_own_condition_whole(condition, expected):
    query = "SELECT * FROM deliveries" + condition
    assert ids(query) == expected
    with_the_day_before = expected if "'C'" in condition else [1, *expected]
    assert ids(query, window=a_window) == with_the_day_before


def test_a_question_beside_the_condition_is_no_condition():
    assert ids("SELECT id, delivery_date = ? AS is_due FROM deliveries WHERE delivery_date = ?", window=a_window) == [
        1,
        2,
        3,
    ]
    with pytest.raises(QueryError, match="late records would be lost"):
        ids("SELECT id, delivery_date = ? AS is_due FROM deliveries", window=a_window)


def test_the_added_day_is_that_of_the_source_table():
    assert ids("SELECT d.id FROM deliveries AS d JOIN orders AS o ON o.id = d.id") == [2]
    assert ids("SELECT d.id FROM orders AS o JOIN deliveries AS d ON o.id = d.id", window=a_window) == [2]


def test_names_out_of_a_program_stay_names():
    column = 'x" = 1 OR 1=1 --'
    tree = sql.bind_day(sql.parse("SELECT * FROM t", "athena"), column=column, day=DAY, table="t", window=None)
    again = sqlglot.parse_one(tree.sql(dialect="duckdb"), read="duckdb")
    assert [found.name for found in again.find_all(exp.Column)] == [column]
    assert not list(again.find_all(exp.Or))


# --- projection and tables ------------------------------------------------------------------------


def projected(query, columns=("delivery_id", "status")):
    tree = sql.add_to_projection(sql.parse(query, "athena"), list(columns), "deliveries")
    return [found.sql() for found in tree.expressions]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM deliveries", ["*"]),
        ("SELECT d.* FROM deliveries d", ["d.*"]),
        ("SELECT Status FROM deliveries", ["Status", '"deliveries"."delivery_id"']),
        ("SELECT d.delivery_id AS id FROM deliveries d", ["d.delivery_id AS id", '"d"."delivery_id"', '"d"."status"']),
        ("SELECT status FROM (SELECT * FROM deliveries)", ["status", '"delivery_id"']),
        ("SELECT DISTINCT delivery_id, status FROM deliveries", ["delivery_id", "status"]),
    ],
)
def test_projection_gets_what_the_contract_needs(query, expected):
    assert projected(query) == expected


@pytest.mark.parametrize(
    "query", ["SELECT DISTINCT status FROM deliveries", "SELECT status FROM deliveries GROUP BY 1"]
)
def test_nothing_is_added_where_that_would_change_the_rows(query):
    with pytest.raises(QueryError, match="the query must return delivery_id, which its contract needs"):
        projected(query)


def test_tables_are_renamed_and_names_of_with_are_not():
    query = (
        "WITH deliveries AS (SELECT * FROM deliveries WHERE status = 'A'), late AS (SELECT * FROM deliveries)"
        " SELECT late.id, ecommerce.orders.id FROM late JOIN ecommerce.orders ON orders.id = late.id"
        " WHERE EXISTS (SELECT 1 FROM returns r WHERE r.id = late.id)"
    )
    seen = []

    def view(table):
        seen.append((table.db, table.name))
        return f"view of {table.name}"

    tree = sql.rename_tables(sql.parse(query, "athena"), view)
    assert sorted(seen) == [("", "deliveries"), ("", "returns"), ("ecommerce", "orders")]
    assert tree.sql(dialect="duckdb") == (
        "WITH deliveries AS (SELECT * FROM \"view of deliveries\" AS deliveries WHERE status = 'A'),"
        " late AS (SELECT * FROM deliveries)"
        ' SELECT late.id, orders.id FROM late JOIN "view of orders" AS orders ON orders.id = late.id'
        ' WHERE EXISTS(SELECT 1 FROM "view of returns" AS r WHERE r.id = late.id)'
    )


def test_literals_keep_microseconds():
    late = instant("2026-11-20 02:00:00.000001")
    assert duckdb.sql(f"SELECT {sql.instant_literal(late).sql(dialect='duckdb')}").fetchall() == [(late,)]
