"""A real stream of RSVPs goes through the archive, and every one of its lines is accounted for."""

import io
import json
import runpy
from collections import Counter, defaultdict
from pathlib import Path

import fastavro
import polars as pl
import pytest

from engage_assets.archive import worker
from engage_assets_tests.archive.workers import an_archive

ROOT = Path(__file__).parents[2]
RSVPS = ROOT.parent / "shared" / "data" / "meetup_rsvp_stream" / "rsvps.parquet"
pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(not RSVPS.exists(), reason="the RSVP stream is not beside the project"),
]


def test_every_line_of_the_rsvp_stream_is_accounted_for(tmp_path):
    map_rsvps = runpy.run_path(str(ROOT / "docs" / "rsvps" / "map_rsvps.py"))
    map_rsvps["main"](RSVPS, tmp_path / "changes")
    summary = worker.run(an_archive(tmp_path))
    told = pl.read_parquet(RSVPS).drop("row_no").filter(pl.col("rsvp_no").is_not_null())
    states = told.unique()

    assert summary.counts.read == 4480
    assert summary.counts.archived == states.height == 3002
    assert summary.counts.duplicates == told.height - states.height == 1457
    assert summary.counts.errors == 4480 - told.height == 21
    assert summary.messages == {"record: empty": 21}
    assert len(list((tmp_path / "errors").glob("*.json"))) == 21

    rows = [
        row for path in (tmp_path / "root").rglob("*.avro") for row in fastavro.reader(io.BytesIO(path.read_bytes()))
    ]
    versions = defaultdict(list)
    for row in rows:
        versions[row["reference"]["id"]].append(row)
    assert len(versions) == states["rsvp_no"].n_unique() == 2404
    assert sum(len(own) > 1 for own in versions.values()) == 541

    def latest(own):
        return max(own, key=lambda row: (row["lineage"]["changeTime"], int(row["lineage"]["sequenceNumber"])))

    last = states.sort("mtime").group_by("rsvp_no").last()
    assert Counter(latest(own)["isDeleted"] for own in versions.values()) == {
        False: last.filter(pl.col("response") == "yes").height,
        True: last.filter(pl.col("response") == "no").height,
    }


def test_an_rsvp_is_mapped_by_what_the_stream_showed_of_it_before():
    map_rsvps = runpy.run_path(str(ROOT / "docs" / "rsvps" / "map_rsvps.py"))
    row = {"row_no": 1, "rsvp_no": 7, "event_id": "e", "group_id": 3, "member": "m", "response": "yes", "mtime": 1.6e12}
    rows = [row, row, {**row, "mtime": 1.7e12}, {**row, "response": "no"}, dict.fromkeys(row) | {"row_no": 9}]
    names = [json.loads(line)["eventName"] if line else None for line in map_rsvps["lines"](pl.DataFrame(rows))]
    assert names == ["INSERT", "INSERT", "MODIFY", "REMOVE", None]
