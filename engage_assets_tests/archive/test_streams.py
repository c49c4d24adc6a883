"""Kinesis and DynamoDB Streams: shards that split and merge, throttling, failures, and positions that are gone."""

import json
import logging
import time
from datetime import timedelta

import pytest

from engage_assets.archive.aws import WAITS
from engage_assets.archive.envelopes import open_record, read_change
from engage_assets.archive.iterators import MOST_PAGES
from engage_assets.archive.kinesis import KinesisSource
from engage_assets.archive.ports import Shard
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import AT, DEMAND, change, image, line
from engage_assets_tests.archive.servers import free_port, new_client
from engage_assets_tests.archive.streams import KinesisStream, TableStream, answer, changed, failure, instead
from engage_assets_tests.archive.workers import Clock, an_archive, event_ids

FIRST = "shardId-000000000000"


@pytest.fixture
def stream(kinesalite):
    return KinesisStream(kinesalite)


@pytest.fixture
def client(kinesalite):
    return kinesalite.new_client("kinesis")


def put_changes(stream, numbers):
    stream.put_lines(
        [
            (f"key-{number}", line(change(event_id=f"c{number}", at=AT + timedelta(seconds=number))))
            for number in numbers
        ]
    )


def numbers(page):
    return [KinesisStream.number(record) for record in page.records]


class Watched:
    """A source that notes which shard gave which record."""

    def __init__(self, source):
        self.source, self.stream, self.given = source, source.stream, []

    def shards(self):
        return self.source.shards()

    def read(self, shard, after, limit):
        page = self.source.read(shard, after, limit)
        self.given += [shard] * len(page.records)
        return page


def test_parents_are_drained_before_their_children(tmp_path, stream):
    put_changes(stream, range(40))
    stream.split()
    put_changes(stream, range(40, 80))
    stream.merge()
    put_changes(stream, range(80, 120))
    source = Watched(stream.source())
    summary = run(an_archive(tmp_path, source=source, batch=7))

    assert summary.counts.archived == summary.counts.read == 120
    assert event_ids(tmp_path) == {f"c{number}": 1 for number in range(120)}
    order = list(dict.fromkeys(source.given))
    assert sorted(order) == [f"shardId-{number:012}" for number in range(4)]
    for parent, child in ((0, 1), (0, 2), (1, 3), (2, 3)):
        last = len(source.given) - source.given[::-1].index(f"shardId-{parent:012}")
        assert source.given.index(f"shardId-{child:012}") >= last


def test_a_closed_shard_ends_wherever_one_begins_to_read_it(stream):
    stream.put([1, 2])
    stream.split()
    source, after = stream.source(), None
    while not (page := source.read(FIRST, after, 1)).is_end:
        assert numbers(page), after
        after = page.records[-1].position
    assert stream.source().read(FIRST, after, 1).is_end
    assert stream.source().read(FIRST, after, 10).is_end


def test_a_merged_shard_has_two_parents(stream):
    stream.split()
    stream.merge()
    *_, merged = stream.source().shards()
    assert merged == Shard("shardId-000000000003", ("shardId-000000000001", "shardId-000000000002"))


def test_shards_are_listed_page_by_page(stream, client):
    pages = [
        answer(Shards=[{"ShardId": "a"}], NextToken="more"),
        answer(Shards=[{"ShardId": "b", "ParentShardId": "a"}], NextToken="again"),
        answer(Shards=[]),
    ]
    left = instead(client, "ListShards", pages)
    assert stream.source(client=client).shards() == [Shard("a"), Shard("b", ("a",))]
    assert not left


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("ProvisionedThroughputExceededException", 400),
        ("LimitExceededException", 400),
        ("InternalFailure", 500),
        ("SlowDown", 503),
    ],
)
def test_a_service_that_fails_for_now_is_asked_again(stream, client, code, status):
    stream.put([1, 2])
    clock = Clock()
    instead(client, "GetShardIterator", [failure(code, status)])
    instead(client, "GetRecords", [failure(code, status)] * 2)
    assert numbers(stream.source(clock, client).read(FIRST, None, 10)) == [1, 2]
    assert clock.slept == [WAITS[0] * 0.75, WAITS[0] * 0.75, WAITS[1] * 0.75]


def test_a_service_that_goes_on_failing_loses_nothing(tmp_path, stream, client):
    put_changes(stream, range(9))
    left = instead(client, "GetRecords", [None, *[failure("ProvisionedThroughputExceededException")] * 1000])
    summary = run(an_archive(tmp_path, source=stream.source(client=client), batch=4))
    assert "ProvisionedThroughputExceededException" in summary.stopped[FIRST]
    left.clear()
    again = run(an_archive(tmp_path, source=stream.source(client=client), batch=4))
    assert not again.stopped
    assert event_ids(tmp_path) == {f"c{number}": 1 for number in range(9)}


def test_a_refusal_for_good_is_told_at_once(stream, client):
    clock = Clock()
    instead(client, "GetRecords", [failure("AccessDeniedException")])
    with pytest.raises(EngageError, match=rf"{stream.name}: {FIRST}: AccessDeniedException; check the credentials"):
        stream.source(clock, client).read(FIRST, None, 10)
    assert clock.slept == []


def test_a_stream_that_is_not_there_is_named(kinesalite):
    clock = Clock()
    source = KinesisSource("none", kinesalite.client("kinesis"), clock=clock, sleep=clock.sleep, chance=lambda: 0)
    for ask in (source.shards, lambda: source.stream, lambda: source.read(FIRST, None, 1)):
        with pytest.raises(
            EngageError, match=r"kinesis:none.*ResourceNotFoundException; check name, account and region"
        ):
            ask()


def test_a_server_that_is_away_is_an_error_of_the_machine():
    clock = Clock()
    client = new_client("kinesis", f"http://127.0.0.1:{free_port()}")
    source = KinesisSource("stream", client, clock=clock, sleep=clock.sleep, chance=lambda: 1)
    with pytest.raises(OSError, match="EndpointConnectionError, 6 times"):
        source.shards()
    assert clock.slept == list(WAITS)


def test_an_iterator_that_expired_is_renewed(stream, client):
    stream.put(range(6))
    source = stream.source(client=client)
    instead(
        client, "GetRecords", [None, failure("ExpiredIteratorException"), None, failure("ExpiredIteratorException")]
    )
    found, after = [], None
    while records := source.read(FIRST, after, 2).records:
        found += records
        after = records[-1].position
    assert [stream.number(record) for record in found] == list(range(6))


def test_empty_pages_of_a_stream_that_is_behind_are_passed_over(stream, client):
    stream.put([1])
    iterator = client.get_shard_iterator(StreamName=stream.name, ShardId=FIRST, ShardIteratorType="TRIM_HORIZON")
    empty = answer(Records=[], NextShardIterator=iterator["ShardIterator"], MillisBehindLatest=5000)
    instead(client, "GetRecords", [empty] * 7)
    assert numbers(stream.source(client=client).read(FIRST, None, 10)) == [1]

    source = stream.source(client=client)
    left = instead(client, "GetRecords", [empty] * (MOST_PAGES + 3))
    page = source.read(FIRST, None, 10)
    assert (list(page.records), page.is_end, page.behind_ms) == ([], False, 5000)
    assert len(left) == 3
    assert numbers(source.read(FIRST, None, 10)) == [1]


def test_reads_of_a_shard_keep_their_distance(stream):
    stream.put(range(3))
    clock = Clock()
    source, after = stream.source(clock), None
    for _ in range(3):
        after = source.read(FIRST, after, 1).records[-1].position
    assert clock.slept == [pytest.approx(0.2)] * 2


def test_a_record_that_the_stream_no_longer_holds_is_missed(stream, client, caplog):
    stream.put(range(5))
    records = stream.source().read(FIRST, None, 10).records

    def trim(parsed):
        parsed["Records"] = [one for one in parsed["Records"] if int(one["SequenceNumber"]) > int(records[2].position)]

    with caplog.at_level(logging.WARNING):
        assert numbers(stream.source().read(FIRST, records[1].position, 3)) == [2, 3]
    assert not caplog.records
    changed(client, "GetRecords", trim)
    with caplog.at_level(logging.WARNING):
        assert numbers(stream.source(client=client).read(FIRST, records[1].position, 10)) == [3, 4]
    assert records[1].position in caplog.text
    assert records[3].position in caplog.text


def test_records_say_when_the_stream_took_them(stream):
    stream.put([1])
    (record,) = stream.source().read(FIRST, None, 1).records
    (found,) = stream.client.get_records(
        ShardIterator=stream.client.get_shard_iterator(
            StreamName=stream.name, ShardId=FIRST, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
    )["Records"]
    assert record.arrived_at == round(found["ApproximateArrivalTimestamp"].timestamp() * 1000) * 1000
    assert record.sequence == record.position == found["SequenceNumber"]


def test_a_table_s_changes_are_archived(tmp_path, moto):
    table = TableStream(moto)
    for number in range(3):
        table.put_item({"pk": {"S": f"{number}"}, **image({**DEMAND, "fanId": f"fan-{number}"})})
    table.put_item({"pk": {"S": "bad"}, "type": {"S": "wish"}})
    summary = run(an_archive(tmp_path, source=table.source(), batch=2))
    assert (summary.counts.read, summary.counts.archived, summary.counts.errors) == (4, 3, 1)
    assert run(an_archive(tmp_path, source=table.source())).counts.read == 0


def test_a_table_s_record_is_the_envelope_of_its_stream(moto):
    table = TableStream(moto)
    source = table.source()
    item = {"pk": {"S": "1"}, "one": {"B": b"\xff\x00"}, "more": {"BS": [b"a", b"b"]}, "no": {"NULL": True}}
    table.put_item(item)
    (shard,) = source.shards()
    (record,) = source.read(shard.name, None, 10).records
    read = read_change(open_record(record), record.position)
    assert read.image == {**item, "one": {"B": "/wA="}, "more": {"BS": ["YQ==", "Yg=="]}}
    assert (read.event_name, read.keys, read.sequence) == ("INSERT", {"pk": {"S": "1"}}, record.position)
    assert read.event_id == json.loads(record.data)["eventID"]
    assert source.read(shard.name, None, 10).records == [record]


def test_a_table_s_shards_are_listed_page_by_page_and_drained_to_their_end(moto):
    table, client = TableStream(moto), moto.new_client("dynamodbstreams")
    one, other = f"{'a':28}", f"{'b':28}"
    closed = {"ShardId": one, "SequenceNumberRange": {"StartingSequenceNumber": "1", "EndingSequenceNumber": "9"}}
    child = {"ShardId": other, "ParentShardId": one, "SequenceNumberRange": {"StartingSequenceNumber": "10"}}
    pages = [
        answer(StreamDescription={"Shards": [closed], "LastEvaluatedShardId": one}),
        answer(StreamDescription={"Shards": [child]}),
    ]
    instead(client, "DescribeStream", pages)
    source = table.source(client=client)
    assert source.shards() == [Shard(one), Shard(other, (one,))]

    instead(client, "GetShardIterator", [answer(ShardIterator="1")])
    empty = [answer(Records=[], NextShardIterator="more")] * (MOST_PAGES - 1)
    instead(client, "GetRecords", [*empty, answer(Records=[])])
    page = source.read(one, None, 10)
    assert (list(page.records), page.is_end) == ([], True)


def test_empty_pages_at_the_beginning_of_a_table_s_shard_are_passed_over_once(moto):
    table, client = TableStream(moto), moto.new_client("dynamodbstreams")
    source = table.source(client=client)
    (shard,) = source.shards()
    table.put([1])
    iterator = client.get_shard_iterator(StreamArn=source.stream, ShardId=shard.name, ShardIteratorType="TRIM_HORIZON")
    empty = answer(Records=[], NextShardIterator=iterator["ShardIterator"])
    instead(client, "GetRecords", [empty] * 7)
    (record,) = source.read(shard.name, None, 10).records
    left = instead(client, "GetRecords", [empty] * 7)
    assert list(source.read(shard.name, record.position, 10).records) == []
    assert len(left) == 6


@pytest.mark.parametrize("operation", ["GetShardIterator", "GetRecords"])
def test_changes_that_a_table_s_stream_dropped_stop_the_shard(moto, operation):
    table, client = TableStream(moto), moto.new_client("dynamodbstreams")
    source = table.source(client=client)
    (shard,) = source.shards()
    table.put([1])
    instead(client, operation, [failure("TrimmedDataAccessException")])
    with pytest.raises(EngageError, match=f"{table.name}: {shard.name} holds nothing .* records are lost"):
        source.read(shard.name, None, 10)


@pytest.mark.parametrize(
    ("specification", "words"),
    [(None, "no stream; enable one"), ({"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}, "view type KEYS_ONLY")],
)
def test_a_table_without_a_whole_stream_is_refused(moto, specification, words):
    table = TableStream(moto, specification)
    with pytest.raises(EngageError, match=words):
        table.source().shards()


def test_runs_until_idle_go_past_a_shard_that_was_split_after_a_silence(tmp_path, stream):
    """Its last page before the end is empty and says that nothing is behind."""
    put_changes(stream, [1])
    assert run(an_archive(tmp_path, source=stream.source())).counts.archived == 1
    time.sleep(2.5)
    stream.split()
    put_changes(stream, [2])
    assert sum(run(an_archive(tmp_path, source=stream.source())).counts.archived for _ in range(2)) == 1
