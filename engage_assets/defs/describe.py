"""What an analyst reads on an asset's page: grain, columns, lineage, counts, files."""

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.tables import SOURCE_TYPES, Column


def schema_of(columns: Sequence[Column]) -> dg.TableSchema:
    """The columns with what they hold and mean."""
    return dg.TableSchema([dg.TableColumn(c.name, SOURCE_TYPES[c.kind], description=c.description) for c in columns])


def lineage_of(
    columns: Sequence[Column], upstream: Mapping[tuple[str, ...], Sequence[str]], made_of: Mapping[str, Sequence[str]]
) -> dg.TableColumnLineage:
    """Where each column comes from: the first upstream asset with a column of its name, or of those in `made_of`."""

    def sources(name: str) -> list[dg.TableColumnDep]:
        found = []
        for wanted in dict.fromkeys(made_of.get(name, [name])):
            key = next((key for key, names in upstream.items() if wanted in names), None)
            if key is not None:
                found.append(dg.TableColumnDep(asset_key=dg.AssetKey(list(key)), column_name=wanted))
        return found

    return dg.TableColumnLineage({c.name: deps for c in columns if (deps := sources(c.name))})


def file_metadata(path: Path, rows: int) -> dict[str, Any]:
    """Row count, place and size of a partition's file."""
    return {
        "dagster/partition_row_count": rows,
        "path": dg.MetadataValue.path(str(path)),
        "size_kib": round(path.stat().st_size / 1024, 1),
    }


def markdown_table(frame: pl.DataFrame) -> dg.MetadataValue:
    """A small frame as a markdown table; numbers with thousands separators."""
    numeric = [dtype.is_numeric() for dtype in frame.dtypes]
    rule = " | ".join("---:" if is_number else "---" for is_number in numeric)
    lines = [f"| {' | '.join(frame.columns)} |", f"| {rule} |"]
    lines += [f"| {' | '.join(_cell(value) for value in row)} |" for row in frame.iter_rows()]
    return dg.MetadataValue.md("\n".join(lines))


def picture(name: str, svg: str) -> dg.MetadataValue:
    """A picture that the UI shows by itself."""
    encoded = base64.b64encode(svg.encode()).decode()
    return dg.MetadataValue.md(f"![{name}](data:image/svg+xml;base64,{encoded})")


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).replace("|", "\\|")
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4f}"


def reason_counts(frame: pl.LazyFrame) -> pl.DataFrame:
    """`reason` and `records`, most first."""
    counts = frame.group_by("reason").agg(records=pl.len())
    return counts.sort("records", "reason", descending=[True, False]).collect()


def not_evaluated_words(clauses: Sequence[tuple[str, str]]) -> dg.MetadataValue:
    """Which clauses this deployment cannot evaluate, in words."""
    text = "\n".join(f"- {code}: there is no {needs}" for code, needs in clauses)
    return dg.MetadataValue.md(text or "every clause of every filter is evaluated")


@contextmanager
def mistakes_as_failures() -> Iterator[None]:
    """Turn an error that only a person can mend into a failure that is not tried again."""
    try:
        yield
    except EngageError as error:
        raise dg.Failure(description="\n".join(map(str, error.args)), allow_retries=False) from error
