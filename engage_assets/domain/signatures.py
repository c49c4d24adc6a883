"""The signature of requests between us and others: HMAC-SHA256 over the time and the raw body."""

import hmac
from datetime import UTC, datetime
from typing import Final

SIGNATURE: Final = "X-Engage-Signature"
"""The header that carries it: `t=<seconds since 1970>,v1=<hex>`."""


def sign(body: bytes, at: int, secret: bytes) -> str:
    """The signature of `body` at `at` (seconds since 1970): 64 hex digits."""
    return hmac.new(secret, b"%d." % at + body, "sha256").hexdigest()


def signed(body: bytes, at: datetime, secret: bytes) -> str:
    """The header's value for `body` at `at`, UTC without a zone attached."""
    seconds = int(at.replace(tzinfo=UTC).timestamp())
    return f"t={seconds},v1={sign(body, seconds, secret)}"
