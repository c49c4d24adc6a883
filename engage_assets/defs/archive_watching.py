"""What a watcher makes of the archive's state: lag, shards that stand still, spikes of errors, as checks and alerts."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg

from engage_assets.archive.leases import REPLAY_SHARD
from engage_assets.archive.schemas import TYPES
from engage_assets.archive.state import BatchDone, ShardStatus, State
from engage_assets.defs.archive_assets import CHANGES, ERRORS, type_key
from engage_assets.defs.archive_desk import ArchiveDesk
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.domain.archive_watch import ShardNow, Spike, Window, error_spike, lag_seconds, stands_still
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Operations

LAG: Final = "archive_lag"
STANDING: Final = "no_shard_stands_still"
SPIKE: Final = "errors_in_their_band"
HISTORY: Final = 3_000
"""Batches that a look at errors goes back, at most."""
SPIKE_SECONDS: Final = 86_400
"""A spike is over where nothing was archived for so long."""
LOOK_SECONDS: Final = 20.0
"""For which shards are looked at in the source at a time; the others keep what was known of them."""
STOPS: Final = 5
"""Shards that have stopped which an alert names."""
MESSAGES: Final = 3
"""Refusals that an alert names."""
WATCH_CHECKS: Final = (
    *(dg.AssetCheckSpec(LAG, asset=type_key(name), description="No shard lags too far behind.") for name in TYPES),
    dg.AssetCheckSpec(
        STANDING, asset=CHANGES, description="No shard has stopped, or holds a begun range that nobody works on."
    ),
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
    """Shards with a begun range that nobody works on."""
    stops: Mapping[str, str]
    """Shards that cannot go on, and why."""
    spike: Spike
    messages: Counter[str]
    """Refusals of the newest window's batches."""
    unread: Mapping[str, float]
    """Shards with more in the source that no worker has, and since when."""
    has_worker: bool = False
    """Whether a worker is alive."""


def look(
    desk: ArchiveDesk,
    state: State,
    now: float,
    unread_before: Mapping[str, float] | None = None,
    timer: Callable[[], float] = time.monotonic,
) -> Watch:
    """Look at the state, and for every shard that no worker has at the source too. Raises EngageError, OSError.

    `unread_before` is what the last look found unread: of a source that does not say when a record came, what waits is
    as old as the first look that saw it.
    """
    shards = _shards(desk, state, now, unread_before or {}, timer)
    lags = {shard.name: lag_seconds(shard, now) for shard in shards}
    furthest = max(lags, key=lags.__getitem__, default="")
    newest = state.newest_batch()
    batches = _of_stream(state.batches(max(0, newest - HISTORY), HISTORY), now)
    stops = {shard.name: shard.stopped for shard in shards if shard.stopped is not None}
    return Watch(
        lag=lags.get(furthest, 0.0),
        furthest=furthest,
        standing=tuple(
            one.name for one in shards if one.name not in stops and stands_still(one, now, desk.spec.lag_warn_seconds)
        ),
        stops=stops,
        spike=error_spike([Window(one.counts.read, one.counts.errors) for one in batches], desk.spec.error_spike),
        messages=_recent_messages(batches, desk.spec.error_spike.records),
        unread={shard.name: shard.unread_since for shard in shards if shard.unread_since is not None},
        has_worker=state.has_live_worker(desk.source.stream, now),
    )


def _of_stream(batches: Sequence[BatchDone], now: float) -> list[BatchDone]:
    """Without replays; none where the newest is old."""
    found = [batch for batch in batches if batch.range.shard != REPLAY_SHARD]
    return found if found and now - found[-1].at <= SPIKE_SECONDS else []


def _recent_messages(batches: Sequence[BatchDone], records: int) -> Counter[str]:
    found: Counter[str] = Counter()
    read = 0
    for batch in reversed(batches):
        if read >= records:
            break
        read += batch.counts.read
        found.update(batch.messages)
    return found


def _shards(
    desk: ArchiveDesk, state: State, now: float, unread_before: Mapping[str, float], timer: Callable[[], float]
) -> list[ShardNow]:
    """The shards of the source that have not ended, those that were never begun included."""
    known = {shard.name: shard for shard in state.shards() if shard.stream == desk.source.stream}
    listed = {shard.name for shard in desk.source.shards()}
    shards = {name: _shard(name, known.get(name), now, is_listed=name in listed) for name in known.keys() | listed}
    open_ones = {name: shard for name, shard in shards.items() if name not in known or not known[name].is_ended}
    # What is not listed is no part of the stream any more, or the replay's.
    alone = [name for name, shard in open_ones.items() if name in listed and not shard.has_worker]
    until = timer() + LOOK_SECONDS
    for name in sorted(alone, key=lambda name: (name in unread_before, name)):
        seen = unread_before.get(name)
        if timer() < until:
            open_ones[name] = _looked_at(desk, open_ones[name], known.get(name), now if seen is None else seen)
        else:
            open_ones[name] = open_ones[name]._replace(unread_since=seen)
    return [open_ones[name] for name in sorted(open_ones)]


def _looked_at(desk: ArchiveDesk, shard: ShardNow, known: ShardStatus | None, seen: float) -> ShardNow:
    """With the time at which its next record came, else was seen; stopped where it cannot be read."""
    try:
        records = desk.source.read(shard.name, known.checkpoint if known else None, 1).records
    except EngageError as error:
        return shard._replace(stopped=str(error))
    if not records:
        return shard
    return shard._replace(unread_since=seen if records[0].arrived_at is None else records[0].arrived_at / 1_000_000)


def _shard(name: str, known: ShardStatus | None, now: float, *, is_listed: bool) -> ShardNow:
    return ShardNow(
        name,
        is_pending=known is not None and known.pending is not None,
        has_worker=known is not None and known.has_worker(now),
        unread_since=None,
        behind_seconds=None if known is None or known.behind_ms is None else known.behind_ms / 1000,
        at=known.at if known else None,
        stopped=known.stopped if known and is_listed else None,
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
        passed=not (watch.standing or watch.stops),
        description="; ".join(_still_words(watch)) or "every begun range is in work",
        metadata={"shards": len(watch.standing) + len(watch.stops)},
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


def _still_words(watch: Watch) -> list[str]:
    """What stopped and why, and what stands still without a word."""
    stops = [f"{name} has stopped: {why}" for name, why in sorted(watch.stops.items())]
    return [*stops, *([f"nobody works on {', '.join(watch.standing)}"] if watch.standing else [])]


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
    if watch.standing or watch.stops:
        words = _still_words(watch)
        found["stopped"] = (
            f"{len(watch.standing) + len(watch.stops)} shards of the archive stand still: {'; '.join(words[:STOPS])}"
            f"{f' (and {len(words) - STOPS} more)' if len(words) > STOPS else ''}. Nothing was skipped: mend it, and"
            " see that a worker runs: `engage archive run`"
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
