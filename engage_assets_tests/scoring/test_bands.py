import duckdb
import narwhals as nw
import polars as pl
import pytest

from engage_assets.scoring.bands import TENTHS, band, histogram

SCORES = [0.0, 0.399999, 0.4, 0.699999, 0.7, 1.0, 0.1, 0.3, 0.6, 0.9, None]


@pytest.fixture(params=["polars", "duckdb", pytest.param("spark", marks=pytest.mark.spark)])
def on_engine(request):
    """Hands a Polars frame to an engine."""
    if request.param == "polars":
        return lambda frame: nw.from_native(frame.lazy())
    if request.param == "duckdb":
        return lambda frame: nw.from_native(duckdb.connect().from_arrow(frame.to_arrow()))
    session = request.getfixturevalue("spark")
    return lambda frame: nw.from_native(session.createDataFrame(frame.to_arrow()))


def rows_of(frame):
    return frame.collect("polars").to_native()


def test_bands_begin_at_their_limits(on_engine):
    frame = on_engine(pl.DataFrame({"score": SCORES}, schema={"score": pl.Float64}))
    banded = rows_of(frame.with_columns(band=band("score")))
    assert dict(banded.rows()) == {
        None: None,
        **dict.fromkeys([0.0, 0.1, 0.3, 0.399999], "low"),
        **dict.fromkeys([0.4, 0.6, 0.699999], "medium"),
        **dict.fromkeys([0.7, 0.9, 1.0], "high"),
    }


def test_every_score_is_in_one_tenth(on_engine):
    frame = on_engine(pl.DataFrame({"score": SCORES}, schema={"score": pl.Float64}))
    counted = rows_of(histogram(frame))
    assert counted.rows() == [(1, 1, 0, 2, 1, 0, 2, 1, 0, 2)]
    assert counted.schema == dict.fromkeys(TENTHS, pl.Int64)


def test_tenths_begin_at_their_decimal(on_engine):
    tenths = [tenth / 10 for tenth in range(10)]
    assert rows_of(histogram(on_engine(pl.DataFrame({"score": tenths})))).rows() == [(1,) * 10]


def test_an_empty_frame_has_zeros(on_engine):
    frame = on_engine(pl.DataFrame(schema={"score": pl.Float64}))
    assert rows_of(histogram(frame)).rows() == [(0,) * 10]


def test_a_histogram_per_group(on_engine):
    frame = on_engine(pl.DataFrame({"market": ["DE", "US", "US"], "score": [0.05, 0.95, 0.99]}))
    assert sorted(rows_of(histogram(frame, by=["market"])).select("market", "tenth_0", "tenth_9").rows()) == [
        ("DE", 1, 0),
        ("US", 0, 2),
    ]
