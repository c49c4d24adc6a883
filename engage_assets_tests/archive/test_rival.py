"""The benchmark of the archive compares like with like: its rival writes the same rows."""

import io
from pathlib import Path

import fastavro
import pytest

BENCH = Path(__file__).parents[2] / "bench"


def rows(contents):
    found = [row for content in contents for row in fastavro.reader(io.BytesIO(content))]
    return sorted(found, key=lambda row: row["lineage"]["eventId"])


def test_ours_and_the_rival_write_equal_rows(tmp_path, monkeypatch):
    pytest.importorskip("boto3")
    monkeypatch.syspath_prepend(str(BENCH))
    import archive
    import archive_rival

    archive.generate(tmp_path / "changes.ndjson", 300)
    (lines,) = archive.ranges(tmp_path / "changes.ndjson", 300)
    theirs = rows(content for _, content in archive_rival.usual_files()(lines).values())
    assert len(theirs) == 300
    assert rows(file.content for file in archive.our_files()(lines).data) == theirs
    assert {row["isDeleted"] for row in theirs} == {True, False}
