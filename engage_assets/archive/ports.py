"""What the worker asks of a stream and of the place where files lie."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable


class Record(NamedTuple):
    """One record of a shard, as its source hands it over."""

    position: str
    """Where it stands in its shard: unique there, and the same whenever it is read again."""
    data: bytes
    """Its bytes; only their beginning where `size` is stated."""
    sequence: str | None = None
    """The stream's own sequence number; None where the source has none (a line of a file)."""
    arrived_at: int | None = None
    """When the stream took it, in µs since 1970; None where nobody wrote it down."""
    size: int | None = None
    """Its full size in bytes where `data` is only a beginning, else None."""


class Shard(NamedTuple):
    """A part of a stream that is read in order, after all its parents have ended."""

    name: str
    parents: tuple[str, ...] = ()


class Page(NamedTuple):
    """What a source gave for one question."""

    records: Sequence[Record]
    is_end: bool = False
    """Whether the shard was closed and holds nothing after these records."""
    is_partial: bool = False
    """Whether more bytes are there that are not a whole record yet."""
    behind_ms: int | None = None
    """How old the newest record that was read is, as the stream says it; None where it does not."""


class Source(Protocol):
    """A stream of changes."""

    @property
    def stream(self) -> str:
        """Its name: part of lineage and of file names, so it stays the same wherever the stream is read from."""

    def shards(self) -> Sequence[Shard]:
        """The shards that there are now."""

    def read(self, shard: str, after: str | None, limit: int) -> Page:
        """The next records after a position (None: from the start), at most `limit`, in order; perhaps none.

        Raises EngageError where the position is not there any more.
        """


@runtime_checkable
class Retained(Source, Protocol):
    """A source whose files people keep, replace and move: another file may come under a known name."""

    @property
    def place(self) -> str:
        """Where it lies: its stream's name alone may be that of another place too."""

    def mark(self, records: Sequence[Record]) -> tuple[str, str] | None:
        """The position of one of the last records, and what its change is known by for good; None where none is one."""

    def recognize(self, shard: str, position: str, mark: str) -> None:
        """See that the change at a position is still the one of a mark. Raises EngageError where it is another."""


class Stored(NamedTuple):
    """A whole file below a root."""

    key: str
    tag: str
    """Another whenever the content is another."""
    size: int
    at: float | None = None
    """When it was put last, in s since 1970, by the clock of where it lies; None where nobody wrote it down."""


class Root(Protocol):
    """A place where whole files lie under keys (`data/demand/…`)."""

    def put(self, key: str, content: bytes) -> None:
        """Make the file durable and visible as a whole; one of the same key is replaced.

        Raises OSError where that failed, perhaps for now.
        """

    def get(self, key: str) -> bytes:
        """The content of a file. Raises FileNotFoundError; another OSError where reading failed, perhaps for now."""

    def stored(self, prefix: str = "") -> Iterable[Stored]:
        """The visible files whose keys begin with `prefix`, by key. Raises OSError."""

    def delete(self, key: str) -> None:
        """Take a file away; one that is not there is no concern. Raises OSError."""
