"""Compaction: one file of many, at every moment each record once for a reader, whatever dies in between."""

import io
import threading
from dataclasses import replace

import fastavro
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive.avro_files import rewrite
from engage_assets.archive.batches import Counts, Range, read_range, write_files
from engage_assets.archive.compaction import compact
from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.live import MANIFEST, Known, live_files, partition_of, read_manifest
from engage_assets.archive.maintenance import MaintenanceRuns
from engage_assets.archive.rows import REDACTED, redact
from engage_assets.archive.schemas import SCHEMAS
from engage_assets.archive.state import Tally, Total
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, SALE, change, records
from engage_assets_tests.archive.upkeep import (
    NOW,
    Dead,
    Dying,
    MemoryRoot,
    StepRoot,
    fill,
    live_ids,
    put_range,
    read_live,
    rows_of,
    with_root,
)
from engage_assets_tests.archive.workers import Clock, an_archive, write_stream

FOLDER = "data/demand/partition_date=2026-11-20/"


def names(root):
    return [file.key.removeprefix(FOLDER) for file in root.stored(FOLDER)]


def test_a_quiet_partition_becomes_one_file_block_by_block(tmp_path):
    archive = an_archive(tmp_path)
    fill(archive, 3)
    before = [row for file in live_files(archive.root) for row in rows_of(archive.root, file.key)]
    summary = compact(archive, now=NOW, grace=60)
    assert (summary.partitions, summary.files, summary.records, summary.rewritten) == (1, 3, 6, 0)
    (file,) = live_files(archive.root)
    assert file.key.endswith(".compacted.avro")
    assert rows_of(archive.root, file.key) == before
    schema = fastavro.reader(io.BytesIO(archive.root.get(file.key))).writer_schema
    assert schema["name"] == SCHEMAS["demand"]["name"]
    assert archive.state.totals()["demand", "2026-11-20"][:2] == (6, 1)

    again = compact(archive, now=NOW + 60, grace=60)
    assert (again.partitions, again.deleted, len(names(archive.root))) == (0, 3, 2)
    assert read_live(archive.root) == before


def test_replaced_files_stay_for_their_grace(tmp_path):
    archive = an_archive(tmp_path)
    fill(archive, 2)
    listed = live_files(archive.root)
    compact(archive, now=NOW, grace=60)
    compact(archive, now=NOW + 59, grace=60)
    assert [row["lineage"]["eventId"] for file in listed for row in rows_of(archive.root, file.key)]
    assert compact(archive, now=NOW + 60, grace=60).deleted == 2


class SlowRoot(MemoryRoot):
    """A root whose files take ten minutes each."""

    clock = None

    def put(self, key, content):
        super().put(key, content)
        if self.clock is not None and key.endswith(".compacted.avro"):
            self.clock.now += 600


def test_the_grace_begins_when_the_new_file_counts(tmp_path):
    archive = an_archive(tmp_path, root=SlowRoot(), clock=Clock(NOW))
    fill(archive, 2)
    archive.root.clock = archive.clock
    assert compact(archive, now=NOW, grace=60).partitions == 1
    assert compact(archive, now=NOW + 659, grace=60).deleted == 0
    assert compact(archive, now=NOW + 660, grace=60).deleted == 2


def test_a_file_that_is_not_committed_yet_is_counted_once(tmp_path):
    archive = an_archive(tmp_path, clock=Clock(NOW - 30 * 86_400))
    write_stream(tmp_path / "changes", {"a": [change(DEMAND, event_id="old")]})
    run(archive)
    write_stream(tmp_path / "changes", {"b": [change(DEMAND, event_id=f"late{number}") for number in range(2)]})
    with pytest.raises(Dead):  # files of the range are there, its commit is not
        run(with_root(archive, Dying(2)))

    assert compact(archive, now=NOW).records == 3
    write_stream(tmp_path / "more", {"c": [change(DEMAND, event_id="more")]})
    run(replace(archive, source=FolderSource(tmp_path / "more")))
    assert compact(archive, now=NOW).records == 4  # the range is pending still
    run(archive)

    assert live_ids(archive.root) == ["late0", "late1", "more", "old"]
    assert archive.state.totals()["demand", "2026-11-20"][:2] == (4, 1)


def test_the_same_files_become_the_same_bytes(tmp_path):
    contents = []
    for home in (tmp_path / "a", tmp_path / "b"):
        archive = an_archive(home)
        fill(archive, 3)
        compact(archive, now=NOW)
        contents.append({file.key: archive.root.get(file.key) for file in archive.root.stored()})
    assert contents[0] == contents[1]


@pytest.mark.parametrize("way", ["name", "state"])
def test_a_partition_that_is_not_quiet_waits(tmp_path, way):
    archive = an_archive(tmp_path)
    fill(archive, 2)
    at = AT.timestamp() + 1
    if way == "state":
        archive.state.acquire("changes", "shard-1", "me", 0)
        at = NOW
        note_addition(archive, at)
    assert compact(archive, now=at + 7 * 86_400 - 1).waiting == 1
    assert compact(archive, now=at + 7 * 86_400).partitions == 1


def note_addition(archive, at):
    """A worker's commit at a moment of the clock."""
    where = Range("changes", "shard-1", "1", "1")
    lease = archive.state.acquire("changes", "shard-1", "me", at)
    archive.state.claim(lease, where, [], at)
    tally = Tally(Counts(), {("demand", "2026-11-20"): Total(4, 2)})
    archive.state.commit(lease, where, tally, at)


def test_a_late_record_reopens_the_partition(tmp_path):
    archive = an_archive(tmp_path)
    fill(archive, 2)
    compact(archive, now=NOW)
    fill(archive, 1, start=2)
    assert len(live_files(archive.root)) == 2
    assert compact(archive, now=NOW + 10_000).files == 2
    compact(archive, now=NOW + 20_000)
    assert (len(names(archive.root)), len(live_ids(archive.root))) == (2, 6)


def test_a_replaced_file_that_is_written_again_does_not_count(tmp_path):
    archive = an_archive(tmp_path)
    fill(archive, 2)
    compact(archive, now=NOW, grace=0)
    compact(archive, now=NOW, grace=0)
    fill(archive, 2)  # a worker that was stopped for long, or a backfill of the same ranges
    assert len(live_ids(archive.root)) == 4
    compact(archive, now=NOW, grace=0)
    assert len(names(archive.root)) == 2


def test_copies_are_left_out_and_what_one_shows_as_redacted_stays_so(tmp_path):
    archive = an_archive(tmp_path)
    body = change(DEMAND, event_id="x")
    put_range(archive.root, 1, change(DEMAND, event_id="y"), body)
    (key,) = put_range(archive.root, 2, body)
    redact_file(archive.root, key)
    put_range(archive.root, 3, body)
    summary = compact(archive, now=NOW)
    assert (summary.records, summary.duplicates, summary.rewritten) == (2, 2, 1)
    found = {row["lineage"]["eventId"]: row["email"] for row in read_live(archive.root)}
    assert found == {"x": REDACTED, "y": DEMAND["email"]}


def redact_file(root, key):
    root.put(key, rewrite(root.get(key), key, redact).content)


def older_file(archive):
    """A data file whose schema has no artistName yet."""
    files = write_files(read_range(Range("changes", "s", "1", "1"), records(change(DEMAND, event_id="old"))))
    schema = {
        **SCHEMAS["demand"],
        "fields": [field for field in SCHEMAS["demand"]["fields"] if field["name"] != "artistName"],
    }
    out = io.BytesIO()
    fastavro.writer(out, schema, fastavro.reader(io.BytesIO(files.data[0].content)), codec="deflate")
    archive.root.put(files.data[0].key, out.getvalue())


def test_files_of_an_older_schema_are_written_again_with_the_present_one(tmp_path):
    archive = an_archive(tmp_path)
    older_file(archive)
    put_range(archive.root, 2, change({**DEMAND, "artistName": "Trio"}, event_id="new"))
    assert compact(archive, now=NOW).rewritten == 1
    assert {row["lineage"]["eventId"]: row["artistName"] for row in read_live(archive.root)} == {
        "old": None,
        "new": "Trio",
    }


def test_a_file_of_a_newer_schema_is_left_alone(tmp_path, caplog):
    archive = an_archive(tmp_path)
    (key, *_) = put_range(archive.root, 1, change(DEMAND, event_id="x"))
    put_range(archive.root, 2, change(DEMAND, event_id="y"))
    field = {"name": "seat", "type": ["null", "string"], "default": None}
    schema = {**SCHEMAS["demand"], "fields": [*SCHEMAS["demand"]["fields"], field]}
    out = io.BytesIO()
    fastavro.writer(out, schema, [{**row, "seat": "A1"} for row in rows_of(archive.root, key)], codec="deflate")
    archive.root.put(key, out.getvalue())
    (skipped,) = compact(archive, now=NOW).skipped
    assert "seat" in skipped.why
    assert len(live_ids(archive.root)) == 2


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_a_reader_sees_each_record_once_whatever_dies(tmp_path_factory, data):
    archive = an_archive(tmp_path_factory.mktemp("home"), root=MemoryRoot())
    wanted: list[str] = []
    known: Known = {}
    rows = {}
    now, written = NOW, 0

    def watch():
        assert live_ids(archive.root, rows) == wanted
        assert live_files(archive.root, known=known) == live_files(archive.root)

    for _ in range(data.draw(st.integers(1, 4))):
        more = data.draw(st.integers(0, 3))
        fill(archive, more, start=written)
        written += more
        wanted[:] = sorted(f"c{number}-{one}" for number in range(written) for one in "ab")
        step = Dying(data.draw(st.integers(0, 12)), watch)
        now += data.draw(st.sampled_from([0, 5, 5000]))
        try:
            compact(replace(archive, root=StepRoot(archive.root, step)), now=now, grace=10)
        except Dead:
            continue
        assert len(live_files(archive.root)) <= 1
    compact(archive, now=now, grace=10)
    watch()


def test_a_reader_in_a_loop_is_never_wrong_while_compaction_goes_on(tmp_path):
    archive = an_archive(tmp_path)
    fill(archive, 12)
    wanted, found, stop = live_ids(archive.root), [], threading.Event()

    def read():
        while not stop.is_set():
            found.append(live_ids(FolderRoot(tmp_path / "root")))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(8):
        compact(archive, now=NOW + 1000 * number)
        fill(archive, 1)  # a file that is dead by now comes again
    stop.set()
    reader.join()
    assert found
    assert all(one == wanted for one in found)


def test_files_that_are_written_again_meanwhile_are_left_for_the_next_run(tmp_path):
    archive = an_archive(tmp_path)
    fill(archive, 2)
    (key, _) = (file.key for file in live_files(archive.root))
    step = Dying(watch=lambda: redact_file(archive.root, key) if not step.calls else None)
    (skipped,) = compact(replace(archive, root=StepRoot(archive.root, step)), now=NOW).skipped
    assert "written to while it was compacted" in skipped.why
    assert compact(archive, now=NOW).partitions == 1
    assert [row["email"] for row in read_live(archive.root)][:2] == [REDACTED] * 2


def test_upkeep_is_one_at_a_time(tmp_path):
    archive = an_archive(tmp_path)
    rival = an_archive(tmp_path, owner="rival")
    assert rival.state.acquire("~", "maintenance", "rival", rival.clock())
    with pytest.raises(MaintenanceRuns):
        compact(archive, now=NOW)


def test_a_manifest_that_names_a_missing_file_or_cannot_be_read_is_an_error(tmp_path):
    root = FolderRoot(tmp_path)
    (key,) = put_range(root, 1, change(SALE, event_id="x"))
    place = f"{partition_of(key).folder}{MANIFEST}"
    root.put(place, orjson.dumps({"files": [{"name": "gone.compacted.avro", "records": 1, "at": 0, "replaced": []}]}))
    with pytest.raises(EngageError, match=r"gone\.compacted\.avro"):
        live_files(root)
    root.put(place, b"[]")
    with pytest.raises(EngageError, match="not a manifest"):
        read_manifest(root, place)
