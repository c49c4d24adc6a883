"""One message on an open connection, from MAIL to the server's answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from engage_assets.channels.smtp_connection import Connection, wait_for
from engage_assets.channels.smtp_replies import Reply
from engage_assets.domain.sends import Letter, TransientRefusal

_START_CONTENT: Final = 354
_MAILBOX = re.compile(r"[!-;=?-~]+@[!-;=?-~]+")


class ConnectionLost(TransientRefusal):
    """The connection broke, or the server ended it, before the content began to go out."""


@dataclass(frozen=True)
class Outcome:
    """What became of one message."""

    reply: Reply | None
    """The reply that decided; None where nobody can tell whether the server has the message."""
    is_taken: bool
    is_usable: bool
    """Whether the connection may carry the next message."""


def may_go_out(letter: Letter) -> bool:
    """Whether envelope and content are plain: ASCII, every line ended by CRLF, no null byte."""
    content = letter.content
    breaks = content.count(b"\r\n")
    return (
        content.isascii()
        and content.endswith(b"\r\n")
        and content.count(b"\n") == content.count(b"\r") == breaks
        and b"\0" not in content
        and all(_MAILBOX.fullmatch(address) for address in (letter.sender, letter.recipient))
    )


def converse(connection: Connection, letter: Letter, answer_timeout: float) -> Outcome:
    """Hand the message over on `connection`. Raises ConnectionLost, after which nothing of it went out."""
    refusal = _announce(connection, letter)
    if refusal is None:
        answer = _give(connection, letter.content, answer_timeout)
        if answer is None or answer.is_good:
            return Outcome(answer, is_taken=answer is not None, is_usable=answer is not None)
        refusal = answer
    return Outcome(refusal, is_taken=False, is_usable=not refusal.ends_connection and _is_reset(connection))


def dot_stuffed(content: bytes) -> bytes:
    """The content with its leading dots doubled (RFC 5321 4.5.2)."""
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


def _announce(connection: Connection, letter: Letter) -> Reply | None:
    """None where the server awaits the content, else its first refusal."""
    size = f" SIZE={len(letter.content)}" if connection.has_extn("size") else ""
    commands = (f"MAIL FROM:<{letter.sender}>{size}", f"RCPT TO:<{letter.recipient}>", "DATA")
    ask = _all_at_once if connection.has_extn("pipelining") else _one_by_one
    try:
        refusal = ask(connection, commands)
    except OSError:
        raise ConnectionLost("SMTP DISCONNECTED") from None
    if refusal and refusal.is_idle_goodbye:
        raise ConnectionLost(f"SMTP {refusal.cause}", is_rate_limit=True)
    return refusal


def _one_by_one(connection: Connection, commands: Sequence[str]) -> Reply | None:
    for command in commands:
        reply = Reply(*connection.docmd(command))
        if not _consents(command, reply):
            return reply
    return None


def _all_at_once(connection: Connection, commands: Sequence[str]) -> Reply | None:
    """One write, then a reply for each command (RFC 2920); the first refusal counts, whatever follows."""
    connection.send("".join(f"{command}\r\n" for command in commands).encode("ascii"))
    refusal: Reply | None = None
    for command in commands:
        try:
            reply = Reply(*connection.getreply())
        except OSError:
            if refusal:
                return refusal
            raise
        if refusal and reply.code == _START_CONTENT:
            # It awaits the content of a message whose recipient it refused: hang up rather than give it any.
            connection.close()
        refusal = refusal or (None if _consents(command, reply) else reply)
        if reply.ends_connection:
            break
    return refusal


def _consents(command: str, reply: Reply) -> bool:
    return reply.code == _START_CONTENT if command == "DATA" else reply.is_good


def _give(connection: Connection, content: bytes, timeout: float) -> Reply | None:
    """The server's answer to the content, or None where nobody can tell whether it has the message."""
    try:
        connection.send(dot_stuffed(content) + b".\r\n")
        with wait_for(connection, timeout):
            reply = Reply(*connection.getreply())
    except OSError:
        return None
    return reply if reply.is_good or 400 <= reply.code < 600 else None


def _is_reset(connection: Connection) -> bool:
    """Whether the refused message is forgotten, so that the next one may begin."""
    try:
        return Reply(*connection.rset()).is_good
    except OSError:
        return False
