"""The transport, and what receivers of mail look up about its sender."""

from collections.abc import Iterator

from engage_assets.channels.smtp import SmtpSender
from engage_assets.doctor.case import Case
from engage_assets.doctor.findings import Finding


def transport(case: Case) -> Iterator[Finding]:
    """Whether messages can be handed over: connected, encrypted and logged in as for a message."""
    sender = case.sender
    if not isinstance(sender, SmtpSender):
        remedy = "for real messages set ENGAGE_TRANSPORT=smtp, ENGAGE_SMTP_URL and ENGAGE_SMTP_PASSWORD"
        yield Finding("transport", "warn", f"{sender.transport}: messages become files, nobody gets them", remedy)
        return
    facts = sender.check()
    login = "logged in" if facts.is_logged_in else "no login"
    yield Finding("transport", "ok", f"{facts.server or 'the mail server'} answers, {facts.tls or 'no TLS'}, {login}")
    if facts.tls is None and sender.leaves_machine:
        remedy = "use smtps://, or smtp://…?starttls=required, in ENGAGE_SMTP_URL"
        yield Finding("transport", "warn", "messages cross the network without encryption", remedy)
