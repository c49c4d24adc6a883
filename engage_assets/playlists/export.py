"""Playlists as files that players and people read: JSON and extended M3U, one of each per playlist.

The same playlists give the same bytes. A folder of a partition holds the files of its playlists and no others.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import polars as pl

from engage_assets.lake import replacing

LONGEST: Final = 60
"""Characters of a playlist's name that its file keeps."""
_ENDINGS: Final = (".json", ".m3u8")
_AT_ONCE: Final = 8
"""Files that are written at a time: nearly all of it is waiting for the disk."""


def write_playlists(folder: Path, playlists: pl.DataFrame, tracks: pl.DataFrame, partition: str) -> list[Path]:
    """Write PLAYLISTS into `folder`, each file as a whole; files of playlists that are gone are removed.

    `tracks` hold track_id, name and artist_name (null: not known). Returns what was written, sorted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    named = playlists.join(tracks, on="track_id", how="left", maintain_order="left")
    texts = dict(_texts(named, partition))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        written = list(pool.map(lambda name: _write(folder / name, texts[name]), texts))
    for path in folder.iterdir():
        if path.suffix in _ENDINGS and not path.name.startswith(".") and path not in written:
            path.unlink()
    return sorted(written)


def _texts(named: pl.DataFrame, partition: str) -> Iterator[tuple[str, str]]:
    """Name and text of each file."""
    for rows in named.partition_by("playlist_id", maintain_order=True):
        entries = rows.to_dicts()
        stem = file_name(entries[0]["marketplace"], entries[0]["genre"])
        for ending, text in zip(_ENDINGS, (_json(entries, partition), _m3u(entries, partition)), strict=True):
            yield f"{stem}{ending}", text


def _write(path: Path, text: str) -> Path:
    with replacing(path) as aside:
        aside.write_text(text, encoding="utf-8", newline="\n")
    return path


def file_name(marketplace: str, genre: str) -> str:
    """`US-indie-rock`: letters, digits and hyphens. What cannot be said so is followed by 8 hex digits of its hash."""
    name = f"{marketplace}-{genre}"
    if re.fullmatch(r"[A-Z0-9]+-[a-z0-9]+(-[a-z0-9]+)*", name) and len(name) <= LONGEST:
        return name
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-")[:LONGEST].strip("-")
    digest = sha256(f"{marketplace}\x1f{genre}".encode()).hexdigest()[:8]
    return f"{slug}-{digest}".lstrip("-")


def _json(entries: list[dict[str, Any]], partition: str) -> str:
    """A playlist's document, each value in a line of its own."""
    head = entries[0]
    names = ("place", "track_id", "name", "artist_id", "artist_name", "release_date", "track_score", "answers", "ups")
    tracks = ",\n".join(f"  {{\n   {_fields({name: entry[name] for name in names}, 3)}\n  }}" for entry in entries)
    about = {
        "playlist": head["playlist_id"],
        "version": head["version"],
        "marketplace": head["marketplace"],
        "genre": head["genre"],
        "partition": partition,
    }
    return f'{{\n {_fields(about, 1)},\n "tracks": [\n{tracks}\n ]\n}}\n'


def _fields(values: dict[str, Any], indent: int) -> str:
    """Members of an object as JSON, without its braces; the library's own indents take many times as long."""
    between = (f",\n{' ' * indent}", ": ")
    return json.dumps(values, ensure_ascii=False, separators=between, default=str)[1:-1]


def _m3u(entries: list[dict[str, Any]], partition: str) -> str:
    return "\n".join(_lines(entries, partition)) + "\n"


def _lines(entries: list[dict[str, Any]], partition: str) -> Iterator[str]:
    """Extended M3U; a track's address is `track:` and its percent-encoded id. Length -1: not known."""
    head = entries[0]
    yield "#EXTM3U"
    yield f"#PLAYLIST:{_line(head['playlist_id'])}"
    yield f"#VERSION:{head['version']} of {partition}"
    for entry in entries:
        title = " - ".join(_line(entry[name]) for name in ("artist_name", "name") if entry[name])
        yield f"#EXTINF:-1,{title or _line(entry['track_id'])}"
        yield f"track:{quote(entry['track_id'], safe='')}"


def _line(text: str) -> str:
    """The text in one line, without control characters."""
    return re.sub(r"[\x00-\x1f\x7f\x85\u2028\u2029]+", " ", text).strip()
