"""Alerts as one JSON request to an address of the operator's."""

import json
import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from engage_assets.alerts.telling import NotTaken
from engage_assets.domain.errors import EngageError
from engage_assets.domain.operations import Alert
from engage_assets.domain.signatures import SIGNATURE, signed

SECONDS: Final = 5.0
"""How long connecting may take, and each wait for an answer."""

_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Webhook:
    """POST {"text": all texts, "alerts": [{"cause", "text", "at"}]}; chat services show `text`.

    With a secret, `X-Engage-Signature: t=<unix seconds>,v1=<hex>` holds HMAC-SHA256 of `<t>.<body>`. Any answer but
    2xx is a failure; redirects are not followed. Raises EngageError where the URL is not https (http on loopback).
    """

    def __init__(self, url: str, secret: bytes | None = None) -> None:
        parts = urlsplit(url)
        is_local = parts.scheme == "http" and parts.hostname in _LOOPBACK
        if not parts.hostname or not (parts.scheme == "https" or is_local):
            raise EngageError("ENGAGE_ALERT_WEBHOOK is no https URL; write https://host/path (http only for 127.0.0.1)")
        self.name = f"webhook {parts.hostname}"
        self._url = url
        self._secret = secret
        # At its usual level it would log whole URLs, and the path is a secret of many services.
        logging.getLogger("httpx").setLevel(logging.WARNING)

    def give(self, alerts: Sequence[Alert], now: datetime) -> None:
        """See Way."""
        import httpx  # noqa: PLC0415  it brings a command line of its own, which loading the definitions should not pay

        body = json.dumps(_payload(alerts)).encode()
        answer = httpx.post(self._url, content=body, headers=self._headers(body, now), timeout=SECONDS)
        if not answer.is_success:
            raise NotTaken(f"HTTP {answer.status_code}")

    def _headers(self, body: bytes, now: datetime) -> Mapping[str, str]:
        headers = {"Content-Type": "application/json", "User-Agent": "engage-assets"}
        if self._secret:
            headers[SIGNATURE] = signed(body, now, self._secret)
        return headers


def _payload(alerts: Sequence[Alert]) -> dict[str, Any]:
    told = [{"cause": alert.cause, "text": alert.text, "at": f"{alert.at.isoformat()}Z"} for alert in alerts]
    return {"text": "\n".join(alert.text for alert in alerts), "alerts": told}
