"""The places where something of a fan may lie: what is known of the fan gathered, the places cleaned, and scanned.

Copies that do not name the fan are found by the values in those that do. So these go last, in the order source, error
files, data, mirror, and only when all others are clean: whatever is in the way or dies, the next run knows them again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from engage_assets.archive.avro_files import read_rows
from engage_assets.archive.certificate import Rewritten, Scanned
from engage_assets.archive.error_files import Cleaned, clean_errors, errors_naming, has_left
from engage_assets.archive.exports import Exports, clean_exports
from engage_assets.archive.handle import Archive
from engage_assets.archive.mentions import Mention
from engage_assets.archive.ports import Root
from engage_assets.archive.redaction import avro_keys, rewrite_files
from engage_assets.archive.rows import PERSONAL, Values, redact
from engage_assets.archive.scanning import note_mirror, scan_bytes, scan_data, scan_errors, scan_exports, scan_mirror
from engage_assets.archive.source_files import clean_folder, lines_left
from engage_assets.archive.unnamed import unnamed

KNOWING: Final = ("source", "errors", "data", "mirror")
"""Places that tell what to look for in the others."""


class Forgetful(Protocol):
    """The mirror, as far as an erasure needs it."""

    @property
    def folder(self) -> Path:
        """Where its Parquet files lie."""

    def sync(self, root: Root, *, forget: bool = False) -> object:
        """Be up to date with the root; with `forget` nothing of replaced rows is left on disk."""


@dataclass(frozen=True)
class Places:
    """Where to look; roots of the archive prolong the lease, `renew` does it for all else."""

    archive: Archive
    mirror: Forgetful | None
    exports: Callable[[], Sequence[Path]]
    """Asked again at the end: one may be written meanwhile."""
    folder: Path | None
    """Change files that are kept."""
    watched: Sequence[Path]
    renew: Callable[[], None]


@dataclass
class Done:
    """What cleaning did, by place."""

    rewritten: dict[str, Rewritten] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)
    postponed: list[str] = field(default_factory=list)

    def add(self, place: str, files: int, records: int, replaced: int = 0) -> None:
        """Count."""
        before = self.rewritten.get(place, Rewritten())
        self.rewritten[place] = Rewritten(before.files + files, before.records + records, before.replaced + replaced)


def clean(places: Places, mention: Mention) -> Done:
    """Every copy. Raises OSError, LeaseLost; EngageError where a file of the archive or the source cannot be read."""
    keys = _gather(places, mention)
    done = Done()
    known = unnamed(mention)
    _add(done, "errors", clean_errors(places.archive.errors, known, places.renew))
    _exports(places, mention, done)
    if done.unreadable or scan_bytes(places.watched, known, places.renew).left:
        done.postponed += [place for place in KNOWING if _is_there(places, place)]
        return done
    if places.folder is not None:
        _add(done, "source", clean_folder(places.folder, mention, places.renew))
    _add(done, "errors", clean_errors(places.archive.errors, mention, places.renew))
    done.add("data", *rewrite_files(places.archive.root, keys, _redaction(mention), None, places.renew))
    if places.mirror is not None:
        places.mirror.sync(places.archive.root, forget=True)
        done.rewritten["mirror"] = done.rewritten["data"]
    _exports(places, mention, done)  # those that were being written from what the mirror showed
    return done


def _is_there(places: Places, place: str) -> bool:
    return {"source": places.folder, "mirror": places.mirror}.get(place, place) is not None


def _add(done: Done, place: str, cleaned: Cleaned) -> None:
    done.add(place, cleaned.files, cleaned.records, cleaned.replaced)


def _exports(places: Places, mention: Mention, done: Done) -> None:
    saved: Exports = clean_exports(places.exports(), mention, places.renew)
    done.add("exports", saved.files, saved.records)
    done.unreadable = saved.unreadable


def _gather(places: Places, mention: Mention) -> list[str]:
    """Note every personal value of the fan that is known anywhere; keys of the Avro files that hold one."""
    if places.mirror is not None:
        note_mirror(places.mirror.folder, mention, places.renew)
    if places.folder is not None:
        lines_left(places.folder, mention, places.renew)
    for _, stated in errors_naming(places.archive.errors, mention):
        has_left(stated, mention)
    return _collect(places.archive.root, mention)


def _collect(root: Root, mention: Mention) -> list[str]:
    """Keys of the Avro files that hold something personal of the fan; its texts are noted."""
    found = []
    needle = mention.fan_id.encode()
    for key in avro_keys(root):
        has_met = False
        try:
            content = root.get(key)
        except FileNotFoundError:
            continue
        for values in read_rows(content, key, needle=needle):
            if values.get("fanId") == mention.fan_id:
                has_met |= _note(values, mention)
        if has_met:
            found.append(key)
    return found


def _note(values: Values, mention: Mention) -> bool:
    for name in PERSONAL:
        mention.note(values.get(name))
    return redact(values)


def _redaction(mention: Mention) -> Callable[[Values], bool]:
    return lambda values: values.get("fanId") == mention.fan_id and redact(values)


def scan(places: Places, mention: Mention) -> tuple[dict[str, Scanned], int]:
    """What is left by place, and how many personal fields of others show a value of the fan.

    Raises as `clean`.
    """
    data, kept = scan_data(places.archive.root, mention)
    scanned = {
        "data": data,
        "errors": scan_errors(places.archive.errors, mention),
        "exports": scan_exports(places.exports(), mention, places.renew),
        "watched": scan_bytes(places.watched, mention, places.renew),
    }
    if places.folder is not None:
        scanned["source"] = Scanned(*lines_left(places.folder, mention, places.renew))
    if places.mirror is not None:
        scanned["mirror"] = scan_mirror(places.mirror.folder, mention, places.renew)
    return scanned, kept
