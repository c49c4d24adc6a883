"""Both envelopes, both forms of the time, and whatever else may stand in a stream."""

import base64
import json
from pathlib import Path

import pytest

from engage_assets.archive.envelopes import open_record, read_change
from engage_assets.archive.ports import Record
from engage_assets_tests.archive.changes import AT, DEMAND, change, image, line, refusal, row

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "stream_samples"
MILLISECONDS = round(AT.timestamp() * 1000)


def read(body, position="7"):
    return read_change(open_record(Record(position, line(body))), position)


def streams_record(**dynamodb):
    """A change as DynamoDB Streams writes it."""
    body = change(**{"ApproximateCreationDateTime": MILLISECONDS // 1000, **dynamodb})
    del body["recordFormat"], body["tableName"]
    return body


def wrapped(body, **kinesis):
    data = base64.b64encode(line(body)).decode()
    return {"kinesis": {"data": data, "sequenceNumber": "4959", **kinesis}, "eventSource": "aws:kinesis"}


@pytest.mark.parametrize(
    ("body", "time"),
    [
        (streams_record(ApproximateCreationDateTime=MILLISECONDS // 1000), MILLISECONDS // 1000 * 1_000_000),
        (streams_record(ApproximateCreationDateTime=MILLISECONDS / 1000), MILLISECONDS * 1000),
        (change(ApproximateCreationDateTime=MILLISECONDS), MILLISECONDS * 1000),
        (
            change(
                ApproximateCreationDateTime=MILLISECONDS * 1000 + 7,
                ApproximateCreationDateTimePrecision="MICROSECOND",
            ),
            MILLISECONDS * 1000 + 7,
        ),
    ],
)
def test_the_time_of_a_change_is_read_in_its_unit(body, time):
    assert read(body).changed_at == time


def test_the_sequence_number_is_the_streams_own_or_else_the_line():
    assert read(change()).sequence == "7"
    assert read(streams_record(SequenceNumber="111")).sequence == "111"
    assert read(wrapped(change())).sequence == "4959"


def test_a_removal_shows_the_old_image_and_all_others_the_new_one():
    old, new = image({**DEMAND, "fanId": "old"}), image({**DEMAND, "fanId": "new"})
    images = {"OldImage": old, "NewImage": new}
    assert [read(change(name=name, **images)).image["fanId"]["S"] for name in ("INSERT", "MODIFY", "REMOVE")] == [
        "new",
        "new",
        "old",
    ]


def without(body, *path):
    *parents, last = path
    place = body
    for name in parents:
        place = place[name]
    del place[last]
    return body


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "not-json", "empty"),
        (b"  \r", "not-json", "empty"),
        (b"{", "not-json", "not JSON"),
        (b'{"a": "\xff"}', "not-json", "not JSON"),
        (b'{"a": "\\ud800"}', "not-json", "not JSON"),
        (b"[1]", "not-an-envelope", "not an object"),
        (b"{}", "not-an-envelope", "no dynamodb"),
        ({"Records": [change()]}, "not-an-envelope", "each of its Records"),
        ({**change(), "eventName": "UPSERT"}, "not-an-envelope", "eventName"),
        ({**change(), "eventName": ["INSERT"]}, "not-an-envelope", "eventName"),
        (without(change(), "dynamodb", "NewImage"), "not-an-envelope", "NewImage: missing in INSERT"),
        (without(without(change(), "dynamodb", "Keys"), "eventID"), "not-an-envelope", "neither eventID nor Keys"),
        (without(change(), "dynamodb", "ApproximateCreationDateTime"), "missing-field", "ApproximateCreationDateTime"),
        (change(ApproximateCreationDateTime="soon"), "wrong-type", "not a number"),
        (change(ApproximateCreationDateTime=True), "wrong-type", "not a number"),
        (change(ApproximateCreationDateTimePrecision="FORTNIGHT"), "wrong-type", "Precision"),
        (change(ApproximateCreationDateTime=MILLISECONDS // 1000), "impossible-date", "counted in milliseconds"),
        (streams_record(ApproximateCreationDateTime=MILLISECONDS), "impossible-date", "counted in seconds"),
        (change(ApproximateCreationDateTime=1e300), "impossible-date", "after 2100"),
        ({"kinesis": {"data": "§"}}, "not-an-envelope", "not base64"),
        ({"kinesis": {}}, "not-an-envelope", "kinesis.data"),
        (wrapped(b"no"), "not-json", "kinesis.data: not JSON"),
        (b" " * (10 * 2**20 + 1), "oversize", "larger than"),
    ],
)
def test_what_is_no_change_is_refused_in_words(body, kind, words):
    found, message = refusal(body)
    assert found == kind
    assert words in message


def elements(body):
    return body.get("Records") or body.get("records") or [body]


@pytest.mark.shared_data
@pytest.mark.skipif(not SAMPLES.exists(), reason="the stream samples are not beside the project")
def test_samples_of_envelopes_are_read_as_their_kind_or_refused():
    expected = {
        "dynamoStreamEvent.json": {"type: missing, or not a text", "dynamodb.ApproximateCreationDateTime: missing"},
        "DynamoDBUpdate.json": {"type: missing, or not a text"},
        "kinesisStreamEvent.json": {"kinesis.data: not JSON in UTF-8"},
        "kinesisStreamEventOneRecord.json": {
            "record: not a change of a DynamoDB table (no dynamodb, or another eventSource)"
        },
        "kinesisStreamCloudWatchLogsEvent.json": {"kinesis.data: not JSON in UTF-8"},
        "Kinesis.json": {"kinesis.data: not base64"},
        "kinesisFirehoseKinesisEvent.json": {"record: a Firehose record; write its decoded data as a line"},
        "kinesisFirehosePutEvent.json": {"record: a Firehose record; write its decoded data as a line"},
        "KinesisFirehose.json": {"record: a Firehose record; write its decoded data as a line"},
        "sqsEvent.json": {"record: an SQS message, not a change of a table"},
        "sqsDlqTriggerEvent.json": {"record: an SQS message, not a change of a table"},
        "Sqs.json": {"record: an SQS message, not a change of a table"},
        "eventBridgeEvent.json": {"record: an EventBridge event, not a change of a table"},
    }
    samples = sorted(SAMPLES.rglob("*.json"))
    assert {path.name for path in samples} == expected.keys()
    for path in samples:
        found = {refusal(one)[1] for one in elements(json.loads(path.read_text()))}
        assert found == expected[path.name], path.name


@pytest.mark.shared_data
@pytest.mark.skipif(not SAMPLES.exists(), reason="the stream samples are not beside the project")
def test_templates_filled_with_our_types_are_archived():
    stream = json.loads((SAMPLES / "powertools" / "dynamoStreamEvent.json").read_text())["Records"][0]
    stream["dynamodb"]["NewImage"] = image(DEMAND)
    kinesis = json.loads((SAMPLES / "powertools" / "kinesisStreamEvent.json").read_text())["Records"][0]
    kinesis["kinesis"]["data"] = base64.b64encode(line(change())).decode()
    assert row(stream)[2]["lineage"]["sequenceNumber"] == "111"
    assert row(kinesis)[2]["lineage"]["sequenceNumber"].startswith("495903382714902566")
