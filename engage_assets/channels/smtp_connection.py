"""An open connection to a mail server: greeted, encrypted and logged in as the server's settings say."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from smtplib import (
    SMTP,
    SMTP_SSL,
    SMTPAuthenticationError,
    SMTPConnectError,
    SMTPException,
    SMTPHeloError,
    SMTPNotSupportedError,
    SMTPResponseException,
)
from typing import Final

from engage_assets.channels.smtp_replies import Reply
from engage_assets.channels.smtp_url import SmtpServer
from engage_assets.domain.sends import TransientRefusal

Connection = SMTP

_GOODBYE: Final = 2.0  # seconds that QUIT may take

_PORTS: Final = " (465 is smtps://, 587 is smtp://…?starttls=required)"
_FAULTS: Final[tuple[tuple[type[OSError], str, str], ...]] = (
    (
        SMTPAuthenticationError,
        "LOGIN",
        "the server refuses the login; check the user in ENGAGE_SMTP_URL, and ENGAGE_SMTP_PASSWORD",
    ),
    (
        SMTPConnectError,
        "CONNECT",
        "the server takes no connection from here; check the host in ENGAGE_SMTP_URL, or ask the server's operator",
    ),
    (
        SMTPHeloError,
        "EHLO",
        "the server refuses the greeting; give this machine's full name as ehlo in ENGAGE_SMTP_URL",
    ),
    (
        SMTPResponseException,
        "STARTTLS",
        "the server does not encrypt now; try again, or use smtps:// in ENGAGE_SMTP_URL",
    ),
    (
        SMTPNotSupportedError,
        "NOT_OFFERED",
        "the server offers no STARTTLS, or no login, on this port; check scheme and port in ENGAGE_SMTP_URL",
    ),
    (
        SMTPException,
        "CONNECT",
        "the server hung up or offers no login that is known; check scheme and port in ENGAGE_SMTP_URL" + _PORTS,
    ),
    (
        ssl.SSLError,
        "TLS",
        "no encryption was agreed on; ENGAGE_SMTP_URL must have the host that the certificate names, ca=FILE where a"
        " private authority signed, and the scheme of its port" + _PORTS,
    ),
    (OSError, "CONNECT", "nobody answers; check host and port in ENGAGE_SMTP_URL, and that no firewall is between"),
)
"""What may go wrong before a message, most special first: cause and remedy. The message was surely not taken."""


@dataclass(frozen=True)
class SmtpFacts:
    """What a server said of itself."""

    server: str
    tls: str | None
    """Version of TLS; None: no encryption."""
    is_logged_in: bool
    has_pipelining: bool
    size: int | None
    """Bytes that a message may have, where the server says so."""


def connected(server: SmtpServer) -> Connection:
    """A connection that is ready for a message. Raises OSError, of which smtplib's errors are some."""
    greeting = server.ehlo or _own_name()
    connection = (
        SMTP_SSL(server.host, server.port, greeting, timeout=server.timeout, context=_context(server.ca))
        if server.security == "tls"
        else SMTP(server.host, server.port, greeting, timeout=server.timeout)
    )
    try:
        _socket(connection).setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if server.security == "starttls":
            connection.starttls(context=_context(server.ca))
        connection.ehlo_or_helo_if_needed()
        if server.user and server.password:
            connection.login(server.user, server.password)
    except BaseException:
        connection.close()
        raise
    return connection


def close(connection: Connection) -> None:
    """QUIT, without waiting long for a goodbye."""
    with suppress(OSError), wait_for(connection, _GOODBYE):
        connection.quit()
    connection.close()


@contextmanager
def wait_for(connection: Connection, seconds: float) -> Iterator[None]:
    """Wait this long for each reply, instead of the connection's own timeout."""
    used, before = _socket(connection), _socket(connection).gettimeout()
    used.settimeout(seconds)
    yield
    used.settimeout(before)


def refusal_of(error: OSError) -> TransientRefusal:
    """What a failed connection means for the message."""
    cause = next(cause for kind, cause, _ in _FAULTS if isinstance(error, kind))
    if not isinstance(error, SMTPResponseException):
        return TransientRefusal(f"SMTP {cause}")
    text = error.smtp_error
    reply = Reply(error.smtp_code, text if isinstance(text, bytes) else text.encode())
    return TransientRefusal(f"SMTP {cause} {reply.cause}", is_rate_limit=reply.asks_for_patience)


def remedy_of(error: OSError) -> str:
    """What a person may do about a failed connection."""
    return next(remedy for kind, _, remedy in _FAULTS if isinstance(error, kind))


def facts_of(connection: Connection, server: SmtpServer) -> SmtpFacts:
    """What the server said when it was greeted."""
    greeting = (connection.ehlo_resp or connection.helo_resp or b"").split()
    size = connection.esmtp_features.get("size", "")
    return SmtpFacts(
        server=greeting[0].decode("ascii", "replace") if greeting else "",
        tls=connection.sock.version() if isinstance(connection.sock, ssl.SSLSocket) else None,
        is_logged_in=server.user is not None,
        has_pipelining=connection.has_extn("pipelining"),
        size=int(size) if size.isdigit() else None,
    )


def _socket(connection: Connection) -> socket.socket:
    if connection.sock is None:
        raise ConnectionResetError
    return connection.sock


@cache
def _context(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca:
        context.load_verify_locations(ca)
    return context


@cache
def _own_name() -> str:
    """This machine's name where it is a full one, else its address; nothing is looked up."""
    name = socket.gethostname()
    return name if "." in name else "[127.0.0.1]"
