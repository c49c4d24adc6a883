"""What a watcher makes of the archive's state: lag, shards that stand still, spikes of errors, as checks and alerts."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg

from engage_assets.archive.schemas import TYPES
from engage_assets.archive.state import BatchDone, ShardStatus, State
from engage_assets.defs.archive_assets import CHANGES, ERRORS, type_key
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.archive_watch import ShardNow, Spike, Window, error_spike, lag_seconds, stands_still
from engage_assets.domain.ports import Operations

LAG: Final = "archive_lag"
STANDING: Final = "no_shard_stands_still"
SPIKE: Final = "errors_in_their_band"
HISTORY: Final = 3_000
"""Batches that a look at errors goes back, at most."""
MESSAGES: Final = 3
"""Refusals that an alert names."""
WATCH_CHECKS: Final = (
    *(dg.AssetCheckSpec(LAG, asset=type_key(name), description="No shard lags too far behind.") for name in TYPES),
    dg.AssetCheckSpec(STANDING, asset=CHANGES, description="No shard holds a begun range that nobody works on."),
    dg.AssetCheckSpec(SPIKE, asset=ERRORS, description="The share of refused records lies in its usual band."),
)


@dataclass(frozen=True)
class Watch:
    """One look at the state."""

    lag: float
    """Of the shard that lags most, in s."""
    furthest: str
    """That shard; empty where there is none."""
    standing: tuple[str, ...]
    """Shards that stand still."""
    spike: Spike
    messages: Counter[str]
    """Refusals of the newest window's batches."""
    unread: Mapping[str, float]
    """Shards with more in the source while no worker is alive, and since when."""


def look(desk: ArchiveDesk, state: State, now: float, unread_before: Mapping[str, float] | None = None) -> Watch:
    """Look at the state, and where no worker is alive at the source too. Raises EngageError, OSError.

    `unread_before` is what the last look found unread: of a source that does not say when a record came, what waits is
    as old as the first look that saw it.
    """
    shards = _shards(desk, state, now, unread_before or {})
    lags = {shard.name: lag_seconds(shard, now) for shard in shards}
    furthest = max(lags, key=lags.__getitem__, default="")
    newest = state.newest_batch()
    batches = state.batches(max(0, newest - HISTORY), HISTORY)
    return Watch(
        lag=lags.get(furthest, 0.0),
        furthest=furthest,
        standing=tuple(s.name for s in shards if stands_still(s, now, desk.spec.lag_warn_seconds)),
        spike=error_spike([Window(one.counts.read, one.counts.errors) for one in batches], desk.spec.error_spike),
        messages=_recent_messages(batches, desk.spec.error_spike.records),
        unread={shard.name: shard.unread_since for shard in shards if shard.unread_since is not None},
    )


def _recent_messages(batches: Sequence[BatchDone], records: int) -> Counter[str]:
    found: Counter[str] = Counter()
    read = 0
    for batch in reversed(batches):
        if read >= records:
            break
        read += batch.counts.read
        found.update(batch.messages)
    return found


def _shards(desk: ArchiveDesk, state: State, now: float, unread_before: Mapping[str, float]) -> list[ShardNow]:
    """The shards of the source that have not ended, those that were never begun included."""
    stream = desk.source.stream
    known = {shard.name: shard for shard in state.shards() if shard.stream == stream}
    listed = set() if state.has_live_worker(stream, now) else {shard.name for shard in desk.source.shards()}
    found = []
    for name in sorted(known.keys() | listed):
        shard = known.get(name)
        if shard is None or not shard.is_ended:
            # What is not listed is no part of the stream any more, or the replay's.
            since = _unread_since(desk, name, shard, unread_before.get(name, now)) if name in listed else None
            found.append(_shard(name, shard, now, since))
    return found


def _unread_since(desk: ArchiveDesk, name: str, known: ShardStatus | None, seen: float) -> float | None:
    """When the next record of a shard came, else when it was seen; None where there is none."""
    records = desk.source.read(name, known.checkpoint if known else None, 1).records
    if not records:
        return None
    return seen if records[0].arrived_at is None else records[0].arrived_at / 1_000_000


def _shard(name: str, known: ShardStatus | None, now: float, unread_since: float | None) -> ShardNow:
    return ShardNow(
        name,
        is_pending=known is not None and known.pending is not None,
        has_worker=known is not None and known.owner is not None and known.leased_until > now,
        unread_since=unread_since,
        behind_seconds=None if known is None or known.behind_ms is None else known.behind_ms / 1000,
        at=known.at if known else None,
    )


def evaluations(watch: Watch, spec: DemandArchive) -> Iterator[dg.AssetCheckEvaluation]:
    """The results of WATCH_CHECKS. They name shards and messages, never a value of a record."""
    is_late = watch.lag > spec.lag_warn_seconds
    for name in TYPES:
        yield dg.AssetCheckEvaluation(
            asset_key=type_key(name),
            check_name=LAG,
            passed=not is_late,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{watch.lag:.0f} s behind{f' on shard {watch.furthest}' if is_late else ''}",
            metadata={"lag_seconds": round(watch.lag, 1), "warn_above_seconds": spec.lag_warn_seconds},
        )
    yield dg.AssetCheckEvaluation(
        asset_key=CHANGES,
        check_name=STANDING,
        passed=not watch.standing,
        description=f"nobody works on {', '.join(watch.standing)}"
        if watch.standing
        else "every begun range is in work",
        metadata={"shards": len(watch.standing)},
    )
    yield dg.AssetCheckEvaluation(
        asset_key=ERRORS,
        check_name=SPIKE,
        passed=not watch.spike.is_one,
        severity=dg.AssetCheckSeverity.WARN,
        description=_spike_words(watch, spec),
        metadata={
            "share": round(watch.spike.share, 5),
            "band": round(watch.spike.band, 5),
            "earlier_windows": watch.spike.earlier,
        },
    )


def _spike_words(watch: Watch, spec: DemandArchive) -> str:
    most = "; ".join(f"{message} ({count})" for message, count in watch.messages.most_common(MESSAGES))
    return (
        f"{watch.spike.share:.2%} of the last {spec.error_spike.records:,} records were refused,"
        f" {'above' if watch.spike.is_one else 'within'} the band up to {watch.spike.band:.2%}"
        f"{f': {most}' if watch.spike.is_one and most else ''}"
    )


def troubles(watch: Watch, spec: DemandArchive) -> dict[str, str]:
    """What is wrong now: kind → words for people."""
    found = {}
    if watch.lag > spec.lag_warn_seconds:
        found["lag"] = (
            f"the archive lies {watch.lag:.0f} s behind on shard {watch.furthest} (warns above"
            f" {spec.lag_warn_seconds} s); see `engage archive status`, and start a worker: `engage archive run`"
        )
    if watch.standing:
        found["stopped"] = (
            f"{len(watch.standing)} shards of the archive stand still with a range begun:"
            f" {', '.join(watch.standing[:5])}; nothing was skipped. The worker's last lines say why; mend it and run"
            " `engage archive run`"
        )
    if watch.spike.is_one:
        found["errors"] = f"{_spike_words(watch, spec)}; after a fix: `engage archive replay`"
    return found


def raise_troubles(
    operations: Operations, found: dict[str, str], since: dict[str, str], now: datetime
) -> dict[str, str]:
    """One alert when a trouble begins, and one for each further day of it; says since when each lasts."""
    lasting = {kind: since.get(kind, now.isoformat(timespec="seconds")) for kind in found}
    for kind, text in found.items():
        operations.raise_alert(f"archive:{kind}:{lasting[kind]}:{now.date()}", text, now)
    return lasting
