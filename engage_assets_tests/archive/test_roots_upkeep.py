"""Upkeep of a bucket, and compaction that is killed: readers see each record once, and what was erased is gone."""

import random
import signal
from dataclasses import replace
from datetime import timedelta

import pytest

from engage_assets.archive.compaction import GRACE_SECONDS, compact
from engage_assets.archive.erasure import erase, old_versions
from engage_assets.archive.live import live_files
from engage_assets.archive.mirror import Mirror
from engage_assets.archive.retention import retain
from engage_assets.archive.s3 import S3Root
from engage_assets.archive.worker import run
from engage_assets_tests.archive.changes import AT, DEMAND, NOTIFICATION, SALE, change
from engage_assets_tests.archive.test_roots import new_bucket
from engage_assets_tests.archive.upkeep import (
    NOW,
    Dying,
    compact_and_die,
    fill,
    live_ids,
    read_live,
    rows_of,
    with_root,
)
from engage_assets_tests.archive.workers import Clock, an_archive, write_stream
from engage_assets_tests.processes import PROCESSES

PERSONAL = {"email": "canary-1@example.org", "phoneNumber": "+1 555 0142 canary"}
FAN = {**DEMAND, **PERSONAL, "fanId": "fan-7"}
NOTE = {**NOTIFICATION, **PERSONAL, "fanId": "fan-7", "messageBody": "canary text"}
BAD = {name: value for name, value in FAN.items() if name != "saleId"}
DAYS = {"demand": 10, "notification": 10, "sale": 10, "errors": 10}
LATER = NOW + GRACE_SECONDS


@pytest.fixture
def archive(tmp_path, moto):
    """An archive in a bucket whose listing comes in pages of three; of a fan, of another, of a sale, and an error."""
    client = moto.new_client("s3")
    client.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 3})
    name = new_bucket(client)
    roots = {"root": S3Root(client, name, "archive/"), "errors": S3Root(client, name, "private/errors/")}
    good = [FAN, DEMAND, NOTE, FAN, SALE, FAN]
    bodies = [change(item, "INSERT", f"c{at}", AT + timedelta(seconds=at)) for at, item in enumerate(good)]
    write_stream(tmp_path / "changes", {"a": [*bodies, change(BAD, "INSERT", "bad", AT + timedelta(seconds=9))]})
    archive = an_archive(tmp_path, batch=2, clock=Clock(NOW - 20 * 86_400), **roots)
    assert run(archive).counts.errors == 1
    return archive


def decoded(root):
    """All that a root says."""
    return "".join(
        str(rows_of(root, one.key) if one.key.endswith(".avro") else root.get(one.key)) for one in root.stored()
    )


def compact_watched(archive, now):
    """Compact while a reader reads before and after each change of the bucket."""
    wanted, rows = live_ids(archive.root), {}

    def watch():
        assert live_ids(archive.root, rows) == wanted

    step = Dying(watch=watch)
    summary = compact(with_root(archive, step), now=now)
    return summary, step.calls


def test_a_bucket_is_compacted_erased_from_and_emptied(tmp_path, archive):
    summary, changes = compact_watched(archive, NOW)
    assert (summary.partitions, summary.files, summary.skipped, changes) == (1, 3, [], 4)
    summary, changes = compact_watched(archive, LATER)
    assert (summary.deleted, changes) == (3, 6)
    assert [one.key.count(".compacted") for one in live_files(archive.root)] == [1, 0, 0]

    mirror = Mirror(tmp_path / "mirror")
    mirror.sync(archive.root)
    assert "canary" in decoded(archive.root)
    assert "canary" in decoded(archive.errors)
    certificate = erase(archive, "fan-7", now=LATER, mirror=mirror)
    assert certificate.is_complete
    assert {place: done.records for place, done in certificate.rewritten.items() if done.records} == {
        "data": 4, "errors": 1, "mirror": 4, "source": 5
    }  # fmt: skip
    assert "canary" not in decoded(archive.root) + decoded(archive.errors)
    assert {row["email"] for row in read_live(archive.root, "demand")} == {"[redacted]", DEMAND["email"]}

    write_stream(tmp_path / "changes", {"late": [change(FAN, "MODIFY", "late", AT)]})
    assert run(archive).counts.archived == 1
    assert "canary" not in decoded(archive.root)
    assert compact(archive, now=LATER + 20 * 86_400).files == 2

    gone = retain(archive, now=NOW, days=DAYS, mirror=mirror)
    assert (gone.partitions, gone.errors) == (2, 1)
    assert [row["lineage"]["eventId"] for row in read_live(archive.root)] == ["c4"]
    assert mirror.segments().keys() >= {"sale"}
    assert not list(archive.errors.stored())


@pytest.mark.parametrize("status", ["Enabled", "Suspended", None])
def test_a_certificate_says_where_a_bucket_keeps_what_was_rewritten(archive, status):
    client, bucket = archive.root.client, archive.root.bucket
    if status:
        client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})
    words = [one for one in erase(archive, "fan-7", now=NOW).not_covered if bucket in one]
    assert words == (
        [f"old versions of objects: {bucket} keeps them; delete those that are not current"] * bool(status)
    )


def test_a_bucket_that_does_not_say_may_keep_versions(archive):
    nowhere = replace(archive.root, bucket="no-such-bucket")
    assert nowhere.keeps_versions() is None
    assert "it was not allowed to ask" in old_versions(nowhere)


def test_compaction_that_is_killed_shows_each_record_once(tmp_path):
    archive, chance, kills = an_archive(tmp_path), random.Random(5), 0
    for start in range(0, 12, 2):
        fill(archive, 2, start)
        wanted = live_ids(archive.root)
        process = PROCESSES.Process(target=compact_and_die, args=(tmp_path, chance.randrange(1, 22)))
        process.start()
        while process.is_alive():
            assert live_ids(archive.root) == wanted
        process.join()
        assert process.exitcode in {0, -signal.SIGKILL}
        kills += process.exitcode != 0
        assert live_ids(archive.root) == wanted
    assert kills >= 4
    for _ in range(2):
        compact(archive, now=NOW, grace=0)
        assert live_ids(archive.root) == wanted
    assert len(list(archive.root.stored("data/"))) == 2
