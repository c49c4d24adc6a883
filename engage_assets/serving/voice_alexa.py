"""The endpoint of an Alexa custom skill: who may call it, and what is said back."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from engage_assets.domain.errors import EngageError
from engage_assets.serving import answers
from engage_assets.serving.documents import operation, problems
from engage_assets.serving.problems import RETRY_SECONDS, Problem, invalid
from engage_assets.serving.services import AlexaSkill, Services
from engage_assets.serving.voice_desk import VoiceDesk
from engage_assets.serving.voice_documents import NextPromptQuery
from engage_assets.voice import alexa
from engage_assets.voice.alexa import Envelope, Speech
from engage_assets.voice.alexa_signature import TOLERANCE_SECONDS, NotFromAlexaError, address_of
from engage_assets.voice.speech import say

FETCHES: Final = 4
"""Certificates that one process fetches at once."""
_CHAIN: Final = "SignatureCertChainUrl"
_SIGNATURE: Final = "Signature-256"


class Conversation:
    """What a skill's requests mean, and what is said to them."""

    def __init__(self, services: Services, skill: AlexaSkill, desk: VoiceDesk) -> None:
        self._services = services
        self._skill = skill
        self._desk = desk

    async def respond(self, envelope: Envelope) -> dict[str, Any]:
        """The response to a request."""
        if envelope.request.type not in ("LaunchRequest", "IntentRequest"):
            # The end of a session, or what a player tells: nothing may be said to it.
            return alexa.silence()
        return alexa.spoken(await self._say(envelope))

    async def _say(self, envelope: Envelope) -> Speech:
        locale, intent = envelope.request.locale, envelope.intent
        if intent in alexa.ENDING:
            return Speech(say("goodbye", locale))
        now = self._services.clock.now()
        customer = self._skill.accounts.customer(envelope.access_token or "", now)
        if customer is None:
            return Speech(say("link", locale), asks_to_link=True)
        if intent == alexa.HELP:
            return Speech(say("welcome", locale), envelope.prompt_id, say("welcome", locale))
        is_reply = intent in (alexa.YES, alexa.NO) or envelope.words is not None or envelope.prompt_id
        if intent is not None and is_reply:
            return await self._answer(envelope, customer)
        return await self._ask(envelope, customer)

    async def _ask(self, envelope: Envelope, customer: str) -> Speech:
        """The next prompt, about what the device has just played."""
        locale = envelope.request.locale
        try:
            asked = NextPromptQuery(
                customer=customer, session_id=envelope.session.session_id, subject=envelope.subject_id, locale=locale
            )
        except ValidationError:
            return Speech(say("nothing", locale))
        spoken = await self._desk.next_prompt(asked)
        if spoken.prompt is None:
            return Speech(say("nothing", locale))
        return Speech(spoken.text, spoken.prompt.send_id, spoken.text)

    async def _answer(self, envelope: Envelope, customer: str) -> Speech:
        """Record yes or no; what is neither is asked again."""
        locale, prompt_id = envelope.request.locale, envelope.prompt_id
        if prompt_id is None:
            return Speech(say("nothing", locale))
        said = {alexa.YES: True, alexa.NO: False}.get(envelope.intent or "", envelope.words or "")
        try:
            heard = await self._desk.answer(prompt_id, customer, said, locale)
        except Problem as problem:
            if problem.status_code not in (404, 410):
                raise
            return Speech(say("expired" if problem.status_code == 410 else "nothing", locale))
        if heard.is_positive is None:
            return Speech(say("again", locale), prompt_id, say("again", locale))
        return Speech(say("thanks", locale))


class Endpoint:
    """The skill's address. Whoever cannot prove to be Alexa gets 400, as Amazon asks."""

    def __init__(self, services: Services, desk: VoiceDesk) -> None:
        self._services = services
        self._skill = services.alexa
        self._conversation = Conversation(services, services.alexa, desk) if services.alexa else None
        self._fetching = 0

    async def take(self, request: Request) -> Response:
        """A request of the skill, signed by Alexa."""
        if self._skill is None or self._conversation is None:
            raise Problem(404, "this service answers no Alexa skill")
        body = await request.body()
        try:
            await self._check(self._skill, request, body)
        except EngageError as refusal:
            raise Problem(400, str(refusal)) from None
        return answers.as_json(await self._conversation.respond(self._read(self._skill, body)))

    async def _check(self, skill: AlexaSkill, request: Request, body: bytes) -> None:
        """Raise NotFromAlexaError unless Alexa signed the body; EngageError where its certificate cannot be had."""
        url, signature = request.headers.get(_CHAIN, ""), request.headers.get(_SIGNATURE, "")
        if not url or not signature:
            raise NotFromAlexaError(f"the headers {_SIGNATURE} and {_CHAIN} are missing")
        now = self._services.clock.now()
        if skill.verifier.knows(address_of(url), now):
            skill.verifier.check(url, signature, body, now)
            return
        if self._fetching >= FETCHES:
            headers = {"Retry-After": str(RETRY_SECONDS)}
            raise Problem(503, f"{FETCHES} certificates are being fetched", headers=headers)
        self._fetching += 1
        try:
            await run_in_threadpool(skill.verifier.check, url, signature, body, now)
        finally:
            self._fetching -= 1

    def _read(self, skill: AlexaSkill, body: bytes) -> Envelope:
        """The request of our skill, made just now. 400 for another skill's and an old one; 422 for no request."""
        try:
            envelope = Envelope.model_validate_json(body)
        except ValidationError as error:
            raise invalid(error.errors(include_input=False, include_context=False, include_url=False)) from None
        if envelope.application_id not in skill.applications:
            raise Problem(400, "the request is for another skill")
        if not alexa.is_fresh(envelope, self._services.clock.now(), TOLERANCE_SECONDS):
            raise Problem(400, f"the request's timestamp is more than {TOLERANCE_SECONDS:.0f} seconds off")
        return envelope


def alexa_router(services: Services, desk: VoiceDesk) -> APIRouter:
    """The route of the Alexa skill. It needs no key: Alexa signs."""
    router = APIRouter(prefix="/v1/voice", tags=["voice"])
    router.add_api_route(
        "/alexa",
        Endpoint(services, desk).take,
        methods=["POST"],
        responses={200: {"content": {answers.JSON: {"schema": {"type": "object"}}}}, **problems(of_all=_REFUSALS)},
        openapi_extra={"requestBody": {"required": True, "content": {answers.JSON: {"schema": {"type": "object"}}}}},
        **operation("AlexaSkill"),
    )
    return router


_REFUSALS: Final = (400, 404, 413, 422, 503)
