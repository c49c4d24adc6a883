"""Alerts as a short message through the deployment's mail server, one message for all that wait."""

from collections.abc import Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from hashlib import sha256
from typing import Final

from engage_assets.alerts.telling import NotTaken
from engage_assets.domain.operations import Alert
from engage_assets.domain.ports import Sender
from engage_assets.domain.sends import Letter, TransientRefusal

CAMPAIGN: Final = "alerts"
"""What stands in a letter where a campaign would."""
_SUBJECT_LENGTH: Final = 120


class Mail:
    """Messages to one address. A message of which nobody can tell whether it arrived is given again."""

    def __init__(self, sender: Sender, author: str, recipient: str) -> None:
        self.name = f"mail {recipient.rpartition('@')[2]}"
        self._sender = sender
        self._author = author
        self._recipient = recipient

    def give(self, alerts: Sequence[Alert], now: datetime) -> None:
        """See Way."""
        line = self._sender.open()
        try:
            answer = line.hand_over(self._letter(alerts, now))
        except TransientRefusal as refusal:
            raise NotTaken(refusal.cause) from None
        finally:
            line.close()
        if answer.state != "sent":
            raise NotTaken(f"{answer.state} {answer.reason or ''}".strip())

    def _letter(self, alerts: Sequence[Alert], now: datetime) -> Letter:
        key = sha256("\n".join([self._recipient, *(alert.cause for alert in alerts)]).encode()).hexdigest()[:32]
        message = EmailMessage(policy=SMTP)
        message["From"] = self._author
        message["To"] = self._recipient
        message["Subject"] = _subject(alerts)
        message["Date"] = now.replace(tzinfo=UTC)
        message["Message-ID"] = f"<alert-{key}@{self._author.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content("\n\n".join(map(_entry, alerts)) + "\n", cte="quoted-printable")
        return Letter(key, CAMPAIGN, self._author, self._recipient, message.as_bytes())


def _subject(alerts: Sequence[Alert]) -> str:
    """The first alert, in one line, and how many more there are."""
    first = " ".join(alerts[0].text.split())
    more = f" (and {len(alerts) - 1} more)" if len(alerts) > 1 else ""
    cut = first if len(first) <= _SUBJECT_LENGTH else f"{first[: _SUBJECT_LENGTH - 1]}…"
    return f"[engage] {cut}{more}"


def _entry(alert: Alert) -> str:
    return f"{alert.at:%Y-%m-%d %H:%M} UTC  {alert.text}\n({alert.cause})"
