"""Which files of a root count: a reader sees each record once, also while small files are made into one.

A partition's manifest names its current compacted files and the files that each replaced. It is put as a whole, before
any replaced file goes; so whoever lists first and reads manifests after sees either all of the small files or the one.
"""

import re
from collections.abc import MutableMapping
from typing import Any, Final, NamedTuple

import orjson

from engage_assets.archive.ports import Root, Stored
from engage_assets.domain.errors import EngageError

MANIFEST: Final = "_compacted.json"
COMPACTED: Final = ".compacted.avro"
ATTEMPTS: Final = 20
"""How often a listing is made again while compaction publishes."""
_KEY: Final = re.compile(r"data/([^/]+)/partition_date=(\d{4}-\d\d-\d\d)/[^/]+")


class Partition(NamedTuple):
    """A type and a UTC date (YYYY-MM-DD)."""

    type: str
    date: str

    @property
    def folder(self) -> str:
        """Where its files lie, with a slash at the end."""
        return f"data/{self.type}/partition_date={self.date}/"


class Compacted(NamedTuple):
    """A current compacted file."""

    key: str
    records: int
    replaced: tuple[str, ...]
    """Keys of all files whose records it holds, for good: one of them that is written again still does not count."""
    at: float
    """When it was published, in s since 1970: its replaced files go a grace later."""


class Manifest(NamedTuple):
    """What a partition's manifest states."""

    files: tuple[Compacted, ...] = ()
    retired: tuple[str, ...] = ()
    """Keys of files that retention is taking away: none of them counts any more."""

    @property
    def replaced(self) -> set[str]:
        """Keys of files that do not count any more."""
        return {key for one in self.files for key in one.replaced}.union(self.retired)


Known = MutableMapping[tuple[str, str], Manifest]
"""Manifests by key and tag, so that one that did not change is not read again."""


def partition_of(key: str) -> Partition:
    """The partition of a file below `data/`. Raises EngageError where the key has none."""
    found = _KEY.fullmatch(key)
    if not found:
        raise EngageError(f"{key}: not a file of the archive (data/TYPE/partition_date=YYYY-MM-DD/NAME); take it away")
    return Partition(*found.groups())


def live_files(root: Root, kind: str | None = None, *, known: Known | None = None) -> list[Stored]:
    """The files that hold the archive's records, each record in one of them, by key.

    A reader that meets FileNotFoundError in one of them asks again. Raises OSError; EngageError where a manifest names
    a file that is not there.
    """
    return live_below(root, "data/" if kind is None else f"data/{kind}/", known=known)


def live_below(root: Root, prefix: str, *, known: Known | None = None) -> list[Stored]:
    """The live files whose keys begin with `prefix`, which ends at a folder. Raises as `live_files`."""
    lost: set[str] = set()
    for _ in range(ATTEMPTS):
        listed = {file.key: file for file in root.stored(prefix)}
        current, replaced = _stated(root, listed, known)
        lost = current - listed.keys()
        if not lost:
            return [file for key, file in sorted(listed.items()) if _is_live(key, current, replaced)]
    raise EngageError(
        f"{min(lost)}: its partition's {MANIFEST} names it and it is not there; bring it back, for it holds records"
    )


def _is_live(key: str, current: set[str], replaced: set[str]) -> bool:
    return key in current or (key.endswith(".avro") and not key.endswith(COMPACTED) and key not in replaced)


def _stated(root: Root, listed: dict[str, Stored], known: Known | None) -> tuple[set[str], set[str]]:
    """Keys that are current, and keys that were replaced."""
    current: set[str] = set()
    replaced: set[str] = set()
    for file in listed.values():
        if file.key.endswith(f"/{MANIFEST}"):
            manifest = _read(root, file, known)
            current.update(one.key for one in manifest.files)
            replaced |= manifest.replaced
    return current - replaced, replaced


def _read(root: Root, file: Stored, known: Known | None) -> Manifest:
    if known is None:
        return read_manifest(root, file.key)
    place = (file.key, file.tag)
    if place not in known:
        known[place] = read_manifest(root, file.key)
    return known[place]


def read_manifest(root: Root, key: str) -> Manifest:
    """A manifest; empty where there is none. Raises OSError; EngageError where it cannot be read as one."""
    try:
        content = root.get(key)
    except FileNotFoundError:
        return Manifest()
    folder = key.removesuffix(MANIFEST)
    try:
        stated = orjson.loads(content)
        files = tuple(_compacted(one, folder) for one in stated["files"])
        return Manifest(files, tuple(f"{folder}{name}" for name in stated.get("retired", ())))
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise EngageError(f"{key}: not a manifest of compacted files; bring back the one that was there") from None


def _compacted(stated: Any, folder: str) -> Compacted:
    replaced = tuple(f"{folder}{name}" for name in stated["replaced"])
    return Compacted(f"{folder}{stated['name']}", int(stated["records"]), replaced, float(stated["at"]))


def manifest_bytes(manifest: Manifest) -> bytes:
    """A manifest as a file: names without the folder, which is the manifest's own."""
    files = [
        {
            "name": _name(one.key),
            "records": one.records,
            "at": one.at,
            "replaced": [_name(key) for key in sorted(one.replaced)],
        }
        for one in manifest.files
    ]
    stated = {"files": files, "retired": [_name(key) for key in sorted(manifest.retired)]}
    return orjson.dumps(stated, option=orjson.OPT_INDENT_2) + b"\n"


def _name(key: str) -> str:
    return key.rpartition("/")[2]
