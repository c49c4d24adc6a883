"""`engage sql`: read-only questions to the archive and the lake."""

import glob
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, TypeVar

import click

from engage_assets.cli.desk import plain_errors
from engage_assets.domain.errors import EngageError
from engage_assets.home import Home

if TYPE_CHECKING:
    from engage_assets.archive.mirror import Mirror
    from engage_assets.connectors.adhoc import Answer, Catalog

T = TypeVar("T")
WIDEST = 60
"""Characters of a cell at most."""
ATTEMPTS = 3
SPILLS = "sql-spill"
"""Folder of ENGAGE_HOME for what questions put on disk while they run."""


@click.command()
@click.argument("query", required=False)
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write all rows to FILE.csv or .parquet."
)
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows shown on the terminal.")
@click.option("--fresh/--no-sync", default=True, help="Whether the mirror is brought up to date first (default).")
@click.option("--root", help="DIR or s3://bucket/prefix of the archive; default: programs/demand-archive.yaml.")
@click.option(
    "--memory", default="1GB", show_default=True, help="Memory that the query may take; the rest goes to disk."
)
@click.option("--athena", metavar="S3", help="Only print Athena's tables and views for a root s3://bucket/prefix.")
def sql(
    query: str | None,
    output: Path | None,
    limit: int,
    fresh: bool,
    root: str | None,
    memory: str,
    athena: str | None,
) -> None:
    """Ask the archive's views, the summaries, silver and the lake's assets.

    QUERY is one SELECT, or - to read it from standard input.

    SHOW TABLES lists what there is, DESCRIBE name its columns. Times are UTC. Nothing can be changed.
    """
    from engage_assets.archive.export_register import note_export  # noqa: PLC0415 - as below
    from engage_assets.archive.views_athena import athena_ddl  # noqa: PLC0415 - --help opens nothing
    from engage_assets.connectors.adhoc_files import check_output  # noqa: PLC0415 - as above
    from engage_assets.connectors.adhoc_spill import spill_folder  # noqa: PLC0415 - as above

    with plain_errors():
        if athena is not None:
            click.echo(athena_ddl(athena), nl=False)
            return
        if query is None:
            raise EngageError('no question; for instance engage sql "SHOW TABLES"')
        if output is not None:
            check_output(output)
        text = sys.stdin.read() if query == "-" else query
        home = Home.read(os.environ)
        with spill_folder(home.root / SPILLS) as spill, _ended_at_once(spill, output):
            catalog = _catalog_of(root, is_fresh=fresh)
            if output is None:
                _ask(catalog, text, spill, lambda answer: _show(answer, limit), memory)
                return
            note_export(home.archive_exports, output)
            rows = _save(catalog, text, spill, output, memory)
        click.echo(f"{rows} rows in {output.absolute()}", err=True)


def _catalog_of(root: str | None, *, is_fresh: bool) -> Callable[[], "Catalog"]:
    """How to make the catalog; the archive's mirror is brought up to date here, once."""
    from engage_assets.archive.mirror import Mirror  # noqa: PLC0415 - --help opens nothing
    from engage_assets.defs.archive_desk import read_desk  # noqa: PLC0415 - as above

    desk = read_desk(os.environ, root=root)
    mirror = Mirror(desk.mirror_path)
    if is_fresh:
        try:
            mirror.sync(desk.root)
        except OSError as error:
            raise EngageError(
                f"{desk.root_text}: could not be read ({error.strerror or type(error).__name__}); --no-sync asks the"
                " mirror as it is"
            ) from error
    folder = Path(os.environ.get("ENGAGE_PROGRAMS") or "programs")
    return lambda: archive_catalog(mirror) + _lake(desk.home, folder)


def _lake(home: Home, programs: Path) -> "Catalog":
    """The lake's assets: those of summaries by their names in the catalogue, all others as `lake.<key>`."""
    from engage_assets.clocks import read_clock  # noqa: PLC0415 - --help opens nothing
    from engage_assets.connectors.adhoc_lake import lake_catalog  # noqa: PLC0415 - as above
    from engage_assets.defs.summary_catalog import FOLDERS, summary_catalog  # noqa: PLC0415 - as above
    from engage_assets.programs import read_summaries  # noqa: PLC0415 - as above

    spec = read_summaries(programs)
    if spec is None:
        return lake_catalog(home.lake)
    return summary_catalog(spec, home, read_clock(os.environ).now()) + lake_catalog(home.lake, FOLDERS)


def archive_catalog(mirror: "Mirror") -> "Catalog":
    """The archive's views over what a mirror shows now."""
    from engage_assets.archive.views import MACROS, views  # noqa: PLC0415 - --help opens nothing
    from engage_assets.connectors.adhoc import Catalog  # noqa: PLC0415 - as above

    segments = mirror.segments()
    return Catalog(views(segments), [path for paths in segments.values() for path in paths], MACROS)


@contextmanager
def _ended_at_once(spill: Path, output: Path | None) -> Iterator[None]:
    """Take a SIGTERM as the end, with nothing of the question left on disk: DuckDB itself may go on for long."""
    signals, noted = os.pipe()
    os.set_blocking(noted, False)

    def end() -> None:
        while number := os.read(signals, 1):
            if number[0] == signal.SIGTERM:
                shutil.rmtree(spill.parent, ignore_errors=True)
                for aside in output.parent.glob(f".{glob.escape(output.name)}.*.tmp") if output else ():
                    aside.unlink(missing_ok=True)
                os._exit(128 + signal.SIGTERM)
        os.close(signals)

    handler = signal.signal(signal.SIGTERM, lambda *_: None)
    other = signal.set_wakeup_fd(noted, warn_on_full_buffer=False)
    Thread(target=end, daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(other)
        signal.signal(signal.SIGTERM, handler)
        os.close(noted)


def _ask(
    catalog: Callable[[], "Catalog"], query: str, spill: Path, use: Callable[["Answer"], T], memory: str = "1GB"
) -> T:
    """Ask; again with a new catalog where files were replaced meanwhile."""
    from engage_assets.connectors.adhoc import FilesGone, asked  # noqa: PLC0415 - --help opens nothing

    for _ in range(ATTEMPTS - 1):
        try:
            with asked(catalog(), query, spill, memory_limit=memory) as answer:
                return use(answer)
        except FilesGone:
            continue
    with asked(catalog(), query, spill, memory_limit=memory) as answer:
        return use(answer)


def _save(catalog: Callable[[], "Catalog"], query: str, spill: Path, output: Path, memory: str = "1GB") -> int:
    """Write an answer; again where files that it came from are gone by now, for an erasure may have taken them away.

    An erasure cleans what is written before it takes them, and asks for exports again after that.
    """
    from engage_assets.connectors.adhoc_files import write_answer  # noqa: PLC0415 - --help opens nothing

    asked_of: list[Catalog] = []

    def latest() -> "Catalog":
        asked_of.append(catalog())
        return asked_of[-1]

    for _ in range(ATTEMPTS):
        rows = _ask(latest, query, spill, lambda answer: write_answer(answer, output), memory)
        if all(path.exists() for path in asked_of[-1].files):
            return rows
    output.unlink(missing_ok=True)
    raise EngageError(f"{output}: what it was read from was replaced each time; ask again")


def _show(answer: "Answer", limit: int) -> None:
    """Print the first rows as a table, and say how many there are."""
    shown: list[dict[str, Any]] = []
    rows = 0
    for batch in answer.texts():
        shown += batch.slice(0, limit - len(shown)).to_pylist()
        rows += batch.num_rows
    if answer.is_plan:
        click.echo("\n".join(row[answer.names[-1]] for row in shown))
        return
    width = shutil.get_terminal_size().columns
    for line in table(answer.names, [[row[name] for name in answer.names] for row in shown], width):
        click.echo(line)
    more = f", the first {limit} shown; --limit or --output gives more" if rows > limit else ""
    click.echo(f"{rows} row{'' if rows == 1 else 's'}{more}", err=True)


def table(names: Sequence[str], rows: Sequence[Sequence[str | None]], width: int) -> list[str]:
    """Lines of a table; one value a line where it is wider than the terminal."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(map(_cell, names), *cells, strict=True)]
    if sum(widths) + 2 * len(widths) > max(width, WIDEST):
        label = max((len(_cell(name)) for name in names), default=0)
        return [line for row in cells for line in ("─" * label, *_pairs(names, row, label))]
    lines = [[_cell(name) for name in names], ["─" * size for size in widths], *cells]
    return ["  ".join(cell.ljust(size) for cell, size in zip(line, widths, strict=True)).rstrip() for line in lines]


def _pairs(names: Iterable[str], row: Iterable[str], label: int) -> list[str]:
    return [f"{_cell(name).ljust(label)}  {value}".rstrip() for name, value in zip(names, row, strict=True)]


def _cell(value: str | None) -> str:
    """A value as one short line; control characters, which could steer a terminal, become `�`."""
    text = "" if value is None else "".join(one if one.isprintable() else "�" for one in value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
