"""`engage archive compact`, `redact`, `retain`, `replay`, and `engage erase`: the upkeep of the demand archive."""

import os
import sys
import time
from pathlib import Path
from typing import Any

import click

from engage_assets.cli.archive import archive, opened_archive, places
from engage_assets.cli.desk import plain_errors
from engage_assets.domain.errors import EngageError


@archive.command()
@places
@click.option("--quiet-days", type=click.IntRange(0), help="Only partitions that got nothing for so long; default 7.")
def compact(*, quiet_days: int | None, **changes: Any) -> None:
    """Make one file of the small files of each quiet partition; readers see each record once at every moment."""
    from engage_assets.archive.compaction import compact as join  # noqa: PLC0415 - --help opens nothing

    with plain_errors(), opened_archive(**changes) as (desk, opened):
        days = desk.spec.quiet_days if quiet_days is None else quiet_days
        done = join(opened, now=time.time(), quiet_days=days)
        click.echo(
            f"{done.files:,} files of {done.partitions:,} partitions became {done.partitions:,}, with"
            f" {done.records:,} records; {done.duplicates:,} duplicates left out, {done.deleted:,} replaced files"
            f" deleted, {done.waiting:,} partitions not quiet for {days} days"
        )
        for skipped in done.skipped:
            click.echo(click.style("skipped: ", fg="red") + skipped.why, err=True)
        sys.exit(1 if done.skipped else 0)


@archive.command()
@places
def redact(**changes: Any) -> None:
    """Redact the earlier versions of records that were deleted since the last time."""
    from engage_assets.archive.redaction import redact_removed  # noqa: PLC0415 - --help opens nothing

    with plain_errors(), opened_archive(**changes) as (desk, opened):
        done = redact_removed(opened, mirror=desk.mirror)
        click.echo(f"{done.removals:,} deletions: {done.records:,} earlier versions redacted in {done.files:,} files")


@archive.command()
@places
def retain(**changes: Any) -> None:
    """Delete what is older than the retentionDays of programs/demand-archive.yaml; without them, nothing."""
    from engage_assets.archive.retention import retain as drop  # noqa: PLC0415 - --help opens nothing

    with plain_errors(), opened_archive(**changes) as (desk, opened):
        days = desk.spec.retention_days.model_dump()
        if not any(days.values()):
            click.echo("everything is kept for ever: programs/demand-archive.yaml states no retentionDays")
            return
        done = drop(opened, now=time.time(), days=days, mirror=desk.mirror)
        click.echo(f"{done.partitions:,} partitions ({done.files:,} files) and {done.errors:,} error files deleted")


@archive.command()
@click.argument("keys", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Every error file that was not replayed yet.")
@click.option("--message", help="Every error file with this message.")
@click.option(
    "--corrected",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="NDJSON with corrected copies of the events of the one KEY that is given.",
)
@places
def replay(keys: tuple[str, ...], *, is_all: bool, message: str | None, corrected: Path | None, **changes: Any) -> None:
    """Try error files again (KEY: their names, or their paths): what is good by now is archived, and marked."""
    from engage_assets.archive.replay import replay as again  # noqa: PLC0415 - --help opens nothing

    with plain_errors():
        if bool(keys) + is_all + (message is not None) != 1:
            raise EngageError("say which error files: KEY…, --all, or --message TEXT")
        if corrected and len(keys) != 1:
            raise EngageError("--corrected goes with exactly one KEY")
        names = [key.rpartition("/")[2] for key in keys]
        copies = {names[0]: corrected.read_bytes()} if corrected else {}
        with opened_archive(**changes) as (_, opened):
            done = again(opened, names or None, message=message, corrected=copies)
        click.echo(
            f"{done.files:,} error files tried, {done.replayed:,} replayed: {done.counts.archived:,} records archived,"
            f" {done.counts.duplicates:,} were there; {done.already:,} had been replayed before"
        )
        for why, number in done.still.most_common():
            click.echo(f"  {number:>8,} still refused: {why}")
        sys.exit(1 if done.still else 0)


def _dagster_home() -> list[Path]:
    """Dagster's own records, where they lie outside of ENGAGE_HOME."""
    folder = os.environ.get("DAGSTER_HOME")
    return [Path(folder)] if folder and Path(folder).is_dir() else []


@click.command()
@click.argument("fan_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--export",
    "exports",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="One more CSV or Parquet file that was made of the archive; repeatable.",
)
@places
def erase(fan_id: str, *, yes: bool, exports: tuple[Path, ...], **changes: Any) -> None:
    """Make what is personal of a fan unreadable in every file of the archive, for good; print the certificate.

    Phone number, e-mail address and message text are redacted in archived versions, error files, compacted files, the
    mirror, the files that `engage sql --output` wrote and retained change files; what comes later and was made before
    is redacted too.
    """
    from engage_assets.archive.erasure import erase as forget  # noqa: PLC0415 - --help opens nothing
    from engage_assets.archive.erasures import certificate_key  # noqa: PLC0415 - --help opens nothing
    from engage_assets.archive.export_register import noted_exports  # noqa: PLC0415 - --help opens nothing
    from engage_assets.cli.sql import SPILLS  # noqa: PLC0415 - as above
    from engage_assets.connectors.adhoc_spill import sweep_spills  # noqa: PLC0415 - as above

    with plain_errors():
        if not yes:
            click.confirm(f"Redact everything personal of fan {fan_id}? It cannot be brought back", abort=True)
        with opened_archive(**changes) as (desk, opened):

            def saved() -> list[Path]:
                noted = noted_exports(desk.home.archive_exports)
                return list(dict.fromkeys(one.resolve() for one in (*noted, *exports)))

            running = sweep_spills(desk.home.root / SPILLS)
            found = forget(
                opened,
                fan_id,
                now=time.time(),
                mirror=desk.mirror,
                exports=saved,
                watched=[*desk.watched(), *_dagster_home()],
                not_covered=[f"what {running} questions of `engage sql` hold until they end"] if running else [],
            )
        rewritten = ", ".join(
            f"{one.records:,} in {one.files:,} files of {place}" for place, one in found.rewritten.items()
        )
        click.echo(f"redacted: {rewritten}")
        if not any(one.records for one in found.rewritten.values()):
            click.echo(f"nothing of fan {fan_id} was readable: see that the id is right", err=True)
        click.echo(found.json())
        click.echo(f"certificate: {desk.root_text.rstrip('/')}/{certificate_key(fan_id)}")
        if not found.is_complete:
            raise EngageError(
                "the erasure is not complete: see left, inFlight, unreadable and postponed in the certificate; mend or"
                " take away what they name, and run it again"
            )
