"""The demonstration's playlists in plain text: the fullest, and what changed in all of them."""

from datetime import date
from typing import TYPE_CHECKING, Final

import click
import polars as pl

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher

_SHOWN: Final = 5
"""Tracks of the playlist that is shown."""


def show_playlists(desk: "Launcher", program_id: str, partition: date) -> None:
    """Print the head of the longest playlist, and the changes by reason; nothing where the program fills none."""
    program = desk.program(program_id)
    if program.playlists is None:
        return
    day = partition.isoformat()
    places = desk.lake.scan((program.key, "playlists"), day).collect()
    changes = desk.lake.scan((program.key, "playlist_changes"), day).collect()
    lists = places.group_by("playlist_id").len().sort(pl.col("len"), "playlist_id", descending=[True, False])
    at = program.playlists.instant(partition)
    click.echo(f"\nplaylists of {at:%Y-%m-%d %H:%M} UTC: {lists.height}, with {places.height} places")
    if lists.is_empty():
        return
    longest = str(lists["playlist_id"][0])
    click.echo(f"  {longest}, the first {min(_SHOWN, lists['len'][0])} of {lists['len'][0]}")
    for row in places.filter(playlist_id=longest).sort("place").head(_SHOWN).iter_rows(named=True):
        click.echo(
            f"  {row['place']:>3}. {row['track_id']}  score {row['track_score']:.3f}: {row['ups']} of {row['answers']}"
        )
    counts = changes.group_by("change", "reason").len().sort("change", "len", descending=[False, True])
    click.echo(f"  since the day before{'' if counts.height else ': nothing changed'}")
    for change, reason, rows in counts.iter_rows():
        click.echo(f"    {change:<6}{reason:<16}{rows:>5}")
