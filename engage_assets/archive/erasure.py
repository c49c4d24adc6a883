"""An erasure: nothing personal of a fan stays readable, wherever the archive put it, and none comes back.

First the tombstone, in the root and then in the state, so that whatever comes from now on is redacted; then every copy,
the archive's own files last, for what they hold tells what to look for in the others; then a scan. Whatever dies in
between: run it again.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Protocol

from engage_assets.archive.avro_files import read_rows
from engage_assets.archive.certificate import Certificate, Rewritten, Scanned, put_certificate
from engage_assets.archive.erasures import fan_hash, put_erasure
from engage_assets.archive.error_files import Cleaned, clean_errors
from engage_assets.archive.exports import Exports, clean_exports
from engage_assets.archive.folder import FolderSource
from engage_assets.archive.handle import Archive
from engage_assets.archive.maintenance import maintaining
from engage_assets.archive.mentions import Mention
from engage_assets.archive.ports import Root
from engage_assets.archive.redaction import avro_keys, rewrite_files
from engage_assets.archive.rows import PERSONAL, Values, redact
from engage_assets.archive.scanning import scan_bytes, scan_data, scan_errors, scan_exports, scan_mirror
from engage_assets.archive.source_files import clean_folder, lines_left
from engage_assets.domain.errors import EngageError

_LOG: Final = logging.getLogger(__name__)
PATIENCE: Final = 120.0
"""Seconds for which ranges are waited for that workers had begun before the tombstone."""
_PAUSE: Final = 0.5


class Forgetful(Protocol):
    """The mirror, as far as an erasure needs it."""

    @property
    def folder(self) -> Path:
        """Where its Parquet files lie."""

    def sync(self, root: Root, *, forget: bool = False) -> object:
        """Be up to date with the root; with `forget` nothing of replaced rows is left on disk."""


def erase(
    archive: Archive,
    fan_id: str,
    *,
    now: float,
    mirror: Forgetful | None = None,
    exports: Sequence[Path] = (),
    source: Path | None = None,
    watched: Sequence[Path] = (),
) -> Certificate:
    """Make unreadable what is personal of a fan, and say what was done and what a scan found.

    `source` is a folder of change files (None: the archive's own source, where it is one). `watched` are files and
    folders that are looked through and not changed: states, logs. `now` is in s since 1970. The certificate is put
    into the root; one that is not complete says what is left. Raises MaintenanceRuns, LeaseLost, OSError, EngageError.
    """
    if not fan_id.strip():
        raise EngageError("erase: no fan id; give the fanId of the person")
    folder = _folder(archive, source)
    mention = Mention(fan_id)
    with maintaining(archive) as hold:
        renew = hold.renew
        erased_at = put_erasure(archive.root, fan_id, int(now * 1_000_000))
        archive.state.erase(fan_id, erased_at)
        in_flight = _await_ranges(archive, renew)
        rewritten, unreadable = _rewrite(archive, mention, mirror, exports, folder, renew)
        scanned, kept = _scan(archive, mention, mirror, exports, folder, watched)
        certificate = Certificate(
            fan=fan_hash(fan_id),
            erased_at=erased_at,
            finished_at=int(archive.clock() * 1_000_000),
            rewritten=rewritten,
            scanned=scanned,
            kept_of_others=kept,
            in_flight=in_flight,
            unreadable=unreadable,
            not_covered=_not_covered(archive, folder, mirror),
        )
        key = put_certificate(archive.root, fan_id, certificate)
    _LOG.info("erasure: %s, complete: %s", key, certificate.is_complete)
    return certificate


def _folder(archive: Archive, source: Path | None) -> Path | None:
    if source is None and isinstance(archive.source, FolderSource):
        return archive.source.folder
    return source


def _not_covered(archive: Archive, folder: Path | None, mirror: Forgetful | None) -> list[str]:
    words = ["copies that were made of files outside of the archive, and backups of them"]
    if folder is None:
        words.append(f"the stream {archive.source.stream} itself, until its retention has passed")
    if mirror is None:
        words.append("a mirror, for none was given")
    return words


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


def _rewrite(
    archive: Archive,
    mention: Mention,
    mirror: Forgetful | None,
    exports: Sequence[Path],
    folder: Path | None,
    renew: Callable[[], None],
) -> tuple[dict[str, Rewritten], list[str]]:
    """Every copy; the archive's data last. Returns what was done by place, and exports that cannot be read."""
    keys = _collect(archive.root, mention, renew)
    done: dict[str, Rewritten] = {}
    if folder is not None:
        done["source"] = _stated(clean_folder(folder, mention, renew))
    done["errors"] = _stated(clean_errors(archive.errors, mention, renew))
    saved: Exports = clean_exports(exports, mention)
    done["exports"] = Rewritten(saved.files, saved.records)
    done["data"] = Rewritten(*rewrite_files(archive.root, keys, _redaction(mention), None, renew))
    if mirror is not None:
        mirror.sync(archive.root, forget=True)
        done["mirror"] = done["data"]
    return done, saved.unreadable


def _stated(done: Cleaned) -> Rewritten:
    return Rewritten(done.files, done.records, done.replaced)


def _collect(root: Root, mention: Mention, renew: Callable[[], None]) -> list[str]:
    """Keys of the Avro files that hold something personal of the fan; its texts are noted."""
    found = []
    needle = mention.fan_id.encode()
    for key in avro_keys(root):
        renew()
        has_met = False
        for values in read_rows(root.get(key), key, needle=needle):
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


def _scan(
    archive: Archive,
    mention: Mention,
    mirror: Forgetful | None,
    exports: Iterable[Path],
    folder: Path | None,
    watched: Iterable[Path],
) -> tuple[dict[str, Scanned], int]:
    data, kept = scan_data(archive.root, mention)
    scanned = {
        "data": data,
        "errors": scan_errors(archive.errors, mention),
        "exports": scan_exports(exports, mention),
        "watched": scan_bytes(watched, mention),
    }
    if folder is not None:
        scanned["source"] = Scanned(*lines_left(folder, mention))
    if mirror is not None:
        scanned["mirror"] = scan_mirror(mirror.folder, mention)
    return scanned, kept
