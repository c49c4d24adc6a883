"""The web service: query API, tracking addresses, pages, webhooks, probes. Made from what it works with."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.telemetry import TelemetryConfig
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from engage_assets.domain.ports import Contacts
from engage_assets.serving import problems
from engage_assets.serving.access import Gate
from engage_assets.serving.answering import answers_of
from engage_assets.serving.banners_api import banners_router
from engage_assets.serving.banners_page import banners_page
from engage_assets.serving.changes import changes_router
from engage_assets.serving.direct import Directly
from engage_assets.serving.documents import ProblemDetails
from engage_assets.serving.explain import explain_router
from engage_assets.serving.health import Readiness, health_router
from engage_assets.serving.limits import Guard
from engage_assets.serving.observe import Measures, Observe
from engage_assets.serving.pages import pages_router
from engage_assets.serving.prometheus import registry
from engage_assets.serving.push import push_router
from engage_assets.serving.query import query_router
from engage_assets.serving.registration_attendance import attendance_router
from engage_assets.serving.registration_routes import direct_registration
from engage_assets.serving.services import Services
from engage_assets.serving.tracking import tracking_router
from engage_assets.serving.voice import Voice, direct_routes, voice_router
from engage_assets.serving.voice_alexa import alexa_router
from engage_assets.serving.voice_desk import VoiceDesk
from engage_assets.serving.webhooks import webhook_router

TITLE: Final = "engage_assets: candidates, responses, preferences"
VERSION: Final = "1"
DESCRIPTION: Final = (
    "Who may be contacted about what, through which channel; pages and addresses of messages."
    " Routes under `/v1` need a key. Faults are problem details (RFC 9457). Instants are UTC."
)
# Its logs would hold messages of exceptions, and those may hold personal data.
_NO_TELEMETRY: Final = TelemetryConfig(
    tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False
)


class Service(FastAPI):
    """The application behind `front`, which serves routes that somebody waits for past all of the framework."""

    front: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.front(scope, receive, send)


def create_app(services: Services, seconds: Callable[[], float] = time.monotonic) -> FastAPI:
    """The application. `seconds` is a clock that never goes back: for limits and remembered keys, never for dates."""
    measures = Measures(services.clock, services.instance)
    readiness = Readiness(services)
    gate = Gate(services.contacts, services.clock, seconds)
    answers = answers_of(services)
    desk = VoiceDesk(services)
    voice = Voice(services, desk)
    app = Service(
        title=TITLE,
        version=VERSION,
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        lifespan=_lifespan(readiness, measures, services.contacts),
        middleware=[
            Middleware(Observe, measures=measures),
            Middleware(Guard, limits=services.limits),
        ],
    )
    app.front = Directly(
        partial(FastAPI.__call__, app),
        direct_routes(voice, gate) | direct_registration(answers),
        around=lambda served: Observe(Guard(served, services.limits), measures),
    )
    problems.register(app)
    app.include_router(query_router(services, gate))
    app.include_router(explain_router(services, gate))
    app.include_router(changes_router(services, gate))
    app.include_router(banners_router(services, gate))
    app.include_router(voice_router(voice, gate))
    app.include_router(alexa_router(services, desk))
    app.include_router(tracking_router(services))
    app.include_router(pages_router(services, answers))
    app.include_router(banners_page(services))
    app.include_router(push_router(services))
    app.include_router(webhook_router(services))
    app.include_router(attendance_router(services))
    app.include_router(health_router(readiness, gate, registry(measures, lambda: readiness.is_ready)))
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    return app


def _lifespan(readiness: Readiness, measures: Measures, contacts: Contacts) -> Any:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        readiness.begin()
        flushing = asyncio.create_task(measures.flush_for_ever(contacts))
        yield
        flushing.cancel()
        await measures.flush(contacts)

    return lifespan


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if not app.openapi_schema:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        made["components"]["schemas"]["ProblemDetails"] = ProblemDetails.model_json_schema()
        app.openapi_schema = made
    return app.openapi_schema
