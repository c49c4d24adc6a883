"""What a mail server's replies mean for a message: sent, refused for good, or refused for the moment."""

import re
from dataclasses import dataclass
from typing import Final

from engage_assets.domain.sends import Answer, TransientRefusal

NO_REPLY: Final = -1
RATE_CODES: Final = frozenset({450, 451, 452, 454})
"""Codes that ask for patience where their text says so; 421 always does."""
RATE_STATUS: Final = "4.7."
"""Enhanced status of a policy that will pass (RFC 3463)."""
IDLE_STATUS: Final = "4.4.2"
"""With 421: the server closed a connection that had nothing to do for too long."""
LONGEST_RECEIPT: Final = 120

_STATUS = re.compile(r"[245]\.\d{1,3}\.\d{1,3}\b")
_RATE = re.compile(r"\b(?:rates?\b|throttl|too many|too fast|slow down|gr[ae]ylist)", re.IGNORECASE)
_ADDRESS = re.compile(r"<[^<>]*@[^<>]*>|\S*@\S*")
_UNPRINTABLE = re.compile(r"[^\x21-\x7e]+")


@dataclass(frozen=True)
class Reply:
    """One reply of the server."""

    code: int
    """NO_REPLY where what came was none of SMTP's."""
    text: bytes

    @property
    def is_good(self) -> bool:
        """Whether the server did what it was asked."""
        return 200 <= self.code < 300

    @property
    def ends_connection(self) -> bool:
        """Whether nothing more can be asked on this connection."""
        return self.code in {421, NO_REPLY}

    @property
    def _status(self) -> str:
        found = _STATUS.match(self.text.decode("ascii", "replace"))
        return found[0] if found else ""

    @property
    def cause(self) -> str:
        """Code and enhanced status, `550 5.1.1`: never the server's words, which may repeat an address."""
        return f"{self.code} {self._status}".strip()

    @property
    def is_idle_goodbye(self) -> bool:
        """Whether the server only says that the connection was idle for too long."""
        return self.code == 421 and self._status == IDLE_STATUS

    @property
    def asks_for_patience(self) -> bool:
        """Whether it is a rate limit, so that waiting is no failure."""
        if self.code == 421:
            return True
        words = self.text.decode("ascii", "replace")
        return self.code in RATE_CODES and (self._status.startswith(RATE_STATUS) or bool(_RATE.search(words)))


def accepted(reply: Reply) -> Answer:
    """The message is the server's; the receipt is its text (the queue id), without addresses."""
    words = _ADDRESS.sub("", reply.text.decode("ascii", "replace"))
    return Answer("sent", receipt=_UNPRINTABLE.sub(" ", words).strip()[:LONGEST_RECEIPT] or None)


def refused(reply: Reply) -> Answer:
    """The message was surely not taken: for good, or raises TransientRefusal for a code of the 4 hundreds."""
    if 400 <= reply.code < 500:
        raise TransientRefusal(f"SMTP {reply.cause}", is_rate_limit=reply.asks_for_patience)
    return Answer("failed", f"TRANSPORT_REFUSED {reply.cause}")
