"""What is still readable of an erased fan: every file decoded and looked through; nothing is changed.

A file that goes meanwhile is passed over. `renew` prolongs the lease of who asks, before each file; roots see to it
themselves (`Hold.kept`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import orjson
import polars as pl

from engage_assets.archive.avro_files import Container, blocks, decode, open_container, unpack
from engage_assets.archive.certificate import Scanned
from engage_assets.archive.error_files import error_keys, errors_naming, has_left
from engage_assets.archive.exports import clean_frame, read_export
from engage_assets.archive.mentions import Mention
from engage_assets.archive.ports import Root
from engage_assets.archive.redaction import avro_keys
from engage_assets.archive.rows import PERSONAL, REDACTED, Values
from engage_assets.archive.unnamed import unnamed

_CHUNK = 2**20


def scan_data(root: Root, mention: Mention) -> tuple[Scanned, int]:
    """All Avro files, and how many personal fields of other fans show a value of the fan.

    Raises OSError, EngageError.
    """
    files = records = left = kept = 0
    for key in avro_keys(root):
        try:
            container = open_container(root.get(key), key)
        except FileNotFoundError:
            continue
        files += 1
        for block in blocks(container, key):
            found = _scan_block(container, unpack(block, container.codec), block.rows, mention)
            records, left, kept = records + block.rows, left + found["left"], kept + found["kept"]
    return Scanned(files, records, left), kept


def _scan_block(container: Container, data: bytes, rows: int, mention: Mention) -> Counter[str]:
    looked_for = (mention.fan_id, *mention.values)
    if not any(one.encode() in data for one in looked_for):
        return Counter()
    return Counter(verdict for values in decode(rows, data, container.schema) for verdict in _verdicts(values, mention))


def _verdicts(values: Values, mention: Mention) -> Iterable[str]:
    readable = [one for name in PERSONAL if (one := values.get(name)) not in {None, REDACTED}]
    if values.get("fanId") == mention.fan_id:
        return ["left"] if readable else []
    return ["kept" for one in readable if one in mention.values]


def scan_errors(errors: Root, mention: Mention) -> Scanned:
    """All error files: events that name the fan, and events that name nobody and show an address or number of theirs.

    Raises OSError, EngageError.
    """
    keys = error_keys(errors)
    left = sum(has_left(stated, one) for one in (mention, unnamed(mention)) for _, stated in errors_naming(errors, one))
    return Scanned(len(keys), len(keys), left)


def scan_exports(paths: Iterable[Path], mention: Mention, renew: Callable[[], None]) -> Scanned:
    """Exports that can be read."""
    files = records = left = 0
    for path in paths:
        renew()
        try:
            frame = read_export(path)
        except (pl.exceptions.PolarsError, ValueError, FileNotFoundError):
            continue
        files, records, left = files + 1, records + frame.height, left + clean_frame(frame, mention)[1]
    return Scanned(files, records, left)


def scan_mirror(folder: Path, mention: Mention, renew: Callable[[], None]) -> Scanned:
    """All Parquet files below a folder."""
    files = records = left = 0
    for rows, frame in _of_fan(folder, mention, renew):
        readable = (pl.col(name).is_not_null() & (pl.col(name) != REDACTED) for name in frame.columns)
        files, records = files + 1, records + rows
        left += frame.filter(pl.any_horizontal(readable)).height if frame.width else 0
    return Scanned(files, records, left)


def note_mirror(folder: Path, mention: Mention, renew: Callable[[], None]) -> None:
    """Gather the personal values that a mirror still shows of the fan."""
    for _, frame in _of_fan(folder, mention, renew):
        for column in frame:
            mention.note(column.to_list())


def _of_fan(folder: Path, mention: Mention, renew: Callable[[], None]) -> Iterator[tuple[int, pl.DataFrame]]:
    """Of each Parquet file how many rows it has, and the fan's personal fields."""
    for path in sorted(folder.rglob("*.parquet")):
        renew()
        try:
            file = pl.scan_parquet(path)
            names = file.collect_schema().names()
            rows = file.select(pl.len()).collect().item()
            wanted = pl.col("fanId") == mention.fan_id if "fanId" in names else pl.lit(value=False)
            found = file.filter(wanted).select(name for name in PERSONAL if name in names).collect()
        except FileNotFoundError:
            continue
        yield rows, found


def scan_bytes(places: Iterable[Path], mention: Mention, renew: Callable[[], None]) -> Scanned:
    """Files as they are, whatever they hold: bytes of a value that was met, plain or as JSON writes it."""
    needles = {
        form for value in mention.values for form in (value.encode(), orjson.dumps(value)[1:-1]) if len(form) > 3
    }
    files = [one for place in places for one in ([place] if place.is_file() else sorted(place.rglob("*")))]
    found = [_holds(path, needles, renew) for path in files if path.is_file()]
    return Scanned(len(found), len(found), sum(found))


def _holds(path: Path, needles: set[bytes], renew: Callable[[], None]) -> bool:
    """Whether a file holds one of these; read piece by piece, with an overlap."""
    overlap = max((len(one) for one in needles), default=1) - 1
    before = b""
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                renew()
                data = before + piece
                if any(one in data for one in needles):
                    return True
                before = data[-overlap:] if overlap else b""
    except FileNotFoundError:
        pass
    return False
