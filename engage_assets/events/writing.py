"""Adding versions to the event catalogue: a file each, beside what is there; nothing is ever written over."""

import hashlib
from pathlib import Path

from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import EVENTS, Event
from engage_assets.events.catalogue import fault_of, frame_of
from engage_assets.lake import replacing


def append(warehouse: Path, event: Event) -> Path:
    """Write a version of `event` into the catalogue below `warehouse`; readers see it whole or not at all.

    A catalogue that is one Parquet file becomes the first file of a folder. The same version again changes nothing.
    Raises EngageError for a version that breaks the contract, and for a catalogue of CSV files.
    """
    fault = fault_of(event)
    if fault:
        raise EngageError(f"event {event.event_id}: {fault}")
    folder = warehouse / str(EVENTS.database) / EVENTS.name
    single = folder.with_suffix(".parquet")
    _refuse_csv(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rows = frame_of([event])
    mark = hashlib.sha256(repr(rows.rows()).encode()).hexdigest()[:12]
    path = folder / f"{event.known_at:%Y%m%dT%H%M%S%f}-{mark}.parquet"
    with replacing(path) as aside:
        rows.write_parquet(aside, compression="zstd")
    if single.is_file():
        # Readers take the single file as long as it is there, so nothing is seen twice.
        first = folder / "00000000T000000000000-first.parquet"
        if not first.exists():
            first.hardlink_to(single)
        single.unlink()
    return path


def _refuse_csv(folder: Path) -> None:
    files = [folder.with_suffix(".csv"), *folder.glob("*.csv")]
    found = next((file for file in files if file.is_file()), None)
    if found:
        raise EngageError(
            f"{found} holds the event catalogue: add the version there as a row, or turn the file into Parquet"
        )
