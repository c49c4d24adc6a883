"""Watching the demand archive: how far it lags, which shards stand still, whether too much is refused."""

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Final, NamedTuple

from engage_assets.domain.archive_spec import ErrorSpike

EARLIER_WINDOWS: Final = 50
"""Windows before the newest that its band is made of, at most."""
ENOUGH_WINDOWS: Final = 5
"""With fewer, the band is its floor."""
_SIGMA: Final = 1.4826
"""MAD of a normal distribution → its standard deviation (Rousseeuw and Croux, 1993)."""


class ShardNow(NamedTuple):
    """A shard as a watcher sees it; instants in s since 1970."""

    name: str
    is_pending: bool
    """Whether a range was begun and is not done."""
    has_worker: bool
    """Whether a worker holds its lease."""
    unread_since: float | None
    """Since when the source has more, as far as one can tell; only looked at where no worker has the shard."""
    behind_seconds: float | None
    """How far behind it was when that was noted, as the stream said; None: it does not say."""
    at: float | None
    """When that was noted, else when a worker first had it; None: never."""
    stopped: str | None = None
    """Why it cannot go on."""


def lag_seconds(shard: ShardNow, now: float) -> float:
    """How far back the archive of a shard lies: what the stream said, or how long something waits."""
    if not shard.has_worker:
        return max(0.0, now - shard.unread_since) if shard.unread_since is not None else 0.0
    in_work = max(0.0, now - shard.at) if shard.is_pending and shard.at is not None else 0.0
    return (shard.behind_seconds or 0.0) + in_work


def stands_still(shard: ShardNow, now: float, seconds: float) -> bool:
    """Whether a range was begun long ago and nobody is at it."""
    return shard.is_pending and not shard.has_worker and shard.at is not None and now - shard.at > seconds


class Window(NamedTuple):
    """Consecutive records and how many of them were refused."""

    read: int
    errors: int


class Spike(NamedTuple):
    """The newest window against its band."""

    share: float
    """Refused records of the newest window; of a smaller one, as if the rest were good."""
    band: float
    """Above it is a spike."""
    earlier: int
    """Windows that the band is made of."""

    @property
    def is_one(self) -> bool:
        """Whether the share lies above the band."""
        return self.share > self.band


def error_spike(batches: Sequence[Window], rule: ErrorSpike) -> Spike:
    """Whether the newest records of `batches` (oldest first) hold more errors than earlier ones let expect.

    Windows are whole batches with at least `rule.records` records together. The band is
    max(floor, median + deviations x 1.4826 x MAD) of the shares of earlier windows.
    """
    newest, *earlier = [*_windows(batches, rule.records)][: EARLIER_WINDOWS + 1] or [Window(0, 0)]
    share = newest.errors / max(newest.read, rule.records)
    shares = [window.errors / window.read for window in earlier if window.read >= rule.records]
    if len(shares) < ENOUGH_WINDOWS:
        return Spike(share, rule.floor, len(shares))
    middle = median(shares)
    spread = median(abs(one - middle) for one in shares)
    return Spike(share, max(rule.floor, middle + rule.deviations * _SIGMA * spread), len(shares))


def _windows(batches: Sequence[Window], records: int) -> Iterator[Window]:
    """Windows from the newest back; the oldest may be small."""
    read = errors = 0
    for batch in reversed(batches):
        read, errors = read + batch.read, errors + batch.errors
        if read >= records:
            yield Window(read, errors)
            read = errors = 0
    if read:
        yield Window(read, errors)
