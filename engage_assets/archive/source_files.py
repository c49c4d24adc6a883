"""Change files that a folder of NDJSON retains: cleaned of a fan, line by line, each file replaced as a whole."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from engage_assets.archive.error_files import Cleaned
from engage_assets.archive.mentions import Mention, Unreadable
from engage_assets.archive.unnamed import unnamed
from engage_assets.archive.writers import refuse_writers
from engage_assets.domain.errors import EngageError
from engage_assets.lake import replacing

SUFFIXES: Final = (".ndjson", ".jsonl")


def clean_folder(folder: Path, mention: Mention, renew: Callable[[], None]) -> Cleaned:
    """Take a fan's personal values out of the change files of a folder.

    Every line stays where it is, so positions and line numbers stay true; one that cannot be taken apart states its
    place instead. `renew` prolongs the lease before each line. Raises OSError, LeaseLost; EngageError where a file grew
    while it was rewritten: stop its writer, run again.
    """
    done = Cleaned()
    for aside in folder.glob(".*.tmp"):  # an erasure that died left it
        aside.unlink(missing_ok=True)
    for path in change_files(folder):
        before = done.records
        with suppress(FileNotFoundError), path.open("rb") as file:
            size = path.stat().st_size
            if not any(cleaned != line for line, cleaned in _lines(file, path.name, mention, Cleaned(), renew)):
                continue
            file.seek(0)
            _replace(path, file, size, mention, done, renew)
        done.files += done.records > before
    return done


def change_files(folder: Path) -> list[Path]:
    """The files of a folder that are shards of its stream."""
    return [path for path in sorted(folder.iterdir()) if path.suffix in SUFFIXES]


def _replace(path: Path, file: BinaryIO, size: int, mention: Mention, done: Cleaned, renew: Callable[[], None]) -> None:
    refuse_writers(file, path)
    mode = path.stat().st_mode & 0o777
    with replacing(path) as aside:
        with aside.open("wb") as out:
            out.writelines(cleaned for _, cleaned in _lines(file, path.name, mention, done, renew))
        aside.chmod(mode)
        if path.stat().st_size != size:
            raise EngageError(f"{path}: grew while it was rewritten; stop whatever writes it and erase again")
    _carry_over(path, file, size)


def _carry_over(path: Path, replaced: BinaryIO, size: int) -> None:
    """Append to a file what was written to the one that it replaced after that one had been measured."""
    replaced.seek(size)
    if rest := replaced.read():
        with path.open("ab") as file:
            file.write(rest)


def _lines(
    file: BinaryIO, name: str, mention: Mention, done: Cleaned, renew: Callable[[], None]
) -> Iterator[tuple[bytes, bytes]]:
    """Each line, and what it becomes; both with the end that it has."""
    known = unnamed(mention)
    for number, line in enumerate(file, 1):
        renew()
        data = line.removesuffix(b"\n")
        try:
            cleaned = mention.redacted(data) or known.redacted(data)
        except Unreadable:
            done.replaced += 1
            cleaned = orjson.dumps({"erased": {"shard": name, "line": number}})
        if cleaned is None:
            yield line, line
        else:
            done.records += 1
            yield line, cleaned + line[len(data) :]


def lines_left(folder: Path, mention: Mention, renew: Callable[[], None]) -> tuple[int, int, int]:
    """Change files of a folder, their lines, and how many of these still hold something personal of the fan.

    What that is, is noted in `mention`.
    """
    lines, done = 0, Cleaned()
    paths = change_files(folder)
    for path in paths:
        with suppress(FileNotFoundError), path.open("rb") as file:
            lines += sum(1 for _ in _lines(file, path.name, mention, done, renew))
    return len(paths), lines, done.records
