"""Streams of each kind that a test fills and reads, and answers of services that a test makes up."""

import json
import time
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace

from engage_assets.archive.dynamodb_streams import DynamoDBSource
from engage_assets.archive.folder import FolderSource
from engage_assets.archive.kinesis import KinesisSource
from engage_assets_tests.archive.workers import Clock

_NAMES = count()
BOTH_IMAGES = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


def new_name(kind):
    return f"{kind}-{next(_NAMES)}"


class FolderStream:
    """A file of changes."""

    def __init__(self, folder):
        self.folder = folder / new_name("changes")
        self.folder.mkdir()

    def put(self, numbers):
        with (self.folder / "a.ndjson").open("a") as file:
            file.writelines(f'{{"number": {number}}}\n' for number in numbers)

    def source(self):
        return FolderSource(self.folder)

    @staticmethod
    def number(record):
        return json.loads(record.data)["number"]

    unknown = "999"


@dataclass
class KinesisStream:
    """A stream of kinesalite that is split and merged at will."""

    server: object
    shards: int = 1
    name: str = field(default_factory=lambda: new_name("stream"))

    def __post_init__(self):
        self.client = self.server.client("kinesis")
        self.client.create_stream(StreamName=self.name, ShardCount=self.shards)
        self.wait()

    def wait(self):
        until = time.monotonic() + 30
        while self.client.describe_stream_summary(StreamName=self.name)["StreamDescriptionSummary"]["StreamStatus"] != (
            "ACTIVE"
        ):
            assert time.monotonic() < until
            time.sleep(0.005)

    def put(self, numbers):
        self.put_lines([(str(number), json.dumps({"number": number}).encode()) for number in numbers])

    def put_lines(self, lines):
        """Records from pairs of key and bytes, in order."""
        for start in range(0, len(lines), 500):
            records = [{"PartitionKey": key, "Data": data} for key, data in lines[start : start + 500]]
            answer = self.client.put_records(StreamName=self.name, Records=records)
            assert answer["FailedRecordCount"] == 0

    def open_shards(self):
        """Those that take records, by the start of their hash keys."""
        found = self.client.list_shards(StreamName=self.name)["Shards"]
        is_open = [one for one in found if "EndingSequenceNumber" not in one["SequenceNumberRange"]]
        return sorted(is_open, key=lambda one: int(one["HashKeyRange"]["StartingHashKey"]))

    def split(self, at=0):
        shard = self.open_shards()[at]
        low, high = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
        self.client.split_shard(
            StreamName=self.name, ShardToSplit=shard["ShardId"], NewStartingHashKey=str((low + high) // 2)
        )
        self.wait()

    def merge(self):
        one, other = self.open_shards()[:2]
        self.client.merge_shards(
            StreamName=self.name, ShardToMerge=one["ShardId"], AdjacentShardToMerge=other["ShardId"]
        )
        self.wait()

    def source(self, clock=None, client=None):
        """A new source on time that passes only by sleeping."""
        clock = clock or Clock()
        client = client or self.client
        return KinesisSource(self.name, client, clock=clock, sleep=clock.sleep, chance=lambda: 0.5)

    number = staticmethod(FolderStream.number)
    unknown = "49680687008419403194640641392527910423788821240344477698"


class TableStream:
    """A table of moto and its stream."""

    def __init__(self, server, stream=BOTH_IMAGES):
        self.server, self.name = server, new_name("table")
        self.client = server.client("dynamodb")
        self.client.create_table(
            TableName=self.name,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            **({"StreamSpecification": stream} if stream else {}),
        )

    def put(self, numbers):
        for number in numbers:
            self.put_item({"pk": {"S": str(number)}, "number": {"N": str(number)}})

    def put_item(self, item):
        self.client.put_item(TableName=self.name, Item=item)

    def source(self, clock=None, client=None):
        clock = clock or Clock()
        streams = client or self.server.client("dynamodbstreams")
        return DynamoDBSource(self.name, self.client, streams, clock=clock, sleep=clock.sleep, chance=lambda: 0.5)

    @staticmethod
    def number(record):
        return int(json.loads(record.data)["dynamodb"]["NewImage"]["number"]["N"])


def failure(code, status=400):
    """What a service answers that refuses."""
    return SimpleNamespace(status_code=status), {
        "Error": {"Code": code, "Message": ""},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }


def answer(**body):
    """What a service answers that does not."""
    return SimpleNamespace(status_code=200), {**body, "ResponseMetadata": {"HTTPStatusCode": 200}}


def instead(client, operation, answers):
    """Let a client get these answers in turn, None for the service's own, and then the service's own.

    Gives the list of answers that are left.
    """
    left = list(answers)
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-call.{service}.{operation}", lambda **_: left.pop(0) if left else None)
    return left


def changed(client, operation, change):
    """Let a client get answers as `change` leaves them."""
    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"after-call.{service}.{operation}", lambda parsed, **_: change(parsed))
