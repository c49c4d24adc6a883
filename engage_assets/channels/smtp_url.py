"""ENGAGE_SMTP_URL: which server takes the mail, over what, and as whom."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from engage_assets.domain.errors import EngageError

Security = Literal["none", "starttls", "tls"]
PORTS: Final[Mapping[Security, int]] = {"none": 25, "starttls": 587, "tls": 465}
_OPTIONS: Final = ("starttls", "ca", "ehlo", "timeout", "messages")
_FORM: Final = (
    "write ENGAGE_SMTP_URL as smtps://user@host (TLS from the first byte), smtp://user@host?starttls=required, or"
    " smtp://host (no encryption); options: " + ", ".join(_OPTIONS)
)


@dataclass(frozen=True)
class SmtpServer:
    """What a URL and a password say."""

    host: str
    port: int
    security: Security = "none"
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    ca: Path | None = None
    """Certificates that are trusted besides the system's."""
    ehlo: str | None = None
    """The name with which the client greets; None: this machine's."""
    timeout: float = 30
    """Seconds to wait for a connection or a reply."""
    answer_timeout: float = 300
    """Seconds to wait for the answer to a message: giving up makes a doubt."""
    messages: int = 1_000
    """Messages on one connection."""

    @property
    def is_loopback(self) -> bool:
        """Whether the server is this machine."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or address; nothing is looked up."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") in {"localhost", "ip6-localhost"}


def read_smtp_url(url: str, password: str | None) -> SmtpServer:
    """The server of ENGAGE_SMTP_URL with ENGAGE_SMTP_PASSWORD.

    Raises EngageError with the remedy; it never repeats the URL, which may hold a secret.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise EngageError(f"ENGAGE_SMTP_URL is no address with a port of 1 to 65535; {_FORM}") from None
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    security = _security(parts, options)
    user = unquote(parts.username) if parts.username else None
    server = SmtpServer(
        host=parts.hostname or "",
        port=port or PORTS[security],
        security=security,
        user=user,
        password=password or None,
        ca=Path(options["ca"]) if "ca" in options else None,
        ehlo=options.get("ehlo"),
        timeout=_number("timeout", options, 30),
        messages=_number("messages", options, 1_000),
    )
    _check_login(parts, server)
    if server.ca and not server.ca.is_file():
        raise EngageError("ENGAGE_SMTP_URL: ca names no file; give the path of a PEM file of certificates")
    return server


def _security(parts: SplitResult, options: Mapping[str, str]) -> Security:
    unknown = sorted(options.keys() - set(_OPTIONS))
    if unknown:
        raise EngageError(f"ENGAGE_SMTP_URL: no option is called {', '.join(unknown)}; {_FORM}")
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname or parts.path.strip("/") or parts.fragment:
        raise EngageError(f"ENGAGE_SMTP_URL is none; {_FORM}")
    if options.get("starttls", "required") != "required" or ("starttls" in options and parts.scheme == "smtps"):
        raise EngageError(f"ENGAGE_SMTP_URL: starttls is only `required`, and only for smtp://; {_FORM}")
    if parts.scheme == "smtps":
        return "tls"
    return "starttls" if "starttls" in options else "none"


def _number(name: str, options: Mapping[str, str], default: int) -> int:
    text = options.get(name, str(default))
    if not (text.isascii() and text.isdigit() and int(text)):
        raise EngageError(f"ENGAGE_SMTP_URL: {name} is a whole number above 0")
    return int(text)


def _check_login(parts: SplitResult, server: SmtpServer) -> None:
    """Refuse a login that is half given, or that would cross a network in plain text."""
    if parts.password is not None:
        raise EngageError("ENGAGE_SMTP_URL holds a password: take it out, and set ENGAGE_SMTP_PASSWORD")
    if bool(server.user) != bool(server.password):
        missing = "ENGAGE_SMTP_PASSWORD is not set" if server.user else "ENGAGE_SMTP_URL names no user"
        raise EngageError(f"SMTP login: {missing}; a login needs a user in ENGAGE_SMTP_URL and ENGAGE_SMTP_PASSWORD")
    if server.user and server.security == "none" and not server.is_loopback:
        raise EngageError(
            "ENGAGE_SMTP_URL would send the password without encryption: use smtps://, or ?starttls=required"
        )
