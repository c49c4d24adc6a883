"""Signed tokens of links: opaque, short-lived, and good for one purpose and one send.

A token is base64url (no padding) of: version (1 byte), key id (1), purpose (1), expiry (4, seconds since 1970, UTC),
send id (16), HMAC-SHA256 over all that (32): 55 bytes, 74 characters. Any other way of writing the same bytes is
refused. Destinations are looked up by what the token names, never read from the address.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from struct import Struct, error
from typing import Final, Literal

from engage_assets.domain.errors import EngageError

Purpose = Literal["open", "click", "answer", "preferences"]

LIFETIME: Final = timedelta(days=90)
"""A link works this long after its slot."""
KEY_BYTES: Final = 32
"""A signing key holds at least so many."""

_VERSION: Final = 1
_PURPOSES: Final[dict[Purpose, int]] = {"open": 1, "click": 2, "answer": 3, "preferences": 4}
_NAMES: Final[dict[int, Purpose]] = {number: name for name, number in _PURPOSES.items()}
_BODY: Final = Struct(">BBBI16s")
_SIGNATURE: Final = 32
LENGTH: Final = 74
"""Characters of a token."""


@dataclass(frozen=True)
class Token:
    """What a valid token says."""

    purpose: Purpose
    send_id: str
    expires_at: datetime


class Signer:
    """Signs with one key, and reads what any of the live keys signed: two live ones allow rotation.

    `keys`: secrets of at least KEY_BYTES by key id (0–255). Raises EngageError where a key is short or the signing
    one is missing.
    """

    def __init__(self, keys: Mapping[int, bytes], signing: int) -> None:
        short = [key for key, secret in keys.items() if len(secret) < KEY_BYTES or not 0 <= key <= 255]
        if short or signing not in keys:
            raise EngageError(
                f"signing keys: {'key ' + str(short[0]) if short else 'the signing key ' + str(signing)} is missing,"
                f" has an id outside 0-255, or fewer than {KEY_BYTES} bytes; make keys with `engage keys rotate`"
            )
        self._keys = dict(keys)
        self._signing = signing

    def sign(self, purpose: Purpose, send_id: str, expires_at: datetime) -> str:
        """A token; `send_id` is 32 hex digits, `expires_at` UTC without a zone attached, cut to seconds."""
        expiry = int(expires_at.replace(tzinfo=UTC).timestamp())
        body = _BODY.pack(_VERSION, self._signing, _PURPOSES[purpose], expiry, bytes.fromhex(send_id))
        return urlsafe_b64encode(body + self._mac(self._signing, body)).rstrip(b"=").decode("ascii")

    def read(self, text: str, purpose: Purpose, now: datetime) -> Token | None:
        """What a token says; None for one that is altered, expired, of another purpose, or written otherwise."""
        if len(text) != LENGTH or not text.isascii():
            return None
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
            version, key, number, expiry, send = _BODY.unpack(raw[: _BODY.size])
        except (Error, ValueError, error):
            return None
        # Base64 has spare bits and a second alphabet: only the way in which we write is ours.
        canonical = urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
        body, signature = raw[: _BODY.size], raw[_BODY.size :]
        known = key in self._keys and len(signature) == _SIGNATURE
        genuine = hmac.compare_digest(signature, self._mac(key, body)) if known else False
        if not genuine or canonical != text or version != _VERSION or _NAMES.get(number) != purpose:
            return None
        expires_at = datetime.fromtimestamp(expiry, UTC).replace(tzinfo=None)
        return Token(purpose, send.hex(), expires_at) if now <= expires_at else None

    def seal(self, purpose: str, content: bytes) -> str:
        """`content` in the open, signed for one purpose: base64url of key id, content and HMAC-SHA256."""
        body = bytes([self._signing]) + content
        return urlsafe_b64encode(body + self._mac(self._signing, _sealed(purpose, body))).rstrip(b"=").decode("ascii")

    def unseal(self, purpose: str, text: str) -> bytes | None:
        """What was sealed for a purpose; None for what is altered, of another purpose, or written otherwise."""
        try:
            raw = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
        except (Error, ValueError):
            return None
        body, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
        if not body or body[0] not in self._keys or urlsafe_b64encode(raw).rstrip(b"=").decode("ascii") != text:
            return None
        is_genuine = hmac.compare_digest(signature, self._mac(body[0], _sealed(purpose, body)))
        return body[1:] if is_genuine else None

    def _mac(self, key: int, body: bytes) -> bytes:
        return hmac.digest(self._keys[key], body, "sha256")


def _sealed(purpose: str, body: bytes) -> bytes:
    """What is signed of a sealed text; no token begins with a zero."""
    return b"\0" + purpose.encode() + b"\0" + body
