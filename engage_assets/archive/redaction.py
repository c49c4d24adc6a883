"""Versions that were archived before a REMOVE lose what is personal: files are rewritten under their own keys."""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from engage_assets.archive.avro_files import rewrite
from engage_assets.archive.handle import Archive
from engage_assets.archive.late_errors import clean_late_errors
from engage_assets.archive.live import live_files
from engage_assets.archive.maintenance import maintaining
from engage_assets.archive.ports import Root
from engage_assets.archive.rows import Values, redact
from engage_assets.archive.state import Removal

_LOG: Final = logging.getLogger(__name__)
LIMIT: Final = 10_000
"""Removals of one pass over the files."""
_FEW: Final = 64
"""References up to which blocks are searched for their bytes before they are decoded."""


class Finder(Protocol):
    """The mirror, as far as it is asked here."""

    def sync(self, root: Root, *, forget: bool = False) -> object:
        """Be up to date with the live files of the root; with `forget` nothing of replaced rows is left on disk."""

    def find(self, *, references: Collection[str], kind: str | None = None) -> set[str]:
        """Keys of live files that hold a version of one of the reference ids, as of the last sync."""


class Rewrites(NamedTuple):
    """Files that were written again, and their rows that changed."""

    files: int = 0
    records: int = 0


@dataclass(frozen=True)
class RedactionSummary:
    """What a run did."""

    removals: int = 0
    files: int = 0
    records: int = 0
    """Versions that are no longer readable."""
    errors: int = 0
    """Late error events of erased fans that were cleaned."""


def redact_removed(archive: Archive, *, mirror: Finder | None = None, limit: int = LIMIT) -> RedactionSummary:
    """Redact the earlier versions of everything that was removed since the last run; to be run daily.

    Error files that came late and name an erased fan are cleaned too. One pass over the files serves `limit` removals;
    with a mirror only files that hold one of them are read. Replaced files that wait for the end of their grace are
    rewritten like all others. Raises MaintenanceRuns, LeaseLost, OSError; EngageError where a file cannot be read: then
    the removals stay pending.
    """
    with maintaining(archive) as hold:
        renew, archive = hold.renew, hold.kept
        errors = clean_late_errors(archive.errors, archive.state.erasures(), renew).records
        done = RedactionSummary(errors=errors)
        while removals := archive.state.pending_removals(limit):
            found = _redact(archive, removals, mirror, renew)
            archive.state.removals_done(removals)
            done = RedactionSummary(
                done.removals + len(removals), done.files + found.files, done.records + found.records, errors
            )
        if mirror is not None:  # also where nothing was to be done: the run before may have died here
            mirror.sync(archive.root, forget=True)
    _LOG.info("redaction: %d removals, %d versions in %d files", done.removals, done.records, done.files)
    return done


def _redact(
    archive: Archive, removals: Iterable[Removal], mirror: Finder | None, renew: Callable[[], None]
) -> Rewrites:
    wanted: dict[str, dict[str, int]] = defaultdict(dict)
    for removal in removals:
        wanted[removal.type][removal.reference_id] = removal.changed_at
    if mirror is not None:
        mirror.sync(archive.root)
    files = records = 0
    for kind, references in wanted.items():
        keys = _candidates(archive.root, kind, references, mirror)
        needles = [one.encode() for one in references] if len(references) <= _FEW else None
        found = rewrite_files(archive.root, keys, _redaction(references), needles, renew)
        files, records = files + found.files, records + found.records
    return Rewrites(files, records)


def _candidates(root: Root, kind: str, references: Collection[str], mirror: Finder | None) -> list[str]:
    """Files that may hold a version; those that are not live are unknown to the mirror."""
    keys = avro_keys(root, f"data/{kind}/")
    if mirror is None:
        return keys
    live = {file.key for file in live_files(root, kind)}
    found = mirror.find(references=references, kind=kind)
    return [key for key in keys if key in found or key not in live]


def avro_keys(root: Root, prefix: str = "data/") -> list[str]:
    """All Avro files, also those that do not count any more or not yet."""
    return [file.key for file in root.stored(prefix) if file.key.endswith(".avro")]


def _redaction(references: dict[str, int]) -> Callable[[Values], bool]:
    def change(values: Values) -> bool:
        until = references.get(values["reference"]["id"])
        return until is not None and values["lineage"]["changeTime"] <= until and redact(values)

    return change


def rewrite_files(
    root: Root,
    keys: Iterable[str],
    change: Callable[[dict[str, Any]], bool],
    needles: Collection[bytes] | None,
    renew: Callable[[], None],
) -> Rewrites:
    """Change rows of files in place; `renew` prolongs the lease before each. Raises OSError, EngageError, LeaseLost."""
    files = records = 0
    for key in keys:
        renew()
        try:
            content = root.get(key)
        except FileNotFoundError:
            continue
        found = rewrite(content, key, change, needles)
        if found is not None:
            root.put(key, found.content)
            files, records = files + 1, records + found.rows
    return Rewrites(files, records)
