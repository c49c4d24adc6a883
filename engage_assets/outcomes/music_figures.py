"""Own figures of programs about music: playlists and artists, and their section of the report."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from engage_assets.domain.playlist_tables import CHANGE_REASONS, PLAYLIST_CHANGES, PLAYLISTS
from engage_assets.outcomes import charts
from engage_assets.outcomes.figures import UNMEASURED, Figures, signed_percent, thousands
from engage_assets.outcomes.music_artists import artist_figures
from engage_assets.outcomes.music_playlists import CAVEAT, CHANGES, playlist_figures
from engage_assets.outcomes.own import Given, OwnFigures
from engage_assets.outcomes.rows import Figure

LABELS: Final = {
    "playlists": "Playlists",
    "playlist_tracks": "Tracks in playlists",
    "playlist_changes": "Changes of playlists",
    "playlist_plays_before": "Daily plays before update",
    "playlist_plays_after": "Daily plays after update",
    "playlist_improvement": "Playlist improvement",
    "artists_rating": "Artists that rated",
    "artist_satisfaction": "Artist satisfaction",
}
FORMS: Final = {
    "playlist_plays_before": "{:.3f}",
    "playlist_plays_after": "{:.3f}",
    "artist_satisfaction": "{:.2f} of 5",
}
_SIDES: Final = {"Before": "playlist_plays_before", "After": "playlist_plays_after"}


def _measure(given: Given) -> Iterator[Figure]:
    yield from playlist_figures(given)
    yield from artist_figures(given)


def music_section(figures: Figures, width: int) -> Mapping[str, Any] | None:
    """What the template `music.html.j2` shows; None where neither playlists nor ratings are there."""
    if figures.value("playlists") is None and figures.value("artist_satisfaction") is None:
        return None
    turned = {change: figures.count("playlist_changes", "change", change) for change in CHANGES}
    whole = figures.count("playlist_changes")
    shown = {change.capitalize(): tracks for change, tracks in turned.items()}
    changes = [charts.Bar(name, _tracks(tracks), tracks / whole if whole else 0) for name, tracks in shown.items()]
    return {
        "playlists": figures.value("playlists"),
        "tracks": figures.value("playlist_tracks"),
        "changes": whole,
        "changes_chart": charts.bars(changes, width),
        "changes_description": "; ".join(f"{name}: {thousands(tracks)}" for name, tracks in shown.items()),
        "reasons": _reasons(figures),
        "cause": figures.note("playlist_improvement"),
        "caveat": CAVEAT,
        "improvement": _improvement(figures),
        **_listening(figures, width),
        "satisfaction": _satisfaction(figures),
        "artists": figures.value("artists_rating"),
        "no_ratings": figures.note("artist_satisfaction"),
    }


def _tracks(tracks: int) -> str:
    return f"{thousands(tracks)} {'track' if tracks == 1 else 'tracks'}"


def _reasons(figures: Figures) -> list[tuple[str, list[dict[str, Any]]]]:
    """Reasons of the changes by what changed, the most frequent first."""
    groups: list[tuple[str, list[dict[str, Any]]]] = []
    found = [member.split("/") for member in figures.members("playlist_changes", "change_reason")]
    for change in CHANGES:
        codes = [code for at, code in found if at == change]
        tracks = {code: figures.count("playlist_changes", "change_reason", f"{change}/{code}") for code in codes}
        ranked = sorted(tracks.items(), key=lambda item: (-item[1], item[0]))
        rows = [{"code": code, "explanation": _why(code), "tracks": number} for code, number in ranked]
        if rows:
            groups.append((change.capitalize(), rows))
    return groups


def _why(code: str) -> str:
    """A reason in words, without what changed: the table says so above it."""
    return CHANGE_REASONS.get(code, "").split(": ")[-1]


def _listening(figures: Figures, width: int) -> dict[str, Any]:
    """Plays before and after the update as bars; nothing where they were not measured."""
    sides = {name: figures.value(metric) for name, metric in _SIDES.items()}
    known = {name: value for name, value in sides.items() if value is not None}
    most = max(known.values(), default=0)
    rows = [
        charts.Bar(f"{name} the update", f"{value:.3f} plays a day", value / most if most else 0)
        for name, value in known.items()
    ]
    words = "; ".join(f"{name} the update: {value:.3f} plays a listener and day" for name, value in known.items())
    return {"listening_chart": charts.bars(rows, width) if rows else None, "listening_description": words}


def _improvement(figures: Figures) -> str | None:
    value = figures.value("playlist_improvement")
    return None if value is None else signed_percent(value)


def _satisfaction(figures: Figures) -> str:
    value = figures.value("artist_satisfaction")
    return UNMEASURED if value is None else FORMS["artist_satisfaction"].format(value)


OWN: Final = OwnFigures(
    made=(PLAYLISTS.name, PLAYLIST_CHANGES.name),
    measure=_measure,
    labels=LABELS,
    forms=FORMS,
    section=music_section,
    template="music.html.j2",
)
