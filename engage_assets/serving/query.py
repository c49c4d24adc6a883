"""The routes of the query API, and GetRegisteredCandidates."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Response
from pydantic import Field

from engage_assets.domain.statuses import REGISTERED
from engage_assets.serving import answers
from engage_assets.serving.access import READ, Gate
from engage_assets.serving.channels import OFFERED, ByChannel
from engage_assets.serving.customers import ByCustomer
from engage_assets.serving.documents import (
    BatchAnswer,
    BatchQuery,
    ChannelPage,
    CustomerCandidates,
    Registrations,
    operation,
    problems,
)
from engage_assets.serving.names import ProgramId, program_of
from engage_assets.serving.problems import ask
from engage_assets.serving.services import Services

_BATCH: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {answers.JSON: {"schema": BatchQuery.model_json_schema()}}}
}
_STREAMS: Final = {media_type: {"schema": {"type": "string"}} for media_type in OFFERED}

Registered = Annotated[str, Field(pattern=f"^({'|'.join(sorted(REGISTERED))})$", examples=["registered"])]
Statuses = Annotated[list[Registered] | None, Query(description="May be repeated; absent: registered.")]
EventDate = Annotated[date | None, Query(alias="eventDate", description="Only those whose event is that day, UTC.")]
Most = Annotated[int, Query(ge=1, le=10_000, description="Candidates at most.")]


@dataclass(frozen=True)
class ByRegistration:
    """Handler of the query for registrations."""

    services: Services

    async def candidates(
        self, program: ProgramId, status: Statuses = None, event_date: EventDate = None, limit: Most = 1_000
    ) -> Response:
        """Candidates of a program that are registered, or in other statuses of a registration."""
        program_of(self.services.programs, program)
        statuses, now = frozenset(status or ("registered",)), self.services.clock.now()
        rows = await ask(self.services.store.with_status, program, statuses, event_date, limit + 1, now)
        found = answers.items(rows[:limit])
        counts = {"totalCount": len(found), "isComplete": len(rows) <= limit}
        return answers.as_json({"asOf": now, "items": found, **counts})


def query_router(services: Services, gate: Gate) -> APIRouter:
    """Routes of the query API; keys need the scope candidates:read."""
    router = APIRouter(prefix="/v1", tags=["query"], dependencies=[gate.needs(READ)])
    by_customer = ByCustomer(services)
    router.add_api_route(
        "/customers/{customer}/candidates",
        by_customer.candidates,
        responses={200: {"model": CustomerCandidates}, **problems(404)},
        **operation("GetCandidatesForCustomer"),
    )
    router.add_api_route(
        "/programs/{program}/channels/{channel}/candidates",
        ByChannel(services).candidates,
        responses={200: {"model": ChannelPage, "content": _STREAMS}, **problems(400, 404, 406)},
        **operation("GetCandidatesForChannel"),
    )
    router.add_api_route(
        "/candidates/query",
        by_customer.batch,
        methods=["POST"],
        responses={200: {"model": BatchAnswer}, **problems(404, 413)},
        openapi_extra=_BATCH,
        **operation("GetCandidatesForCustomers"),
    )
    router.add_api_route(
        "/programs/{program}/registrations",
        ByRegistration(services).candidates,
        responses={200: {"model": Registrations}, **problems(404)},
        **operation("GetRegisteredCandidates"),
    )
    return router
