"""One e-mail as it goes out: the person's name and address are merged here, and nowhere earlier.

The header values are checked, encoded and folded here, because the standard library's newer folding
encodes long unbroken tokens (the mailto of List-Unsubscribe) as words that mail programs do not read
there, and loses a space between two encoded words.
"""

import re
from base64 import encodebytes
from collections.abc import Mapping
from datetime import UTC, datetime
from email.charset import BASE64, Charset
from email.header import Header
from email.message import EmailMessage, MIMEPart
from email.policy import EmailPolicy
from email.utils import format_datetime, formataddr
from html import escape
from typing import Any, Final
from urllib.parse import quote

from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace

GREETING: Final = "%%greeting%%"
"""The merge field that the rendered parts hold."""
NAME: Final = "%%name%%"
"""The merge field that a language's named greeting holds."""

_INVISIBLE = re.compile("[\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_BLANKS = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@)(?!.*=\?){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")
_LONGEST_ADDRESS = 254  # RFC 5321 4.5.3.1.3, without its angle brackets
_LINE_LENGTH = 78  # RFC 5322 2.1.1
_UTF8 = Charset("utf-8")
_UTF8.header_encoding = BASE64


class _AsGiven(EmailPolicy):
    """SMTP's line ends; headers are kept as they were encoded, folded only at blanks, parsed only when read."""

    def header_store_parse(self, name: str, value: Any) -> tuple[str, Any]:
        return name, value

    def fold(self, name: str, value: Any) -> str:
        first, *words = str(value).split(" ")
        lines = [f"{name}: {first}"]
        for word in words:
            if word and len(lines[-1]) + len(word) >= _LINE_LENGTH:
                lines.append("")
            lines[-1] += f" {word}"
        return self.linesep.join([*lines, ""])

    def fold_binary(self, name: str, value: Any) -> bytes:
        return self.fold(name, value).encode("ascii")


_POLICY = _AsGiven(linesep="\r\n", cte_type="7bit")


def one_line(text: str | None) -> str:
    """`text` fit for a subject or a paragraph: one line, no controls, nothing that reads as a merge field.

    White space of any kind becomes one blank, invisible marks that reorder or split text go, and a run of
    percent signs becomes a single one. Null gives the empty string.
    """
    return re.sub("%%+", "%", _BLANKS.sub(" ", _INVISIBLE.sub("", text or ""))).strip()


def stop_link(marketplace: Marketplace, send_id: str) -> str:
    """Where a person asks for no more messages: a mailto that names the send, not the person."""
    return f"mailto:{quote(marketplace.reply_to, safe='@')}?subject=unsubscribe%20{send_id}"


def build_message(row: Mapping[str, Any], *, marketplace: Marketplace, name: str | None, address: str) -> EmailMessage:
    """The message of one row of EMAIL_CAMPAIGNS, for one person.

    Equal input gives equal bytes (CRLF line ends, 7-bit). A null or blank `name` takes the plain greeting.
    Auto-Submitted keeps holiday notices away from the reply-to mailbox, where people ask for no more mail
    (RFC 3834); X-Campaign-ID lets a bounce be counted for its campaign.

    Raises EngageError where an address is none or a header would hold a line break; the error names
    the customer's and the send's keys, never the address or the name.
    """
    send = row["send_id"]
    whose = f"customer {row['customer_id']}, send {send}"
    recipient = _address(address, f"{whose}: the e-mail address in crm.customers")
    sender = _address(marketplace.sender_address, f"marketplace {row['marketplace']}: senderAddress")
    reply_to = _address(marketplace.reply_to, f"marketplace {row['marketplace']}: replyTo")
    slot_at: datetime = row["slot_at"]
    message = EmailMessage(policy=_POLICY)
    message["From"] = formataddr((_encoded(marketplace.sender_name, "From", whose), sender))
    for header, value in {
        "Reply-To": reply_to,
        "To": recipient,
        "Subject": row["subject"],
        "Date": format_datetime(slot_at.replace(tzinfo=UTC)),
        "Message-ID": f"<{send}@{sender.partition('@')[2]}>",
        "List-Unsubscribe": f"<{stop_link(marketplace, send)}>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": row["locale"],
        "X-Campaign-ID": row["campaign_id"],
        "MIME-Version": "1.0",
    }.items():
        message[header] = _encoded(value, header, whose)
    message["Content-Type"] = f'multipart/alternative; boundary="=_{send}"'
    greeting = _greeting(row, name)
    message.set_payload(
        [
            _part("plain", row["text"].replace(GREETING, greeting)),
            _part("html", row["html"].replace(GREETING, escape(greeting))),
        ]
    )
    return message


def _part(kind: str, content: str) -> MIMEPart:
    """A text part in base64: the same for every language, and no relay has a reason to rewrite it."""
    part = MIMEPart(policy=_POLICY)
    part["Content-Type"] = f'text/{kind}; charset="utf-8"'
    part["Content-Transfer-Encoding"] = "base64"
    part.set_payload(encodebytes(content.replace("\n", "\r\n").encode()).decode("ascii"))
    return part


def _greeting(row: Mapping[str, Any], name: str | None) -> str:
    """The greeting with the name in it, or the plain one."""
    called = one_line(name)
    return str(row["greeting_named"]).replace(NAME, called) if called else str(row["greeting_plain"])


def _encoded(value: str, header: str, whose: str) -> str:
    """`value` as RFC 2047 words where it needs them, on one line."""
    if _BREAKS.search(value):
        raise EngageError(
            f"{whose}: the header {header} would hold a line break or a control character; "
            "remove it from the program's or the marketplace's texts"
        )
    if value.isascii() and "=?" not in value:
        return value
    return Header(value, _UTF8, header_name=header).encode(linesep="")


def _address(address: str, what: str) -> str:
    """`address` with its domain in ASCII."""
    local, _, domain = address.rpartition("@")
    try:
        plain = f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        plain = ""
    if len(plain) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(plain):
        raise EngageError(f"{what} is not an address (name@domain, its name in ASCII); correct it or leave it empty")
    return plain
