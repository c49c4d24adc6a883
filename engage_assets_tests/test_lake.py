"""The lake: a partition is there whole or not at all, and the same rows are the same bytes."""

from datetime import date

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from polars.testing import assert_frame_equal

from engage_assets.domain.errors import EngageError
from engage_assets.lake import ROW_GROUP, Lake, replacing, write_parquet

KEY = ("product_reviews", "candidates")
ROWS = pl.DataFrame({"customer_id": ["c-1", None, "Zoë"], "score": [0.1, None, 0.3], "day": [date(2026, 11, 19)] * 3})


@pytest.fixture
def lake(tmp_path):
    return Lake(tmp_path / "lake")


def files(lake):
    return sorted(str(path.relative_to(lake.root)) for path in lake.root.rglob("*") if path.is_file())


def test_a_partition_lies_where_the_design_says(lake):
    assert lake.write(KEY, "2026-11-19", ROWS) == 3
    assert lake.write(("product_reviews", "review_model"), None, ROWS) == 3
    assert files(lake) == ["product_reviews/candidates/2026-11-19.parquet", "product_reviews/review_model.parquet"]
    assert_frame_equal(lake.scan(KEY, "2026-11-19").collect(), ROWS)
    assert lake.rows(KEY, "2026-11-19") == 3


def test_rows_without_a_partition_are_asked_for_by_name(lake):
    with pytest.raises(EngageError, match=r"product_reviews/candidates of 2026-11-19 has not been materialized"):
        lake.scan(KEY, "2026-11-19")


def breaking():
    yield ROWS
    raise RuntimeError("in the middle")


def test_a_failure_in_the_middle_leaves_the_old_partition_and_nothing_else(lake):
    lake.write(KEY, "2026-11-19", ROWS)
    before = lake.path(KEY, "2026-11-19").read_bytes()
    for partition in ("2026-11-19", "2026-11-20"):
        with pytest.raises(RuntimeError, match="in the middle"):
            lake.write(KEY, partition, breaking())
    assert files(lake) == ["product_reviews/candidates/2026-11-19.parquet"]
    assert lake.path(KEY, "2026-11-19").read_bytes() == before


def test_what_is_being_written_is_not_visible(lake):
    with replacing(lake.path(KEY, "2026-11-19")) as aside:
        write_parquet(aside, ROWS)
        assert aside.is_file()
        assert lake.partitions(KEY) == []
        assert lake.history(KEY, date(2026, 11, 19)) is None
    assert lake.partitions(KEY) == ["2026-11-19"]


def test_the_same_rows_are_the_same_bytes_however_they_come(lake):
    rows = ROW_GROUP + 5_000
    # The long text fills several pages of a row group.
    frame = pl.DataFrame({"n": range(rows), "text": [f"{n * 7919 % rows:040}" for n in range(rows)]})
    lake.write(KEY, "whole", frame)
    wanted = lake.path(KEY, "whole").read_bytes()
    arrow = frame.to_arrow(compat_level=pl.CompatLevel.oldest())
    ways = {
        "again": frame,
        "lazy": frame.lazy(),
        "slices": frame.iter_slices(7_777),
        "chunks": pl.concat([frame[:1], frame[1:100], frame[100:]], rechunk=False),
        "batches": iter(arrow.to_batches(max_chunksize=1_000)),
    }
    for name, frames in ways.items():
        assert lake.write(KEY, name, frames) == rows
        assert lake.path(KEY, name).read_bytes() == wanted, name


def test_row_groups_are_full_but_for_the_last(lake):
    frame = pl.DataFrame({"n": range(2 * ROW_GROUP + 1)})
    lake.write(KEY, "2026-11-19", frame.iter_slices(100_000))
    found = pq.read_metadata(lake.path(KEY, "2026-11-19"))
    groups = [found.row_group(place).num_rows for place in range(found.num_row_groups)]
    assert groups == [ROW_GROUP, ROW_GROUP, 1]


def test_a_partition_without_rows_has_its_columns(lake):
    for name, empty in {"frame": ROWS[:0], "lazy": ROWS.lazy().filter(pl.lit(False)), "one": [ROWS[:0]]}.items():
        assert lake.write(KEY, name, empty) == 0
        assert_frame_equal(lake.scan(KEY, name).collect(), ROWS[:0])
    assert pq.read_metadata(lake.path(KEY, "frame")).num_row_groups == 0


def test_no_frame_at_all_is_a_mistake(lake):
    with pytest.raises(EngageError, match="an empty partition is a frame without rows"):
        lake.write(KEY, "2026-11-19", [])
    assert files(lake) == []


def test_frames_of_different_columns_are_refused(lake):
    with pytest.raises(pa.ArrowInvalid):
        lake.write(KEY, "2026-11-19", [ROWS, ROWS.drop("score")])
    assert files(lake) == []


def test_history_is_every_day_up_to_a_day_and_never_later(lake):
    for day in ("2026-11-17", "2026-11-19", "2026-11-20"):
        lake.write(KEY, day, pl.DataFrame({"day": [day]}))
    (lake.root / "product_reviews/candidates/.2026-11-18.parquet").write_bytes(b"unfinished")
    assert lake.partitions(KEY) == ["2026-11-17", "2026-11-19", "2026-11-20"]
    assert lake.history(KEY, date(2026, 11, 19)).collect()["day"].to_list() == ["2026-11-17", "2026-11-19"]
    assert lake.history(KEY, date(2026, 11, 16)) is None
    assert lake.history(("product_reviews", "nothing"), date(2026, 11, 19)) is None


def test_dictionaries_are_made_of_values_that_repeat_and_statistics_of_short_ones(tmp_path):
    path = tmp_path / "rows.parquet"
    n = 20_000
    rows = pl.DataFrame(
        {
            "record_id": [f"{number:064x}" for number in range(n)],
            "customer_id": [f"c{number:06d}" for number in range(n)],
            "reason": ["LOW_SCORE", None] * (n // 2),
            "tags": [["jazz", "folk"]] * n,
            "place": [{"city": "Köln", "zones": ["CET"]}] * n,
            "unknown": [None] * n,
        }
    )
    write_parquet(path, rows)
    group = pq.ParquetFile(path).metadata.row_group(0)
    columns = {column.path_in_schema: column for column in map(group.column, range(group.num_columns))}
    dictionaries = [name for name, column in columns.items() if "RLE_DICTIONARY" in column.encodings]
    assert dictionaries == ["reason", "tags.list.element", "place.city", "place.zones.list.element", "unknown"]
    assert [name for name, column in columns.items() if not column.is_stats_set] == ["record_id", "unknown"]
    assert_frame_equal(pl.read_parquet(path), rows)


def test_types_that_only_arrow_has_are_written_and_those_that_parquet_lacks_are_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    named = pa.table({"marks": pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))})
    write_parquet(path, named.to_batches())
    column = pq.ParquetFile(path).metadata.row_group(0).column(0)
    assert (column.path_in_schema, "RLE_DICTIONARY" in column.encodings) == ("marks.key_value.key", True)
    either = pa.UnionArray.from_sparse(pa.array([0], pa.int8()), [pa.array([1])])
    with pytest.raises(pa.ArrowNotImplementedError, match="sparse_union"):
        write_parquet(path, [pa.record_batch({"either": either})])
