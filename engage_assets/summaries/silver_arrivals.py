"""Arrivals: the raw files of one UTC day read once, typed, with what is wrong with them; silver is made of these."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import duckdb
import polars as pl
import pyarrow.parquet as pq

from engage_assets.domain.summary_spec import AttributeNames, EventNames
from engage_assets.lake import replacing, write_parquet
from engage_assets.summaries.raw_logs import SetAside, explain_lines, flatten_otlp, has_odd_attributes, is_otlp
from engage_assets.summaries.silver_engine import batches, file_name, parquet, run, sql_text
from engage_assets.summaries.silver_files import write_groups
from engage_assets.summaries.silver_records import columns, ndjson, raw_relation

SET_ASIDE_SCHEMA: Final = {"file": pl.String, "line": pl.Int64, "reason": pl.String, "records": pl.Int64}
"""Columns of set_aside: the file's name, the line where one is meant, why, and how many records."""
_LINES: Final = ("malformed", "no_time")
"""Faults that are told by line."""
_WHERE: Final[Mapping[str, str]] = {
    "malformed": "as_instant(at_text) IS NULL AND is_blank",
    "malformed: attributes are no object": "is_odd",
    "no_time": "as_instant(at_text) IS NULL AND NOT is_blank AND NOT is_odd",
}
"""Lines of a fault, as `sql/silver/arrivals.sql` tells it."""


@dataclass(frozen=True)
class Names:
    """What a service's logs are called by, and the names in them."""

    service: str
    events: EventNames
    attributes: AttributeNames


@dataclass(frozen=True)
class _Source:
    """A raw file as DuckDB reads it; `path` is a flattened copy where the file is an OTLP export."""

    name: str
    path: Path
    is_copy: bool


def read_arrivals(
    connection: duckdb.DuckDBPyConnection, files: Sequence[Path], out: Path, set_aside: Path, names: Names, day: date
) -> int:
    """Read the raw files of the arrival day `day` into the Parquet file `out`; returns its records, faulty ones too.

    What is no event goes to the Parquet file `set_aside` (SET_ASIDE_SCHEMA), sorted. Raises QueryError.
    """
    with TemporaryDirectory(prefix="engage-otlp-") as folder:
        sources, wrong = _prepared(files, Path(folder))
        with replacing(out) as aside:
            _copy(connection, sources, aside, names, day, key=fingerprint(files, names))
            found = run(connection, f"SELECT file, fault, count(*) FROM {parquet(aside)} GROUP BY ALL").fetchall()
            wrong += [
                fault
                for number, reason, count in found
                if reason
                for fault in _faults(connection, sources[number], reason, count, names)
            ]
        rows = sorted((one.file, one.line or 0, one.reason, one) for one in wrong)
        frame = pl.DataFrame([vars(one) for *_, one in rows], schema=SET_ASIDE_SCHEMA, orient="row")
        with replacing(set_aside) as aside:
            write_parquet(aside, frame)
        return sum(count for *_, count in found)


def fingerprint(files: Iterable[Path], names: Names) -> str:
    """Changes when a raw file, a name that it is read by, or the way of reading changes."""
    digest = hashlib.sha256()
    for path in files:
        known = path.stat()
        digest.update(f"{path.name}\0{known.st_size}\0{known.st_mtime_ns}\n".encode())
    digest.update(f"{names.service}\n{names.events!r}\n{names.attributes!r}\n".encode())
    digest.update((sql_text("silver/macros") + sql_text("silver/arrivals")).encode())
    return digest.hexdigest()


def fingerprint_of(arrivals: Path) -> str | None:
    """The fingerprint that an arrivals file was made with; None where there is no file."""
    if not arrivals.is_file():
        return None
    kept = pq.read_metadata(arrivals).metadata or {}
    return str(kept.get(b"source", b"").decode())


def _prepared(files: Sequence[Path], folder: Path) -> tuple[list[_Source], list[SetAside]]:
    sources, wrong = [], []
    for number, path in enumerate(files):
        if is_otlp(path):
            flat = folder / f"{number}.ndjson"
            wrong += flatten_otlp(path, flat, path.name)
            sources.append(_Source(path.name, flat, is_copy=True))
        else:
            sources.append(_Source(path.name, path, is_copy=False))
    return sources, wrong


def _copy(
    connection: duckdb.DuckDBPyConnection, sources: list[_Source], out: Path, names: Names, day: date, *, key: str
) -> None:
    """Write the arrivals; the slower way, with all attributes, where record ids are missing or attributes are odd."""
    with_maps = any(_lacks_ids(connection, source) for source in sources)
    for attempt in (with_maps, True):
        _define_raw(connection, sources, names, with_maps=attempt)
        found = batches(connection, sql_text("silver/arrivals"), {"service": names.service, "arrival": day})
        write_groups(out, found, "snappy", key)
        if attempt:
            return
        unknown = run(
            connection,
            f"SELECT DISTINCT file, event_id IS NULL FROM {parquet(out)} WHERE is_unidentified ORDER BY ALL",
        ).fetchall()
        if not any(has_no_id or has_odd_attributes(sources[number].path) for number, has_no_id in unknown):
            return


def _lacks_ids(connection: duckdb.DuckDBPyConnection, source: _Source) -> bool:
    """Whether a file's first records have no record id; every Parquet file is read with its attributes."""
    if source.path.suffix == ".parquet":
        return False
    reader = (
        f"read_json({file_name(source.path)}, format = 'newline_delimited', compression = 'none',"
        " ignore_errors = true, columns = {record_id: 'VARCHAR', body: 'VARCHAR'})"
    )
    lacking = run(
        connection,
        f"SELECT count(*) FROM (FROM {reader} LIMIT 100) WHERE body IS NOT NULL AND trimmed(record_id) IS NULL",
    )
    return lacking.fetchall() != [(0,)]


def _define_raw(
    connection: duckdb.DuckDBPyConnection, sources: list[_Source], names: Names, *, with_maps: bool
) -> None:
    relations = [
        _relation(connection, source, number, names, with_maps=with_maps) for number, source in enumerate(sources)
    ]
    query = raw_relation(relations, names.events, names.attributes)
    run(connection, f"CREATE OR REPLACE TEMP VIEW raw AS {query}")


def _relation(
    connection: duckdb.DuckDBPyConnection, source: _Source, number: int, names: Names, *, with_maps: bool
) -> str:
    if source.path.suffix != ".parquet":
        return ndjson(source.path, number, names.attributes, with_maps=with_maps)
    described = run(connection, f"DESCRIBE FROM {parquet(source.path)}").fetchall()
    return columns(source.path, number, names.attributes, {row[0]: row[1] for row in described})


def _faults(
    connection: duckdb.DuckDBPyConnection, source: _Source, reason: str, count: int, names: Names
) -> list[SetAside]:
    """The faults of one file and reason, by line where that helps to find them."""
    fault = reason.partition(":")[0]
    if fault not in _LINES or source.is_copy or source.path.suffix == ".parquet":
        return [SetAside(source.name, None, reason, count)]
    _define_raw(connection, [source], names, with_maps=True)
    numbered = (
        "SELECT place FROM (SELECT row_number() OVER () AS place, at_text, is_blank, is_odd FROM raw)"
        f" WHERE {_WHERE[reason]} ORDER BY place"
    )
    places = [row[0] for row in run(connection, numbered).fetchall()]
    return explain_lines(source.path, source.name, places, fault)
