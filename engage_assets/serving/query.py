"""The routes of the query API."""

from typing import Any, Final

from fastapi import APIRouter

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
from engage_assets.serving.registered import ByRegistration
from engage_assets.serving.services import Services

_BATCH: Final[dict[str, Any]] = {
    "requestBody": {"required": True, "content": {answers.JSON: {"schema": BatchQuery.model_json_schema()}}}
}
_STREAMS: Final = {media_type: {"schema": {"type": "string"}} for media_type in OFFERED}


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
