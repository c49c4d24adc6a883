"""`engage archive run`, `status`, `schemas`: the worker of the demand archive, and looking at it."""

import logging
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engage_assets.cli.desk import plain_errors
from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    from engage_assets.archive.handle import Archive
    from engage_assets.archive.state import ShardStatus, State
    from engage_assets.archive.worker import Summary
    from engage_assets.defs.archive_desk import ArchiveDesk


def places(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which archive is meant."""
    for option in (
        click.option(
            "--state", help="File of the state; default: programs/demand-archive.yaml, ENGAGE_HOME/archive.db."
        ),
        click.option("--errors-root", help="Root for refused records; default: errors below the root."),
        click.option(
            "--root", help="DIR or s3://bucket/prefix; default: programs/demand-archive.yaml, ENGAGE_HOME/archive."
        ),
        click.option("--source", help="DIR, kinesis:STREAM or dynamodb:TABLE; default: ENGAGE_HOME/changes."),
    ):
        command = option(command)
    return command


def _desk(**changes: Any) -> "ArchiveDesk":
    """The archive that is meant."""
    from engage_assets.defs.archive_desk import read_desk  # noqa: PLC0415 - --help opens nothing

    return read_desk(os.environ, **changes)


@contextmanager
def opened_archive(*, is_adopting: bool = False, **changes: Any) -> Iterator[tuple["ArchiveDesk", "Archive"]]:
    """The archive that is meant, opened; trouble with its files as a plain message."""
    desk = _desk(**changes)
    try:
        with desk.opened(f"{os.uname().nodename}-{os.getpid()}", is_adopting=is_adopting) as opened:
            yield desk, opened
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise EngageError(f"{error.filename or desk.root_text}: could not be read or written ({why})") from error


@click.group()
def archive() -> None:
    """The demand archive: change records in, Avro files out, each change once."""


@archive.command()
@places
@click.option("--until-idle", is_flag=True, help="End when the source has no more for now.")
@click.option("--workers", type=click.IntRange(1, 64), help="Shards at the same time; default 4.")
@click.option("--batch", type=click.IntRange(1, 10_000), help="Records of a batch at most; default 1000.")
def run(*, until_idle: bool, **changes: Any) -> None:
    """Run a worker. SIGTERM or Ctrl-C: it finishes the batches in hand and gives its shards back."""
    from engage_assets.archive.worker import run as work  # noqa: PLC0415 - as in _desk

    with plain_errors(), _log_to_stderr(), _told_to_stop() as is_over:
        with opened_archive(**changes) as (desk, opened):
            click.echo(f"archiving {desk.source_text} in {desk.root_text}", err=True)
            summary = work(opened, is_until_idle=until_idle, should_stop=is_over.is_set)
        _show(summary)
        sys.exit(1 if summary.stopped else 0)


@contextmanager
def _told_to_stop() -> Iterator[threading.Event]:
    """An event that SIGTERM and SIGINT set, instead of ending the process."""
    is_over = threading.Event()
    before = {one: signal.signal(one, lambda *_: is_over.set()) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield is_over
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Show what our own modules log: positions, counts and messages."""
    handler, ours = logging.StreamHandler(), logging.getLogger("engage_assets")
    formatter = logging.Formatter("%(asctime)sZ %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    level = ours.level
    ours.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.removeHandler(handler)
        ours.setLevel(level)


def _show(summary: "Summary") -> None:
    counts = summary.counts
    click.echo(
        f"{counts.read:,} read = {counts.archived:,} archived + {counts.errors:,} errors + {counts.duplicates:,}"
        f" duplicates; {counts.redacted:,} redacted; {summary.batches:,} batches,"
        f" {sum(summary.data_files.values()):,} files, {summary.seconds:.1f} s"
    )
    for message, number in summary.messages.most_common():
        click.echo(f"  {number:>8,} refused: {message}")
    for shard in sorted(summary.held):
        click.echo(f"  {shard}: another worker has it")
    for shard in sorted(summary.unfinished):
        click.echo(f"  {shard}: ends with half a record, which waits for its rest")
    for shard, why in sorted(summary.stopped.items()):
        click.echo(click.style("stopped: ", fg="red") + f"{shard}: {why}", err=True)


@archive.command()
@places
def status(**changes: Any) -> None:
    """Print shards, lag, totals, errors and live workers."""
    with plain_errors():
        desk = _desk(**changes)
        if not desk.has_state:
            raise EngageError(f"{desk.state_path}: nothing was archived yet; run `engage archive run`")
        with closing(desk.open_state()) as state:
            for line in _status_lines(desk, state, time.time()):
                click.echo(line)


def _status_lines(desk: "ArchiveDesk", state: "State", now: float) -> Iterator[str]:
    shards = state.shards()
    yield f"source {desk.source_text}\nroot   {desk.root_text}\n\nshards"
    width = max((len(f"{shard.stream}/{shard.name}") for shard in shards), default=0)
    for shard in shards:
        yield f"  {f'{shard.stream}/{shard.name}':<{width}}  {_state_of(shard, now)}"
        if shard.stopped is not None and shard.stopped_at is not None:
            yield click.style(f"    stopped since {_instant(shard.stopped_at)}: ", fg="red") + shard.stopped
    workers = {shard.owner for shard in shards if shard.owner and shard.has_worker(now)}
    yield f"\nworkers alive: {', '.join(sorted(workers)) or 'none'}"
    yield "\ntype                 records       files  partitions"
    for kind, (records, files, partitions) in _by_type(state).items():
        yield f"{kind:<14}{records:>14,}{files:>12,}{partitions:>12,}"
    yield "\nday                     read    archived      errors  duplicates"
    for day in state.days()[-7:]:
        counts = day.counts
        yield f"{day.day:<14}{counts.read:>14,}{counts.archived:>12,}{counts.errors:>12,}{counts.duplicates:>12,}"
    waiting = len(state.pending_removals(1000))
    yield f"\nredactions waiting: {'1,000 or more' if waiting == 1000 else waiting}"
    yield f"fans erased: {len(state.erasures()):,}"


def _state_of(shard: "ShardStatus", now: float) -> str:
    if shard.is_ended:
        return "ended"
    is_alive = shard.has_worker(now)
    lag = "" if shard.behind_ms is None else f", {shard.behind_ms / 1000:.1f} s behind"
    newest = f", newest change {_instant(shard.newest_change / 1_000_000)}" if shard.newest_change else ""
    word = f"worker {shard.owner}" if is_alive else "no worker"
    if shard.pending is not None:
        word += ", a batch is begun" if is_alive else ", a batch was begun and is not done"
    return f"{word}{lag}{newest}, at {shard.checkpoint or 'its start'}"


def _instant(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _by_type(state: "State") -> Mapping[str, tuple[int, int, int]]:
    records: Counter[str] = Counter()
    files: Counter[str] = Counter()
    partitions: Counter[str] = Counter()
    for (kind, _), total in state.totals().items():
        records[kind] += total.records
        files[kind] += total.files
        partitions[kind] += 1
    return {kind: (records[kind], files[kind], partitions[kind]) for kind in sorted(records)}


@archive.command()
@places
def adopt(**changes: Any) -> None:
    """Let this state go on with this root and source: after the former state was lost, or they were moved.

    Stop every worker first. What the source holds and this state does not know is archived, again if it was before.
    """
    with plain_errors(), opened_archive(is_adopting=True, **changes) as (desk, _):
        click.echo(f"{desk.state_path} goes on with {desk.root_text} and {desk.source_text}")


@archive.command("forget-position")
@click.argument("shard")
@click.option("--yes", is_flag=True, help="Do not ask.")
@places
def forget_position(shard: str, *, yes: bool, **changes: Any) -> None:
    """Let a SHARD begin again at the oldest record of its stream: what it had been read to, or begun, is gone there.

    No worker may have it. Changes that are known by the horizon are archived once all the same.
    """
    with plain_errors():
        if not yes:
            click.confirm(f"Read {shard} again from its oldest record?", abort=True)
        with opened_archive(**changes) as (desk, opened):
            opened.state.forget_position(opened.source.stream, shard, time.time())
        click.echo(f"{desk.source_text}: {shard} begins again at the oldest record")


@archive.command()
@click.option("--check", is_flag=True, help="Exit 1 where a schema does not fit the older ones.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder with released schemas, TYPE.avsc; default: the schemas that the archive's files state.",
)
@places
def schemas(*, check: bool, against: Path | None, **changes: Any) -> None:
    """Compare the committed schemas with released ones, or with those of the files that are there."""
    from engage_assets.defs.archive_schemas import compare, released, stated  # noqa: PLC0415 - as in _desk

    with plain_errors():
        older = released(against) if against else stated(_desk(**changes).root)
        faults = list(compare(older))
        for fault in faults:
            click.echo(fault, err=True)
        click.echo(f"{len(older)} older schemas, {'all fit' if not faults else f'{len(faults)} faults'}")
        sys.exit(1 if check and faults else 0)
