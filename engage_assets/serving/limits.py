"""What keeps the service safe from single requests: rate per key, size of bodies, headers of answers, stray errors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage_assets.serving.forms import review_bytes
from engage_assets.serving.problems import Problem, log_fault, write
from engage_assets.serving.services import Limits

API_PREFIX: Final = "/v1/"
SECURITY_HEADERS: Final[dict[bytes, bytes]] = {
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"no-referrer",
    b"content-security-policy": b"default-src 'none'; frame-ancestors 'none'",
    b"permissions-policy": b"camera=(), geolocation=(), microphone=()",
    b"cross-origin-opener-policy": b"same-origin",
    b"strict-transport-security": b"max-age=31536000",
    b"cache-control": b"no-store",
}
"""Of every answer that does not set its own."""
_BUCKETS: Final = 10_000
_FORMS: Final = (b"multipart/form-data", b"application/x-www-form-urlencoded")
_SLACK: Final = 3
"""So many times what a form may have is taken, as a browser that cannot finish sending shows no answer."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class Buckets:
    """Token buckets by name: a minute's worth at most, refilled evenly. `seconds` is a clock that never goes back."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._buckets: dict[str, _Bucket] = {}

    def take(self, name: str, per_minute: int) -> float:
        """Take one token: 0, or the seconds until there is one."""
        now = self._seconds()
        bucket = self._buckets.get(name)
        if bucket is None:
            if len(self._buckets) >= _BUCKETS:
                self._buckets.clear()
            bucket = self._buckets[name] = _Bucket(per_minute, now)
        rate = per_minute / 60
        bucket.tokens = min(per_minute, bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return (1 - bucket.tokens) / rate if rate else 60.0


class Guard:
    """ASGI middleware: 413 for a body over the limit, chunked ones too; headers for all; a bare 500 for errors.

    Pages read less, each with words of its own for what is too large; this is the net beneath them.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        limit = self._most(scope)
        is_begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal is_begun
            if message["type"] == "http.response.start":
                is_begun = True
                message = {**message, "headers": _with_security(list(message["headers"]))}
            await send(message)

        try:
            if _declared(scope) > limit:
                await write(_too_large(limit))(scope, receive, send_guarded)
            else:
                await self.app(scope, _counted(receive, limit), send_guarded)
        except Exception as error:  # noqa: BLE001 – the last net: its message may hold personal data
            log_fault("error", error)
            # An answer that has begun is left unfinished: the server then cuts the connection.
            if not is_begun:
                await write(Problem(500, "the service failed; the log names the place"))(scope, receive, send_guarded)

    def _most(self, scope: Scope) -> int:
        """Bytes that the body may have."""
        if scope["path"].startswith(API_PREFIX):
            return self._limits.body_bytes
        is_form = _header(scope, b"content-type").lower().startswith(_FORMS)
        return _SLACK * (review_bytes(self._limits) if is_form else self._limits.body_bytes)


def _header(scope: Scope, name: bytes) -> bytes:
    return next((value for given, value in scope["headers"] if given == name), b"")


def _declared(scope: Scope) -> int:
    """Length of the body as its header says, or its first 19 digits; 0 where it says nothing."""
    text = _header(scope, b"content-length")
    return int(text[:19]) if text.isdigit() else 0


def _counted(receive: Receive, limit: int) -> Receive:
    """`receive`, until more than `limit` bytes came."""
    size = 0

    async def receive_counted() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            raise _too_large(limit)
        return message

    return receive_counted


def _with_security(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in headers}
    return headers + [pair for pair in SECURITY_HEADERS.items() if pair[0] not in given]


def _too_large(limit: int) -> HTTPException:
    return Problem(413, f"the body is larger than {limit} bytes")
