"""The transport to a mail server: kept-open connections, one message at a time on each.

A message is answered in one of four ways: the server took it; it refused for good; it surely did not take it for now
(TransientRefusal); or the connection broke after the content began to go out, and nobody can tell.
"""

import time
from typing import Final

from engage_assets.channels.smtp_connection import (
    Connection,
    SmtpFacts,
    close,
    connected,
    facts_of,
    refusal_of,
    remedy_of,
)
from engage_assets.channels.smtp_conversation import ConnectionLost, converse, may_go_out
from engage_assets.channels.smtp_replies import accepted, refused
from engage_assets.channels.smtp_url import SmtpServer, read_smtp_url
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Answer, Letter

IDLE: Final = 10.0
"""Seconds after which a connection that did nothing is not used again."""
LINES: Final = 4
"""Connections that are kept open where nothing else is said."""


def smtp_sender(url: str, password: str | None, *, lines: int = LINES, per_second: float | None = None) -> "SmtpSender":
    """The transport of ENGAGE_SMTP_URL and ENGAGE_SMTP_PASSWORD; raises EngageError with the remedy."""
    return SmtpSender(read_smtp_url(url, password), lines=lines, per_second=per_second)


class SmtpSender:
    """Messages to one mail server."""

    transport = "smtp"

    def __init__(self, server: SmtpServer, *, lines: int = LINES, per_second: float | None = None) -> None:
        self._server = server
        self.lines = lines
        self.per_second = per_second
        self.leaves_machine = not server.is_loopback

    def open(self) -> "SmtpLine":
        """A new line; it connects with its first message."""
        return SmtpLine(self._server)

    def check(self) -> SmtpFacts:
        """Connect, greet, encrypt and log in as for a message. Raises EngageError with the remedy."""
        try:
            connection = connected(self._server)
        except OSError as error:
            raise EngageError(f"{refusal_of(error).cause}: {remedy_of(error)}") from None
        try:
            return facts_of(connection, self._server)
        finally:
            close(connection)


class SmtpLine:
    """One connection to the server, opened when it is needed and kept."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._connection: Connection | None = None
        self._messages = 0
        self._used_at = 0.0

    def hand_over(self, letter: Letter) -> Answer:
        """Hand over once; see domain.ports.Line. A message that is not ASCII with CRLF fails as MESSAGE_INVALID."""
        if not may_go_out(letter):
            return Answer("failed", "MESSAGE_INVALID")
        if self._messages >= self._server.messages or time.monotonic() - self._used_at > IDLE:
            self.close()
        is_kept = self._connection is not None
        try:
            return self._transact(letter)
        except ConnectionLost:
            if not is_kept:
                raise
        # The server had closed a kept connection before anything of this message went out: that is no failure.
        return self._transact(letter)

    def close(self) -> None:
        """Say goodbye, if connected."""
        connection, self._connection = self._connection, None
        if connection:
            close(connection)

    def _transact(self, letter: Letter) -> Answer:
        # Until the answer is known the connection is nobody's: whatever breaks off leaves none in a strange state.
        connection, self._connection = self._connection or self._connect(), None
        try:
            outcome = converse(connection, letter, self._server.answer_timeout)
        except BaseException:
            connection.close()
            raise
        if outcome.is_usable:
            self._connection, self._used_at = connection, time.monotonic()
            self._messages += 1
        else:
            connection.close()
        if outcome.reply is None:
            return Answer("in_doubt", "NO_ANSWER")
        return accepted(outcome.reply) if outcome.is_taken else refused(outcome.reply)

    def _connect(self) -> Connection:
        self._messages = 0
        try:
            return connected(self._server)
        except OSError as error:
            raise refusal_of(error) from None
