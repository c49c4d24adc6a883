"""A Kinesis stream as a source: shards with their parents, sequence numbers as positions."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from engage_assets.archive.aws import Asking, AwsError
from engage_assets.archive.iterators import Answer, Expired, Reader
from engage_assets.archive.ports import Page, Record, Shard
from engage_assets.domain.errors import EngageError

MOST_RECORDS: Final = 1000
"""Records that are asked for at once."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class KinesisSource:
    """The shards of a stream in the account and region of its client; `client` is boto3's, and asks once only.

    An iterator begins at the last record that was archived, so that one which the stream no longer holds is noticed
    (AWS goes on silently with the oldest it has); the log then warns.
    """

    def __init__(
        self,
        name: str,
        client: Any,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        chance: Callable[[], float],
    ) -> None:
        self.name = name
        self.client = client
        self._asking = Asking(sleep, chance)
        self._reader = Reader(self, clock, sleep, begins_at=True)
        self._closed: frozenset[str] = frozenset()

    @cached_property
    def stream(self) -> str:
        """Its ARN. Raises EngageError, OSError."""
        answer = self._ask(self.client.describe_stream_summary, StreamName=self.name)
        return str(answer["StreamDescriptionSummary"]["StreamARN"])

    def shards(self) -> list[Shard]:
        """The shards that hold records or may get some. Raises EngageError, OSError."""
        found: list[dict[str, Any]] = []
        where = {"StreamName": self.name}
        while where:
            answer = self._ask(self.client.list_shards, **where)
            found += answer["Shards"]
            where = {"NextToken": answer["NextToken"]} if answer.get("NextToken") else {}
        self._closed = frozenset(
            one["ShardId"] for one in found if "EndingSequenceNumber" in one.get("SequenceNumberRange", ())
        )
        return [_shard(one) for one in found]

    def read(self, shard: str, after: str | None, limit: int) -> Page:
        """The next records; none where there are none for now. Raises EngageError, OSError."""
        return self._reader.read(shard, after, min(limit, MOST_RECORDS))

    def open(self, shard: str, after: str | None) -> str:
        """An iterator at a position, or at the oldest record. Raises EngageError, OSError."""
        where = {"ShardIteratorType": "TRIM_HORIZON"}
        if after is not None:
            where = {"ShardIteratorType": "AT_SEQUENCE_NUMBER", "StartingSequenceNumber": after}
        try:
            answer = self._ask(self.client.get_shard_iterator, StreamName=self.name, ShardId=shard, **where)
        except AwsError as error:
            if after is None or error.code != "InvalidArgumentException":
                raise
            raise EngageError(
                f"kinesis:{self.name}: {shard} does not know the position {after}; the stream was made anew since, or"
                " is another one of this name: name the right one, or archive this one with a new state"
            ) from error
        return str(answer["ShardIterator"])

    def fetch(self, shard: str, iterator: str, limit: int) -> Answer:
        """A page of a shard. Raises Expired, EngageError, OSError."""
        try:
            answer = self._ask(self.client.get_records, shard, ShardIterator=iterator, Limit=limit)
        except AwsError as error:
            if error.code == "ExpiredIteratorException":
                raise Expired from error
            raise
        behind, following = answer.get("MillisBehindLatest"), answer.get("NextShardIterator")
        if shard in self._closed and following and not behind:
            behind = 1  # a closed shard may give empty pages before its end, and say that nothing is there
        return Answer([_record(one) for one in answer["Records"]], following, bool(behind), behind)

    def _ask(self, operation: Callable[..., Any], shard: str = "", **arguments: Any) -> dict[str, Any]:
        what = f"kinesis:{self.name}"
        shard = shard or str(arguments.get("ShardId", ""))
        return self._asking.ask(f"{what}: {shard}" if shard else what, operation, **arguments)


def _shard(found: dict[str, Any]) -> Shard:
    parents = (found.get("ParentShardId"), found.get("AdjacentParentShardId"))
    return Shard(found["ShardId"], tuple(parent for parent in parents if parent))


def _record(found: dict[str, Any]) -> Record:
    number, arrival = found["SequenceNumber"], found.get("ApproximateArrivalTimestamp")
    arrived_at = (arrival - _EPOCH) // _MICROSECOND if arrival is not None else None
    return Record(number, found["Data"], number, arrived_at)
