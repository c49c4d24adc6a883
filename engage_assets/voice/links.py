"""Account linking by access tokens of our own: signed, short-lived, naming one customer.

The shop's authorization server asks for such a token and hands it to the assistant, which sends it with each request.
"""

from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Final

from engage_assets.domain.tokens import Signer

LIFETIME: Final = timedelta(hours=24)
"""An access token works so long; the authorization server then asks for another."""
LONGEST: Final = 2_000
"""Characters of a token that are looked at."""
_PURPOSE: Final = "account link"
_EXPIRY: Final = Struct(">I")


class SignedLinks:
    """See AccountLinks. Tokens are signed with the keys of links (`engage keys rotate`)."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def token(self, customer_id: str, now: datetime) -> tuple[str, datetime]:
        """An access token for a customer, and when it ends."""
        expires_at = (now + LIFETIME).replace(microsecond=0)
        content = _EXPIRY.pack(int(expires_at.replace(tzinfo=UTC).timestamp())) + customer_id.encode()
        return self._signer.seal(_PURPOSE, content), expires_at

    def customer(self, access_token: str, now: datetime) -> str | None:
        """See AccountLinks."""
        content = self._signer.unseal(_PURPOSE, access_token) if len(access_token) <= LONGEST else None
        if content is None or len(content) <= _EXPIRY.size:
            return None
        (expiry,) = _EXPIRY.unpack(content[: _EXPIRY.size])
        return content[_EXPIRY.size :].decode() if now.replace(tzinfo=UTC).timestamp() < expiry else None
