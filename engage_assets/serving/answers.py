"""Rows of the store as answers: JSON, lines of JSON, Arrow. One name per column in all three."""

import io
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
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
from engage_assets.domain.tables import SCORES

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
ARROW: Final = "application/vnd.apache.arrow.stream"
STREAM_SECONDS: Final = 300.0
"""A stream that its reader has not taken by then is cut: it holds a snapshot of the store."""
SCORE_COLUMNS: Final = frozenset(column.name for column in SCORES)
FLAGS: Final = {channel: f"{channel.replace('-', '_')}_eligible" for channel in CHANNEL_TYPES}

_FORMAT: Final = orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_INSTANT: Final = "%Y-%m-%dT%H:%M:%S%.fZ"


def as_json(content: Any, status: int = 200) -> Response:
    """An answer in JSON; instants with Z."""
    return Response(in_json(content), status, media_type=JSON)


def in_json(content: Any) -> bytes:
    """JSON; instants with Z."""
    return orjson.dumps(content, option=_FORMAT)


def as_it_is(content: bytes) -> orjson.Fragment:
    """JSON that stands in a larger one as it is."""
    return orjson.Fragment(content)


def items(rows: Sequence[Mapping[str, Any]], *, with_scores: bool = True) -> list[dict[str, Any]]:
    """Rows, all of the same columns in the same order, under the names of the API."""
    kept = [name for name in rows[0] if with_scores or name not in SCORE_COLUMNS] if rows else []
    if with_scores:
        return under_names(kept, [tuple(row.values()) for row in rows])
    return under_names(kept, [tuple(row[name] for name in kept) for row in rows])


def under_names(columns: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> list[dict[str, Any]]:
    """Rows in the order of `columns`, under the names of the API."""
    names = [_NAMES[name] for name in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]


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


def lines(columns: Mapping[str, pl.DataType], frames: Iterable[pl.DataFrame]) -> Generator[bytes]:
    """One JSON object a line; a chunk a frame."""
    names = _renamed(columns)
    instants = pl.col([name for name, kind in columns.items() if isinstance(kind, pl.Datetime)])
    for frame in frames:
        buffer = io.BytesIO()
        frame.with_columns(instants.dt.to_string(_INSTANT)).rename(names).write_ndjson(buffer)
        yield buffer.getvalue()


def arrow(columns: Mapping[str, pl.DataType], frames: Iterable[pl.DataFrame]) -> Generator[bytes]:
    """An Arrow IPC stream; a record batch a frame, or more."""
    names, buffer = _renamed(columns), io.BytesIO()
    with pa.ipc.new_stream(buffer, _table(pl.DataFrame(schema=columns), names).schema) as writer:
        for frame in frames:
            writer.write_table(_table(frame, names))
            yield _taken(buffer)
    yield _taken(buffer)


def _renamed(columns: Iterable[str]) -> dict[str, str]:
    return {name: _NAMES[name] for name in columns}


def _table(frame: pl.DataFrame, names: Mapping[str, str]) -> pa.Table:
    """Under the names of the API; instants in UTC."""
    return frame.rename(names).with_columns(pl.col(pl.Datetime).dt.replace_time_zone("UTC")).to_arrow()


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
