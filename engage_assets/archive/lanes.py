"""One shard in a worker: collect records, archive them, wait; a step at a time, so that no shard holds up another."""

import logging
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Final

from engage_assets.archive.batches import Files, Range
from engage_assets.archive.handle import Archive
from engage_assets.archive.ports import Page, Record, Retained, Source
from engage_assets.archive.ranges import Claimed, claim, finish
from engage_assets.archive.state import LEASE_SECONDS, Lease, LeaseLost
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
RETRY_SECONDS: Final = (0.2, 1.0, 5.0, 20.0)
"""Pauses after a read or a write that failed; then the shard stops."""
AGAIN_SECONDS: Final = 60.0
"""Pause after which a worker that runs on tries a stopped shard again."""
POLL_SECONDS: Final = 0.4
"""Pause after a page without records, and after a range that was not full."""
COLLECT_SECONDS: Final = 1.0
"""Pause between reads while records are collected."""
HELD_SECONDS: Final = 5.0
"""Pause before asking again for a shard that another worker has."""
NOTE_SECONDS: Final = 5.0
"""Between notes of how far an idle shard is behind."""
RENEW_SECONDS: Final = LEASE_SECONDS / 4
RANGE_BYTES: Final = 8 * 2**20
"""Bytes after which a range is full."""
LARGEST_RANGE: Final = 10_000
"""Records of a range at most, whoever began it: how far its end is looked for."""
EMPTY_PAGES: Final = 50
"""Pages without records after which a shard counts as read, though its stream says that there is more."""


class ShardStopped(EngageError):
    """A shard cannot go on; nothing of it was skipped."""


@dataclass
class Lane:
    """A shard and where this worker is in it. `due` and all times are those of the archive's timer."""

    archive: Archive
    shard: str
    is_until_idle: bool
    due: float
    pool: Executor | None = None
    lease: Lease | None = None
    most_bytes: int = RANGE_BYTES
    is_held: bool = False
    """Whether another worker has it."""
    is_done: bool = False
    """Whether it has no more for now, in a run until idle."""
    is_ended: bool = False
    """Whether it is archived to its end."""
    is_partial: bool = False
    """Whether it ends with half a record."""
    stopped: str | None = None
    """Why it cannot go on."""
    behind_ms: int | None = None
    _after: str | None = None
    _is_placed: bool = False
    _held: list[Record] = field(default_factory=list)
    _ripe_at: float = 0.0
    _looked: float | None = None
    """When the last read began that left nothing unread: what is new came after it."""
    _claimed: Claimed | None = None
    _mark: tuple[str, str] | None = None
    """Of a source that is retained: a position of the claimed range, and what the change there is known by."""
    _is_noted: bool = False
    """Whether the state says that it stopped."""
    _failures: int = 0
    _empty: int = 0
    _renewed: float = 0.0
    _noted: float | None = None

    def step(self) -> Files | None:
        """Go on by one read and at most one range, whose files are returned; `due` says when to call again."""
        try:
            files = self._advance()
        except LeaseLost as lost:
            self._let_go()
            self._wait(HELD_SECONDS)
            _LOG.warning("%s", lost)
        except OSError as error:
            self._back_off(error)
        except EngageError as error:
            self._stop(str(error))
        else:
            if self.stopped is not None:
                _LOG.warning("%s: goes on", self._name)
            self.stopped, self._failures = None, 0
            self._go_on()
            return files
        return None

    def close(self) -> None:
        """Give the shard back; what was collected and not claimed is read again by whoever has it next."""
        lease = self.lease
        self._let_go()
        if lease is not None:
            try:
                self.archive.state.release(lease)
            except OSError as error:
                _LOG.warning("%s: the lease could not be given back (%s); it runs out", self._name, _why(error))

    @property
    def _name(self) -> str:
        return f"{self.archive.source.stream}/{self.shard}"

    def _advance(self) -> Files | None:
        if self.lease is None and not self._acquire():
            return None
        self._keep()
        if self._claimed is None and not self._is_placed:
            self._place()
        if self._claimed is not None:
            return self._finish(pause=0.0)
        return self._collect()

    def _acquire(self) -> bool:
        state, source = self.archive.state, self.archive.source
        self.lease = state.acquire(source.stream, self.shard, self.archive.owner, self.archive.clock())
        self.is_held = self.lease is None
        self._renewed = self.archive.timer()
        if self.is_held:
            self.is_done = self.is_until_idle
            self._wait(HELD_SECONDS)
        return not self.is_held

    def _keep(self) -> None:
        """Prolong the lease where a quarter of it is over. Raises LeaseLost."""
        if self.lease is not None and self.archive.timer() - self._renewed >= RENEW_SECONDS:
            self.archive.state.renew(self.lease, self.archive.clock())
            self._renewed = self.archive.timer()

    def _place(self) -> None:
        """Find where to go on, and take a range up that was begun. Raises ShardStopped where it cannot be read."""
        assert self.lease is not None
        progress = self.archive.state.progress(self.lease)
        self._after, self._is_noted = progress.checkpoint, progress.stopped is not None
        source = self.archive.source
        if progress.mark is not None and isinstance(source, Retained):
            source.recognize(self.shard, *progress.mark)
        if progress.pending is not None:
            records = read_again(source, progress.pending, progress.checkpoint, self.archive.batch)
            self._claim(records, is_full=False)
            self._after = progress.pending.last
        self._is_placed = True

    def _collect(self) -> Files | None:
        page = Page(())
        if not self._is_full():
            began, wanted = self.archive.timer(), self.archive.batch - len(self._held)
            page = self.archive.source.read(self.shard, self._after, wanted)
            self._take(page)
            self._looked = began
        if self._held and self._is_ripe(page):
            return self._archive(pause=0.0 if self._is_full() or self.is_until_idle else POLL_SECONDS)
        if not self._held:
            self._rest(page)
        elif self.is_until_idle and page.records:
            self._wait(0.0)
        else:
            self._wait(POLL_SECONDS if page.behind_ms else COLLECT_SECONDS)
            self.due = min(self.due, self._ripe_at)
        return None

    def _take(self, page: Page) -> None:
        self.is_partial = page.is_partial
        self.behind_ms = page.behind_ms
        self._empty = 0 if page.records else self._empty + 1
        if page.records:
            since = self.archive.timer() if self._looked is None else self._looked
            self._ripe_at = self._ripe_at if self._held else since + self.archive.linger
            self._held.extend(page.records)
            self._after = page.records[-1].position

    def _is_full(self) -> bool:
        held = self._held
        return len(held) >= self.archive.batch or sum(len(record.data) for record in held) >= self.most_bytes

    def _is_ripe(self, page: Page) -> bool:
        if self._is_full() or page.is_end or self.archive.timer() >= self._ripe_at:
            return True
        return self.is_until_idle and self._is_idle(page)

    def _is_idle(self, page: Page) -> bool:
        """Whether the shard has no more: an empty page of a stream that is behind says nothing."""
        return not page.records and (not page.behind_ms or self._empty >= EMPTY_PAGES)

    def _rest(self, page: Page) -> None:
        """Nothing is there to archive."""
        assert self.lease is not None
        if page.is_end:
            self.archive.state.end(self.lease, self.archive.clock())
            self.behind_ms, self.is_ended = 0, True
            self.close()
            return
        is_idle = self._is_idle(page)
        self.behind_ms = 0 if page.behind_ms is None else page.behind_ms
        now = self.archive.timer()
        if self._noted is None or now - self._noted >= NOTE_SECONDS or (is_idle and self.is_until_idle):
            self.archive.state.note_lag(self.lease, self.behind_ms, self.archive.clock())
            self._noted = self._renewed = now
        self.is_done = self.is_until_idle and is_idle
        self._wait(POLL_SECONDS)

    def _archive(self, pause: float) -> Files:
        self._claim(self._held, is_full=self._is_full())
        self._renewed = self.archive.timer()
        self._held = []
        return self._finish(pause)

    def _claim(self, records: list[Record], *, is_full: bool) -> None:
        """Claim a range.

        Behind a full one there is likely more: where the stream does not say how much, the shard is as far behind as
        the newest change of the range is old.
        """
        assert self.lease is not None
        claimed = claim(self.archive, self.lease, records, self.behind_ms)
        newest = max((entry.row.changed_at for entry in claimed.reading.entries), default=None)
        if is_full and self.behind_ms is None and newest is not None:
            self.behind_ms = max(0, round(self.archive.clock() * 1000) - newest // 1000)
            claimed = replace(claimed, behind_ms=self.behind_ms)
        source = self.archive.source
        self._mark = source.mark(records) if isinstance(source, Retained) else None
        self._claimed = claimed

    def _finish(self, pause: float) -> Files:
        assert self.lease is not None
        assert self._claimed is not None
        where = self._claimed.reading.range
        files = finish(self.archive, self.lease, self._claimed, keep=self._keep, pool=self.pool)
        self._renewed = self.archive.timer()
        self._claimed = None
        if self._mark is not None:
            with suppress(OSError, LeaseLost):  # the next step finds out by itself; the former mark is as true
                self.archive.state.mark(self.lease, *self._mark, self.archive.clock())
        _tell(where, files)
        self._wait(pause)
        return files

    def _wait(self, seconds: float) -> None:
        self.due = self.archive.timer() + seconds

    def _back_off(self, error: OSError) -> None:
        if self._failures == len(RETRY_SECONDS):
            begun = self._claimed.reading.range.first if self._claimed else "where it stands"
            self._stop(
                f"{self._name}: it could not be read or written ({_why(error)}); nothing from {begun} on is archived"
                " until it can: mend the stream or the root and start again"
            )
            return
        _LOG.warning("%s: %s; trying again", self._name, _why(error))
        self._wait(RETRY_SECONDS[self._failures])
        self._failures += 1

    def _stop(self, why: str) -> None:
        _LOG.error("%s", why)
        self.stopped = why
        if self.lease is not None:
            with suppress(OSError):  # the log has it
                self.archive.state.stop(self.lease, why, self.archive.clock())
        self.close()
        self._wait(AGAIN_SECONDS)

    def _go_on(self) -> None:
        """Take the note that it stopped out of the state."""
        if self._is_noted and self.lease is not None:
            with suppress(OSError, LeaseLost):  # tried again by the next step
                self.archive.state.go_on(self.lease, self.archive.clock())
                self._is_noted = False

    def _let_go(self) -> None:
        self.lease, self._claimed, self._held = None, None, []
        self._is_placed, self._failures, self._looked = False, 0, None


def read_again(source: Source, pending: Range, after: str | None, limit: int) -> list[Record]:
    """Exactly the records of a range, however the source cuts its pages now. Raises ShardStopped."""
    records: list[Record] = []
    empty = 0
    while not records or records[-1].position != pending.last:
        page = source.read(pending.shard, records[-1].position if records else after, limit)
        records.extend(page.records)
        empty = 0 if page.records else empty + 1
        places = [record.position for record in records]
        if pending.last in places:
            records = records[: places.index(pending.last) + 1]
        elif page.is_end or len(records) > LARGEST_RANGE or _is_over(page, empty):
            raise _not_there(pending)
    if records[0].position != pending.first:
        raise _not_there(pending)
    return records


def _is_over(page: Page, empty: int) -> bool:
    return empty > 0 and (not page.behind_ms or empty >= EMPTY_PAGES)


def _not_there(pending: Range) -> ShardStopped:
    return ShardStopped(
        f"{pending.stream}/{pending.shard}: the records {pending.first} to {pending.last} were begun and cannot be read"
        " again; bring them back, or some of them stay unarchived"
    )


def _why(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _tell(where: Range, files: Files) -> None:
    counts = files.counts
    _LOG.info(
        "%s/%s %s to %s: %d read, %d archived in %d files, %d errors, %d duplicates, %d redacted",
        where.stream, where.shard, where.first, where.last,
        counts.read, counts.archived, len(files.data), counts.errors, counts.duplicates, counts.redacted,
    )  # fmt: skip
    for message, number in files.messages.items():
        _LOG.warning("%s/%s: %d refused: %s", where.stream, where.shard, number, message)
