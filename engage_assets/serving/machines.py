"""Which opens and clicks are a machine's: rules over one request. Only a rule's name is kept.

The rules see what a scanner lets them see. One that comes late, under a browser's name, and follows no hidden link
passes for a person.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from engage_assets.domain.responses import InteractionKind

HONEYPOT: Final = "honeypot"
"""The rule of the link that no person sees."""
RULES: Final = (HONEYPOT, "after_honeypot", "head", "prefetch", "no_agent", "listed_agent", "not_sent", "too_fast")
"""Names of the rules in the order in which they are asked."""

SOONEST: Final[dict[InteractionKind, timedelta]] = {"open": timedelta(seconds=10), "click": timedelta(seconds=20)}
"""Sooner after the hand-over no person opens or clicks: the message must arrive and be noticed, and a click comes after
reading. People take minutes to hours, so a few early ones are the price; scanners follow links as the mail arrives."""
SUSPICION: Final = timedelta(minutes=5)
"""So long after the hidden link was followed, all that happens to the send is the same scanner's. Not for ever: behind
the scanner sits a person who reads the message later."""

_PREFETCHERS = re.compile(
    r"""^Mozilla/5\.0$                  # Apple's mail privacy, before anybody reads
    |Edge/12\.246[ ]Mozilla/5\.0$       # Gmail's prefetch while its app is open; its image proxy comes at the reading
    """,
    re.VERBOSE,
)
_MACHINES = re.compile(
    r"""
    # what guards mailboxes
    barracuda|proofpoint|urldefense|mimecast|safelinks|microsoft-urlanalyzer|atp-?(?:scan|detonat)|bingpreview
    |ironport|talos|fireeye|trellix|forti(?:mail|guard|sandbox)|forcepoint|websense|sophos|symantec|messagelabs
    |trend[ ]?micro|mcafee|kaspersky|bitdefender|zscaler|avanan|vadesecure|cloudmark|spamassassin|rspamd|urlscan
    |virustotal|safebrowsing|google-safety
    # previews and crawlers; Cubot makes telephones
    |(?<!cu)bot\b|crawl|spider|slurp|scanner|url-?preview|link-?preview|facebookexternalhit|whatsapp/
    # programs and browsers without a person
    |\bcurl/|\bwget/|python|aiohttp|httpx|libwww|go-http-client|\bjava/|apache-httpclient|node-fetch|undici|axios|ruby
    |winhttp|powershell|headless|phantomjs|puppeteer|playwright|selenium
    """,
    re.VERBOSE,
)
_PEOPLE: Final = ("googleimageproxy", "yahoomailproxy")


def machine_rule(
    kind: InteractionKind,
    method: str,
    headers: Mapping[str, str],
    since_hand_over: timedelta | None,
    since_honeypot: timedelta | None = None,
) -> str | None:
    """The first rule of RULES by which an open or a click is a machine's; None: a person's.

    `headers`: the request's, found by lower-case name. `since_hand_over`: None where the send was not handed over.
    `since_honeypot`: since its hidden link was followed last; None: never.
    """
    agent = headers.get("user-agent", "").strip()
    verdicts = {
        "after_honeypot": since_honeypot is not None and timedelta() <= since_honeypot <= SUSPICION,
        "head": method == "HEAD",
        "prefetch": _is_prefetch(headers) or bool(_PREFETCHERS.search(agent)),
        "no_agent": not agent,
        "listed_agent": is_listed(agent),
        "not_sent": since_hand_over is None,
        "too_fast": since_hand_over is not None and since_hand_over < SOONEST[kind],
    }
    return next((rule for rule, holds in verdicts.items() if holds), None)


def is_listed(agent: str) -> bool:
    """Whether a user agent names a scanner, a crawler or a program. Proxies that fetch at a person's reading do not."""
    lowered = agent[:1000].lower()
    return bool(_MACHINES.search(lowered)) and not any(name in lowered for name in _PEOPLE)


def since(then: datetime | None, now: datetime) -> timedelta | None:
    """The time from `then` to `now`; None for never."""
    return None if then is None else now - then


def _is_prefetch(headers: Mapping[str, str]) -> bool:
    """Whether the request says that it looks ahead: Sec-Purpose, and its older names."""
    said = " ".join(headers.get(name, "") for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"))
    return bool(re.search(r"prefetch|prerender|preview", said, re.IGNORECASE))
