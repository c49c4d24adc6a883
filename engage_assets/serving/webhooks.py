"""Events from mail providers: deliveries, bounces and complaints, signed, in any order, as often as they like.

    POST /v1/events/ses       Amazon SES: an event or a list of them, bare, in an SNS notification or from EventBridge
    POST /v1/events/generic   {"events": [{"id", "sendId", "type", "at", "permanent"}]}

`X-Engage-Signature: t=<unix seconds>,v1=<hex>` holds HMAC-SHA256 of `<t>.<body>` under the form's secret. Whoever
forwards a provider's events signs so; several `v1` may stand there. Events are counted once by their id.
"""

import hmac
from datetime import UTC
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Header, Path, Request
from pydantic import BaseModel, Field

from engage_assets.domain.responses import Interaction
from engage_assets.domain.signatures import SIGNATURE, sign
from engage_assets.serving.events import FORMS, Malformed, entries_of, read_event
from engage_assets.serving.problems import Problem, ask
from engage_assets.serving.services import Services

TOLERANCE_SECONDS: Final = 300
"""So far may the signature's time lie from ours."""


class MalformedEvent(BaseModel):
    """An entry that was left out."""

    index: int = Field(description="Its place in the batch, from 0.")
    reason: str = Field(description="What is wrong with it; nothing of its content.")


class EventsAnswer(BaseModel):
    """What became of a batch; the three counts and the malformed entries add up to its length."""

    accepted: int = Field(description="Kept now.")
    known: int = Field(description="Kept before: the same event id.")
    unknown: int = Field(description="About sends that are not in the ledger.")
    malformed: list[MalformedEvent] = []


def webhook_router(services: Services) -> APIRouter:
    """Routes of the events. A form without a secret is not there (404); faults are answered before anything is kept.

    401: signature missing, wrong, or older than five minutes. 413: a body over the limit. 400: no JSON of the form.
    """
    router = APIRouter(tags=["events"])

    @router.post("/v1/events/{form}", responses=_REFUSED, openapi_extra=_BODY)
    async def take_events(
        form: Annotated[str, Path(description="ses or generic.", examples=["generic"])],
        request: Request,
        signature: Annotated[str, Header(alias=SIGNATURE, description="t=<unix seconds>,v1=<hex>")] = "",
    ) -> EventsAnswer:
        """Take a batch of events; a malformed one does not hold up the others."""
        secret = services.webhook_secrets.get(form) if form in FORMS else None
        if not secret:
            raise Problem(404, "no such form of events, or no secret is set for it")
        body = await read_body(request, services.limits.body_bytes)
        require_signature(services, body, signature, secret)
        return await ask(_take, services, form, _entries(form, body))

    return router


def require_signature(services: Services, body: bytes, signature: str, secret: bytes) -> None:
    """Raise Problem where a body was not signed lately with the secret."""
    if not is_signed(body, signature, secret, services.clock.now().replace(tzinfo=UTC).timestamp()):
        raise Problem(401, f"{SIGNATURE} is missing, wrong, or more than {TOLERANCE_SECONDS} seconds off")


def is_signed(body: bytes, signature: str, secret: bytes, now: float) -> bool:
    """Whether `signature` is one of `body` under `secret`, made within the tolerance of `now` (seconds since 1970)."""
    pairs = [part.strip().partition("=") for part in signature.split(",")]
    times = [value for name, _, value in pairs if name == "t"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdigit() and len(times[0]) < 16):
        return False
    expected = sign(body, int(times[0]), secret)
    # All are compared, each in constant time.
    matches = [hmac.compare_digest(expected.encode(), value.encode()) for name, _, value in pairs if name == "v1"]
    return any(matches) and abs(now - int(times[0])) <= TOLERANCE_SECONDS


async def read_body(request: Request, most: int) -> bytes:
    """The body as it came. Raises Problem where it is larger than `most` bytes."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > most:
            raise Problem(413, f"the body is larger than {most} bytes; send fewer events at once")
    return bytes(body)


def _entries(form: str, body: bytes) -> list[Any]:
    try:
        return entries_of(form, orjson.loads(body))
    except (orjson.JSONDecodeError, Malformed) as fault:
        why = str(fault) if isinstance(fault, Malformed) else "no JSON"
        raise Problem(400, f"the body is not of the form {form}: {why}") from None


def _take(services: Services, form: str, entries: list[Any]) -> EventsAnswer:
    """Keep what can be read and is about our sends."""
    now, read, malformed = services.clock.now(), [], []
    for index, entry in enumerate(entries):
        try:
            read.append(read_event(form, entry, now))
        except Malformed as fault:
            malformed.append(MalformedEvent(index=index, reason=str(fault)))
    ours = _of_known_sends(services, read)
    accepted = services.contacts.record(ours, now) if ours else 0
    return EventsAnswer(
        accepted=accepted, known=len(ours) - accepted, unknown=len(read) - len(ours), malformed=malformed
    )


def _of_known_sends(services: Services, events: list[Interaction]) -> list[Interaction]:
    known = {send_id for send_id in {event.send_id for event in events} if services.contacts.send(send_id)}
    return [event for event in events if event.send_id in known]


_REFUSED: Final[dict[int | str, dict[str, Any]]] = {
    400: {"description": "No JSON, or not of the form."},
    401: {"description": "Not signed."},
    404: {"description": "No such form, or no secret is set for it."},
    413: {"description": "Too large."},
    503: {"description": "The ledger does not answer; send again."},
}
_BODY: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": {}}}}}
