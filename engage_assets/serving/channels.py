"""GetCandidatesForChannel: a channel's best candidates, as a page of JSON or as a stream."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Header, Path, Query, Response
from pydantic import Field

from engage_assets.domain.errors import EngageError
from engage_assets.domain.statuses import RANK
from engage_assets.serving import answers
from engage_assets.serving.documents import Key
from engage_assets.serving.names import ProgramId, channel_type, least_score, program_of
from engage_assets.serving.problems import RETRY_SECONDS, Problem, asking
from engage_assets.serving.remembered import Page, Remembered
from engage_assets.serving.services import Services

STREAMS: Final = 8
"""Streams that one process serves at once."""

_ENCODERS: Final[dict[str, Callable[..., Generator[bytes]]]] = {
    answers.NDJSON: answers.lines,
    answers.ARROW: answers.arrow,
}
OFFERED: Final = tuple(_ENCODERS)
"""Media types of streams."""
_ANY: Final = {"", "*/*", "application/*", answers.JSON}

ChannelName = Annotated[Key, Path(description="Id or type of one of the program's channels.", examples=["email"])]
LeastScore = Annotated[
    float | None,
    Query(alias="minScore", ge=0, le=1, description="Lowest score (inclusive); absent: the channel's own minScore."),
]
Rows = Annotated[
    int, Query(ge=1, le=100_000, description="Rows of a stream at most; a page of JSON holds up to 1,000 of them.")
]
Status = Annotated[str, Field(pattern=f"^({'|'.join(RANK)})$", examples=["delivered"])]
LeftOut = Annotated[list[Status] | None, Query(description="Statuses left out; may be repeated.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="`nextCursor` of the page before.")]


@dataclass(frozen=True)
class _Asked:
    """What is asked of a channel."""

    program: str
    channel: str
    least: float
    left_out: frozenset[str]
    is_enabled: bool


class ByChannel:
    """Handler of the query by channel."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ask = asking(in_threads=services.store_is_remote)
        self._remembered = Remembered()
        self._streams = 0

    async def candidates(
        self,
        program: ProgramId,
        channel: ChannelName,
        min_score: LeastScore = None,
        limit: Rows = 100,
        exclude: LeftOut = None,
        cursor: Cursor = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Candidates that a channel may reach, best first; those whose story has ended are left out.

        `Accept: application/x-ndjson` or `application/vnd.apache.arrow.stream` streams up to `limit` rows from one
        snapshot. A stream that breaks off ends without its last chunk.
        """
        known = program_of(self._services.programs, program)
        way = channel_type(self._services.programs, channel, known)
        least = least_score(known, way) if min_score is None else min_score
        asked = _Asked(program, way, least, frozenset(exclude or ()), known.enabled)
        media_type = _negotiate(accept)
        now = self._services.clock.now()
        if media_type == answers.JSON:
            body = await self._ask(self._page, asked, min(limit, self._services.limits.page_rows), cursor, now)
            return answers.as_json(body)
        if cursor is not None:
            raise Problem(400, "cursor: pages of JSON have one, streams have none; raise the limit instead")
        return self._stream(asked, min(limit, self._services.limits.stream_rows), media_type, now)

    def _page(self, asked: _Asked, limit: int, cursor: str | None, now: datetime) -> dict[str, Any]:
        read = partial(self._read, asked, limit, cursor, now)
        page = self._remembered.page((asked, limit, cursor), self._services.store.version(), now, read)
        return {"asOf": now, "items": answers.as_it_is(page.items), "nextCursor": page.following}

    def _read(self, asked: _Asked, limit: int, cursor: str | None, now: datetime) -> Page:
        store, place = self._services.store, (asked.program, asked.channel, asked.least, limit, now)
        try:
            rows, following = store.page(*place, exclude=asked.left_out, after=cursor)
        except EngageError:
            if cursor is None:
                raise
            raise Problem(400, "cursor: not one that this service gave; begin without one") from None
        if not asked.is_enabled:
            rows, following = [], None
        expires_at = list(store.columns).index("expires_at")
        items = answers.in_json(answers.under_names(store.columns, rows))
        return Page(items, following, min((row[expires_at] for row in rows), default=None))

    def _stream(self, asked: _Asked, limit: int, media_type: str, now: datetime) -> Response:
        if self._streams >= STREAMS:
            headers = {"Retry-After": str(RETRY_SECONDS)}
            raise Problem(503, f"{STREAMS} streams are open in this process", headers=headers)
        store, place = self._services.store, (asked.program, asked.channel, asked.least, limit, now)
        rows = store.stream(*place, exclude=asked.left_out) if asked.is_enabled else iter(())
        self._streams += 1
        return answers.Stream(_ENCODERS[media_type](store.columns, rows), media_type, self._ended)

    def _ended(self) -> None:
        self._streams -= 1


def _negotiate(accept: str) -> str:
    """The first media type of an Accept header that is offered; 406 where there is none."""
    for given in accept.lower().split(","):
        media_type = given.partition(";")[0].strip()
        if media_type in _ENCODERS:
            return media_type
        if media_type in _ANY:
            return answers.JSON
    raise Problem(406, "none of the accepted media types is offered", known=[answers.JSON, *OFFERED])
