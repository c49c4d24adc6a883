"""The serving service: its address, the keys of links and of the API, secrets of events; and who hears of alerts."""

import stat
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import httpx

from engage_assets.alerts.opening import destinations
from engage_assets.channels.smtp import smtp_sender
from engage_assets.channels.smtp_url import is_loopback
from engage_assets.doctor.case import Case
from engage_assets.doctor.findings import Finding
from engage_assets.serving.events import FORMS
from engage_assets.signing_keys import VARIABLE, read_signer

SECONDS: Final = 5.0
"""How long the service may take to answer."""


def public_url(case: Case) -> Iterator[Finding]:
    """Whether links lead anywhere: ENGAGE_PUBLIC_URL is set, safe, and answers."""
    url = case.value("ENGAGE_PUBLIC_URL")
    if not url:
        remedy = "set ENGAGE_PUBLIC_URL to the https address of `engage serve` as people reach it"
        what = "ENGAGE_PUBLIC_URL is not set: messages have no review page, no unsubscribe, no tracking"
        yield Finding("service", "fail" if case.is_for_real else "warn", what, remedy)
        return
    parts = urlsplit(url)
    is_safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not parts.hostname or not is_safe:
        remedy = "write https://host; http is only for this machine (127.0.0.1)"
        yield Finding("service", "fail", "ENGAGE_PUBLIC_URL is no https address", remedy)
        return
    yield _healthy(parts.hostname, f"{url.rstrip('/')}/healthz")


def _healthy(host: str, address: str) -> Finding:
    remedy = "start it with `engage serve`, and let its balancer pass /healthz"
    try:
        answer = httpx.get(address, timeout=SECONDS)
    except httpx.HTTPError as error:
        return Finding("service", "fail", f"{host} does not answer ({type(error).__name__})", remedy)
    if not answer.is_success:
        return Finding("service", "fail", f"{host}: /healthz answers {answer.status_code}", remedy)
    return Finding("service", "ok", f"{host} answers")


def signing_keys(case: Case) -> Iterator[Finding]:
    """Whether the keys of links can be read, by their owner alone."""
    path = case.home.signing_keys
    if not case.value(VARIABLE):
        if not path.is_file():
            yield Finding("signing keys", "ok", "none yet; they are made on first use")
            return
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            remedy = f"chmod 600 {path}; if others could read it, `engage keys rotate` twice"
            yield Finding("signing keys", "fail", f"{path} has mode {mode:04o}", remedy)
            return
    read_signer(path, case.environment)
    yield Finding("signing keys", "ok", f"out of {VARIABLE}" if case.value(VARIABLE) else "only their owner reads them")


def event_secrets(case: Case) -> Iterator[Finding]:
    """Whether a provider's events (bounces, complaints) can be taken."""
    names = {form: f"ENGAGE_WEBHOOK_SECRET_{form.upper()}" for form in sorted(FORMS)}
    known = [form for form, name in names.items() if case.value(name)]
    if known:
        yield Finding("events", "ok", f"secret set for {', '.join(known)}")
        return
    remedy = f"set {' or '.join(names.values())} to the secret that signs the provider's events"
    yield Finding("events", "warn", "no bounce or complaint can come in: no secret is set", remedy)


def api_keys(case: Case) -> Iterator[Finding]:
    """Whether anybody can ask the query API."""
    keys = [key for key in case.operations.api_keys() if key.revoked_at is None]
    if keys:
        yield Finding("api keys", "ok", f"{len(keys)} in force")
        return
    yield Finding("api keys", "warn", "nobody can ask the query API", "`engage keys make NAME` makes one")


def alert_destinations(case: Case) -> Iterator[Finding]:
    """Whether anybody hears of alerts."""
    url = case.value("ENGAGE_SMTP_URL")
    found = destinations(case.environment, smtp_sender(url, case.value("ENGAGE_SMTP_PASSWORD")) if url else None)
    if found:
        yield Finding("alerts", "ok", f"go to {', '.join(destination.name for destination in found)}")
        return
    remedy = "set ENGAGE_ALERT_WEBHOOK or ENGAGE_ALERT_EMAIL, and turn on the sensors in the UI"
    yield Finding("alerts", "warn", "nobody hears of failed runs, late batches and sends in doubt", remedy)
