"""A REMOVE makes the versions before it unreadable, in small and in compacted files, and no others."""

import base64
from datetime import timedelta

import polars as pl
import pytest

from engage_assets.archive.compaction import compact
from engage_assets.archive.error_files import error_keys
from engage_assets.archive.live import live_files
from engage_assets.archive.mirror import Mirror
from engage_assets.archive.redaction import avro_keys, redact_removed
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, NOTIFICATION, change, line
from engage_assets_tests.archive.upkeep import NOW, Dead, Dying, read_live, rows_of, with_root
from engage_assets_tests.archive.workers import Clock, an_archive, write_stream

OTHER = {**DEMAND, "fanId": "fan-2"}


def at(seconds):
    return AT + timedelta(seconds=seconds)


STREAM = [
    change(DEMAND, "INSERT", "old", at(0)),
    change(OTHER, "INSERT", "other", at(1)),
    change(NOTIFICATION, "INSERT", "note", at(2)),
    change(DEMAND, "MODIFY", "old2", at(4)),
    change(DEMAND, "REMOVE", "gone", at(4)),
    change(DEMAND, "INSERT", "new", at(5)),
]


def archived(home):
    write_stream(home / "changes", {"a": STREAM})
    archive = an_archive(home, batch=2, clock=Clock(NOW - 20 * 86_400))
    run(archive)
    return archive


def readable(archive):
    """Changes with an e-mail address that can be read."""
    return sorted(row["lineage"]["eventId"] for row in read_live(archive.root) if "@" in (row["email"] or ""))


@pytest.mark.parametrize("is_compacted", [False, True])
def test_versions_before_a_removal_are_made_unreadable(tmp_path, is_compacted):
    archive = archived(tmp_path)
    if is_compacted:
        assert compact(archive, now=NOW, grace=1000).partitions
    before = [(file.key, row["lineage"]) for file in live_files(archive.root) for row in read_live(archive.root)]
    assert readable(archive) == ["new", "note", "old", "old2", "other"]
    done = redact_removed(archive)
    assert done.removals == 1
    assert readable(archive) == ["new", "note", "other"]
    assert [
        (file.key, row["lineage"]) for file in live_files(archive.root) for row in read_live(archive.root)
    ] == before
    again = redact_removed(archive)
    assert (again.removals, again.files) == (0, 0)


def test_replaced_files_that_wait_are_rewritten_too(tmp_path):
    archive = archived(tmp_path)
    compact(archive, now=NOW, grace=1000)
    done = redact_removed(archive)
    assert (done.files, done.records) == (3, 4)  # two versions, in their own files and in the compacted one
    texts = [row for key in avro_keys(archive.root) for row in rows_of(archive.root, key)]
    assert not [row for row in texts if row["lineage"]["eventId"] in {"old", "old2"} and "@" in row["email"]]


class Index:
    """A mirror that knows what it was told."""

    def __init__(self, keys):
        self.keys, self.synced = keys, []

    def sync(self, root, *, forget=False):
        self.synced.append(forget)

    def find(self, *, references, kind=None):
        assert set(references) == {"event-1_sale-1_fan-1"}
        assert kind == "demand"
        return self.keys


def test_only_files_that_the_mirror_names_are_read(tmp_path):
    archive = archived(tmp_path)
    keys = [file.key for file in live_files(archive.root, "demand")]
    index = Index(set(keys[:1]))
    assert redact_removed(archive, mirror=index).files == 1
    assert index.synced == [False, True]  # before it is asked, and so that nothing is left in it


def test_replaced_files_that_no_mirror_knows_are_read_all_the_same(tmp_path):
    archive = archived(tmp_path)
    compact(archive, now=NOW, grace=1000)
    live = {file.key for file in live_files(archive.root, "demand")}
    assert redact_removed(archive, mirror=Index(live)).files == 3


def test_thousands_of_removals_are_one_pass(tmp_path):
    items = [{**DEMAND, "fanId": f"fan-{number}"} for number in range(200)]
    stream = [change(item, "INSERT", f"i{number}", at(0)) for number, item in enumerate(items)]
    stream += [change(item, "REMOVE", f"r{number}", at(1)) for number, item in enumerate(items[:150])]
    write_stream(tmp_path / "changes", {"a": stream})
    archive = an_archive(tmp_path, batch=200)
    run(archive)
    done = redact_removed(archive)
    assert (done.removals, done.files, done.records) == (150, 1, 150)
    assert len(readable(archive)) == 50


def test_a_file_that_cannot_be_read_keeps_the_removals_pending(tmp_path):
    archive = archived(tmp_path)
    key = live_files(archive.root, "demand")[0].key
    content = archive.root.get(key)
    archive.root.put(key, content[:-7])
    with pytest.raises(EngageError, match="cut off"):
        redact_removed(archive)
    archive.root.put(key, content)
    assert redact_removed(archive).removals == 1


def test_a_run_that_dies_is_taken_up_by_the_next(tmp_path):
    archive = archived(tmp_path)
    with pytest.raises(Dead):
        redact_removed(with_root(archive, Dying(2)))
    redact_removed(archive)
    assert readable(archive) == ["new", "note", "other"]


def test_a_run_that_dies_before_the_mirror_forgets_is_taken_up_by_the_next(tmp_path):
    archive = an_archive(tmp_path, clock=Clock(NOW))
    write_stream(tmp_path / "changes", {"a": [change(DEMAND, "INSERT", "old", at(0))]})
    run(archive)
    mirror = Mirror(tmp_path / "mirror")
    mirror.sync(archive.root)
    write_stream(tmp_path / "changes", {"b": [change(DEMAND, "REMOVE", "gone", at(4))]})
    run(archive)
    with pytest.raises(Dead):
        redact_removed(archive, mirror=Forgetting(mirror))

    redact_removed(archive, mirror=mirror)

    shown = [pl.read_parquet(path)["email"].to_list() for path in (tmp_path / "mirror").rglob("*.parquet")]
    assert shown
    assert DEMAND["email"] not in [email for emails in shown for email in emails]


class Forgetting:
    """A mirror at which the process dies where it should forget."""

    def __init__(self, mirror):
        self.mirror = mirror

    def sync(self, root, *, forget=False):
        if forget:
            raise Dead
        return self.mirror.sync(root)

    def find(self, **what):
        return self.mirror.find(**what)


def test_errors_of_erased_fans_that_come_late_are_cleaned_in_one_pass(tmp_path):
    bad = {name: value for name, value in DEMAND.items() if name != "saleId"}
    fans = ["fan-1", "fan-2", "fän/3", "4"]
    bodies = [change({**bad, "fanId": fan}, event_id=fan) for fan in [*fans, "fan-20"]]
    packed = [{"kinesis": {"data": base64.b64encode(line(body)).decode()}} for body in bodies]
    write_stream(tmp_path / "changes", {"a": bodies, "b": packed})
    archive = an_archive(tmp_path)
    run(archive)
    archive.state.learn(dict.fromkeys([*fans, *(f"more-{number}" for number in range(300))], 1))
    assert redact_removed(archive).errors == 8
    texts = [archive.errors.get(key).decode() for key in error_keys(archive.errors)]
    assert sum("@example.org" in text for text in texts) == 1
    assert sum(base64.b64encode(line(bodies[-1])).decode() in text for text in texts) == 1
    assert redact_removed(archive).errors == 0
