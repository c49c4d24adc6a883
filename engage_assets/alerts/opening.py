"""Which destinations an environment names."""

import re
from collections.abc import Mapping
from typing import Final

from engage_assets.alerts.mail import Mail
from engage_assets.alerts.telling import Destination
from engage_assets.alerts.webhook import Webhook
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Sender

WEBHOOK: Final = "ENGAGE_ALERT_WEBHOOK"
SECRET: Final = "ENGAGE_ALERT_WEBHOOK_SECRET"  # noqa: S105 – the variable's name
EMAIL: Final = "ENGAGE_ALERT_EMAIL"
AUTHOR: Final = "ENGAGE_ALERT_FROM"

_ADDRESS: Final = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")


def destinations(environment: Mapping[str, str], sender: Sender | None) -> list[Destination]:
    """The webhook of ENGAGE_ALERT_WEBHOOK, and each address of ENGAGE_ALERT_EMAIL (comma-separated), by `sender`.

    Messages come from ENGAGE_ALERT_FROM, default the first of the addresses. Raises EngageError where the URL is not
    https, an address is none, or addresses are given without a `sender`; no address is repeated.
    """
    found = []
    if url := environment.get(WEBHOOK, "").strip():
        secret = environment.get(SECRET)
        found.append(Destination(Webhook(url, secret.encode() if secret else None)))
    recipients = _addresses(EMAIL, environment.get(EMAIL, ""))
    if recipients and sender is None:
        raise EngageError(f"{EMAIL} is set, but no mail server is known: set ENGAGE_SMTP_URL, or unset {EMAIL}")
    if recipients and sender is not None:
        author = (_addresses(AUTHOR, environment.get(AUTHOR, "")) or recipients)[0]
        found += [Destination(Mail(sender, author, recipient)) for recipient in recipients]
    return found


def _addresses(name: str, text: str) -> list[str]:
    addresses = [part.strip() for part in text.split(",") if part.strip()]
    for place, address in enumerate(addresses, start=1):
        if not _ADDRESS.fullmatch(address):
            raise EngageError(f"{name}: entry {place} of {len(addresses)} is no plain e-mail address (name@host)")
    return list(dict.fromkeys(addresses))
