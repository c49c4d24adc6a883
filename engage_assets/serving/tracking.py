"""Tracking addresses: the pixel, the redirect, and the hidden link that only machines follow.

    GET, HEAD /o/{token}.gif   an open, and a transparent picture
    GET, HEAD /c/{token}       a click, and on to the page of the program's form, or of the survey
    GET, HEAD /h/{token}       the hidden link: a machine's click, and on like any other

All tokens are made for the purposes `open` (the pixel) and `click` (both links). Where a link leads is made from the
send that the token names, never from the address, so no link of ours can lead elsewhere.
"""

import hashlib
from base64 import b64decode
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from secrets import token_hex
from threading import Lock
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from engage_assets.domain.forms import page_of
from engage_assets.domain.responses import Interaction, InteractionKind, KnownSend
from engage_assets.domain.tokens import Purpose, Token
from engage_assets.serving import words
from engage_assets.serving.machines import HONEYPOT, machine_rule, since
from engage_assets.serving.services import Services

PIXEL: Final = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
"""A transparent GIF of 1 × 1."""
REMEMBERED: Final = 10_000
"""Sends whose hidden link was followed lately that one process remembers."""

_HEADERS: Final = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}
_LOST: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "No link of ours.", "content": {"text/html": {}}}}
_PICTURE: Final = _LOST | {200: {"description": "A transparent picture.", "content": {"image/gif": {}}}}


class Suspects:
    """When the hidden link of a send was followed last: the newest `REMEMBERED` sends, in this process only."""

    def __init__(self) -> None:
        self._followed: OrderedDict[str, datetime] = OrderedDict()
        self._lock = Lock()

    def add(self, send_id: str, now: datetime) -> None:
        """Remember a send."""
        with self._lock:
            self._followed[send_id] = now
            self._followed.move_to_end(send_id)
            while len(self._followed) > REMEMBERED:
                self._followed.popitem(last=False)

    def followed_at(self, send_id: str) -> datetime | None:
        """When its link was followed; None: never, or long ago."""
        return self._followed.get(send_id)


@dataclass(frozen=True)
class Track:
    """What the tracking addresses do. `random_part` gives what tells two fetches within a millisecond apart."""

    services: Services
    random_part: Callable[[], str]
    suspects: Suspects = field(default_factory=Suspects)

    def open(self, token: str, request: Request) -> Response:
        """Record an open and give the picture, also for a send that the ledger has lost."""
        said = self._read(token, "open")
        if said is None:
            return words.lost()
        send = self.services.contacts.send(said.send_id)
        if send:
            self._judge(request, send, "open", "pixel")
        return Response(PIXEL, media_type="image/gif", headers=_HEADERS)

    def click(self, token: str, request: Request, *, is_hidden: bool = False) -> Response:
        """Record a click, a machine's where the link was the hidden one, and lead on to the form."""
        said = self._read(token, "click")
        send = self.services.contacts.send(said.send_id) if said else None
        if said is None or send is None:
            return words.lost()
        if is_hidden:
            now = self.services.clock.now()
            self.suspects.add(send.send_id, now)
            self._keep(send, "click", "redirect", HONEYPOT, now)
        else:
            self._judge(request, send, "click", "redirect")
        answer = self.services.signer.sign("answer", send.send_id, said.expires_at)
        page = page_of(self.services.programs.get(send.program), send.kind)
        return RedirectResponse(f"../{page}/{answer}", status_code=302, headers=_HEADERS)

    def _read(self, token: str, purpose: Purpose) -> Token | None:
        return self.services.signer.read(token, purpose, self.services.clock.now())

    def _judge(self, request: Request, send: KnownSend, kind: InteractionKind, source: str) -> None:
        """Record a fetch as a person's or a machine's."""
        now = self.services.clock.now()
        since_hand_over = since(send.handed_over_at, now)
        since_honeypot = since(self.suspects.followed_at(send.send_id), now)
        rule = machine_rule(kind, request.method, request.headers, since_hand_over, since_honeypot)
        self._keep(send, kind, source, rule, now)

    def _keep(self, send: KnownSend, kind: InteractionKind, source: str, rule: str | None, now: datetime) -> None:
        event = event_id(send.send_id, kind, now, self.random_part())
        self.services.contacts.record([Interaction(event, send.send_id, kind, now, source, rule)], now)


def tracking_router(services: Services, random_part: Callable[[], str] = token_hex) -> APIRouter:
    """Routes of the tracking addresses.

    Every fetch counts as an interaction of its own; unique ones are counted where figures are made. A token that is
    altered, expired or of another purpose is 404, and nothing is recorded.
    """
    router = APIRouter(tags=["tracking"])
    track = Track(services, random_part)

    @router.head("/o/{token}.gif", include_in_schema=False)
    @router.get("/o/{token}.gif", response_class=Response, responses=_PICTURE)
    def pixel(token: str, request: Request) -> Response:
        """The picture that a mail program loads when the message is opened."""
        return track.open(token, request)

    @router.head("/c/{token}", include_in_schema=False)
    @router.get("/c/{token}", status_code=302, response_class=RedirectResponse, responses=_LOST)
    def click(token: str, request: Request) -> Response:
        """The message's button: on to the page on which the person answers."""
        return track.click(token, request)

    @router.head("/h/{token}", include_in_schema=False)
    @router.get("/h/{token}", status_code=302, response_class=RedirectResponse, responses=_LOST)
    def hidden(token: str, request: Request) -> Response:
        """The link that no person sees; who follows it is a machine, and is led on like any other."""
        return track.click(token, request, is_hidden=True)

    return router


def event_id(send_id: str, kind: InteractionKind, at: datetime, random_part: str) -> str:
    """Our own key of one fetch: 32 hex digits."""
    parts = f"{send_id}\x1f{kind}\x1f{at.isoformat(timespec='milliseconds')}\x1f{random_part}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]
