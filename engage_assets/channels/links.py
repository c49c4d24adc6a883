"""The links of one send: signed, good for 90 days after its slot, each for one purpose."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engage_assets.domain.errors import EngageError
from engage_assets.domain.tokens import LIFETIME, Signer

LONGEST_BASE: Final = 400
"""Characters of a service's address: a header line holds 998 with the token."""

_BASE = re.compile(r"https?://[A-Za-z0-9._~:\[\]-]+(?:/[A-Za-z0-9._~/-]*)?")


@dataclass(frozen=True)
class SendLinks:
    """Where the message of one send leads."""

    review: str
    """Counts the click, then leads to the form of the program's source."""
    preferences: str
    """The page on which a person chooses what to receive."""
    unsubscribe: str
    """One click of the mail program (RFC 8058)."""
    pixel: str
    """Counts the open."""
    hidden: str
    """No person sees it: who follows it is a scanner."""


@dataclass(frozen=True)
class PushLinks:
    """Where a notification of one send leads, and where its service worker says what became of it."""

    page: str
    """Counts the click, then leads to the form."""
    calendar: str
    """The calendar file."""
    opens: str
    """Beacon: `/displayed` and `/open` are posted below it."""
    clicks: str
    """Beacon: `/click` is posted below it."""


class Links:
    """Makes the links of sends to the service at `base_url`, signed by `signer`.

    Raises EngageError where `base_url` is no plain address of a service.
    """

    def __init__(self, base_url: str, signer: Signer) -> None:
        self._base = _base(base_url)
        self._signer = signer

    def of(self, send_id: str, slot_at: datetime) -> SendLinks:
        """The links of a send; `send_id` has 32 hex digits, `slot_at` is UTC without a zone attached."""
        expires_at = slot_at + LIFETIME
        click = self._signer.sign("click", send_id, expires_at)
        choice = self._signer.sign("preferences", send_id, expires_at)
        return SendLinks(
            review=f"{self._base}/c/{click}",
            preferences=f"{self._base}/preferences/{choice}",
            unsubscribe=f"{self._base}/unsubscribe/{choice}",
            pixel=f"{self._base}/o/{self._signer.sign('open', send_id, expires_at)}.gif",
            hidden=f"{self._base}/h/{click}",
        )

    def page(self, send_id: str, slot_at: datetime, form: str = "review") -> str:
        """The page on which the person answers: where the link to the form leads in the end."""
        return f"{self._base}/{form}/{self._signer.sign('answer', send_id, slot_at + LIFETIME)}"

    def of_push(self, send_id: str, slot_at: datetime, form: str) -> PushLinks:
        """The links of a notification whose person answers on the page `form`."""
        expires_at = slot_at + LIFETIME
        click = self._signer.sign("click", send_id, expires_at)
        return PushLinks(
            page=f"{self._base}/c/{click}",
            calendar=f"{self.page(send_id, slot_at, form)}/event.ics",
            opens=f"{self._base}/push/beacons/{self._signer.sign('open', send_id, expires_at)}",
            clicks=f"{self._base}/push/beacons/{click}",
        )


def untracked(base_url: str) -> SendLinks:
    """Links that look like those of a send and name none: for a person who looks at a message."""
    base = _base(base_url)
    return SendLinks(
        review=f"{base}/review/preview",
        preferences=f"{base}/preferences/preview",
        unsubscribe=f"{base}/unsubscribe/preview",
        pixel="data:,",
        hidden="about:blank",
    )


def _base(url: str) -> str:
    """`url` without its last slash."""
    if len(url) > LONGEST_BASE or not _BASE.fullmatch(url):
        raise EngageError(
            f"the service's address {url!r} is none: write https://host, with a path or a port where it has one,"
            " without user, query and fragment"
        )
    return url.rstrip("/")
