"""An erasure leaves nothing readable of a fan in any place, also after a crash, a replay and a backfill."""

import base64
import io
import json
import logging
import shutil
from dataclasses import replace
from datetime import timedelta

import duckdb
import fastavro
import orjson
import polars as pl
import pytest

from engage_assets.archive.certificate import read_runs
from engage_assets.archive.compaction import compact
from engage_assets.archive.erasure import erase
from engage_assets.archive.erasures import read_erasures, tombstone_key
from engage_assets.archive.error_files import error_keys, read_error
from engage_assets.archive.folder import FolderSource
from engage_assets.archive.live import live_files
from engage_assets.archive.mirror import Mirror
from engage_assets.archive.redaction import redact_removed
from engage_assets.archive.replay import replay
from engage_assets.archive.state import State
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, NOTIFICATION, change, line
from engage_assets_tests.archive.upkeep import NOW, Dead, Dying, MemoryRoot, read_live, with_errors, with_root
from engage_assets_tests.archive.workers import Clock, an_archive, write_stream

CANARIES = ("canary-1@example.org", "+1 555 0142 canary", "canary text")
PERSONAL = {"email": CANARIES[0], "phoneNumber": CANARIES[1]}
FAN = {**DEMAND, **PERSONAL, "fanId": "fan-7"}
NOTE = {**NOTIFICATION, **PERSONAL, "fanId": "fan-7", "messageBody": CANARIES[2]}
OTHER = {**DEMAND, "fanId": "fan-70", "email": "other@example.org"}
SHARED = {**DEMAND, "fanId": "fan-8", "phoneNumber": CANARIES[1]}


def wrapped(body):
    return {"kinesis": {"data": base64.b64encode(line(body)).decode()}}


def no_sale(item):
    return {name: value for name, value in item.items() if name != "saleId"}


def stream():
    """Changes of the fan and of others: good and bad ones of every form."""
    at = [AT + timedelta(seconds=number) for number in range(20)]
    return {
        "a": [
            change(FAN, "INSERT", "1", at[0]),
            change(OTHER, "INSERT", "2", at[1]),
            wrapped(change({**FAN, "email": "canary-1@example.org"}, "MODIFY", "3", at[2])),
            change(NOTE, "INSERT", "4", at[3]),
        ],
        "b": [
            change(FAN, "MODIFY", "5", at[4]),
            change(no_sale(FAN), "MODIFY", "6", at[5]),
            wrapped(change(no_sale(NOTE), "INSERT", "7", at[6])),
            line(change(FAN, "INSERT", "8", at[7]))[:-30],
            b"\xff" + line(change(FAN, "INSERT", "9", at[8])),
            json.dumps(wrapped(change(FAN, "INSERT", "10", at[9])))[:-30].encode(),
            change(no_sale(OTHER), "INSERT", "11", at[10]),
        ],
    }


class Place:
    """Everything that a home may hold: source, archive half compacted, errors, state, mirror, exports."""

    def __init__(self, home):
        self.home = home
        write_stream(home / "changes", stream())
        self.archive = an_archive(home, batch=2, clock=Clock(NOW - 20 * 86_400))
        run(self.archive)
        compact(self.archive, now=NOW)
        write_stream(home / "changes", {"c": [change(FAN, "MODIFY", "12", AT + timedelta(hours=1))]})
        run(self.archive)
        self.mirror = Mirror(home / "mirror")
        self.mirror.sync(self.archive.root)
        self.exports = [home / "all.csv", home / "all.parquet", home / "renamed.csv"]
        rows = duckdb.read_parquet([str(path) for path in self.mirror.segments()["demand"]])
        rows.to_csv(str(self.exports[0]), header=True)
        rows.to_parquet(str(self.exports[1]))
        rows.project("email AS contact, eventId").to_csv(str(self.exports[2]), header=True)

    def erase(self, archive=None):
        more = {"mirror": self.mirror, "exports": self.exports, "watched": [self.home / "state.sqlite"]}
        return erase(archive or self.archive, "fan-7", now=NOW, **more)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    return Place(tmp_path_factory.mktemp("filled") / "home")


@pytest.fixture
def place(filled, tmp_path):
    return copy_of(filled, tmp_path / "home")


def copy_of(place, home):
    """The same place in a home of its own."""
    shutil.copytree(place.home, home)
    other = object.__new__(Place)
    other.home = home
    other.archive = an_archive(home, batch=2, clock=Clock(NOW))
    other.mirror = Mirror(home / "mirror")
    other.exports = [home / path.name for path in place.exports]
    return other


def decoded(path):
    """All that a file says, every form of packing undone."""
    data = path.read_bytes()
    if path.suffix == ".avro":
        return repr(list(fastavro.reader(io.BytesIO(data))))
    if path.suffix == ".parquet":
        return repr(pl.read_parquet(path).to_dicts())
    texts = [data.decode("utf-8", "replace")]
    if path.suffix in {".ndjson", ".json"}:
        texts += [unpacked(part) for part in texts[0].split('"')]
    return "\n".join(texts)


def unpacked(text):
    for start in range(4):
        whole = text[start : start + (len(text) - start) // 4 * 4]
        try:
            found = base64.b64decode(whole, validate=True).decode("utf-8", "replace")
        except ValueError:
            continue
        if "canary" in found or '"' in found:
            return found + "".join(unpacked(part) for part in found.split('"') if len(part) > 40)
    return ""


def readable(home, but=()):
    """Files that show a canary, other fans' records aside."""
    found = {}
    for path in sorted(home.rglob("*")):
        text = decoded(path) if path.is_file() else ""
        number = sum(text.count(one) for one in CANARIES)
        if number and path.name not in but:
            found[path.relative_to(home).as_posix()] = number
    return found


def test_a_canary_can_be_found_in_every_place_before(place):
    found = "\n".join(readable(place.home))
    for part in (".compacted.avro", "Z-", "errors/", "mirror/", "changes/a", "changes/b", "all.csv", "all.parquet"):
        assert part in found
    assert found.count("errors/") == 5  # also cut off, in base64, and not UTF-8


def test_nothing_of_a_fan_is_readable_anywhere(place, caplog):
    caplog.set_level(logging.DEBUG)
    rows = len(read_live(place.archive.root))
    certificate = place.erase()
    assert certificate.is_complete
    assert readable(place.home) == {}
    assert not any(one in caplog.text for one in (*CANARIES, "fan-7"))
    assert {name: one.left for name, one in certificate.scanned.items()} == dict.fromkeys(
        ["data", "errors", "exports", "watched", "source", "mirror"], 0
    )
    assert certificate.scanned["data"].records > rows  # replaced files in their grace too
    assert certificate.rewritten["data"] == (6, 8, 0)
    assert certificate.rewritten["errors"] == (5, 5, 3)
    assert certificate.rewritten["source"] == (3, 10, 3)
    assert certificate.rewritten["exports"].files == 3
    assert len(read_live(place.archive.root)) == rows

    stated = place.archive.root.get(f"{tombstone_key('fan-7')[:-5]}.certificate.json").decode()
    assert "fan-7" not in stated
    assert not any(one in stated for one in CANARIES)
    assert orjson.loads(stated)["runs"] == [certificate.stated()]


def test_others_keep_what_is_theirs(place):
    place.erase()
    live = {row["lineage"]["eventId"]: row["email"] for row in read_live(place.archive.root)}
    assert (live["2"], live["1"]) == (OTHER["email"], "[redacted]")
    assert "other@example.org" in "".join(map(decoded, (place.home / "errors").iterdir()))
    assert pl.read_csv(place.exports[0]).filter(pl.col("fanId") == "fan-70")["email"].to_list() == [OTHER["email"]]


def test_a_second_run_finds_nothing_and_the_first_stays_on_record(place):
    place.erase()
    before = {path: path.read_bytes() for path in place.home.rglob("*") if path.suffix in {".avro", ".ndjson", ".csv"}}
    again = place.erase()
    assert all(one == (0, 0, 0) for one in again.rewritten.values())
    assert {path: path.read_bytes() for path in before} == before
    assert len(read_runs(place.archive.root, "fan-7")) == 2


def die_and_finish(filled, home, part, last):
    """Whether an erasure that should die at this moment did; then the next one must finish it."""
    place = copy_of(filled, home)
    watch = with_root if part == "root" else with_errors
    try:
        place.erase(watch(place.archive, Dying(last)))
    except Dead:
        assert place.erase().is_complete
        assert readable(home) == {}
        return True
    return False


@pytest.mark.parametrize(("part", "last"), [("root", 2), ("root", 5), ("root", 14), ("errors", 4)])
def test_an_erasure_that_dies_is_finished_by_the_next(filled, tmp_path, part, last):
    assert die_and_finish(filled, tmp_path / "home", part, last)


@pytest.mark.soak
@pytest.mark.parametrize("part", ["root", "errors"])
def test_an_erasure_may_die_anywhere(filled, tmp_path, part):
    moments = 1
    while die_and_finish(filled, tmp_path / f"{moments}", part, moments):
        moments += 1
    assert moments > 8


def test_it_holds_after_a_replay_and_a_backfill_with_a_new_state(place, tmp_path):
    before = {path.name: path.read_bytes() for path in (place.home / "changes").iterdir()}
    errors = {key: read_error(place.archive.errors, key)["events"] for key in error_keys(place.archive.errors)}
    place.erase()
    # a person sends corrected copies that still have it all
    bad = next(key for key, events in errors.items() if events[0] and "6" in str(events[0])[:60])
    replay(place.archive, corrected={bad: line(change(FAN, "MODIFY", "6", AT + timedelta(seconds=5)))})
    assert "6" in {row["lineage"]["eventId"] for row in read_live(place.archive.root)}
    place.erase()  # the corrected copy itself names the fan
    assert readable(place.home) == {}

    old = tmp_path / "old"
    old.mkdir()
    for name, content in before.items():
        (old / name).write_bytes(content)
    state = State(tmp_path / "new.sqlite")
    state.learn(read_erasures(place.archive.root))
    backfill = replace(place.archive, source=FolderSource(old), state=state, batch=3)
    run(backfill)
    assert readable(place.home / "root") == {}
    redact_removed(backfill)  # daily: error files that came again
    shutil.rmtree(old)
    assert readable(place.home) == {}


def test_a_late_change_is_redacted_and_one_after_the_erasure_is_not(place):
    place.erase()
    late = [
        change(FAN, "MODIFY", "late", AT + timedelta(hours=2)),
        change({**FAN, "email": "back@example.org"}, "INSERT", "new", AT + timedelta(days=60)),
    ]
    write_stream(place.home / "changes", {"d": late})
    run(place.archive)
    emails = {row["lineage"]["eventId"]: row["email"] for row in read_live(place.archive.root)}
    assert (emails["late"], emails["new"]) == ("[redacted]", "back@example.org")


def test_the_source_can_be_read_on_after_it_was_rewritten(place):
    source = place.archive.source
    page = source.read("b.ndjson", None, 3)
    place.erase()
    rest = source.read("b.ndjson", page.records[-1].position, 100)
    assert [int(record.position) for record in (*page.records, *rest.records)] == list(range(1, 8))
    assert b'"erased":{"shard":"b.ndjson","line":4}' in rest.records[0].data
    assert rest.records[-1].data == line(stream()["b"][-1])


def test_a_value_that_another_fan_has_too_stays_there_and_is_counted(tmp_path):
    write_stream(tmp_path / "changes", {"a": [change(FAN, event_id="1"), change(SHARED, event_id="2")]})
    archive = an_archive(tmp_path)
    run(archive)
    certificate = erase(archive, "fan-7", now=NOW)
    assert (certificate.kept_of_others, certificate.is_complete) == (1, True)
    phones = {row["fanId"]: row["phoneNumber"] for row in read_live(archive.root)}
    assert phones == {"fan-7": "[redacted]", "fan-8": CANARIES[1]}


def test_a_range_that_a_living_worker_has_in_hand_is_waited_for(tmp_path):
    write_stream(tmp_path / "changes", {"a": [change(FAN, event_id="1")]})
    slow = an_archive(tmp_path, owner="slow")
    with pytest.raises(Dead):
        run(with_root(slow, Dying(1)))  # claimed, nothing written
    assert slow.state.acquire("changes", "a.ndjson", "slow", slow.clock())

    finished = []

    class Worker(Clock):
        def sleep(self, seconds):
            super().sleep(seconds)
            if not finished:
                finished.append(run(slow))

    clock = Worker()
    certificate = erase(replace(an_archive(tmp_path), clock=clock, sleep=clock.sleep), "fan-7", now=NOW)
    assert finished
    assert certificate.in_flight == 0
    assert readable(tmp_path) == {}


def test_a_certificate_that_is_not_complete_says_why(place):
    odd = place.home / "sheet.xlsx"
    odd.write_bytes(b"?")
    log = place.home / "some.log"
    log.write_text(f"sent to {CANARIES[0]}")
    certificate = erase(place.archive, "fan-7", now=NOW, exports=[odd], watched=[log], mirror=place.mirror)
    assert not certificate.is_complete
    assert certificate.unreadable == [str(odd)]
    assert certificate.scanned["watched"].left == 1


def test_what_tells_the_values_stays_until_all_copies_are_clean(place):
    """A copy that does not name the fan is found by the values that the archive holds."""
    broken = place.home / "broken.parquet"
    broken.write_bytes(b"?")
    log = place.home / "some.log"
    log.write_text(f"sent to {CANARIES[0]}")
    more = {"exports": lambda: [broken, *place.exports], "mirror": place.mirror}

    first = erase(place.archive, "fan-7", now=NOW, **more)
    assert (first.unreadable, first.postponed) == ([str(broken)], ["source", "errors", "data", "mirror"])
    assert not any(one in decoded(path) for path in place.exports for one in CANARIES)

    pl.DataFrame({"contact": [CANARIES[1]]}).write_parquet(broken)
    more["watched"] = [log]
    second = erase(place.archive, "fan-7", now=NOW, **more)
    assert (second.unreadable, second.is_complete, pl.read_parquet(broken)["contact"][0]) == ([], False, "[redacted]")
    assert second.postponed

    log.unlink()
    assert erase(place.archive, "fan-7", now=NOW, **more).is_complete
    assert readable(place.home) == {}


class DyingMirror:
    """A mirror at which the process dies where it should forget."""

    def __init__(self, mirror):
        self.folder = mirror.folder

    def sync(self, root, *, forget=False):
        raise Dead


def test_the_next_run_knows_what_to_look_for_also_where_the_data_is_clean_already(place):
    with pytest.raises(Dead):
        erase(place.archive, "fan-7", now=NOW, mirror=DyingMirror(place.mirror))
    assert {path.partition("/")[0] for path in readable(place.home)} == {"mirror", *(one.name for one in place.exports)}
    late = place.home / "late.csv"  # from a mirror that was not brought up to date
    rows = duckdb.read_parquet([str(path) for path in place.mirror.segments()["demand"]])
    rows.project("email AS contact, phoneNumber AS number").to_csv(str(late), header=True)
    assert erase(place.archive, "fan-7", now=NOW, mirror=place.mirror, exports=[*place.exports, late]).is_complete
    assert readable(place.home) == {}


class SlowWriter(DyingMirror):
    """A mirror; just before it forgets, an answer that was read from it is written to a file."""

    def __init__(self, mirror, export, listed):
        super().__init__(mirror)
        self.mirror, self.export, self.listed = mirror, export, listed

    def sync(self, root, *, forget=False):
        self.export.write_text(f"contact\n{CANARIES[0]}\n")
        self.listed.append(self.export)
        return self.mirror.sync(root, forget=forget)


def test_an_export_that_is_written_meanwhile_is_cleaned_too(place):
    listed = [*place.exports]
    mirror = SlowWriter(place.mirror, place.home / "slow.csv", listed)
    assert erase(place.archive, "fan-7", now=NOW, mirror=mirror, exports=lambda: listed).is_complete
    assert readable(place.home) == {}


def test_a_record_that_names_nobody_and_shows_the_address_is_cleaned(tmp_path):
    nobody = {name: value for name, value in FAN.items() if name != "fanId"}
    shared = {**no_sale(SHARED), "email": "e8@example.org"}
    bodies = [change(FAN, event_id="1"), change(nobody, event_id="2"), wrapped(change(nobody, event_id="3"))]
    cut = line(change(nobody, event_id="4"))[:-30]
    write_stream(tmp_path / "changes", {"a": [*bodies, cut, change(shared, event_id="5")]})
    archive = an_archive(tmp_path)
    assert run(archive).counts.errors == 4
    assert erase(archive, "fan-7", now=NOW).is_complete
    assert readable(tmp_path / "root") == {}
    for part in ("errors", "changes"):
        text = "".join(map(decoded, sorted((tmp_path / part).iterdir())))
        assert CANARIES[0] not in text
        assert text.count(CANARIES[1]) == 1  # another fan's own, who has the same number
        assert text.count("[redacted]") >= 4


class SlowRoot(MemoryRoot):
    """A root of which each file takes half a second; `look` is called before."""

    clock, look = None, staticmethod(lambda: None)

    def get(self, key):
        if self.clock is not None:
            self.clock.now += 0.5
        self.look()
        return super().get(key)


def test_the_lease_is_kept_however_long_it_takes_and_files_may_go_meanwhile(tmp_path):
    roots = {"root": SlowRoot(), "errors": SlowRoot()}
    bad = [change({**no_sale(OTHER), "fanId": f"z{number}"}, event_id=f"b{number}") for number in range(150)]
    write_stream(tmp_path / "changes", {"a": [*stream()["a"], *bad]})
    archive = an_archive(tmp_path, **roots)
    run(archive)
    rivals = []

    def look():
        rivals.append(archive.state.acquire("~", "maintenance", "rival", archive.clock()))

    for root in roots.values():
        root.clock, root.look = archive.clock, look
    certificate = erase(archive, "fan-7", now=NOW)
    assert certificate.is_complete
    assert archive.clock() - 1_800_000_000 > 150
    assert set(rivals) == {None}


def test_files_that_go_while_they_are_looked_through_are_passed_over(place):
    gone = []

    class GoingRoot(DeafRoot):
        def put(self, key, content):
            self.root.put(key, content)

        def get(self, key):
            if key.endswith(".avro") and ".compacted" not in key and len(gone) < 2:
                gone.append(key)
                self.root.delete(key)
            return self.root.get(key)

    assert place.erase(replace(place.archive, root=GoingRoot(place.archive.root))).is_complete
    assert len(gone) == 2


class DeafRoot:
    """A root that forgets what it is told, tombstones and certificates aside."""

    def __init__(self, root):
        self.root = root

    def __getattr__(self, name):
        return getattr(self.root, name)

    def put(self, key, content):
        if key.startswith("erasures/"):
            self.root.put(key, content)


def test_a_scan_believes_nobody(place):
    deaf = replace(place.archive, root=DeafRoot(place.archive.root), errors=DeafRoot(place.archive.errors))
    certificate = place.erase(deaf)
    assert not certificate.is_complete
    left = {name: one.left for name, one in certificate.scanned.items() if one.left}
    assert left == {"data": 8, "errors": 5, "mirror": 5}


def test_of_a_record_that_was_cut_off_the_beginning_goes_too(place):
    beginnings = [
        "x" * 100 + '"fan-7","email":"',
        {"base64": base64.b64encode(b"\xff fan-7").decode()},
        "fan-70 and others",
    ]
    position = {"stream": "changes", "shard": "s", "sequenceNumber": "1"}
    keys = [f"2026-11-20T09-00-00.000000Z-{number}.json" for number in range(3)]
    for key, beginning in zip(keys, beginnings, strict=True):
        events = [{"beginning": beginning, "size": 2**24}]
        place.archive.errors.put(key, orjson.dumps({"error": {}, "position": position, "events": events}))
    assert place.erase().is_complete
    events = [read_error(place.archive.errors, key)["events"][0] for key in keys]
    assert events == [{"erased": position}, {"erased": position}, {"beginning": beginnings[2], "size": 2**24}]


def test_what_writers_that_died_left_goes(place):
    folder = live_files(place.archive.root, "demand")[0].key.rpartition("/")[0]
    left = [place.home / "root" / folder / ".x.avro.1f.tmp", place.home / "errors" / ".x.json.1f.tmp"]
    left += [place.home / "changes" / ".a.ndjson.1f.tmp", place.home / ".all.csv.1f.tmp"]
    for path in left:
        path.write_text(CANARIES[0])
    place.erase()
    assert readable(place.home) == {}
    assert not any(path.exists() for path in left)


def test_a_fan_id_is_needed(tmp_path):
    with pytest.raises(EngageError, match="no fan id"):
        erase(an_archive(tmp_path), " ", now=NOW)


def test_files_are_rewritten_under_their_own_keys(place):
    before = [file.key for file in live_files(place.archive.root)]
    place.erase()
    assert [file.key for file in live_files(place.archive.root)] == before
