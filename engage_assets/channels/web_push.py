"""The transport of push notifications: Web Push (RFC 8030), encrypted (RFC 8291), signed by VAPID (RFC 8292)."""

import json
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from http import HTTPStatus
from ipaddress import ip_address
from secrets import token_bytes
from typing import Any, Final
from urllib.parse import urlsplit

import http_ece
import httpx
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from py_vapid import Vapid02, VapidException

from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Answer, Letter, TransientRefusal

TOKEN_SECONDS: Final = 12 * 3600
"""How long a VAPID token holds; push services refuse more than 24 hours (RFC 8292 2)."""
KEPT_SECONDS: Final = 4 * 3600
"""How long a push service keeps a notification for a device that is off: a reminder is stale after it."""
LONGEST: Final = 3993
"""Octets of content that every push service takes: 4,096 with the encryption's own (RFC 8291 4)."""
_GONE: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_KEY_LENGTH: Final = 65
_SECRET_LENGTH: Final = 16
_PRIVATE_LENGTH: Final = 32


@dataclass(frozen=True)
class Subscription:
    """Where a browser takes notifications, and for whom alone they can be read."""

    endpoint: str = field(repr=False)
    key: bytes = field(repr=False)
    """The browser's public key, an uncompressed point of P-256."""
    secret: bytes = field(repr=False)


def read_subscription(text: str) -> Subscription | None:
    """A subscription as browsers write it (PushSubscription.toJSON); None where it is none, or its address unsafe.

    Addresses are https and no number of a machine; http only to this machine, for tests.
    """
    try:
        said = json.loads(text)
        keys = said["keys"]
        found = Subscription(said["endpoint"], _decoded(keys["p256dh"]), _decoded(keys["auth"]))
        is_safe = _is_safe(found.endpoint)
    except (ValueError, KeyError, TypeError):
        return None
    is_whole = len(found.key) == _KEY_LENGTH and len(found.secret) == _SECRET_LENGTH
    return found if is_whole and is_safe else None


def _is_safe(endpoint: str) -> bool:
    url = urlsplit(endpoint)
    host = url.hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return url.scheme == "https" and "." in host and not url.username
    return address.is_loopback and url.scheme == "http"


@dataclass(frozen=True)
class Vapid:
    """Who sends: a key, and a contact for the push service (RFC 8292 2.1)."""

    key: Vapid02 = field(repr=False)
    contact: str

    @classmethod
    def read(cls, private_key: str, contact: str) -> "Vapid":
        """Of a private key in base64url (32 octets) or PEM, and `mailto:` or https. Raises EngageError."""
        if not contact.startswith(("mailto:", "https://")):
            raise EngageError(f"ENGAGE_VAPID_CONTACT={contact!r}: write mailto:… or https://…")
        try:
            key = _private_key(private_key)
        except (ValueError, VapidException):
            raise EngageError("ENGAGE_VAPID_KEY is no private key of P-256, in base64url or PEM") from None
        return cls(key, contact)

    @property
    def public_key(self) -> str:
        """What browsers subscribe with (applicationServerKey), base64url."""
        point = self.key.public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return _encoded(point)


class WebPushSender:
    """Notifications to browsers' push services. A letter's recipient is a subscription, its content the payload."""

    transport = "web_push"
    leaves_machine = True
    per_second: float | None = None

    def __init__(
        self,
        vapid: Vapid,
        *,
        lines: int = 4,
        seconds: Callable[[], float] = time.time,
        random_bytes: Callable[[int], bytes] = token_bytes,
    ) -> None:
        self._vapid = vapid
        self.lines = lines
        self._seconds = seconds
        self._random_bytes = random_bytes

    def open(self) -> "WebPushLine":
        """A new line; it connects with its first notification."""
        return WebPushLine(self._vapid, self._seconds, self._random_bytes)


class WebPushLine:
    """Hands over one notification at a time, on connections that are kept."""

    def __init__(self, vapid: Vapid, seconds: Callable[[], float], random_bytes: Callable[[int], bytes]) -> None:
        self._vapid = vapid
        self._seconds = seconds
        self._random_bytes = random_bytes
        self._tokens: dict[str, tuple[float, str]] = {}
        self._client: httpx.Client | None = None

    def hand_over(self, letter: Letter) -> Answer:
        """Hand over once. 2xx: sent; 404 and 410: failed as PUSH_GONE; 429 and 5xx: TransientRefusal.

        The same send has the same Topic, so that a push service which kept an earlier try replaces it. No answer
        after the content began to go out is in_doubt.
        """
        to = read_subscription(letter.recipient)
        if to is None:
            return Answer("failed", "PUSH_GONE")
        if len(letter.content) > LONGEST:
            return Answer("failed", "MESSAGE_INVALID")
        headers = {
            "Authorization": self._token(to.endpoint),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(KEPT_SECONDS),
            "Urgency": "normal",
            "Topic": topic(letter.send_id),
        }
        return self._post(to.endpoint, self._sealed(to, letter.content), headers)

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()
            self._client = None

    def _post(self, endpoint: str, body: bytes, headers: dict[str, str]) -> Answer:
        if self._client is None:
            self._client = httpx.Client(timeout=30, follow_redirects=False)
        try:
            response = self._client.post(endpoint, content=body, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
            raise TransientRefusal("CONNECT") from None
        except httpx.HTTPError:
            return Answer("in_doubt", "NO_ANSWER")
        return _answer(response)

    def _sealed(self, to: Subscription, content: bytes) -> bytes:
        sealed = http_ece.encrypt(
            content,
            salt=self._random_bytes(16),
            private_key=ec.generate_private_key(ec.SECP256R1()),
            dh=to.key,
            auth_secret=to.secret,
            version="aes128gcm",
        )
        return bytes(sealed)

    def _token(self, endpoint: str) -> str:
        """The signature for a push service, made again before it ends."""
        url = urlsplit(endpoint)
        audience = f"{url.scheme}://{url.netloc}"
        now = self._seconds()
        until, token = self._tokens.get(audience, (0.0, ""))
        if until <= now:
            claims: dict[str, Any] = {"aud": audience, "exp": int(now) + TOKEN_SECONDS, "sub": self._vapid.contact}
            token = str(self._vapid.key.sign(claims)["Authorization"])
            self._tokens[audience] = (now + TOKEN_SECONDS / 2, token)
        return token


def topic(send_id: str) -> str:
    """The Topic of a send: at most 32 characters of base64url (RFC 8030 5.4)."""
    return _encoded(sha256(send_id.encode()).digest()[:18])


def _private_key(text: str) -> Vapid02:
    """Raises ValueError or VapidException where it is none."""
    if "BEGIN" in text:
        return Vapid02.from_pem(text.encode())
    if len(_decoded(text)) != _PRIVATE_LENGTH:
        raise ValueError("32 octets are needed")
    return Vapid02.from_raw(text.encode())


def _encoded(octets: bytes) -> str:
    return urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text.encode("ascii") + b"==")


def _answer(response: httpx.Response) -> Answer:
    code = response.status_code
    if response.is_success:
        return Answer("sent", receipt=sha256(response.headers.get("location", "").encode()).hexdigest()[:16])
    if code in _GONE:
        return Answer("failed", "PUSH_GONE")
    if code == HTTPStatus.TOO_MANY_REQUESTS:
        raise TransientRefusal(f"HTTP {code}", is_rate_limit=True)
    if code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientRefusal(f"HTTP {code}")
    return Answer("failed", "TRANSPORT_REFUSED")
