"""An answer as a file: CSV or Parquet, whole or not at all, for its owner only."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from engage_assets.connectors.adhoc import Answer
from engage_assets.domain.errors import QueryError
from engage_assets.lake import replacing, write_parquet


def check_output(path: Path) -> None:
    """Whether an answer can be written to a file of this name. Raises QueryError."""
    if path.suffix.lower() not in _WRITERS:
        raise QueryError(f"{path}: the name must end in {' or '.join(_WRITERS)}")


def write_answer(answer: Answer, path: Path) -> int:
    """Write the rows to `.csv` or `.parquet`; returns how many. A file that is there is replaced.

    In CSV, nested values are JSON, times `YYYY-MM-DD HH:MM:SS`, nulls empty, empty texts `""`. Raises QueryError.
    """
    check_output(path)
    if answer.is_plan:
        raise QueryError("a plan is for the terminal: leave out the output")
    try:
        with replacing(path) as aside:
            aside.touch(mode=0o600)
            return _WRITERS[path.suffix.lower()](answer, aside)
    except OSError as error:
        raise QueryError(f"{path}: could not be written ({error.strerror or type(error).__name__})") from error


def _write_csv(answer: Answer, path: Path) -> int:
    rows = 0
    with path.open("wb") as file:
        for batch in answer.texts():
            frame = pl.DataFrame(pa.Table.from_batches([batch]))
            frame.write_csv(file, include_header=rows == 0 and file.tell() == 0)
            rows += frame.height
    return rows


def _write_parquet(answer: Answer, path: Path) -> int:
    try:
        return write_parquet(path, _checked(answer))
    except MemoryError:  # Arrow's own are among its exceptions
        raise
    except pa.ArrowException as error:
        raise QueryError(f"a column has no form in Parquet ({type(error).__name__}); cast it to VARCHAR") from None


def _checked(answer: Answer) -> Iterator[pa.RecordBatch]:
    for batch in answer.rows():
        for field in batch.schema:
            if pa.types.is_interval(field.type):
                raise QueryError(f"{field.name}: an interval has no form in Parquet; cast it to VARCHAR")
        yield batch


_WRITERS: Final[dict[str, Callable[[Answer, Path], int]]] = {".csv": _write_csv, ".parquet": _write_parquet}
