"""What every source promises: a folder, a Kinesis stream, a table's DynamoDB stream."""

import pytest

from engage_assets.archive.batches import Range
from engage_assets.archive.lanes import read_again
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.streams import FolderStream, KinesisStream, TableStream

KINDS = ("folder", "kinesis", "dynamodb")


@pytest.fixture(params=KINDS)
def stream(request, tmp_path):
    if request.param == "folder":
        return FolderStream(tmp_path)
    if request.param == "kinesis":
        return KinesisStream(request.getfixturevalue("kinesalite"))
    return TableStream(request.getfixturevalue("moto"))


def only_shard(source):
    (shard,) = source.shards()
    return shard.name


def follow(source, after=None, limit=4):
    """All records, a page at a time."""
    shard, found = only_shard(source), []
    while records := source.read(shard, after, limit).records:
        assert len(records) <= limit
        found += records
        after = records[-1].position
    return found


def test_records_come_in_order_and_the_same_from_anywhere(stream):
    stream.put(range(10))
    records = follow(stream.source())
    assert [stream.number(record) for record in records] == list(range(10))
    assert len({record.position for record in records}) == 10
    for start in (0, 3, 8, 9):
        assert follow(stream.source(), records[start].position, limit=3) == records[start + 1 :]


def test_a_source_goes_back_and_on(stream):
    stream.put(range(6))
    source = stream.source()
    records = follow(source)
    assert follow(source, records[1].position) == records[2:]  # back
    stream.put([6, 7])
    more = follow(source, records[-1].position)  # on
    assert [stream.number(record) for record in more] == [6, 7]


def test_a_shard_without_news_is_not_at_its_end(stream):
    stream.put([1])
    source = stream.source()
    shard = only_shard(source)
    page = source.read(shard, None, 10)
    assert (len(page.records), page.is_end) == (1, False)
    page = source.read(shard, page.records[-1].position, 10)
    assert (len(page.records), page.is_end) == (0, False)


def test_a_range_is_read_again_whatever_the_limit_was(stream):
    stream.put(range(9))
    records = follow(stream.source())
    source = stream.source()
    where = Range(source.stream, only_shard(source), records[2].position, records[7].position)
    for limit in (1, 4, 1000):
        assert read_again(stream.source(), where, records[1].position, limit) == records[2:8]


def test_its_name_stays(stream):
    assert stream.source().stream == stream.source().stream
    assert stream.source().stream


@pytest.mark.parametrize("stream", KINDS[:2], indirect=True)  # moto takes any position for one of its own
def test_a_position_of_another_stream_is_refused(stream):
    stream.put([1])
    source = stream.source()
    with pytest.raises(EngageError, match=stream.unknown):
        source.read(only_shard(source), stream.unknown, 10)
