"""The archive's mirror: its records in a few Parquet files that SQL reads fast. Avro stays the truth.

A sync reads only files that are new or changed. Readers of other processes see one whole state or the next.
"""

import fcntl
import hashlib
import logging
import math
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Final

import orjson
import polars as pl

from engage_assets.archive.live import Known, live_files, partition_of
from engage_assets.archive.mirror_index import Index, Segment
from engage_assets.archive.mirror_segments import SEGMENT_ROWS, rewrite_segments, write_segments
from engage_assets.archive.ports import Root, Stored
from engage_assets.archive.schemas import SCHEMAS, TYPES
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
FORMAT: Final = 1
"""Changes when segments are written in another way."""
GRACE_SECONDS: Final = 600.0
"""How long a replaced segment stays for queries that began before it was."""
FAN_OUT: Final = 8
"""Segments of about one size that become one."""
_SMALLEST_TIER: Final = 4096
_ATTEMPTS: Final = 5


@dataclass(frozen=True)
class SyncSummary:
    """What a sync did: files by what became of them, records read from Avro, segments there are now, seconds."""

    new: int = 0
    replaced: int = 0
    gone: int = 0
    rows: int = 0
    segments: int = 0
    seconds: float = 0.0
    unknown: frozenset[str] = frozenset()
    """Fields that a newer schema has: left out until this program knows it."""


@dataclass(frozen=True)
class _Difference:
    """Between the root and what the mirror shows."""

    added: list[Stored]
    """Files to read: new ones, and new versions."""
    dead: frozenset[str]
    """Keys whose rows must go."""
    new: int
    replaced: int


@dataclass(frozen=True)
class Mirror:
    """The mirror in a folder of its own. `clock` gives s since 1970: for the grace of replaced segments."""

    folder: Path
    clock: Callable[[], float] = time.time
    _manifests: Known = field(default_factory=dict, repr=False, compare=False)

    @property
    def files(self) -> Path:
        """Where segments lie."""
        return self.folder / "segments"

    @property
    def _index(self) -> Index:
        return Index(self.folder / "index.sqlite", _version())

    def segments(self) -> dict[str, list[Path]]:
        """The files that hold each type's records, all as of one moment; a type without records has none.

        They stay readable for GRACE_SECONDS, unless an erasure takes them away. Raises EngageError where another
        version of the program made the mirror.
        """
        found: dict[str, list[Path]] = {kind: [] for kind in TYPES}
        segments = self._index.segments("live")
        if segments and not self._index.is_current():
            raise EngageError(f"{self.folder}: made by another version; bring it up to date first")
        for segment in segments:
            found[segment.type].append(self.files / segment.name)
        return found

    def sync(self, root: Root, *, forget: bool = False) -> SyncSummary:
        """Bring the mirror up to date with the live files of a root; waits for a sync of another process.

        With `forget` nothing of replaced rows is left on disk when it returns; queries that run may fail. Raises
        EngageError where a file cannot be read, OSError: then the mirror is as it was.
        """
        with self._writing():
            start = self.clock()
            self._index.begin(start)
            summary = self._update(root)
            self._merge()
            self._unlink(math.inf if forget else self.clock() - GRACE_SECONDS)
            self._tidy()
            number, seconds = len(self._index.segments("live")), self.clock() - start
        done = replace(summary, segments=number, seconds=seconds)
        _tell(done)
        return done

    def find(
        self, *, fans: Collection[str] = (), references: Collection[str] = (), kind: str | None = None
    ) -> set[str]:
        """Keys of the files that hold a record of one of the fans or reference ids, as of the last sync."""
        found: set[str] = set()
        for one, paths in self.segments().items():
            if paths and kind in (None, one):
                wanted = pl.col("reference").struct.field("id").is_in(list(references))
                if "fanId" in {stated["name"] for stated in SCHEMAS[one]["fields"]}:
                    wanted |= pl.col("fanId").is_in(list(fans))
                rows = pl.scan_parquet(paths).filter(wanted).select(pl.col("file").unique())
                found.update(rows.collect(engine="streaming")["file"])
        return found

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Be the only writer; the lock goes with the process."""
        self.files.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _update(self, root: Root) -> SyncSummary:
        """Stage what is new, then show it instead of what it replaces."""
        for _ in range(_ATTEMPTS):
            held = self._held()
            wanted = {file.key: file for file in live_files(root, known=self._manifests)}
            staged = self._keep_staged(wanted, held)
            difference = _compare(wanted, held)
            unknown: set[str] = set()
            try:
                self._stage_new(root, [file for file in difference.added if file.key not in staged], unknown)
            except FileNotFoundError:
                continue  # compacted or deleted since it was listed
            rows = sum(
                entry.records for one in self._index.segments("staged") for entry in self._index.entries(one.name)
            )
            self._publish_without(difference.dead)
            return SyncSummary(
                difference.new,
                difference.replaced,
                len(difference.dead) - difference.replaced,
                rows,
                unknown=frozenset(unknown),
            )
        raise EngageError(f"{self.folder}: files of the archive go while they are read; try again")

    def _held(self) -> dict[str, str]:
        """Tags of the files that readers see, by key.

        A segment whose file is not whole is taken away, so that its files are read again.
        """
        live = self._index.segments("live")
        broken = [one.name for one in live if not _is_whole(self.files / one.name, one.bytes)]
        self._index.retire(broken, self.clock())
        return {entry.key: entry.tag for one in self._index.segments("live") for entry in self._index.entries(one.name)}

    def _keep_staged(self, wanted: Mapping[str, Stored], held: Mapping[str, str]) -> set[str]:
        """Keys of staged segments that a sync left which was stopped; those that do not fit any more are dropped."""
        kept: set[str] = set()
        for one in self._index.segments("staged"):
            entries = self._index.entries(one.name)
            fits = all(
                entry.key in wanted and wanted[entry.key].tag == entry.tag != held.get(entry.key) for entry in entries
            )
            if fits and _is_whole(self.files / one.name, one.bytes):
                kept.update(entry.key for entry in entries)
            else:
                self._index.drop([one.name])
        return kept

    def _stage_new(self, root: Root, files: Sequence[Stored], unknown: set[str]) -> None:
        by_type: dict[str, list[Stored]] = {}
        for file in files:
            by_type.setdefault(partition_of(file.key).type, []).append(file)
        for kind in sorted(by_type):
            if kind not in TYPES:
                raise EngageError(f"{by_type[kind][0].key}: no type of the archive ({', '.join(TYPES)}); take it away")
            for segment, entries in write_segments(root, self.files, kind, by_type[kind], unknown):
                self._index.stage(segment, entries)

    def _publish_without(self, dead: Collection[str]) -> None:
        """Write segments again that hold dead rows, and show everything that is staged."""
        retired = []
        for segment in self._index.segments("live") if dead else ():
            entries = self._index.entries(segment.name)
            kept = [entry for entry in entries if entry.key not in dead]
            if len(kept) < len(entries):
                retired.append(segment.name)
                if kept:
                    self._index.stage(rewrite_segments(self.files, segment.type, [segment], dead), kept)
        self._index.publish(retired, self.clock())

    def _merge(self) -> None:
        """Make one segment of several of about one size, so that there are few."""
        tiers: dict[tuple[str, int], list[Segment]] = {}
        for segment in self._index.segments("live"):
            if segment.rows < SEGMENT_ROWS:
                tier = int(math.log(max(segment.rows, _SMALLEST_TIER) / _SMALLEST_TIER, FAN_OUT))
                tiers.setdefault((segment.type, tier), []).append(segment)
        for (kind, _), some in sorted(tiers.items()):
            if len(some) >= FAN_OUT:
                entries = [entry for one in some for entry in self._index.entries(one.name)]
                self._index.stage(rewrite_segments(self.files, kind, some, ()), entries)
                self._index.publish([one.name for one in some], self.clock())

    def _tidy(self) -> None:
        """Take away files that the index does not know: a sync that was killed left them."""
        known = self._index.names()
        for path in self.files.iterdir():
            if path.name not in known:
                path.unlink()

    def _unlink(self, until: float) -> None:
        """Delete segments that were retired up to an instant."""
        names = self._index.retired(until)
        for name in names:
            (self.files / name).unlink(missing_ok=True)
        self._index.drop(names)


def _compare(wanted: Mapping[str, Stored], held: Mapping[str, str]) -> _Difference:
    added = [file for key, file in wanted.items() if held.get(key) != file.tag]
    dead = {key for key, tag in held.items() if key not in wanted or wanted[key].tag != tag}
    new = sum(file.key not in held for file in added)
    return _Difference(added, frozenset(dead), new, len(added) - new)


def _is_whole(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


@cache
def _version() -> str:
    """What segments depend on beside the files: their form and the committed schemas."""
    return hashlib.sha256(orjson.dumps([FORMAT, SCHEMAS], option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _tell(done: SyncSummary) -> None:
    if done.new or done.replaced or done.gone:
        _LOG.info(
            "mirror: %d files new, %d replaced, %d gone; %d records read in %.1f s; %d segments",
            done.new, done.replaced, done.gone, done.rows, done.seconds, done.segments,
        )  # fmt: skip
    if done.unknown:
        _LOG.warning(
            "mirror: a newer schema has %s, which this program leaves out: upgrade it",
            ", ".join(sorted(done.unknown)),
        )
