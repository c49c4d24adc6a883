"""Change files that somebody writes while a fan is erased."""

import sys

import pytest

from engage_assets.archive import source_files
from engage_assets.archive.erasure import erase
from engage_assets.archive.worker import run
from engage_assets.archive.writers import refuse_writers
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import DEMAND, change, line
from engage_assets_tests.archive.workers import an_archive, event_ids, write_stream

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells who has a file open")


@pytest.fixture
def archive(tmp_path):
    write_stream(tmp_path / "changes", {"s": [change(DEMAND, event_id="1")]})
    made = an_archive(tmp_path)
    run(made)
    return made


def append(writer):
    writer.write(line(change({**DEMAND, "fanId": "fan-2"}, event_id="2")) + b"\n")
    writer.flush()


@ON_LINUX
def test_a_file_that_is_open_for_writing_is_not_replaced(tmp_path, archive):
    path = tmp_path / "changes" / "s.ndjson"
    before = path.read_bytes()
    with path.open("ab") as writer:
        with pytest.raises(EngageError, match=r"s\.ndjson: a process has it open to write in it.*erase again"):
            erase(archive, "fan-1", now=archive.clock.now)
        assert path.read_bytes() == before
        append(writer)

    assert erase(archive, "fan-1", now=archive.clock.now).is_complete
    assert run(archive).counts.archived == 1
    assert event_ids(tmp_path) == {"1": 1, "2": 1}


@ON_LINUX
def test_who_only_reads_is_no_writer(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"one")
    with path.open("rb") as file, path.open("rb"):
        refuse_writers(file, path)
    with path.open("ab") as writer:  # the lease is gone
        writer.write(b"two")


def test_what_is_written_to_the_replaced_file_at_the_last_moment_is_carried_over(tmp_path, archive, monkeypatch):
    writer = (tmp_path / "changes" / "s.ndjson").open("ab")
    monkeypatch.setattr(source_files, "refuse_writers", lambda *_: None)
    carry_over = source_files._carry_over

    def write_and_carry_over(*arguments):
        append(writer)
        carry_over(*arguments)

    monkeypatch.setattr(source_files, "_carry_over", write_and_carry_over)
    assert erase(archive, "fan-1", now=archive.clock.now).is_complete
    writer.close()
    run(archive)
    assert event_ids(tmp_path) == {"1": 1, "2": 1}
