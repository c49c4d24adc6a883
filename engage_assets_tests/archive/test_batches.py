"""One range: groups, order, names, copies, errors; the same whenever it is made again."""

import io
import re
import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import fastavro
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive.batches import Range, read_range, write_files
from engage_assets.archive.ports import Record
from engage_assets.archive.state import State, Tally
from engage_assets_tests.archive.changes import (
    AT,
    DEMAND,
    EVENT,
    ITEMS,
    NOTIFICATION,
    RANGE,
    SALE,
    archived,
    change,
    line,
    records,
)

NAME = r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}Z-[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f-]{21}"


def rows_of(files):
    return [row for file in files.data for row in fastavro.reader(io.BytesIO(file.content))]


def event_ids(files):
    return [row["lineage"]["eventId"] for row in rows_of(files)]


def test_records_lie_by_type_and_partition_date():
    other_day = {**DEMAND, "date": {"requested": "2026-11-21T00:00:00+01:00"}}
    files = archived(*(change(item, event_id=str(at)) for at, item in enumerate([*ITEMS, DEMAND, other_day])))
    folders = [file.key.rsplit("/", 1)[0] for file in files.data]
    assert folders == [
        "data/demand/partition_date=2026-11-20",
        "data/event/partition_date=2027-06-01",
        "data/notification/partition_date=2026-11-20",
        "data/sale/partition_date=2027-01-10",
    ]
    assert [file.records for file in files.data] == [3, 1, 1, 1]
    assert all(re.fullmatch(rf"{NAME}\.avro", file.key.rsplit("/", 1)[1]) for file in files.data)
    assert all(file.key.rsplit("/", 1)[1].startswith("2026-11-20T09-00-00.123000Z-") for file in files.data)


def test_rows_are_in_the_order_of_their_changes():
    times = [3, 1, 2, 1]
    files = archived(*(change(event_id=f"{at}", at=AT + timedelta(seconds=s)) for at, s in enumerate(times)))
    assert event_ids(files) == ["1", "3", "2", "0"]


def test_the_same_range_gives_the_same_bytes_and_another_one_other_names():
    bodies = [change(item, event_id=str(at)) for at, item in enumerate(ITEMS)] + [b"no"]
    assert archived(*bodies) == archived(*bodies)
    other = archived(*bodies, where=Range("changes", "shard-1", "1", "10"))
    assert {file.key for file in other.data}.isdisjoint(file.key for file in archived(*bodies).data)


def test_a_record_that_gets_lost_is_not_taken_for_a_copy():
    reading = read_range(RANGE, records(change(event_id="a"), change(event_id="a"), change(event_id="b"), b"no"))
    counts = write_files(reading, [False, True]).counts
    assert (counts.read, counts.archived, counts.errors, counts.duplicates) == (4, 1, 1, 2)
    for lossy in (replace(reading, entries=reading.entries[:1]), replace(reading, refusals=())):
        counts = write_files(lossy).counts
        assert counts.read == counts.archived + counts.errors + counts.duplicates + 1


def test_a_redaction_is_counted():
    files = archived(change(DEMAND, "REMOVE", "1"), change(EVENT, "REMOVE", "2"), change(DEMAND, "INSERT", "3"))
    assert files.counts.redacted == 1


def without_id(body):
    return {name: value for name, value in body.items() if name != "eventID"}


def keyed(event_id, key, **more):
    return change(event_id=event_id, Keys={"id": {"S": key}}, **more)


@pytest.mark.parametrize(
    ("bodies", "kept"),
    [
        ([change(event_id="a"), change(event_id="a")], 1),
        ([keyed("a", "k"), keyed("b", "k")], 2),  # two changes of one item in one second
        ([keyed("a", "k"), without_id(keyed("", "k"))], 1),
        ([without_id(keyed("", "k")), keyed("a", "k")], 1),
        ([without_id(keyed("", "k")), without_id(keyed("", "k"))], 1),
        ([without_id(keyed("", "k")), without_id(keyed("", "other"))], 2),
        ([without_id(keyed("", "k")), without_id(keyed("", "k", name="MODIFY"))], 2),
        ([without_id(keyed("", "k")), without_id(keyed("", "k", at=AT + timedelta(milliseconds=1)))], 2),
        ([b"no", b"no", change(event_id="a")], 1),  # a bad record delivered twice is two errors
    ],
)
def test_copies_are_known_by_their_id_or_by_keys_time_and_name(bodies, kept, tmp_path):
    files = archived(*bodies)
    assert files.counts.archived == kept
    assert files.counts.duplicates == len(bodies) - kept - files.counts.errors

    one_by_one = apart(bodies, State(tmp_path / "state.sqlite"))
    assert sum(one.counts.archived for one in one_by_one) == kept


def apart(bodies, state):
    """The files of each body in a range of its own."""
    lease = state.acquire("changes", "shard-1", "me", 0)
    for number, body in enumerate(bodies, 1):
        where = Range("changes", "shard-1", str(number), str(number))
        reading = read_range(where, [Record(str(number), line(body))])
        fresh = state.claim(lease, where, [entry.identity for entry in reading.entries], 0)
        files = write_files(reading, fresh)
        yield files
        state.commit(lease, where, Tally(files.counts), 0)


def test_an_error_file_states_message_position_and_the_original():
    bad = b'{"dynamodb": {"SequenceNumber": "17"},  "eventName": "INSERT"}'
    files = archived(change(), bad, "text", b"\xff")
    found = [orjson.loads(file.content) for file in files.errors]
    assert [one["events"] for one in found] == [[orjson.loads(bad)], ["text"], [{"base64": "/w=="}]]
    assert [one["forms"] for one in found] == [["json"], ["json"], ["base64"]]
    assert bad in files.errors[0].content  # as it came, not as it was understood
    assert [one["position"]["sequenceNumber"] for one in found] == ["17", "3", "4"]
    assert found[1]["position"] == {"stream": "changes", "shard": "shard-1", "sequenceNumber": "3"}
    assert found[1]["error"] == {"message": "record: JSON, but not an object"}
    assert {one["timestamp"] for one in found} == {"2026-11-20T09:00:00.123000Z"}  # a neighbour's, not the clock's
    assert all(re.fullmatch(rf"{NAME}\.json", file.key) for file in files.errors)
    assert len({file.key for file in files.errors}) == 3


def test_messages_never_quote_what_was_sent():
    secret = "+1 555 0199"
    bad = [
        change({**DEMAND, "type": secret}),
        change({**DEMAND, "date": {"requested": secret}}),
        change({**DEMAND, "email": {secret: secret}}),
        {secret: secret},
        {**change(), "eventName": secret},
        secret.encode(),
    ]
    files = archived(*bad)
    assert files.counts.errors == len(bad)
    assert not any(secret in message for message in files.messages)


BAD = [
    b"",
    b"no",
    {"Records": []},
    change({**DEMAND, "type": "wish"}),
    change({**SALE, "saleStartDateTime": "never"}),
    change({**NOTIFICATION, "fanId": None}),
]
good = st.builds(
    lambda item, name, number, second: change(item, name, f"c{number}", AT + timedelta(seconds=second)),
    st.sampled_from(ITEMS),
    st.sampled_from(["INSERT", "MODIFY", "REMOVE"]),
    st.integers(0, 12),
    st.integers(0, 3),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(good | st.sampled_from(BAD), max_size=25), st.randoms(use_true_random=False))
def test_every_record_is_archived_or_an_error_or_a_copy_in_any_order(bodies, chance):
    files = archived(*bodies)
    counts = files.counts
    assert counts.read == len(bodies) == counts.archived + counts.errors + counts.duplicates
    assert counts.archived == len(rows_of(files)) == sum(file.records for file in files.data)
    assert counts.errors == len(files.errors) == len({file.key for file in files.errors})
    assert not [message for message in files.messages if "while reading it" in message]

    shuffled = archived(*chance.sample(bodies, len(bodies)))
    assert Counter(event_ids(shuffled)) == Counter(set(event_ids(files)))
    assert shuffled.messages == files.messages


def test_a_marker_is_the_files_own():
    (file,) = archived(change()).data
    name = uuid.UUID(file.key.rsplit("Z-", 1)[1].removesuffix(".avro"))
    assert file.content.endswith(name.bytes)


def test_a_time_of_arrival_goes_before_the_changes_own():
    reading = read_range(RANGE, [one._replace(arrived_at=1_800_000_000_000_000) for one in records(change())])
    assert reading.at == 1_800_000_000_000_000
