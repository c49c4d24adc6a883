"""Rows of the store as answers: JSON, lines of JSON, Arrow. One name per column in all three."""

import io
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from typing import Any, Final

import orjson
import polars as pl
import pyarrow as pa
from anyio import fail_after
from fastapi import Response
from fastapi.responses import StreamingResponse
from pydantic.alias_generators import to_camel
from starlette.concurrency import iterate_in_threadpool
from starlette.types import Receive, Scope, Send

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.tables import CANDIDATES, POLARS_TYPES, SCORES, Kind

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
ARROW: Final = "application/vnd.apache.arrow.stream"
LINES_AT_ONCE: Final = 1_000
ARROW_ROWS: Final = 5_000
STREAM_SECONDS: Final = 300.0
"""A stream that its reader has not taken by then is cut: it holds a snapshot of the store."""
SCORE_COLUMNS: Final = frozenset(column.name for column in SCORES)
FLAGS: Final = {channel: f"{channel.replace('-', '_')}_eligible" for channel in CHANNEL_TYPES}

_FORMAT: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_KINDS: Final[dict[str, Kind]] = {
    **{column.name: column.kind for column in (*CANDIDATES.columns, *SCORES)},
    **dict.fromkeys(FLAGS.values(), "flag"),
    "partition_date": "date",
    "version": "integer",
    "updated_at": "instant",
}
"""Kinds of the columns; any other holds text."""


def as_json(content: Any, status: int = 200) -> Response:
    """An answer in JSON; instants with Z."""
    return Response(orjson.dumps(content, option=_FORMAT), status, media_type=JSON)


def items(rows: Sequence[Mapping[str, Any]], *, with_scores: bool = True) -> list[dict[str, Any]]:
    """Rows, all of the same columns in the same order, under the names of the API."""
    if not with_scores:
        return [{_NAMES[name]: value for name, value in row.items() if name not in SCORE_COLUMNS} for row in rows]
    names = [_NAMES[name] for name in rows[0]] if rows else []
    return [dict(zip(names, row.values(), strict=True)) for row in rows]


class Stream(StreamingResponse):
    """Chunks as they come, made in threads; `at_end` is called when it ends, however it ends."""

    def __init__(self, chunks: Generator[bytes], media_type: str, at_end: Callable[[], None]) -> None:
        self._chunks = chunks
        self._at_end = at_end
        super().__init__(iterate_in_threadpool(chunks), media_type=media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all, or as much as the reader takes in STREAM_SECONDS."""
        try:
            # Not asyncio's: this one waits for a thread that is still reading.
            with fail_after(STREAM_SECONDS):
                await super().__call__(scope, receive, send)
        finally:
            # A thread still reads when the whole server is cut short; what it held goes with it.
            with suppress(ValueError):
                self._chunks.close()
            self._at_end()


def lines(columns: Sequence[str], rows: Iterable[Sequence[tuple[Any, ...]]]) -> Generator[bytes]:
    """One JSON object a line, LINES_AT_ONCE in a chunk."""
    names = [_NAMES[name] for name in columns]
    option = _FORMAT | orjson.OPT_APPEND_NEWLINE
    for part in _parts(rows, LINES_AT_ONCE):
        yield b"".join(orjson.dumps(dict(zip(names, row, strict=True)), option=option) for row in part)


def arrow(columns: Sequence[str], rows: Iterable[Sequence[tuple[Any, ...]]]) -> Generator[bytes]:
    """An Arrow IPC stream in record batches of ARROW_ROWS."""
    buffer = io.BytesIO()
    with pa.ipc.new_stream(buffer, _table(columns, [()] * len(columns)).schema) as writer:
        for part in _parts(rows, ARROW_ROWS):
            writer.write_table(_table(columns, zip(*part, strict=True)))
            yield _taken(buffer)
    yield _taken(buffer)


def _table(columns: Sequence[str], values: Iterable[Sequence[Any]]) -> pa.Table:
    """Columns under the names of the API, typed; made by Polars, as pyarrow's own way loads pandas where it is."""
    kinds = [_KINDS.get(name, "text") for name in columns]
    series = [
        pl.Series(_NAMES[name], column, dtype=POLARS_TYPES[kind])
        for name, kind, column in zip(columns, kinds, values, strict=True)
    ]
    return pl.DataFrame(series).with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC")).to_arrow()


def _parts(rows: Iterable[Sequence[tuple[Any, ...]]], size: int) -> Iterator[list[tuple[Any, ...]]]:
    single = chain.from_iterable(rows)
    while part := list(islice(single, size)):
        yield part


def _taken(buffer: io.BytesIO) -> bytes:
    content = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return content


class _Names(dict[str, str]):
    """Names of the API by column."""

    def __missing__(self, column: str) -> str:
        return self.setdefault(column, to_camel(column))


_NAMES: Final = _Names()
