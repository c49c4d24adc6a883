"""The embedded stream and the embedded root: a folder of NDJSON files, and a folder of whole files."""

import errno
import os
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import orjson

from engage_assets.archive.envelopes import LARGEST_RECORD
from engage_assets.archive.marks import is_marked, last_mark, mark_of
from engage_assets.archive.ports import Page, Record, Shard, Stored
from engage_assets.domain.errors import EngageError

PAGE_BYTES: Final = 8 * 2**20
"""Bytes after which a page ends, whatever the number of its records."""
BEGINNING: Final = 64 * 2**10
"""Bytes kept of a line that is too large."""
_CHUNK: Final = 2**20
_LISTINGS: Final = 100
_SUFFIXES: Final = (".ndjson", ".jsonl")


class _Place(NamedTuple):
    """The end of a line that was read."""

    line: int
    offset: int
    is_open: bool
    """Whether the line had no newline yet."""
    file: int = 0
    """The inode: another one after an erasure wrote the file again, with lines of other lengths."""
    start: int = 0
    """Where the line begins."""
    mark: str | None = None
    """What its change is known by."""


@dataclass(frozen=True)
class FolderSource:
    """NDJSON files of a folder as the shards of a stream; one line is one change, its number is its position.

    Files may grow. Of a last line without newline is read what is a whole JSON object; anything else waits for the
    rest, and the page says so.
    """

    folder: Path
    _places: dict[str, _Place] = field(default_factory=dict, repr=False, compare=False)

    @property
    def stream(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def place(self) -> str:
        """The whole path of the folder."""
        return str(self.folder.resolve())

    def mark(self, records: Sequence[Record]) -> tuple[str, str] | None:
        """Position and mark of the last change among the last records."""
        return last_mark(records)

    def recognize(self, shard: str, position: str, mark: str) -> None:
        """See that a line is still the change of a mark; an erasure may have written it again. Raises EngageError."""
        with suppress(FileNotFoundError), (self.folder / shard).open("rb") as file:
            self._places[shard] = _find_again(file, int(position), mark, self.folder / shard)

    def shards(self) -> list[Shard]:
        """One for each file, by name."""
        return [Shard(path.name) for path in sorted(self.folder.iterdir()) if path.suffix in _SUFFIXES]

    def read(self, shard: str, after: str | None, limit: int) -> Page:
        """The next lines. Raises EngageError where the file is shorter than what was read, or changed."""
        try:
            with (self.folder / shard).open("rb") as file:
                return self._page(file, shard, int(after or 0), limit)
        except FileNotFoundError:
            raise EngageError(f"{self.folder / shard}: gone after line {after}; put it back") from None

    def _page(self, file: BinaryIO, shard: str, after: int, limit: int) -> Page:
        place = self._start(file, shard, after)
        _go_behind(file, place, self.folder / shard)
        records: list[Record] = []
        end = file.tell()
        left = PAGE_BYTES
        is_partial = False
        for record, is_open in _lines(file, after + 1):
            if is_open and not _is_whole(record.data):
                is_partial = True
                break
            records.append(record)
            start, end = end, file.tell()
            place = _Place(int(record.position), end, is_open, place.file, start)
            left -= len(record.data)
            if len(records) == limit or left <= 0:
                break
        self._places[shard] = place._replace(mark=mark_of(records[-1])) if records else place
        return Page(records, is_partial=is_partial)

    def _start(self, file: BinaryIO, shard: str, after: int) -> _Place:
        """The end of a line, which is still the one that was read."""
        place, inode = self._places.get(shard), os.fstat(file.fileno()).st_ino
        if place is None or place.line != after:
            return _find(file, after, self.folder / shard)._replace(file=inode)
        if place.file != inode:
            return _find_again(file, after, place.mark, self.folder / shard)
        if place.mark is not None and not place.is_open:
            file.seek(place.start)
            _expect(file, after, place.mark, self.folder / shard)
        return place


def _lines(file: BinaryIO, number: int) -> Iterator[tuple[Record, bool]]:
    """Lines from here on, and of each whether its newline is missing."""
    while line := file.readline(LARGEST_RECORD + 1):
        data, is_open = line.removesuffix(b"\n"), not line.endswith(b"\n")
        if len(data) <= LARGEST_RECORD:
            yield Record(str(number), data), is_open
        else:
            more, is_open = _pass_over(file)
            yield Record(str(number), data[:BEGINNING], size=len(data) + more), is_open
        number += 1


def _pass_over(file: BinaryIO) -> tuple[int, bool]:
    """Go behind the line that one stands in: its bytes from here, and whether its newline is missing."""
    size = 0
    while part := file.readline(_CHUNK):
        if part.endswith(b"\n"):
            return size + len(part) - 1, False
        size += len(part)
    return size, True


def _is_whole(data: bytes) -> bool:
    try:
        return isinstance(orjson.loads(data), dict)
    except orjson.JSONDecodeError:
        return False


def _find(file: BinaryIO, line: int, path: Path) -> _Place:
    """The end of a line, counted from the beginning of the file."""
    count, offset = 0, 0
    while count < line:
        chunk = file.read(_CHUNK)
        newlines = chunk.count(b"\n")
        if not chunk:
            return _open_end(file, count, offset, line, path)
        if count + newlines >= line:
            at = -1
            for _ in range(line - count):
                at = chunk.index(b"\n", at + 1)
            return _Place(line, offset + at + 1, is_open=False)
        count, offset = count + newlines, offset + len(chunk)
    return _Place(0, 0, is_open=False)


def _find_again(file: BinaryIO, line: int, mark: str | None, path: Path) -> _Place:
    """The end of a line that must be the change of a mark."""
    start = 0
    if line and mark is not None:
        start = _find(file, line - 1, path).offset
        file.seek(start)
        _expect(file, line, mark, path)
        file.seek(0)
    inode = os.fstat(file.fileno()).st_ino
    return _find(file, line, path)._replace(file=inode, start=start, mark=mark)


def _expect(file: BinaryIO, line: int, mark: str, path: Path) -> None:
    """Raise EngageError where the line that one stands before is another change; none is no concern of this."""
    for record, _ in _lines(file, line):
        if is_marked(record, mark):
            return
        raise EngageError(
            f"{path}: another file of this name: line {line} is another change than the one that was read there; give"
            " new changes a file of a new name, and put the former one back"
        )


def _open_end(file: BinaryIO, count: int, offset: int, line: int, path: Path) -> _Place:
    if count == line - 1 and offset:
        file.seek(offset - 1)
        if file.read(1) != b"\n":
            return _Place(line, offset, is_open=True)
    raise EngageError(f"{path}: read up to line {line}, but it has {count} now; put its lines back")


def _go_behind(file: BinaryIO, place: _Place, path: Path) -> None:
    """Stand at the start of the next line."""
    file.seek(0, os.SEEK_END)
    if file.tell() < place.offset:
        raise EngageError(f"{path}: read up to line {place.line}, but it is shorter now; put its lines back")
    file.seek(place.offset)
    if place.is_open and file.read(1) not in {b"", b"\n"}:
        raise EngageError(f"{path}: line {place.line} was longer after it had been read; write one change a line")


@dataclass(frozen=True)
class FolderRoot:
    """Whole files below a folder, written aside, made durable and renamed."""

    folder: Path
    is_private: bool = False
    """Whether only the owner may read them."""

    def put(self, key: str, content: bytes) -> None:
        """Make a file durable. Raises OSError."""
        self._put(key, content, Path.replace)

    def put_new(self, key: str, content: bytes) -> None:
        """Make a file durable unless one of its key is there. Raises OSError."""
        with suppress(FileExistsError):
            self._put(key, content, os.link)

    def _put(self, key: str, content: bytes, publish: Callable[[Path, Path], object]) -> None:
        path = self.folder / key
        self._make(path.parent)
        aside = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
        try:
            descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if self.is_private else 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            publish(aside, path)
        finally:
            aside.unlink(missing_ok=True)
        _sync(path.parent)

    def get(self, key: str) -> bytes:
        """The content of a file. Raises FileNotFoundError, OSError."""
        return (self.folder / key).read_bytes()

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """The files whose keys begin with `prefix`, by key; a file that is being written is not there yet.

        Made again where a file goes meanwhile, so that it never shows some of the files that go together.
        """
        for _ in range(_LISTINGS):
            with suppress(FileNotFoundError):
                return iter([self._stored(path) for path in self._paths(prefix)])
        raise OSError(errno.EAGAIN, "files go all the time while they are listed", str(self.folder / prefix))

    def _paths(self, prefix: str) -> list[Path]:
        start = self.folder / prefix.rpartition("/")[0]
        found = sorted((path.relative_to(self.folder).as_posix(), path) for path in start.rglob("[!.]*"))
        return [path for key, path in found if key.startswith(prefix) and not path.is_dir()]

    def _stored(self, path: Path) -> Stored:
        at = path.stat()
        tag = f"{at.st_ino}-{at.st_mtime_ns}-{at.st_size}"
        return Stored(path.relative_to(self.folder).as_posix(), tag, at.st_size, at.st_mtime)

    def delete(self, key: str) -> None:
        """Take a file away. Raises OSError."""
        (self.folder / key).unlink(missing_ok=True)

    def _make(self, folder: Path) -> None:
        if folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(mode=0o700 if self.is_private else 0o777, exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
