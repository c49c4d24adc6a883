import copy
import io
import threading
from datetime import UTC, date

import fastavro
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive import mirror as mirrors
from engage_assets.archive.mirror import FAN_OUT, GRACE_SECONDS, Mirror
from engage_assets.archive.schemas import SCHEMAS, TYPES
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, ITEMS, change
from engage_assets_tests.archive.mirrored import (
    Clock,
    CountingRoot,
    a_mirror,
    a_root,
    compact,
    expected,
    number_of_segments,
    put,
    rows_of,
    shown,
)


def naive(value):
    """What fastavro reads, times in UTC without a zone."""
    if isinstance(value, dict):
        return {name: naive(one) for name, one in value.items()}
    if isinstance(value, list):
        return [naive(one) for one in value]
    return value.astimezone(UTC).replace(tzinfo=None) if hasattr(value, "tzinfo") else value


def test_it_holds_what_the_files_hold(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    keys = put(root, *(change(item, event_id=f"c{n}") for n, item in enumerate(ITEMS)))
    assert mirror.sync(root).new == 4
    for key in keys:
        kind, day = key.split("/")[1], key.split("partition_date=")[1][:10]
        (row,) = rows_of(mirror, kind)
        (written,) = fastavro.reader(io.BytesIO(root.get(key)))
        place = {"partition_date": date.fromisoformat(day), "file": key, "ordinal": 0}
        assert row == naive(written) | place


def test_a_sync_reads_what_is_new_and_nothing_else(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    put(root, change(event_id="a"), change(event_id="b"), first="1")
    (second,) = put(root, change(event_id="c"), first="2")
    first = mirror.sync(root)
    assert (first.new, first.replaced, first.gone, first.rows) == (2, 0, 0, 3)
    again = mirror.sync(root)
    assert (again.new, again.replaced, again.gone, again.rows) == (0, 0, 0, 0)
    assert CountingRoot.read == 2
    put(root, change(event_id="d"), change(event_id="e"), first="2")  # the same key, other content
    changed = mirror.sync(root)
    assert (changed.new, changed.replaced, changed.gone, changed.rows) == (0, 1, 0, 2)
    assert CountingRoot.read == 3
    root.delete(second)
    assert mirror.sync(root).gone == 1
    assert shown(mirror) == expected(root)
    assert len(shown(mirror)) == 2


STEP = st.tuples(st.sampled_from(["put", "put", "put", "delete", "compact", "fail", "forget"]), st.integers(0, 5))


@settings(max_examples=6)
@given(st.lists(STEP, min_size=3, max_size=6))
def test_whatever_happens_to_the_root_readers_see_its_records_once(tmp_path_factory, steps):
    see_its_records_once(tmp_path_factory.mktemp("mirror"), steps)


@pytest.mark.soak
@settings(max_examples=150)
@given(st.lists(STEP, min_size=1, max_size=12))
def test_whatever_happens_for_long(tmp_path_factory, steps):
    see_its_records_once(tmp_path_factory.mktemp("mirror"), steps)


def see_its_records_once(folder, steps):
    root, mirror = a_root(folder), a_mirror(folder)
    for number, (step, which) in enumerate(steps):
        files = sorted({file for file, _, _ in expected(root) if "compacted" not in file})
        if step in ("put", "fail"):
            items = (ITEMS[number % 4], ITEMS[which % 4])
            put(root, *(change(one, event_id=f"{number}-{place}") for place, one in enumerate(items)), first=str(which))
        if step == "delete" and files:
            root.delete(files[which % len(files)])
        if step == "compact" and files:
            start = files[which % len(files)].rpartition("/")[0]
            if not any("_compacted" in file.key for file in root.stored(start)):
                compact(root, *(file for file in files if file.startswith(f"{start}/")))
        if step == "fail":
            before = shown(mirror)
            CountingRoot.read, CountingRoot.fails_at = 0, 1 + which % 2
            try:
                mirror.sync(root)
            except OSError:
                assert shown(mirror) == before
            CountingRoot.fails_at = 0
        mirror.sync(root, forget=step == "forget")
        assert shown(mirror) == expected(root)
    in_use = {path for paths in mirror.segments().values() for path in paths}
    mirror.sync(root, forget=True)
    assert set(mirror.files.iterdir()) == in_use


def of_another_version(key, kind, edit, row):
    """A file of a type's schema as `edit` changes it, with one row."""
    schema = copy.deepcopy(SCHEMAS[kind])
    edit(schema)
    out = io.BytesIO()
    fastavro.writer(out, schema, [row], codec="deflate", sync_marker=b"another version!")
    return key.replace(".avro", "-another.avro"), out.getvalue()


def read_first(root, key):
    (row,) = fastavro.reader(io.BytesIO(root.get(key)))
    return row


def test_older_and_newer_schemas_side_by_side(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    (key,) = put(root, change(DEMAND | {"artistId": "artist-1"}))
    row = read_first(root, key)

    def older(schema):
        schema["fields"] = [one for one in schema["fields"] if one["name"] not in ("artistId", "system")]

    def newer(schema):
        schema["fields"].append({"name": "mood", "type": ["null", "string"], "default": None})
        lineage = next(one for one in schema["fields"] if one["name"] == "lineage")["type"]
        lineage["fields"].append({"name": "region", "type": ["null", "string"], "default": None})

    for edit, number in ((older, 1), (newer, 2)):
        new = row | {"mood": "good", "lineage": row["lineage"] | {"region": "x", "sequenceNumber": str(number)}}
        name, content = of_another_version(key, "demand", edit, new)
        root.put(name.replace("another", edit.__name__), content)
    done = mirror.sync(root)
    assert done.unknown == {"demand.mood", "demand.lineage.region"}
    first, newest, oldest = sorted(
        rows_of(mirror, "demand"), key=lambda one: one["file"].count("-") * 10 + ("older" in one["file"])
    )
    assert {name for name in first if newest[name] != first[name]} == {"file", "lineage"}
    assert (oldest["artistId"], oldest["system"], oldest["fanId"]) == (None, None, "fan-1")


def test_a_schema_that_polars_does_not_read(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    (key,) = put(root, change(), change(event_id="other"))

    def with_a_map(schema):
        kind = ["null", {"type": "map", "values": "string"}]
        schema["fields"].insert(0, {"name": "labels", "type": kind, "default": None})

    row = next(iter(fastavro.reader(io.BytesIO(root.get(key)))))
    root.put(*of_another_version(key, "demand", with_a_map, row | {"labels": {"a": "b"}}))
    mirror.sync(root)
    rows = rows_of(mirror, "demand")
    assert len(rows) == 3
    assert all(one["date"] == rows[0]["date"] and one["fanId"] == "fan-1" for one in rows)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda content: content[:-20], "cut off"),
        (lambda _: b"no avro", "not an Avro container"),
        (lambda content: content.replace(b'engage.archive.Demand"', b'engage.archive.Nobody"'), "schema is not"),
        (lambda content: content[:-60] + bytes(44) + content[-16:], "neither polars nor fastavro"),
    ],
)
def test_a_file_that_cannot_be_read_is_named_and_changes_nothing(tmp_path, spoil, word):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    put(root, change(event_id="good"), first="1")
    mirror.sync(root)
    before = shown(mirror)
    (key,) = put(root, change(DEMAND | {"email": "canary@example.org"}, event_id="bad"), first="2")
    put(root, change(event_id="also-good"), first="3")
    root.put(key, spoil(root.get(key)))
    with pytest.raises(EngageError, match=word) as error:
        mirror.sync(root)
    assert key in str(error.value)
    assert "canary" not in str(error.value)
    assert shown(mirror) == before
    root.delete(key)
    assert mirror.sync(root).new == 1


def test_readers_keep_their_segments_for_a_while(tmp_path):
    clock = Clock()
    root, mirror = a_root(tmp_path), a_mirror(tmp_path, clock)
    put(root, change(event_id="a"), first="1")
    mirror.sync(root)
    (old,) = mirror.segments()["demand"]
    put(root, change(event_id="b"), first="1")
    mirror.sync(root)
    assert old not in mirror.segments()["demand"]
    assert pl.read_parquet(old).height == 1
    clock.now += GRACE_SECONDS + 1
    mirror.sync(root)
    assert not old.exists()


def decoded(folder):
    """Everything that can be read below a folder."""
    parts = [path.read_bytes().decode(errors="replace") for path in folder.rglob("*") if path.is_file()]
    return "".join(parts) + "".join(str(pl.read_parquet(path).to_dicts()) for path in folder.rglob("*.parquet"))


def test_after_an_erasure_nothing_of_the_old_values_is_left(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    canary = "canary-7c1f@example.org"
    put(root, change(DEMAND | {"email": canary}, event_id="a"), change(event_id="b"), first="1")
    put(root, change(event_id="c"), first="2")
    mirror.sync(root)
    assert canary in decoded(mirror.folder)
    put(root, change(DEMAND | {"email": "[redacted]"}, event_id="a"), change(event_id="b"), first="1")
    mirror.sync(root)  # one that runs before the erasure asks for it keeps the old segment for its readers
    assert canary in decoded(mirror.folder)
    mirror.sync(root, forget=True)
    assert canary not in decoded(mirror.folder)
    assert shown(mirror) == expected(root)


def test_a_sync_that_was_stopped_goes_on_where_it_was(tmp_path, monkeypatch):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    monkeypatch.setattr("engage_assets.archive.mirror_segments.SEGMENT_ROWS", 1)
    monkeypatch.setattr("engage_assets.archive.mirror_segments._BUNCH_FILES", 1)
    for number in range(5):
        put(root, change(event_id=str(number)), first=str(number))
    CountingRoot.fails_at = 4
    with pytest.raises(OSError, match="fire"):
        mirror.sync(root)
    assert shown(mirror) == []
    (mirror.files / "demand-half.parquet").write_bytes(b"half")
    CountingRoot.read = CountingRoot.fails_at = 0
    mirror.sync(root)
    assert CountingRoot.read == 2
    assert shown(mirror) == expected(root)
    assert not (mirror.files / "demand-half.parquet").exists()


def test_what_changed_after_a_sync_was_stopped_is_read_again(tmp_path, monkeypatch):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    put(root, change(event_id="a"), first="1")
    put(root, change(event_id="b"), first="2")
    mirror.sync(root)
    put(root, change(event_id="c"), change(event_id="d"), first="1")

    def die(*_):
        raise OSError(5, "the power went")

    with monkeypatch.context() as patch:  # new rows and the rest of the old segment are written, not yet shown
        patch.setattr("engage_assets.archive.mirror_index.Index.publish", die)
        with pytest.raises(OSError, match="power"):
            mirror.sync(root)
    put(root, change(event_id="e"), first="1")
    mirror.sync(root)
    assert shown(mirror) == expected(root)
    assert len(shown(mirror)) == 2


def test_a_segment_that_is_not_whole_is_made_again(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    put(root, change(event_id="a"))
    mirror.sync(root)
    (path,) = mirror.segments()["demand"]
    path.write_bytes(path.read_bytes()[:-5])
    mirror.sync(root)
    assert shown(mirror) == expected(root)


def test_files_that_go_while_they_are_read(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    keys = [*put(root, change(event_id="a"), first="1"), *put(root, change(event_id="b"), first="2")]

    def compact_once():
        CountingRoot.before_reading = staticmethod(lambda: None)
        compact(root, *keys)
        for key in keys:
            root.delete(key)

    CountingRoot.before_reading = staticmethod(compact_once)
    mirror.sync(root)
    assert len(shown(mirror)) == 2
    assert shown(mirror) == expected(root)


def test_small_segments_become_few(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    for number in range(FAN_OUT + 3):
        put(root, change(event_id=str(number)), first=str(number))
        mirror.sync(root)
        assert number_of_segments(mirror) < FAN_OUT
    assert shown(mirror) == expected(root)


def test_find(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    one = put(root, *(change(item, event_id=f"a{n}") for n, item in enumerate(ITEMS)), first="1")
    two = put(root, change(DEMAND | {"fanId": "fan-2"}, event_id="b"), first="2")
    mirror.sync(root)
    of_fans = {key for key in one if "/demand/" in key or "/notification/" in key}
    assert mirror.find(fans=["fan-1"]) == of_fans
    assert mirror.find(references=["event-1_sale-1_fan-2"]) == set(two)
    assert mirror.find(references=["event-1", "event-1_sale-1_fan-1"], kind="event") == {
        key for key in one if "/event/" in key
    }
    assert mirror.find(fans=["nobody"]) == set()


def test_another_version_makes_it_anew(tmp_path, monkeypatch):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    put(root, change(event_id="a"))
    mirror.sync(root)
    monkeypatch.setattr(mirrors, "_version", lambda: "later")
    with pytest.raises(EngageError, match="another version"):
        mirror.segments()
    assert mirror.sync(root).new == 1
    assert shown(mirror) == expected(root)


def test_several_sync_and_read_at_once(tmp_path):
    root = a_root(tmp_path)
    for number in range(6):
        put(root, change(event_id=f"{number}a"), change(event_id=f"{number}b"), first=str(number))
    failures = []

    def work(number):
        mirror = Mirror(tmp_path / "mirror", Clock())
        try:
            for place in range(4):
                put(root, change(event_id=f"{number}-{place}", at=AT), change(event_id="x"), first=f"{number}-{place}")
                mirror.sync(root)
                rows = shown(mirror)
                assert len({row[:2] for row in rows}) == len(rows)
                assert len(rows) % 2 == 0
        except Exception as error:  # noqa: BLE001 - it is another thread's
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    a_mirror(tmp_path).sync(root)
    assert shown(a_mirror(tmp_path)) == expected(root)


def test_an_empty_root(tmp_path):
    root, mirror = a_root(tmp_path), a_mirror(tmp_path)
    assert mirror.segments() == {kind: [] for kind in TYPES}
    assert mirror.sync(root).segments == 0
    assert mirror.segments() == {kind: [] for kind in TYPES}
