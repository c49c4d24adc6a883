"""What is known of the assets of playlists before they run; the assets are in playlist_assets."""

from typing import Final

import dagster as dg

from engage_assets.defs.sheets import Key, Sheet, spec_of
from engage_assets.domain.playlist_tables import BRIGADES, PLAYLIST_CHANGES, PLAYLISTS, TRACK_SCORES
from engage_assets.domain.program import Program

NAMES: Final = (TRACK_SCORES.name, BRIGADES.name, PLAYLISTS.name, PLAYLIST_CHANGES.name)
"""Names of the assets, in the order in which they are made."""


def playlist_sheets(program: Program) -> dict[str, Sheet]:
    """The sheets of `track_scores`, `brigades`, `playlists` and `playlist_changes`; none without the section."""
    if program.playlists is None:
        return {}

    def key(name: str) -> Key:
        return (program.key, name)

    rules = program.playlists
    minutes = rules.update_time.hour * 60 + rules.update_time.minute
    batch = program.cadence.at.hour * 60 + program.cadence.at.minute
    due = (minutes - batch) % (24 * 60) // 60 + 1
    at = f"{rules.update_time:%H:%M} UTC on the day after"
    sheets = [
        Sheet(
            key(TRACK_SCORES.name),
            f"How good listeners found each track, up to {at}; counted anew where the 24 hours up to then brought an"
            " answer that counts.",
            TRACK_SCORES.grain,
            TRACK_SCORES.columns,
            [key("responses")],
            due_hours=due,
        ),
        Sheet(
            key(BRIGADES.name),
            "Answers of the 24 hours that look concerted: of newcomers, of one busy listener, or a surge without plays."
            " They count nothing.",
            BRIGADES.grain,
            BRIGADES.columns,
            [key(TRACK_SCORES.name)],
            due_hours=due,
        ),
        Sheet(
            key(PLAYLISTS.name),
            f"The {rules.size} best tracks of the last {rules.released_within_days} days per marketplace and genre, as"
            f" of {at}; also as JSON and M3U files.",
            PLAYLISTS.grain,
            PLAYLISTS.columns,
            [key(TRACK_SCORES.name)],
            kinds=frozenset({"polars", "parquet", "json", "m3u"}),
            made_of={"place": ["track_score", "answers"], "version": ["track_id"], "playlist_id": ["genre"]},
            due_hours=due,
        ),
        Sheet(
            key(PLAYLIST_CHANGES.name),
            "What came into the playlists, went and moved against the day before, each with its reason.",
            PLAYLIST_CHANGES.grain,
            PLAYLIST_CHANGES.columns,
            [key(PLAYLISTS.name), key(TRACK_SCORES.name)],
            made_of={"reason": ["track_score", "place"], "place_before": ["place"], "score_before": ["track_score"]},
            due_hours=due,
        ),
    ]
    return {sheet.key[1]: sheet for sheet in sheets}


def playlist_specs(program: Program, *names: str) -> list[dg.AssetSpec]:
    """Dagster's specs of the named assets."""
    sheets = playlist_sheets(program)
    known = {sheet.key: [column.name for column in sheet.columns] for sheet in sheets.values()}
    return [spec_of(program, sheets[name], known) for name in names]
