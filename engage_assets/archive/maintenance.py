"""Upkeep of a root is one at a time: compaction, redaction, erasure, retention and replay take one lease."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from engage_assets.archive.handle import Archive
from engage_assets.archive.ports import Root, Stored
from engage_assets.archive.state import LEASE_SECONDS, OWN_STREAM, Lease
from engage_assets.domain.errors import EngageError

SHARD: Final = "maintenance"
_OFTEN_ENOUGH: Final = LEASE_SECONDS / 4


class MaintenanceRuns(EngageError):
    """Another upkeep of this root is running."""


@dataclass(frozen=True)
class KeptRoot:
    """A root; the lease is prolonged with whatever is listed, read, written or deleted, however many that are.

    Each may raise LeaseLost too.
    """

    root: Root
    renew: Callable[[], None]

    def put(self, key: str, content: bytes) -> None:
        """As the root."""
        self.renew()
        self.root.put(key, content)

    def get(self, key: str) -> bytes:
        """As the root."""
        self.renew()
        return self.root.get(key)

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """As the root."""
        for file in self.root.stored(prefix):
            self.renew()
            yield file

    def delete(self, key: str) -> None:
        """As the root."""
        self.renew()
        self.root.delete(key)


@dataclass
class Hold:
    """The right to keep a root up."""

    archive: Archive
    lease: Lease
    renewed_at: float

    def renew(self) -> None:
        """Prolong the lease where it is time to. Raises LeaseLost where another took it."""
        if abs(self.archive.clock() - self.renewed_at) >= _OFTEN_ENOUGH:
            self.confirm()

    @property
    def kept(self) -> Archive:
        """The archive, of which root and errors prolong the lease."""
        root, errors = (KeptRoot(one, self.renew) for one in (self.archive.root, self.archive.errors))
        return replace(self.archive, root=root, errors=errors)

    def confirm(self) -> None:
        """Prolong the lease; to be called before what must not be done twice. Raises LeaseLost."""
        self.renewed_at = self.archive.clock()
        self.archive.state.renew(self.lease, self.renewed_at)


@contextmanager
def maintaining(archive: Archive) -> Iterator[Hold]:
    """Hold the lease. Raises MaintenanceRuns where another has it."""
    now = archive.clock()
    lease = archive.state.acquire(OWN_STREAM, SHARD, archive.owner, now)
    if lease is None:
        raise MaintenanceRuns(
            "the archive's upkeep is held by another process (compaction, erasure, redaction, retention or replay);"
            " wait until it is done, or 60 s if it was killed"
        )
    try:
        yield Hold(archive, lease, now)
    finally:
        archive.state.release(lease)
