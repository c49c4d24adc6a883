"""The query API: candidates by channel, by customer, for many customers, and registrations."""

import asyncio
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import Field, ValidationError

from engage_assets.domain.errors import EngageError
from engage_assets.domain.statuses import RANK, REGISTERED
from engage_assets.serving import answers
from engage_assets.serving.access import READ, Gate
from engage_assets.serving.documents import (
    BatchAnswer,
    BatchQuery,
    ChannelPage,
    CustomerCandidates,
    Key,
    Registrations,
    problems,
)
from engage_assets.serving.eligibility import standing
from engage_assets.serving.names import channel_type, given_statuses, least_score, program_of
from engage_assets.serving.problems import RETRY_SECONDS, Problem, ask, invalid
from engage_assets.serving.services import Services

STREAMS: Final = 8
"""Streams that one process serves at once."""
STORED: Final = 1_000
"""Candidates of one customer that a query looks at."""
_AT_ONCE: Final = 8
"""Customers of a batch between which other requests get their turn."""
_ENCODERS: Final[dict[str, Callable[..., Generator[bytes]]]] = {
    answers.NDJSON: answers.lines,
    answers.ARROW: answers.arrow,
}
_ANY: Final = {"", "*/*", "application/*", answers.JSON}

ProgramId = Annotated[Key, Path(description="programId.", examples=["product-reviews"])]
CustomerId = Annotated[Key, Path(description="The customer.", examples=["c-1042"])]
Status = Annotated[str, Field(pattern=f"^({'|'.join(RANK)})$", examples=["registered"])]
Registered = Annotated[str, Field(pattern=f"^({'|'.join(sorted(REGISTERED))})$", examples=["registered"])]
ChannelFilter = Annotated[Key | None, Query(description="Id or type of a channel: only those that it may reach.")]
ProgramFilter = Annotated[Key | None, Query(description="programId; absent: all programs.")]


@dataclass(frozen=True)
class _Asked:
    """What is asked of a channel."""

    program: str
    channel: str
    least: float
    limit: int
    left_out: frozenset[str]
    is_enabled: bool


class Queries:
    """Handlers of the query API."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._streams = 0

    async def for_channel(
        self,
        program: ProgramId,
        channel: Annotated[Key, Path(description="Id or type of one of the program's channels.", examples=["email"])],
        min_score: Annotated[
            float | None,
            Query(alias="minScore", ge=0, le=1, description="Lowest score (inclusive); absent: the channel's own."),
        ] = None,
        limit: Annotated[
            int, Query(ge=1, le=100_000, description="Rows of a stream at most; a JSON page holds up to 1,000 of them.")
        ] = 100,
        exclude: Annotated[list[Status] | None, Query(description="Statuses left out; may be repeated.")] = None,
        cursor: Annotated[str | None, Query(max_length=1000, description="`nextCursor` of the page before.")] = None,
        accept: Annotated[str, Header(include_in_schema=False)] = "",
    ) -> Response:
        """Candidates that a channel may reach, best first; those whose story has ended are left out.

        `Accept: application/x-ndjson` or `application/vnd.apache.arrow.stream` streams up to `limit` rows from one
        snapshot. A stream that breaks off ends without its last chunk.
        """
        known = program_of(self._services.programs, program)
        way = channel_type(self._services.programs, channel, known)
        least = least_score(known, way) if min_score is None else min_score
        asked = _Asked(program, way, least, limit, frozenset(exclude or ()), known.enabled)
        media_type = _negotiate(accept)
        if media_type == answers.JSON:
            return self._page(asked, cursor)
        if cursor is not None:
            raise Problem(400, "cursor: pages of JSON have one, streams have none; raise the limit instead")
        return self._stream(asked, media_type)

    async def for_customer(
        self,
        customer: CustomerId,
        channel: ChannelFilter = None,
        program: ProgramFilter = None,
        limit: Annotated[int, Query(ge=1, le=STORED, description="Candidates at most.")] = 10,
        *,
        include_scores: Annotated[bool, Query(alias="includeScores", description="Give scores and model.")] = True,
        refresh_eligibility: Annotated[
            bool, Query(alias="refreshEligibility", description="Check opt-outs and answers in the ledger now.")
        ] = False,
    ) -> Response:
        """A customer's candidates, best first, in the statuses that the channel takes. None is an empty list."""
        asked = BatchQuery.model_construct(
            customers=[customer],
            channel=channel,
            program=program,
            limit=limit,
            include_scores=include_scores,
            refresh_eligibility=refresh_eligibility,
        )
        way = self._way(asked)
        return answers.as_json(self._now() | await self._customer(customer, asked, way))

    async def for_customers(self, request: Request) -> Response:
        """Candidates of up to 1,000 customers. Each result is that of the single query; customers are never mixed."""
        asked = _read(await request.body())
        most = self._services.limits.customers
        if len(asked.customers) > most:
            raise Problem(422, f"customers: {len(asked.customers)} in one query, at most {most} are taken")
        way = self._way(asked)
        results = []
        for place, customer in enumerate(dict.fromkeys(asked.customers)):
            if place % _AT_ONCE == _AT_ONCE - 1:
                await asyncio.sleep(0)
            results.append(self._now() | await self._customer(customer, asked, way))
        return answers.as_json(self._now() | {"results": results})

    async def registrations(
        self,
        program: ProgramId,
        status: Annotated[list[Registered] | None, Query(description="May be repeated; absent: registered.")] = None,
        event_date: Annotated[
            date | None, Query(alias="eventDate", description="Only those whose event is that day, UTC.")
        ] = None,
        limit: Annotated[int, Query(ge=1, le=10_000, description="Candidates at most.")] = 1_000,
    ) -> Response:
        """Candidates of a program that are registered, or in other statuses of a registration."""
        program_of(self._services.programs, program)
        statuses = frozenset(status or ("registered",))
        now = self._services.clock.now()
        rows = await ask(self._services.store.with_status, program, statuses, event_date, limit + 1, now)
        items = [answers.item(row) for row in rows[:limit]]
        counts = {"totalCount": len(items), "isComplete": len(rows) <= limit}
        return answers.as_json(self._now() | {"items": items} | counts)

    def _now(self) -> dict[str, Any]:
        return {"asOf": self._services.clock.now()}

    def _page(self, asked: _Asked, cursor: str | None) -> Response:
        store, now, most = self._services.store, self._services.clock.now(), self._services.limits.page_rows
        place = (asked.program, asked.channel, asked.least, min(asked.limit, most), now)
        try:
            rows, following = store.page(*place, exclude=asked.left_out, after=cursor)
        except EngageError:
            raise Problem(400, "cursor: not one that this service gave; begin without one") from None
        if not asked.is_enabled:
            rows, following = [], None
        return answers.as_json(self._now() | {"items": [answers.item(row) for row in rows], "nextCursor": following})

    def _stream(self, asked: _Asked, media_type: str) -> Response:
        if self._streams >= STREAMS:
            headers = {"Retry-After": str(RETRY_SECONDS)}
            raise Problem(503, f"{STREAMS} streams are open in this process", headers=headers)
        store, now, most = self._services.store, self._services.clock.now(), self._services.limits.stream_rows
        place = (asked.program, asked.channel, asked.least, min(asked.limit, most), now)
        rows = store.stream(*place, exclude=asked.left_out) if asked.is_enabled else iter(())
        self._streams += 1
        return answers.Stream(_ENCODERS[media_type](store.columns, rows), media_type, self._stream_ended)

    def _stream_ended(self) -> None:
        self._streams -= 1

    def _way(self, asked: BatchQuery) -> str | None:
        programs = self._services.programs
        program = program_of(programs, asked.program) if asked.program else None
        return channel_type(programs, asked.channel, program) if asked.channel else None

    async def _customer(self, customer_id: str, asked: BatchQuery, way: str | None) -> dict[str, Any]:
        now = self._services.clock.now()
        rows = self._services.store.of_customer(customer_id, asked.program, now, channel=way, limit=STORED)
        kept = [row for row in rows if self._is_open(row, given_statuses(way))]
        is_fresh = is_degraded = False
        if asked.refresh_eligibility:
            kept, is_fresh = await self._still_wanted(customer_id, kept, way)
            is_degraded = not is_fresh
        return {
            "customerId": customer_id,
            "items": [answers.item(row, with_scores=asked.include_scores) for row in kept[: asked.limit]],
            "totalCount": len(rows),
            "filteredCount": len(rows) - len(kept),
            "eligibilityRefreshed": is_fresh,
            "degraded": is_degraded,
        }

    def _is_open(self, row: dict[str, Any], statuses: frozenset[str]) -> bool:
        program = self._services.programs.get(row["program"])
        return row["status"] in statuses and program is not None and program.enabled

    async def _still_wanted(
        self, customer_id: str, rows: Sequence[dict[str, Any]], way: str | None
    ) -> tuple[list[dict[str, Any]], bool]:
        """Those that may be contacted, and whether that could be asked: without an answer, none."""
        try:
            found = await ask(standing, self._services.contacts, customer_id, rows)
        except Problem:
            return [], False
        return [row for row in rows if found.allows(row, way)], True


def query_router(services: Services, gate: Gate) -> APIRouter:
    """Routes of the query API; keys need the scope candidates:read."""
    router = APIRouter(prefix="/v1", tags=["query"], dependencies=[gate.needs(READ)])
    queries = Queries(services)
    offered = {answers.NDJSON: {"schema": {"type": "string"}}, answers.ARROW: {"schema": {"type": "string"}}}
    router.add_api_route(
        "/customers/{customer}/candidates",
        queries.for_customer,
        name="GetCandidatesForCustomer",
        responses={200: {"model": CustomerCandidates}, **problems(404)},
        response_model=None,
    )
    router.add_api_route(
        "/programs/{program}/channels/{channel}/candidates",
        queries.for_channel,
        name="GetCandidatesForChannel",
        responses={200: {"model": ChannelPage, "content": offered}, **problems(400, 404, 406)},
        response_model=None,
    )
    router.add_api_route(
        "/candidates/query",
        queries.for_customers,
        methods=["POST"],
        name="GetCandidatesForCustomers",
        responses={200: {"model": BatchAnswer}, **problems(404, 413)},
        response_model=None,
        openapi_extra={
            "requestBody": {"required": True, "content": {answers.JSON: {"schema": BatchQuery.model_json_schema()}}}
        },
    )
    router.add_api_route(
        "/programs/{program}/registrations",
        queries.registrations,
        name="GetRegisteredCandidates",
        responses={200: {"model": Registrations}, **problems(404)},
        response_model=None,
    )
    return router


def _read(body: bytes) -> BatchQuery:
    try:
        return BatchQuery.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_context=False, include_url=False)) from None


def _negotiate(accept: str) -> str:
    """The first media type of an Accept header that is offered; 406 where there is none."""
    for given in accept.lower().split(","):
        media_type = given.partition(";")[0].strip()
        if media_type in _ENCODERS:
            return media_type
        if media_type in _ANY:
            return answers.JSON
    raise Problem(406, "none of the accepted media types is offered", known=[answers.JSON, *_ENCODERS])
