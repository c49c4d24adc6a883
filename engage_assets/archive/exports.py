"""Query results that were saved as CSV or Parquet: cleaned of a fan, each file replaced as a whole."""

import glob
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import polars as pl

from engage_assets.archive.mentions import Mention, is_personal, plain_name
from engage_assets.archive.rows import REDACTED
from engage_assets.lake import replacing

_ROW: Final = "\0row"
Values = dict[str, Any]


@dataclass
class Exports:
    """What cleaning did."""

    files: int = 0
    """Files that were written again."""
    records: int = 0
    """Rows that changed."""
    gone: int = 0
    """Files that were not there any more."""
    unreadable: list[str] = field(default_factory=list)
    """Paths of files that are neither CSV nor Parquet, or broken: look at them yourself."""


def clean_exports(paths: Iterable[Path], mention: Mention, renew: Callable[[], None]) -> Exports:
    """Take a fan's personal values out of exports; `renew` prolongs the lease before each.

    In a row that names the fan, fields of a personal name; anywhere else, texts that have one of `mention.values` in
    them; never in a row of another fan (one with another id in a column fanId). What a writer that died left beside one
    goes. Raises OSError, LeaseLost.
    """
    done = Exports()
    for path in paths:
        renew()
        for aside in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            aside.unlink(missing_ok=True)
        try:
            frame = read_export(path)
        except FileNotFoundError:
            done.gone += 1
            continue
        except (pl.exceptions.PolarsError, ValueError):
            done.unreadable.append(str(path))
            continue
        cleaned, rows = clean_frame(frame, mention)
        if rows:
            _write(path, cleaned)
            done.files, done.records = done.files + 1, done.records + rows
    return done


def read_export(path: Path) -> pl.DataFrame:
    """An export; of CSV every field as a text. Raises FileNotFoundError; PolarsError, ValueError where it is none."""
    if not path.exists():
        raise FileNotFoundError(path)
    if path.suffix.lower() == ".csv":
        return pl.read_csv(path, infer_schema=False)
    if path.suffix.lower() == ".parquet":
        return pl.read_parquet(path)
    raise ValueError(path.suffix)


def _write(path: Path, frame: pl.DataFrame) -> None:
    mode = path.stat().st_mode & 0o777
    with replacing(path) as aside:
        if path.suffix.lower() == ".csv":
            frame.write_csv(aside)
        else:
            frame.write_parquet(aside)
        aside.chmod(mode)


def clean_frame(frame: pl.DataFrame, mention: Mention) -> tuple[pl.DataFrame, int]:
    """A frame without the fan's personal values, and how many of its rows changed."""
    numbered = frame.with_row_index(_ROW)
    wanted = _candidates(frame, mention)
    changed = {}
    for row in numbered.filter(wanted).iter_rows(named=True):
        cleaned = _clean_row(row, mention)
        if cleaned != row:
            changed[row[_ROW]] = cleaned
    if not changed:
        return frame, 0
    fixed = pl.DataFrame(list(changed.values()), schema=numbered.schema, orient="row")
    rest = numbered.filter(~pl.col(_ROW).is_in(list(changed)))
    return pl.concat([rest, fixed]).sort(_ROW).drop(_ROW), len(changed)


def _candidates(frame: pl.DataFrame, mention: Mention) -> pl.Series:
    """Rows that have the fan's id or a personal value anywhere, and perhaps some more."""
    looked_for = [mention.fan_id, *mention.values]
    found = pl.Series([False]).new_from_index(0, frame.height)
    for column in frame:
        if column.dtype == pl.String:
            found |= column.str.contains_any(looked_for).fill_null(value=False)
        elif column.dtype.is_nested():
            hits = [any(one in text for text in _texts(value) for one in looked_for) for value in column.to_list()]
            found |= pl.Series(hits, dtype=pl.Boolean)
    return found


def _clean_row(row: Values, mention: Mention) -> Values:
    owners = {text for name, value in row.items() if plain_name(name) == "fanid" for text in _texts(value)}
    if owners and mention.fan_id not in owners:
        return row
    is_named = bool(owners) or any(_names(text, mention.fan_id) for text in _texts(list(row.values())))
    return {name: _clean(value, mention, is_own=is_named and is_personal(name)) for name, value in row.items()}


def _names(text: str, fan_id: str) -> bool:
    """Whether a text is the fan's id, or a reference id that ends with it."""
    return text == fan_id or text.endswith(f"_{fan_id}")


def _clean(value: Any, mention: Mention, *, is_own: bool) -> Any:
    if isinstance(value, str):
        return REDACTED if is_own or mention.holds(value) else value
    if isinstance(value, list):
        return [_clean(one, mention, is_own=is_own) for one in value]
    if isinstance(value, dict):
        return {name: _clean(one, mention, is_own=is_own) for name, one in value.items()}
    return value


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, dict)):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
