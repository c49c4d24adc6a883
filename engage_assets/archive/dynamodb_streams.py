"""A table's DynamoDB stream as a source: its records as the JSON that Lambda would get of them."""

import base64
from collections.abc import Callable
from datetime import datetime
from functools import cached_property
from typing import Any, Final

import orjson

from engage_assets.archive.aws import Asking, AwsError
from engage_assets.archive.iterators import Answer, Expired, Reader
from engage_assets.archive.ports import Page, Record, Shard
from engage_assets.domain.errors import EngageError

MOST_RECORDS: Final = 1000
"""Records that are asked for at once: more are not allowed."""
VIEW: Final = "NEW_AND_OLD_IMAGES"
_OPTIONS: Final = orjson.OPT_SORT_KEYS | orjson.OPT_PASSTHROUGH_DATETIME


class DynamoDBSource:
    """The latest stream of a table; `tables` and `streams` are boto3's clients of DynamoDB and DynamoDB Streams."""

    def __init__(
        self,
        table: str,
        tables: Any,
        streams: Any,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        chance: Callable[[], float],
    ) -> None:
        self.table = table
        self.tables = tables
        self.client = streams
        self._asking = Asking(sleep, chance)
        self._reader = Reader(self, clock, sleep)
        self._closed: set[str] = set()

    @cached_property
    def stream(self) -> str:
        """Its ARN. Raises OSError; EngageError where the table has no stream, or one without both images."""
        table = self._ask(self.tables.describe_table, TableName=self.table)["Table"]
        arn, view = table.get("LatestStreamArn"), table.get("StreamSpecification", {}).get("StreamViewType")
        if not arn:
            raise EngageError(f"dynamodb:{self.table}: the table has no stream; enable one with view type {VIEW}")
        if view not in {VIEW, None}:
            raise EngageError(f"dynamodb:{self.table}: its stream has view type {view}; enable one with {VIEW}")
        return str(arn)

    def shards(self) -> list[Shard]:
        """The shards that hold records or may get some. Raises EngageError, OSError."""
        found: list[dict[str, Any]] = []
        where: dict[str, str] = {"StreamArn": self.stream}
        is_last = False
        while not is_last:
            answer = self._ask(self.client.describe_stream, **where)["StreamDescription"]
            found += answer["Shards"]
            is_last = not answer.get("LastEvaluatedShardId")
            where |= {} if is_last else {"ExclusiveStartShardId": answer["LastEvaluatedShardId"]}
        self._closed = {one["ShardId"] for one in found if one["SequenceNumberRange"].get("EndingSequenceNumber")}
        return [Shard(one["ShardId"], _parents(one)) for one in found]

    def read(self, shard: str, after: str | None, limit: int) -> Page:
        """The next records; none where there are none for now. Raises EngageError, OSError."""
        return self._reader.read(shard, after, min(limit, MOST_RECORDS))

    def open(self, shard: str, after: str | None) -> str:
        """An iterator behind a position, or at the oldest record. Raises EngageError, OSError."""
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": after}
        arguments = {"StreamArn": self.stream, "ShardId": shard, **where}
        try:
            return str(self._ask(self.client.get_shard_iterator, shard, **arguments)["ShardIterator"])
        except AwsError as error:
            raise self._refused(error, shard, after) from error

    def fetch(self, shard: str, iterator: str, limit: int) -> Answer:
        """A page of a shard. Raises Expired, EngageError, OSError."""
        try:
            answer = self._ask(self.client.get_records, shard, ShardIterator=iterator, Limit=limit)
        except AwsError as error:
            if error.code == "ExpiredIteratorException":
                raise Expired from error
            raise self._refused(error, shard, None) from error
        is_more = True if shard in self._closed else None
        return Answer([_record(one) for one in answer["Records"]], answer.get("NextShardIterator"), is_more)

    def _refused(self, error: AwsError, shard: str, after: str | None) -> EngageError:
        if error.code != "TrimmedDataAccessException":
            return error
        place = f"position {after}" if after else "the position it was read to"
        return EngageError(
            f"dynamodb:{self.table}: {shard} holds nothing of {place} any more (a stream keeps 24 hours), so records"
            f" are lost: archive an export of the table, go on with the oldest record (`engage archive forget-position"
            f" {shard}`), and keep a worker running"
        )

    def _ask(self, operation: Callable[..., Any], shard: str = "", **arguments: Any) -> dict[str, Any]:
        what = f"dynamodb:{self.table}"
        return self._asking.ask(f"{what}: {shard}" if shard else what, operation, **arguments)


def _parents(found: dict[str, Any]) -> tuple[str, ...]:
    return (found["ParentShardId"],) if found.get("ParentShardId") else ()


def _record(found: dict[str, Any]) -> Record:
    number = str(found["dynamodb"]["SequenceNumber"])
    return Record(number, orjson.dumps(found, default=_plain, option=_OPTIONS), number)


def _plain(value: Any) -> Any:
    """What boto3 made of the wire's values, back again: base64 of bytes, seconds of an instant."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        seconds = value.timestamp()
        return int(seconds) if seconds.is_integer() else seconds
    raise TypeError(type(value).__name__)
