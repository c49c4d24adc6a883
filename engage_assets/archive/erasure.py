"""An erasure: nothing personal of a fan stays readable, wherever the archive put it, and none comes back.

First the tombstone, in the root and then in the state, so that whatever comes from now on is redacted; then every copy
(cleaning.py), then a scan. Whatever dies in between: run it again.
"""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from engage_assets.archive.certificate import Certificate, put_certificate
from engage_assets.archive.cleaning import Forgetful, Places, clean, scan
from engage_assets.archive.erasures import fan_hash, put_erasure
from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.handle import Archive
from engage_assets.archive.maintenance import maintaining
from engage_assets.archive.mentions import Mention
from engage_assets.archive.ports import Root
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
PATIENCE: Final = 120.0
"""Seconds for which ranges are waited for that workers had begun before the tombstone."""
_PAUSE: Final = 0.5
_ALWAYS: Final = (
    "copies that were made of files outside of the archive, and backups of them",
    "mirrors on other machines, until `engage sql` is asked there the next time",
    "change files that are put into a source folder later: their lines stay until the fan is erased once more",
    "records that do not name the fan and come after the erasure, as a backfill of refused ones does",
    "values that the archive no longer held when the erasure began, where they stand in a file without the fan's id",
)


@runtime_checkable
class Versioned(Protocol):
    """A root in a bucket."""

    bucket: str

    def keeps_versions(self) -> bool | None:
        """Whether it may hold old versions of objects; None where it does not say."""


def erase(
    archive: Archive,
    fan_id: str,
    *,
    now: float,
    mirror: Forgetful | None = None,
    exports: Sequence[Path] | Callable[[], Sequence[Path]] = (),
    source: Path | None = None,
    watched: Sequence[Path] = (),
    not_covered: Sequence[str] = (),
) -> Certificate:
    """Make unreadable what is personal of a fan, and say what was done and what a scan found.

    `exports` may be a function that lists them: it is asked again when all else is done. `source` is a folder of change
    files (None: the archive's own source, where it is one). `watched` are files and folders that are looked through and
    not changed: states, logs. `not_covered` says what else is not reached. `now` is in s since 1970. The certificate is
    put into the root; one that is not complete says what is left. Raises MaintenanceRuns, LeaseLost, OSError,
    EngageError.
    """
    if not fan_id.strip():
        raise EngageError("erase: no fan id; give the fanId of the person")
    folder = _folder(archive, source)
    mention = Mention(fan_id)
    with maintaining(archive) as hold:
        erased_at = put_erasure(archive.root, fan_id, int(now * 1_000_000))
        archive.state.erase(fan_id, erased_at)
        in_flight = _await_ranges(archive, hold.renew)
        listed = exports if callable(exports) else lambda: exports
        places = Places(hold.kept, mirror, listed, folder, watched, hold.renew)
        _sweep(archive.root, archive.errors)
        done = clean(places, mention)
        scanned, kept = scan(places, mention)
        certificate = Certificate(
            fan=fan_hash(fan_id),
            erased_at=erased_at,
            finished_at=int(archive.clock() * 1_000_000),
            rewritten=done.rewritten,
            scanned=scanned,
            kept_of_others=kept,
            in_flight=in_flight,
            unreadable=done.unreadable,
            postponed=done.postponed,
            not_covered=[*_not_covered(archive, folder, mirror), *not_covered],
        )
        hold.confirm()
        key = put_certificate(archive.root, fan_id, certificate)
    _LOG.info("erasure: %s, complete: %s", key, certificate.is_complete)
    return certificate


def _folder(archive: Archive, source: Path | None) -> Path | None:
    if source is None and isinstance(archive.source, FolderSource):
        return archive.source.folder
    return source


def _not_covered(archive: Archive, folder: Path | None, mirror: Forgetful | None) -> list[str]:
    words = list(_ALWAYS)
    if folder is None:
        words.append(f"the stream {archive.source.stream} itself, until its retention has passed")
    if mirror is None:
        words.append("a mirror, for none was given")
    old = dict.fromkeys(word for root in (archive.root, archive.errors) if (word := old_versions(root)))
    return words + list(old)


def _sweep(*roots: Root) -> None:
    """Take away what writers that died left beside the files of folders; one that lives writes again."""
    for root in roots:
        if isinstance(root, FolderRoot):
            for aside in root.folder.rglob(".*.tmp"):
                aside.unlink(missing_ok=True)


def old_versions(root: Root) -> str | None:
    """What a root that is a bucket keeps of files that were rewritten."""
    if not isinstance(root, Versioned):
        return None
    keeps = root.keeps_versions()
    if keeps is None:
        return f"old versions of objects, if {root.bucket} keeps some: it was not allowed to ask"
    return f"old versions of objects: {root.bucket} keeps them; delete those that are not current" if keeps else None


def _await_ranges(archive: Archive, renew: Callable[[], None]) -> int:
    """Wait until ranges that were begun before the tombstone are written; says how many are not.

    A range whose worker is dead is written again by one that knows the tombstone; what it left is rewritten here.
    """
    begun = {(one.stream, one.name): one.pending for one in archive.state.shards() if one.pending is not None}
    left = PATIENCE
    while True:
        now = archive.clock()
        alive = {
            (one.stream, one.name): one.pending
            for one in archive.state.shards()
            if one.owner is not None and one.leased_until > now
        }
        begun = {place: pending for place, pending in begun.items() if alive.get(place) == pending}
        if not begun or left <= 0:
            return len(begun)
        renew()
        archive.sleep(_PAUSE)
        left -= _PAUSE
