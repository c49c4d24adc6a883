"""One e-mail as it goes out: the person's name and address and the links are merged here, and nowhere earlier."""

import re
from binascii import b2a_base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from html import escape
from typing import Any, Final
from urllib.parse import quote

from engage_assets.channels.headers import checked_address, header, mailbox_header, shared_header
from engage_assets.channels.links import Links, SendLinks
from engage_assets.channels.merge import NAME, merged, one_line
from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.sends import Letter
from engage_assets.domain.sources import SOURCES

_SEND_ID = re.compile(r"[0-9a-f]{32}")
_BASE64_LINE: Final = 76  # RFC 2045 6.8
_FORMS: Final = {source.subject_type: source.form for source in SOURCES.values()}


@dataclass(frozen=True)
class _Letterhead:
    """What is the same in all messages of one marketplace."""

    sender: str
    domain: str
    from_lines: str
    stop_address: str
    """mailto of the reply-to mailbox, up to the send id: it names the send, not the person."""
    site: str
    """The marketplace's site, where the button leads without a service."""


@dataclass(frozen=True)
class CalendarPart:
    """A calendar file that goes with a letter."""

    content: bytes
    content_type: str
    """`text/calendar` with the method of the file (RFC 6047 2.4)."""


class Letterpress:
    """Makes letters out of rows of EMAIL_CAMPAIGNS; what is the same for a marketplace is made once.

    With `links` a letter is tracked and has one-click unsubscribe (RFC 8058). Without, there is no service: its button
    leads to the marketplace's site, and people stop by mail.
    """

    def __init__(self, marketplaces: Mapping[str, Marketplace], links: Links | None = None) -> None:
        self._marketplaces = marketplaces
        self._links = links
        self._heads: dict[str, _Letterhead] = {}

    def letter(
        self,
        row: Mapping[str, Any],
        *,
        name: str | None,
        address: str,
        calendar: CalendarPart | None = None,
        is_solicitation: bool = True,
    ) -> Letter:
        """The letter of one row, for one person.

        Equal input gives equal bytes (CRLF line ends, 7-bit). A null or blank `name` takes the plain greeting.
        Auto-Submitted keeps holiday notices away from the reply-to mailbox, where people ask for no more mail
        (RFC 3834); X-Campaign-ID lets a bounce be counted for its campaign. A calendar file stands among the
        alternatives, where mail programs look for it, and as an attachment for all others. What solicits nothing has no
        List-Unsubscribe: one click would stop other messages than this one.

        Raises EngageError where an address is none, a header would hold a line break, or a part has a merge field
        that is not known; the error names the customer's and the send's keys, never the address or the name.
        """
        send, campaign, whose = row["send_id"], row["campaign_id"], _whose(row)
        if not _SEND_ID.fullmatch(send):
            raise EngageError(f"{whose}: the send id is none (32 hex digits); make email_campaigns again")
        head = self._head(row["marketplace"])
        recipient = checked_address(address, f"{whose}: the e-mail address in crm.customers")
        top = (
            head.from_lines,
            header("To", recipient, whose),
            shared_header("Subject", row["subject"], whose),
            shared_header("Date", _date(row["slot_at"]), whose),
            header("Message-ID", f"<{send}@{head.domain}>", whose),
            shared_header("Content-Language", row["locale"], whose),
            shared_header("X-Campaign-ID", campaign, whose),
        )
        links = self._links.of(send, row["slot_at"]) if self._links else None
        text, html = self.parts(row, name=name, links=links)
        content = (
            f"{''.join(top)}{_stop_lines(head, send, links, whose) if is_solicitation else ''}"
            "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
            f"{_body(send, text, html, calendar)}"
        )
        return Letter(send, campaign, head.sender, recipient, content.encode("ascii"))

    def parts(self, row: Mapping[str, Any], *, name: str | None, links: SendLinks | None) -> tuple[str, str]:
        """The text part and the HTML part for one person, with `links` or with what stands without a service."""
        values = {"greeting": _greeting(row, name)}
        if links:
            values |= {
                "answer_url": links.review,
                "preferences_url": links.preferences,
                "pixel_url": links.pixel,
                "hidden_url": links.hidden,
            }
        else:
            head = self._head(row["marketplace"])
            values |= {
                "answer_url": f"{head.site}/{_FORMS[row['subject_type']]}/{quote(row['subject_id'], safe='')}",
                "stop_url": head.stop_address + row["send_id"],
            }
        # The name that the field had at first: templates may hold it.
        values["review_url"] = values["answer_url"]
        marked = {field: escape(value) for field, value in values.items()}
        whose, is_linked = _whose(row), links is not None
        return (
            merged(row["text"], values, whose, is_linked=is_linked),
            merged(row["html"], marked, whose, is_linked=is_linked),
        )

    def _head(self, code: str) -> _Letterhead:
        if code not in self._heads:
            self._heads[code] = _letterhead(code, self._marketplaces[code])
        return self._heads[code]


def _letterhead(code: str, marketplace: Marketplace) -> _Letterhead:
    """Raises EngageError, naming marketplace and key, for an address or a name that cannot stand in a header."""
    whose = f"marketplace {code}"
    sender = checked_address(marketplace.sender_address, f"{whose}: senderAddress")
    reply_to = checked_address(marketplace.reply_to, f"{whose}: replyTo")
    return _Letterhead(
        sender=sender,
        domain=sender.partition("@")[2],
        from_lines=mailbox_header("From", marketplace.sender_name, sender, f"{whose}: senderName")
        + header("Reply-To", reply_to, whose),
        stop_address=f"mailto:{quote(marketplace.reply_to, safe='@')}?subject=unsubscribe%20",
        site=marketplace.site_url.rstrip("/"),
    )


def _stop_lines(head: _Letterhead, send: str, links: SendLinks | None, whose: str) -> str:
    """List-Unsubscribe and, with a service, what makes it one click."""
    by_mail = f"<{head.stop_address}{send}>"
    if not links:
        return header("List-Unsubscribe", by_mail, whose)
    by_link = header("List-Unsubscribe", f"<{links.unsubscribe}>, {by_mail}", whose)
    return f"{by_link}List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def _whose(row: Mapping[str, Any]) -> str:
    return f"customer {row['customer_id']}, send {row['send_id']}"


def _greeting(row: Mapping[str, Any], name: str | None) -> str:
    """The greeting with the name in it, or the plain one."""
    called = one_line(name)
    return str(row["greeting_named"]).replace(NAME, called) if called else str(row["greeting_plain"])


def _part(kind: str, content: str) -> str:
    """A text part in base64: the same for every language, and no relay has a reason to rewrite it."""
    head = f'Content-Type: text/{kind}; charset="utf-8"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
    return head + _lines(content.replace("\n", "\r\n").encode())


def _lines(content: bytes) -> str:
    """Base64 in lines, each with its end."""
    line = b2a_base64(content, newline=False).decode("ascii")
    lines = [line[start : start + _BASE64_LINE] for start in range(0, len(line), _BASE64_LINE)]
    return "\r\n".join([*lines, ""])


def _body(send: str, text: str, html: str, calendar: CalendarPart | None) -> str:
    """Content-Type and parts of a letter."""
    among = _calendar_part(calendar) if calendar else ""
    parts = [_part("plain", text), _part("html", html), *([among] if among else [])]
    alternatives = _multipart("alternative", f"=_{send}", parts)
    if calendar is None:
        return alternatives
    attached = among.replace("\r\n", '\r\nContent-Disposition: attachment; filename="event.ics"\r\n', 1)
    return _multipart("mixed", f"=_m{send}", [alternatives, attached])


def _multipart(kind: str, boundary: str, parts: Sequence[str]) -> str:
    inside = "".join(f"--{boundary}\r\n{part}" for part in parts)
    return f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\n{inside}--{boundary}--\r\n'


def _calendar_part(calendar: CalendarPart) -> str:
    head = f"Content-Type: {calendar.content_type}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    return head + _lines(calendar.content)


@lru_cache(maxsize=256)
def _date(at: datetime) -> str:
    return format_datetime(at.replace(tzinfo=UTC))
