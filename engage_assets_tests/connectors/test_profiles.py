"""Records that meet each subject: `CONTAINS ?` bound to its words, in the engine's own dialect."""

from datetime import date, datetime
from hashlib import sha256

import polars as pl
import pytest

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.records import canonical
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import QueryError
from engage_assets.domain.events import CUSTOMER_PROFILES, SOURCE
from engage_assets.domain.source import Asked
from engage_assets_tests.defs.small_events import path_of
from engage_assets_tests.filters.inviting import EVENTS

MONDAY = date(2026, 11, 23)
UPDATED = datetime(2026, 12, 1)  # noqa: DTZ001 - UTC without a zone attached
PEOPLE = [
    ("c-1", ["Cloud_Computing ", "x"], 0, 0.5, "US", "dev", UPDATED),
    ("c-2", ["gardening"], 2, 0.5, "US", "dev", None),
    ("c-3", ["gardening"], 0, 0.5, "US", "dev", None),
    ("c-4", ["it's"], None, None, None, None, None),
    ("c-5", [], 0, None, None, None, None),
    ("c-6", None, 1, None, None, None, None),
    ("c-7", [None, "ML"], 0, None, None, None, None),
    (None, ["ml"], 0, None, None, None, None),
]
CLOUD, LEARNING = Asked("e-1", ("cloud", "cloud computing", "it's")), Asked("e-2", ("machine learning", "ml"))


@pytest.fixture
def connector(tmp_path) -> DuckDBConnector:
    frame = pl.DataFrame(PEOPLE, schema=CUSTOMER_PROFILES.schema, orient="row")
    frame.write_parquet(path_of(tmp_path, CUSTOMER_PROFILES))
    return DuckDBConnector(Warehouse(tmp_path))


def with_query(query: str):
    connector = EVENTS.connector
    config = connector.config.model_copy(update={"query": query})
    return EVENTS.model_copy(update={"data_connectors": (connector.model_copy(update={"config": config}),)})


def read(connector, *asked: Asked, program=EVENTS) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(batch) for batch in connector.read(program, MONDAY, asked)])


def test_each_event_meets_whoever_holds_one_of_its_words_or_attended_before(connector):
    found = read(connector, CLOUD, LEARNING)
    assert found.columns == [column.name for column in SOURCE.raw_columns]
    assert [tuple(row) for row in found.select("customer_id", "event_id").iter_rows()] == [
        (None, "e-2"), ("c-1", "e-1"), ("c-2", "e-1"), ("c-2", "e-2"), ("c-4", "e-1"), ("c-6", "e-1"), ("c-6", "e-2"),
        ("c-7", "e-2"),
    ]  # fmt: skip
    assert found["record_id"].n_unique() == found.height
    assert not found["is_late"].any()
    row = found.row(1, named=True)
    told = {column.name: row[column.name] for column in SOURCE.columns}
    assert row["record_id"] == sha256(canonical(told)).hexdigest(), "the event is part of the record's name"
    assert row["interest_tags"] == ["Cloud_Computing ", "x"], "as it is written"
    assert connector.unread(EVENTS, MONDAY) == {"without_day": 0, "too_late": 0}


def test_a_query_that_is_no_plain_choice_of_rows_gives_the_same_records(connector):
    query = """
        SELECT * FROM (SELECT * FROM customer_profiles
                       WHERE interest_tags CONTAINS ? OR event_attendance_history > 0)
    """
    assert read(connector, CLOUD, LEARNING, program=with_query(query)).equals(read(connector, CLOUD, LEARNING))


def test_a_subject_whose_name_json_escapes_is_part_of_the_records_name(connector):
    found = read(connector, Asked('e "1"', ("ml",)), Asked("it's", ()))
    for row in found.iter_rows(named=True):
        told = {column.name: row[column.name] for column in SOURCE.columns}
        assert row["record_id"] == sha256(canonical(told)).hexdigest()
    assert set(found["event_id"]) == {'e "1"', "it's"}


def test_a_failing_query_does_not_repeat_the_data(connector):
    query = "SELECT * FROM customer_profiles WHERE CAST(customer_id AS INTEGER) > 0 AND interest_tags CONTAINS ?"
    with pytest.raises(QueryError) as caught:
        read(connector, CLOUD, program=with_query(query))
    assert "c-1" not in str(caught.value)


def test_without_an_event_there_are_no_records_but_their_columns(connector):
    found = read(connector)
    assert (found.height, found.columns) == (0, [column.name for column in SOURCE.raw_columns])


def test_a_placeholder_elsewhere_is_the_partitions_day_and_texts_stay(connector):
    query = """
        SELECT * FROM customer_profiles AS p
        WHERE (p.interest_tags contains ? OR p.updated_at > ?) AND 'CONTAINS ?' <> COALESCE(job_role, 'a') -- CONTAINS ?
    """
    assert read(connector, LEARNING, program=with_query(query))["customer_id"].to_list() == [None, "c-1", "c-7"]


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("SELECT * FROM customer_profiles WHERE job_role CONTAINS ?", "customer_profiles has no list of that"),
        ("SELECT * FROM customer_profiles WHERE CONTAINS ?", "not valid snowflake SQL"),
    ],
)  # fmt: skip
def test_what_cannot_be_bound_is_refused(connector, query, fault):
    with pytest.raises(QueryError, match=fault):
        read(connector, CLOUD, program=with_query(query))


def test_records_without_subjects_to_meet_are_refused(connector):
    with pytest.raises(QueryError, match="no subjects are given"):
        list(connector.read(EVENTS, MONDAY))
