"""Notifications: a browser says where it takes them, and its service worker what became of each."""

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi import Path as InPath
from fastapi.concurrency import run_in_threadpool

from engage_assets.channels.web_push import read_subscription
from engage_assets.domain.notices import PushSubscriptions
from engage_assets.domain.responses import Interaction, InteractionKind, KnownSend
from engage_assets.domain.tokens import Purpose
from engage_assets.serving.forms import is_foreign
from engage_assets.serving.machines import is_listed
from engage_assets.serving.reception import Reception
from engage_assets.serving.services import Services

LONGEST: Final = 4_096
"""Bytes of a subscription."""
Kind = Literal["displayed", "open", "click"]
_PURPOSES: Final[dict[InteractionKind, Purpose]] = {"displayed": "open", "open": "open", "click": "click"}
_SOURCE: Final = "worker"
_SCRIPTS: Final = Path(__file__).parent / "scripts"
_HEADERS: Final = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}
_NOTHING: Final = {"Cache-Control": "no-store"}
_SCRIPT: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "A script.", "content": {"text/javascript": {}}}
}
_DONE: Final[dict[int | str, dict[str, Any]]] = {
    204: {"description": "Kept."},
    403: {"description": "Not posted from our page."},
    404: {"description": "No link of ours."},
    413: {"description": "Too large."},
    422: {"description": "No subscription."},
}
_BODY: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
_KEYS: Final = ("endpoint", "expirationTime", "keys")


@dataclass(frozen=True)
class PushDesk:
    """Keeps subscriptions and what workers say."""

    services: Services

    async def keep(self, token: str, request: Request, *, is_gone: bool = False) -> Response:
        """Keep the subscription of a link's person, or forget it."""
        push = self.services.push
        send = await run_in_threadpool(Reception(self.services).visitor, token, "answer")
        if send is None or push is None:
            return _empty(404)
        if is_foreign(request):
            return _empty(403)
        body = await _body(request)
        address = _address(body)
        if address is None:
            return _empty(413 if len(body) > LONGEST else 422)
        await run_in_threadpool(self._write, push.subscriptions, send, address, is_gone)
        return _empty(204)

    def _write(self, subscriptions: PushSubscriptions, send: KnownSend, address: str, is_gone: bool) -> None:  # noqa: FBT001
        now = self.services.clock.now()
        if not is_gone:
            subscriptions.keep(send.customer_id, address, now)
        elif address in subscriptions.of([send.customer_id]).get(send.customer_id, []):
            subscriptions.gone(address, now)

    def told(self, token: str, kind: Kind, request: Request) -> Response:
        """Record what a worker says of a notification, each kind once."""
        now = self.services.clock.now()
        said = self.services.signer.read(token, _PURPOSES[kind], now)
        send = self.services.contacts.send(said.send_id) if said else None
        if send is None:
            return _empty(404)
        event = sha256(f"{send.send_id}\x1f{kind}\x1f{_SOURCE}".encode()).hexdigest()[:32]
        rule = "listed_agent" if is_listed(request.headers.get("user-agent", "")) else None
        self.services.contacts.record([Interaction(event, send.send_id, kind, now, _SOURCE, rule)], now)
        return _empty(204)


def push_router(services: Services) -> APIRouter:
    """Scripts, subscriptions and beacons below /push."""
    router = APIRouter(prefix="/push", tags=["push"])
    desk = PushDesk(services)

    @router.get("/worker.js", response_class=Response, responses=_SCRIPT)
    def worker() -> Response:
        """The service worker, which shows notifications."""
        return _script("worker.js")

    @router.get("/remind.js", response_class=Response, responses=_SCRIPT)
    def remind() -> Response:
        """What the registration page needs to subscribe."""
        return _script("remind.js")

    @router.post("/subscriptions/{token}", status_code=204, responses=_DONE, openapi_extra=_BODY)
    async def subscribe(token: str, request: Request) -> Response:
        """Keep a PushSubscription of the person of a link; token for `answer`."""
        return await desk.keep(token, request)

    @router.post("/subscriptions/{token}/gone", status_code=204, responses=_DONE, openapi_extra=_BODY)
    async def unsubscribe(token: str, request: Request) -> Response:
        """Forget it."""
        return await desk.keep(token, request, is_gone=True)

    @router.post("/beacons/{token}/{kind}", status_code=204, responses={404: _DONE[404]})
    def beacon(token: str, kind: Annotated[Kind, InPath()], request: Request) -> Response:
        """What became of a notification: `displayed`, `open` (token for `open`) or `click` (token for `click`)."""
        return desk.told(token, kind, request)

    return router


def _script(name: str) -> Response:
    return Response((_SCRIPTS / name).read_bytes(), media_type="text/javascript; charset=utf-8", headers=_HEADERS)


def _empty(status: int) -> Response:
    return Response(status_code=status, headers=_NOTHING)


async def _body(request: Request) -> bytes:
    """At most a little more than LONGEST."""
    content = b""
    async for chunk in request.stream():
        content += chunk
        if len(content) > LONGEST:
            break
    return content


def _address(body: bytes) -> str | None:
    """A subscription as we keep it: the known keys alone, always written the same way; None where it is none."""
    if len(body) > LONGEST:
        return None
    try:
        said = json.loads(body)
        kept = json.dumps({name: said[name] for name in _KEYS if name in said}, sort_keys=True)
    except (ValueError, TypeError, RecursionError):
        return None
    return kept if read_subscription(kept) else None
