"""The command playlists: what stands in a program's playlists of a day, and what changed."""

from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from engage_assets.cli.desk import DAY, launcher, plain_errors
from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    import polars as pl

    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.program import Program

_DASH = "–"


@click.command()
@click.argument("program_id")
@click.option("--date", "day", type=DAY, help="Partition; default: the newest that was made.")
@click.option("--make", "is_made", is_flag=True, help="Make that partition's playlists first. Contacts nobody.")
@click.option("--playlist", "playlist_id", help="Show this one, marketplace:genre; default: all in one line each.")
def playlists(program_id: str, day: datetime | None, is_made: bool, playlist_id: str | None) -> None:
    """Print the playlists of a PROGRAM, or one with its tracks and what changed against the day before."""
    with plain_errors():
        desk = launcher()
        program = _with_playlists(desk, program_id)
        if is_made:
            _make(desk, program, day)
        partition = day.date() if day else _newest(desk, program)
        listed = desk.lake.scan((program.key, "playlists"), partition.isoformat()).collect()
        changes = desk.lake.scan((program.key, "playlist_changes"), partition.isoformat()).collect()
        if playlist_id:
            _show_one(desk, program, partition, playlist_id, listed, changes)
        else:
            _show_all(program, partition, listed, changes, _folder(desk, program, partition))


def _with_playlists(desk: "Launcher", program_id: str) -> "Program":
    """The program. Raises EngageError where it has no playlists."""
    program = desk.program(program_id)
    if program.playlists is None:
        having = ", ".join(one.program_id for one in desk.folder.programs.values() if one.playlists) or "none"
        raise EngageError(
            f"{program_id} fills no playlists: it has no section `playlists:` (programs with one: {having})"
        )
    return program


def _make(desk: "Launcher", program: "Program", day: datetime | None) -> None:
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    if day is None:
        raise EngageError("name the partition to make with --date")
    with progress(f"playlists of {day:%Y-%m-%d}"):
        desk.run_partition(program, day.date(), jobs=["playlists"])


def _newest(desk: "Launcher", program: "Program") -> date:
    made = desk.lake.partitions((program.key, "playlists"))
    if not made:
        raise EngageError(
            f"no playlists of {program.program_id} were made yet; make some with `engage playlists"
            f" {program.program_id} --make --date DATE`"
        )
    return date.fromisoformat(made[-1])


def _folder(desk: "Launcher", program: "Program", partition: date) -> Path:
    from engage_assets.defs.playlist_assets import playlist_folder  # noqa: PLC0415 - as in launcher

    return playlist_folder(desk.home, program, partition)


def _show_all(
    program: "Program", partition: date, listed: "pl.DataFrame", changes: "pl.DataFrame", folder: Path
) -> None:
    from engage_assets.playlists.rules import overview  # noqa: PLC0415 - as in launcher

    assert program.playlists
    made = program.playlists.instant(partition)
    click.echo(f"{program.program_id}, playlists of {partition}, made at {made:%Y-%m-%d %H:%M} UTC\n")
    click.echo(f"{'playlist':<24}{'version':<14}{'tracks':>7}{'artists':>9}{'score':>8}  {'newest':<12}came went moved")
    for row in overview(listed).iter_rows(named=True):
        own = changes.filter(playlist_id=row["playlist_id"])["change"].to_list()
        moves = "".join(f"{own.count(change):>5}" for change in ("came", "went", "moved"))
        click.echo(
            f"{row['playlist_id']:<24}{row['version']:<14}{row['tracks']:>7}{row['artists']:>9}"
            f"{row['mean_score']:>8.3f}  {row['newest']!s:<11}{moves}"
        )
    click.echo(f"\nfiles in {folder}")


def _show_one(
    desk: "Launcher",
    program: "Program",
    partition: date,
    playlist_id: str,
    listed: "pl.DataFrame",
    changes: "pl.DataFrame",
) -> None:
    """The tracks of one playlist, then what went. Raises EngageError naming those that there are."""
    rows, own = listed.filter(playlist_id=playlist_id), changes.filter(playlist_id=playlist_id)
    if rows.is_empty() and own.is_empty():
        known = ", ".join(listed["playlist_id"].unique().sort()) or "none"
        raise EngageError(
            f"there is no playlist {playlist_id!r} of {partition} in {program.program_id}; there are: {known}"
        )
    names = _names(desk, program, partition, listed)
    moved = {row["track_id"]: row for row in own.iter_rows(named=True)}
    version = rows["version"][0] if rows.height else "nothing left"
    click.echo(f"{playlist_id} of {partition}, version {version}\n")
    click.echo(f"{'place':>5} {'before':>6}  {'score':>6} {'answers':>8}  {'track':<44}why")
    for row in rows.iter_rows(named=True):
        change = moved.get(row["track_id"])
        before = row["place"] if change is None else change["place_before"]
        title = names.get(row["track_id"], row["track_id"])
        click.echo(
            f"{row['place']:>5} {before or _DASH:>6}  {row['track_score']:.3f} {row['answers']:>8}  {title[:42]:<44}"
            f"{change['reason'] if change else ''}"
        )
    for row in own.filter(change="went").iter_rows(named=True):
        title = names.get(row["track_id"], row["track_id"])
        click.echo(f"{_DASH:>5} {row['place_before']:>6}  {'':>6} {'':>8}  {title[:42]:<44}{row['reason']}")


def _names(desk: "Launcher", program: "Program", partition: date, listed: "pl.DataFrame") -> dict[str, str]:
    from engage_assets.connectors.warehouse import Warehouse  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.batch import Batch  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.playlist_stages import track_names  # noqa: PLC0415 - as in launcher

    batch = Batch(program, partition, desk.folder.marketplaces, Warehouse(desk.home.warehouse))
    named = track_names(batch, listed)
    return {row["track_id"]: _title(row["track_id"], row["name"], row["artist_name"]) for row in named.to_dicts()}


def _title(track_id: str, name: str | None, artist: str | None) -> str:
    return f"{artist} {_DASH} {name}" if artist and name else name or track_id
