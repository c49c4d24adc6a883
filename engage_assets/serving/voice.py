"""The routes of asking by voice: the next prompt for a session, its answer, the token of account linking."""

from typing import Any, Final, TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ValidationError

from engage_assets.serving import answers
from engage_assets.serving.access import VOICE, Gate
from engage_assets.serving.direct import Direct, Handler
from engage_assets.serving.documents import operation, problems
from engage_assets.serving.problems import invalid
from engage_assets.serving.services import Services
from engage_assets.serving.voice_desk import Spoken, VoiceDesk
from engage_assets.serving.voice_documents import (
    Answered,
    Link,
    LinkQuery,
    NextPrompt,
    NextPromptQuery,
    PromptAnswer,
)
from engage_assets.voice.links import SignedLinks
from engage_assets.voice.speech import say

JSON: Final = answers.JSON
PREFIX: Final = "/v1/voice"
Model = TypeVar("Model", bound=BaseModel)


class Voice:
    """Handlers of the routes."""

    def __init__(self, services: Services, desk: VoiceDesk) -> None:
        self._services = services
        self._desk = desk
        self._links = SignedLinks(services.signer)

    async def next_prompt(self, request: Request) -> Response:
        """A question for a listener after something ended, or why there is none. May be repeated.

        At most one a session; a session that waits with a question gets the same again. A question counts as asked
        once it is given.
        """
        asked = read(NextPromptQuery, await request.body())
        spoken = await self._desk.next_prompt(asked)
        body = {"asOf": self._services.clock.now(), "prompt": self._document(spoken), "reason": spoken.reason}
        return answers.as_json(body)

    async def answer(self, request: Request) -> Response:
        """Record yes or no. The same again changes nothing; another answer replaces it until the prompt expires."""
        given = read(PromptAnswer, await request.body())
        heard = await self._desk.answer(given.prompt_id, given.customer, given.answer, given.locale)
        body = {
            "asOf": self._services.clock.now(),
            "result": "not_understood" if heard.is_positive is None else "recorded",
            "answer": None if heard.is_positive is None else "yes" if heard.is_positive else "no",
            "text": say("again" if heard.is_positive is None else "thanks", heard.locale),
        }
        return answers.as_json(body)

    async def link(self, request: Request) -> Response:
        """An access token that names a customer: for the shop's authorization server to hand to the assistant."""
        now = self._services.clock.now()
        token, expires_at = self._links.token(read(LinkQuery, await request.body()).customer, now)
        return answers.as_json({"asOf": now, "accessToken": token, "expiresAt": expires_at})

    def _document(self, spoken: Spoken) -> dict[str, Any] | None:
        prompt = spoken.prompt
        if prompt is None:
            return None
        return {
            "promptId": prompt.send_id,
            "text": spoken.text,
            "program": prompt.program,
            "subjectType": prompt.subject_type,
            "subjectId": prompt.subject_id,
            "subjectName": prompt.subject_name,
            "locale": prompt.locale or "en",
            "responseOptions": list(spoken.options),
            "issuedAt": prompt.issued_at,
            "expiresAt": prompt.expires_at,
        }


def direct_routes(voice: Voice, gate: Gate) -> dict[str, Direct]:
    """By path, the routes for which a listener waits."""

    def admitted(handler: Handler) -> Handler:
        async def handle(request: Request) -> Response:
            await gate.admit(request, VOICE)
            return await handler(request)

        return handle

    paths: dict[str, Handler] = {f"{PREFIX}/next-prompt": voice.next_prompt, f"{PREFIX}/answer": voice.answer}
    return {path: Direct(path, admitted(handler)) for path, handler in paths.items()}


def voice_router(voice: Voice, gate: Gate) -> APIRouter:
    """Routes of asking by voice; keys need the scope voice."""
    router = APIRouter(prefix=PREFIX, tags=["voice"], dependencies=[gate.needs(VOICE)])
    for path, handler, name, takes, gives, statuses in (
        ("/next-prompt", voice.next_prompt, "NextPrompt", NextPromptQuery, NextPrompt, (404, 413)),
        ("/answer", voice.answer, "AnswerPrompt", PromptAnswer, Answered, (404, 410, 413)),
        ("/links", voice.link, "LinkAccount", LinkQuery, Link, (413,)),
    ):
        router.add_api_route(
            path,
            handler,
            methods=["POST"],
            responses={200: {"model": gives}, **problems(*statuses)},
            openapi_extra=body_of(takes),
            **operation(name),
        )
    return router


def read(model: type[Model], body: bytes) -> Model:
    """A body of the documented form; 422 for any other, which says nothing of what was sent."""
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error.errors(include_input=False, include_context=False, include_url=False)) from None


def body_of(model: type[BaseModel]) -> dict[str, Any]:
    """`openapi_extra` of a route that reads a body of this form."""
    return {"requestBody": {"required": True, "content": {JSON: {"schema": model.model_json_schema()}}}}
