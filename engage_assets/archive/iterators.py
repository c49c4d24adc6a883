"""Shards that are read by iterators: these are kept from page to page, asked no faster than allowed, and renewed."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from engage_assets.archive.ports import Page, Record

_LOG: Final = logging.getLogger(__name__)
READ_SECONDS: Final = 0.2
"""Between two reads of a shard: five a second are allowed."""
LONGEST_WAIT: Final = 5.0
MOST_PAGES: Final = 25
"""Pages that are asked for until one has records: some seconds, so that a wish to stop is noticed."""
OPENING_PAGES: Final = 15
"""Empty pages that are passed over behind a new iterator where the stream does not say whether it has more."""


class Expired(Exception):
    """The iterator ran out: a new one is needed."""


class Answer(NamedTuple):
    """What the stream gave for an iterator."""

    records: Sequence[Record]
    iterator: str | None
    """The next one; None where the shard was closed and has been read."""
    is_more: bool | None
    """Whether more is to come now even if this page is empty; None where the stream does not say."""
    behind_ms: int | None = None


class Stream(Protocol):
    """A service that gives iterators and pages for them."""

    def open(self, shard: str, after: str | None) -> str:
        """An iterator behind a position, or at it. Raises EngageError, OSError."""

    def fetch(self, shard: str, iterator: str, limit: int) -> Answer:
        """A page. Raises Expired, EngageError, OSError."""


class _Place(NamedTuple):
    """Where the next page begins."""

    after: str | None
    iterator: str | None
    is_new: bool
    """Whether nothing was found since it was opened."""


@dataclass
class Reader:
    """Pages of a stream's shards by position; one iterator is kept for each shard.

    Where `begins_at` the stream's iterators begin at a position and not behind it: so a record that is gone shows.
    `clock` may start anywhere.
    """

    stream: Stream
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    begins_at: bool = False
    bytes_a_second: float = 2 * 2**20
    _places: dict[str, _Place] = field(default_factory=dict, repr=False)
    _allowed: dict[str, float] = field(default_factory=dict, repr=False)

    def read(self, shard: str, after: str | None, limit: int) -> Page:
        """The next records after a position; none where it has none for now.

        None also after many empty pages of a stream that is behind. Raises EngageError, OSError.
        """
        place = self._places.pop(shard, None)
        if place is None or place.after != after:
            place = self._open(shard, after)
        records: Sequence[Record] = ()
        behind: int | None = None
        for turn in range(MOST_PAGES):
            if place.iterator is None:
                break
            try:
                answer = self._fetch(shard, place.iterator, limit)
            except Expired:
                place = self._open(shard, after)
                continue
            records, behind = self._after(shard, place, answer.records), answer.behind_ms
            is_over = not _goes_on(place, answer, turn)
            place = _Place(after, answer.iterator, place.is_new and not answer.records and not is_over)
            if records or is_over:
                break
        self._places[shard] = place._replace(after=records[-1].position if records else after)
        return Page(records, is_end=place.iterator is None, behind_ms=behind)

    def _open(self, shard: str, after: str | None) -> _Place:
        return _Place(after, self.stream.open(shard, after), is_new=True)

    def _fetch(self, shard: str, iterator: str, limit: int) -> Answer:
        wait = min(self._allowed.get(shard, float("-inf")) - self.clock(), LONGEST_WAIT)
        if wait > 0:
            self.sleep(wait)
        answer = self.stream.fetch(shard, iterator, limit)
        size = sum(len(record.data) for record in answer.records)
        self._allowed[shard] = self.clock() + max(READ_SECONDS, size / self.bytes_a_second)
        return answer

    def _after(self, shard: str, place: _Place, records: Sequence[Record]) -> Sequence[Record]:
        """Without the record that is archived already, which must be there where the iterator began at it."""
        if not records or place.after is None:
            return records
        if records[0].position == place.after:
            return records[1:]
        if place.is_new and self.begins_at:
            _LOG.warning(
                "%s: the record %s, up to which it is archived, is not in the stream any more; what came between it and"
                " %s is lost if there was anything: let the stream keep records longer than a worker may be away",
                shard, place.after, records[0].position,
            )  # fmt: skip
        return records


def _goes_on(place: _Place, answer: Answer, turn: int) -> bool:
    """Whether an empty page is not the last word: the stream says so, or it only gave what was archived already."""
    if answer.records:
        return True
    if answer.is_more is None:
        return place.is_new and turn < OPENING_PAGES
    return answer.is_more
