"""Which files of a history a batch opens: those that may hold a row of it, and no row is lost by that."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from engage_assets.connectors.pruning import Span, spanning
from engage_assets.connectors.sql import parse, reads_only
from engage_assets.connectors.warehouse import TableFiles

NOON = datetime(2026, 11, 20, 12)  # noqa: DTZ001 - UTC without a zone


def files(folder, days, **columns):
    """A file for each of `days`, with the day's noon and a row more per column of `columns`."""
    paths = []
    for place, values in enumerate(days):
        frame = pl.DataFrame({"at": values}, schema={"at": pl.Datetime("us")})
        paths.append(folder / f"{place}.parquet")
        frame.with_columns(**columns.get(f"file_{place}", {})).write_parquet(paths[-1])
    types = pl.scan_parquet(paths, missing_columns="insert", extra_columns="ignore").collect_schema()
    return TableFiles(tuple(paths), types)


def since(instant):
    return lambda spans: spans[0] is None or spans[0].has_nulls or spans[0].last >= instant


@pytest.mark.parametrize(
    ("days", "kept"),
    [
        ([[NOON - timedelta(days=2)], [NOON]], [1]),
        ([[NOON - timedelta(days=2), NOON], [NOON - timedelta(days=1)]], [0]),
        ([[NOON - timedelta(days=2), None], [NOON]], [0, 1]),  # a null may be anybody's
        ([[None], [NOON]], [0, 1]),  # states neither least nor greatest
        ([[NOON - timedelta(days=2)], [NOON - timedelta(days=3)]], [0]),  # a table needs a file
        ([[NOON - timedelta(days=2)]], [0]),
    ],
)
def test_files_are_left_out_by_what_they_state(tmp_path, days, kept):
    found = spanning(files(tmp_path, days), ["at"], since(NOON))
    assert [path.stem for path in found.paths] == [str(place) for place in kept]


def test_what_is_not_alike_is_read_whole(tmp_path):
    given = files(tmp_path, [[NOON - timedelta(days=2)], [NOON]], file_0={"more": pl.lit(1)})
    assert spanning(given, ["at"], since(NOON)) == given


def test_text_states_nothing(tmp_path):
    given = files(tmp_path, [[NOON - timedelta(days=2)], [NOON]])
    told = []
    spanning(TableFiles(given.paths, {"at": pl.String()}), ["at"], lambda spans: told.append(spans[0]) or True)
    assert told == [None, None]
    spanning(given, ["at"], lambda spans: told.append(spans[0]) or True)
    assert told[3] == Span(NOON, NOON, has_nulls=False)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM plays WHERE at = 1", True),
        ("SELECT * FROM plays WHERE (at = 1) AND share > 0.9", True),
        ("SELECT * FROM plays AS p WHERE p.at = 1", True),
        ("SELECT * FROM plays", False),
        ("SELECT * FROM plays WHERE at = 1 OR share > 0.9", False),
        ("SELECT * FROM plays WHERE at = 1 AND who IN (SELECT who FROM plays)", False),
        ("SELECT * FROM (SELECT * FROM plays) AS p WHERE at = 1", False),
    ],
)
def test_a_query_that_looks_elsewhere_is_given_all(query, expected):
    def window(qualifier):
        return (
            parse(f"SELECT 1 FROM x WHERE {f'{qualifier}.' if qualifier else ''}at = 1", "redshift").args["where"].this
        )

    assert reads_only(parse(query, "redshift"), "plays", window) is expected
