import stat

import polars as pl
import pytest

from engage_assets.connectors.adhoc import Catalog, FilesGone, asked
from engage_assets.connectors.adhoc_files import write_answer
from engage_assets.connectors.adhoc_lake import lake_catalog
from engage_assets.domain.errors import QueryError

CANARY = "canary-21b7@example.org"


@pytest.fixture
def catalog(tmp_path):
    """A view over one file, a view over that view, and one in a schema."""
    path = tmp_path / "people.parquet"
    pl.DataFrame(
        {"id": [1, 2, 3], "email": [CANARY, None, ""], "place": [{"city": "Wien"}, None, {"city": "Linz"}]}
    ).write_parquet(path)
    views = {
        "hidden.people": f"SELECT * FROM read_parquet(['{path}'])",
        "people": "SELECT * FROM hidden.people",
        "named": "SELECT id FROM people WHERE place.city = 'Wien'",
    }
    return Catalog(views, [path], {"twice(one)": "2 * one"})


@pytest.fixture
def ask(catalog, tmp_path):
    def rows(query, **how):
        with asked(catalog, query, tmp_path / "spill", **how) as answer:
            return [tuple(row.values()) for batch in answer.rows() for row in batch.to_pylist()]

    return rows


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT ID FROM people ORDER BY id DESC LIMIT 1", [(3,)]),
        ("select place.city from people where id = 1;", [("Wien",)]),
        ("WITH a AS (SELECT twice(id) AS b FROM named) SELECT b FROM a", [(2,)]),
        ("FROM named", [(1,)]),
        ("SELECT count(*) FROM range(5)", [(5,)]),
        ("SELECT unnest([1, 2]) UNION ALL SELECT 3 ORDER BY 1", [(1,), (2,), (3,)]),
        ("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 3) SELECT max(n) FROM t", [(3,)]),
        ("SHOW TABLES", [("named",), ("people",)]),
        ("-- a word before\nSELECT 1", [(1,)]),
    ],
)
def test_questions(ask, query, rows):
    assert ask(query) == rows


def test_descriptions_and_plans(ask, catalog, tmp_path):
    assert [row[0] for row in ask("DESCRIBE people")] == ["id", "email", "place"]
    assert ask("SUMMARIZE SELECT id FROM people")[0][:4] == ("id", "BIGINT", "1", "3")
    for query in (
        "EXPLAIN SELECT id FROM people",
        "/* plan */ explain analyze SELECT 1",
        "EXPLAIN (FORMAT json) SELECT 1",
    ):
        with asked(catalog, query, tmp_path / "spill") as answer:
            assert answer.is_plan
            assert sum(batch.num_rows for batch in answer.texts()) == 1


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "found 0"),
        ("SELECT 1; SELECT 2", "found 2"),
        ("SELECT 1; DROP VIEW people", "found 2"),
        ("DROP VIEW people", "found DROP"),
        ("CREATE TABLE t AS SELECT 1", "found CREATE"),
        ("INSERT INTO people SELECT * FROM people", "found INSERT"),
        ("UPDATE people SET id = 1", "found UPDATE"),
        ("DELETE FROM people", "found DELETE"),
        ("COPY people TO '{folder}/out.csv'", "found COPY"),
        ("ATTACH '{folder}/other.db'", "found ATTACH"),
        ("PRAGMA database_list", "found PRAGMA"),
        ("CALL pragma_version()", "found CALL"),
        ("INSTALL httpfs", "found LOAD"),
        ("SET memory_limit = '100GB'", "found SET"),
        ("RESET memory_limit", "found SET"),
        ("EXPORT DATABASE '{folder}'", "found EXPORT"),
        ("PREPARE p AS SELECT 1", "found PREPARE"),
        ("PIVOT people ON id USING count(*)", "ON column IN"),
        ("EXPLAIN DROP VIEW people", "EXPLAIN is for a SELECT"),
        ("EXPLAIN COPY people TO '{folder}/out.csv'", "EXPLAIN is for a SELECT"),
        ("WITH a AS (DELETE FROM people RETURNING 1) SELECT * FROM a", "changes something"),
        ("SELECT * FROM read_csv('/etc/passwd')", "reads read_csv"),
        ("SELECT (SELECT count(*) FROM read_parquet('{folder}/people.parquet'))", "reads read_parquet"),
        ("SELECT * FROM READ_TEXT('/etc/passwd')", "reads read_text"),
        ("SELECT * FROM glob('/*')", "reads glob"),
        ("FROM query('DROP VIEW people')", "reads query"),
        ("SELECT * FROM duckdb_secrets()", "reads duckdb_secrets"),
        ("SELECT * FROM '/etc/passwd'", "reads a file"),
        ("SELECT * FROM 'people.parquet'", "reads a file"),
        ("SELECT * FROM 'https://example.org/x.csv'", "reads a file"),
        ("DESCRIBE '/etc/passwd'", "reads a file"),
        ("SELECT * FROM catalog", "catalog does not exist"),  # not a variable of Python
        ("SELEC 1", "not valid SQL"),
        ("SELECT nope FROM people", '"nope" not found'),
    ],
)
def test_what_is_refused(ask, tmp_path, query, words):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(QueryError, match=r"quer|statement|SELECT") as error:
        ask(query.replace("{folder}", str(tmp_path)))
    assert words in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM read_parquet('{folder}/other.parquet')",
        "COPY people TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.db'",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW people",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "LOAD httpfs",
    ],
)
def test_what_duckdb_itself_refuses(catalog, tmp_path, monkeypatch, statement):
    """Should the guard of the query's text ever miss something."""
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "other.parquet")
    monkeypatch.setattr("engage_assets.connectors.adhoc.refuse_unless_read_only", lambda *_: False)
    with (
        pytest.raises(QueryError),
        asked(catalog, statement.replace("{folder}", str(tmp_path)), tmp_path / "spill") as answer,
    ):
        list(answer.rows())
    assert not (tmp_path / "out.csv").exists()
    assert not (tmp_path / "other.db").exists()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT CAST(email AS INTEGER) FROM people", "TRY_CAST"),
        ("SELECT error(email) FROM people", "while it ran"),
        ("SELECT strptime(email, '%Y') FROM people", "while it ran"),
        ("SELECT 9223372036854775807 + id FROM people", "range"),
        ("SELECT email::DATE FROM people", "TRY_CAST"),
    ],
)
def test_errors_do_not_quote_data(ask, query, words):
    with pytest.raises(QueryError) as error:
        ask(query)
    assert words in str(error.value)
    assert "canary" not in str(error.value)
    assert error.value.__cause__ is None


def test_memory_has_a_limit(ask):
    with pytest.raises(QueryError, match="more memory"):
        ask("SELECT list(range) FROM range(50_000_000)", memory_limit="50MB", threads=1)


def test_a_file_that_was_replaced_is_told_apart(ask, catalog):
    catalog.files[0].unlink()
    with pytest.raises(FilesGone):
        ask("SELECT * FROM people")


def test_no_row_is_given_of_a_file_that_was_replaced_meanwhile(catalog, tmp_path):
    """DuckDB opens a file for its columns, and again for its rows: these may be of two editions."""
    again = tmp_path / "again.parquet"
    again.write_bytes(catalog.files[0].read_bytes())
    with asked(catalog, "SELECT id FROM people", tmp_path / "spill") as answer:
        again.replace(catalog.files[0])
        with pytest.raises(FilesGone):
            list(answer.rows())
    with asked(catalog, "SELECT 1 AS one", tmp_path / "spill") as answer:
        catalog.files[0].touch()
        assert [row for batch in answer.rows() for row in batch.to_pylist()] == [{"one": 1}]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_output(catalog, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    query = "SELECT id, email, place, id AS ID, TIMESTAMP '2026-01-02 03:04:05' AS at FROM people ORDER BY id"
    with asked(catalog, query, tmp_path / "spill") as answer:
        assert write_answer(answer, path) == 3
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if suffix == ".csv":
        assert path.read_text().splitlines() == [
            "id,email,place,ID_1,at",
            f'1,{CANARY},"{{""city"":""Wien""}}",1,2026-01-02 03:04:05',
            "2,,,2,2026-01-02 03:04:05",
            '3,"","{""city"":""Linz""}",3,2026-01-02 03:04:05',
        ]
    else:
        frame = pl.read_parquet(path)
        assert frame.columns == ["id", "email", "place", "ID_1", "at"]
        assert frame["place"].to_list() == [{"city": "Wien"}, None, {"city": "Linz"}]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_output_without_rows_has_its_columns(catalog, tmp_path, suffix):
    path = tmp_path / f"out{suffix}"
    with asked(catalog, "SELECT id, email FROM people WHERE false", tmp_path / "spill") as answer:
        assert write_answer(answer, path) == 0
    frame = pl.read_csv(path) if suffix == ".csv" else pl.read_parquet(path)
    assert (frame.columns, frame.height) == (["id", "email"], 0)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("out.csv", "SELECT CAST(email AS INTEGER) FROM people"),
        ("out.parquet", "SELECT INTERVAL 1 DAY AS a"),
        ("out.parquet", "SELECT union_value(a := 1) AS a"),
        ("out.parquet", "SELECT error('no')"),
        ("out.txt", "SELECT 1"),
        ("out.csv", "EXPLAIN SELECT 1"),
    ],
)
def test_output_is_whole_or_not_there(catalog, tmp_path, name, query):
    (tmp_path / name).write_text("what was there")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(QueryError), asked(catalog, query, tmp_path / "spill") as answer:
        write_answer(answer, tmp_path / name)
    assert (tmp_path / name).read_text() == "what was there"
    assert sorted(tmp_path.iterdir()) == before


def test_assets_of_the_lake(tmp_path):
    for key, rows in {"reviews/raw/2026-01-01": [1], "reviews/raw/2026-01-02": [2, 3], "scores/card": [4]}.items():
        path = tmp_path / "lake" / f"{key}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"a": rows}).write_parquet(path)
    catalog = lake_catalog(tmp_path / "lake")
    with asked(
        catalog, "SELECT partition, sum(a) AS a FROM lake.reviews_raw GROUP BY ALL ORDER BY 1", tmp_path
    ) as answer:
        assert [row for batch in answer.rows() for row in batch.to_pylist()] == [
            {"partition": "2026-01-01", "a": 1},
            {"partition": "2026-01-02", "a": 5},
        ]
    with asked(catalog, "FROM lake.scores_card", tmp_path / "spill") as answer:
        assert [row for batch in answer.rows() for row in batch.to_pylist()] == [{"a": 4, "partition": None}]


def test_two_assets_of_one_name_are_an_error(tmp_path):
    for key in ("reviews/raw_text/2026-01-01", "reviews_raw/text"):
        path = tmp_path / f"{key}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(QueryError, match=r"reviews/raw_text and reviews_raw/text are both lake\.reviews_raw_text"):
        lake_catalog(tmp_path)
