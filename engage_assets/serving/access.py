"""Bearer keys of the API: how they are made, read and checked."""

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock, Contacts
from engage_assets.domain.responses import ApiKey
from engage_assets.serving.limits import Buckets
from engage_assets.serving.problems import Problem, ask

READ: Final = "candidates:read"
WRITE: Final = "candidates:write"
METRICS: Final = "metrics:read"
VOICE: Final = "voice"
BANNERS: Final = "banners"
SCOPES: Final = frozenset({READ, WRITE, METRICS, VOICE, BANNERS})
REMEMBERED_SECONDS: Final = 5.0
"""A key that was looked up is not looked up again for so long: the time in which a revocation acts."""

_REMEMBERED: Final = 10_000
_KEY_ID_BYTES: Final = 6
_SECRET_BYTES: Final = 32
_LONGEST: Final = 200
_NOBODYS_HASH: Final = sha256(b"").hexdigest()
_CHALLENGE: Final = 'Bearer realm="engage"'
_SCHEME: Final = HTTPBearer(
    scheme_name="key", description="`ek_<key id>_<secret>`, made with `engage keys`.", auto_error=False
)


def make_key(
    name: str,
    scopes: Collection[str],
    now: datetime,
    *,
    per_minute: int = 60_000,
    random_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> tuple[ApiKey, str]:
    """A new key and its text, which is shown once. Raises EngageError for a scope that is not there."""
    strange = sorted(set(scopes) - SCOPES)
    if strange or not scopes:
        raise EngageError(
            f"key {name!r}: {', '.join(strange) or 'none'} is no scope; take of {', '.join(sorted(SCOPES))}"
        )
    key_id = random_bytes(_KEY_ID_BYTES).hex()
    secret = urlsafe_b64encode(random_bytes(_SECRET_BYTES)).rstrip(b"=").decode("ascii")
    key = ApiKey(key_id, name, _hash(secret), frozenset(scopes), now, per_minute=per_minute)
    return key, f"ek_{key_id}_{secret}"


@dataclass
class _Remembered:
    until: float
    key: ApiKey | None


class Gate:
    """Lets requests with a good key and scope pass, at most so many a minute for each key and process."""

    def __init__(self, contacts: Contacts, clock: Clock, seconds: Callable[[], float] = time.monotonic) -> None:
        self._contacts = contacts
        self._clock = clock
        self._seconds = seconds
        self._known: dict[str, _Remembered] = {}
        self._buckets = Buckets(seconds)

    def needs(self, scope: str) -> Any:
        """Dependency of a route that needs `scope`; see `admit`."""

        async def check(request: Request, _: Annotated[Any, Depends(_SCHEME)]) -> None:
            await self.admit(request, scope)

        return Depends(check)

    async def admit(self, request: Request, scope: str) -> None:
        """Let a request pass: 401 without a good key, 403 without the scope, 429 too often."""
        key = await self._identify(request.headers.get("authorization", ""))
        if scope not in key.scopes:
            challenge = f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"'
            raise Problem(403, f"this key lacks the scope {scope}", headers={"WWW-Authenticate": challenge})
        wait = self._buckets.take(key.key_id, key.per_minute)
        if wait:
            headers = {"Retry-After": str(int(wait) + 1)}
            raise Problem(429, f"more than {key.per_minute} requests a minute with this key", headers=headers)

    async def _identify(self, header: str) -> ApiKey:
        kind, _, text = header.partition(" ")
        key_id, secret = _split(text.strip())
        if kind.lower() != "bearer" or not key_id:
            raise _unauthorized('send a key as "Authorization: Bearer ek_…"', _CHALLENGE)
        key = await self._look_up(key_id)
        # An unknown id costs the same as a wrong secret, so that neither can be told from the other.
        genuine = hmac.compare_digest(_hash(secret), key.secret_hash if key else _NOBODYS_HASH)
        if not key or not genuine or (key.revoked_at and key.revoked_at <= self._clock.now()):
            raise _unauthorized("this key is not known, or no longer good", f'{_CHALLENGE}, error="invalid_token"')
        return key

    async def _look_up(self, key_id: str) -> ApiKey | None:
        now = self._seconds()
        found = self._known.get(key_id)
        if found and found.until > now:
            return found.key
        key = await ask(self._contacts.api_key, key_id)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key_id] = _Remembered(now + REMEMBERED_SECONDS, key)
        return key


def _split(text: str) -> tuple[str, str]:
    """Key id and secret of a key's text; both empty where it is none."""
    parts = text.split("_", 2)
    is_a_key = len(parts) == 3 and parts[0] == "ek" and len(text) <= _LONGEST and text.isascii()
    return (parts[1], parts[2]) if is_a_key and parts[1].isalnum() else ("", "")


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _unauthorized(detail: str, challenge: str) -> Problem:
    return Problem(401, detail, headers={"WWW-Authenticate": challenge})
