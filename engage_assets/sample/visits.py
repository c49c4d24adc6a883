"""The simulated people's visits: what their answers do to a running service, through its real addresses.

Links are found as a person finds them: in the messages. A simulated provider tells what was delivered and what bounced.
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from html import unescape
from pathlib import Path
from typing import Final

import httpx
import polars as pl

from engage_assets.domain.signatures import SIGNATURE, signed

PERSON: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Thunderbird/143.0"
BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
SCANNER: Final = "Mozilla/5.0"
"""What a mail program that prefetches pictures calls itself."""
_BOUNCES: Final = 2
"""Messages of a hundred that bounce."""
_ARRIVAL: Final = timedelta(seconds=3)
_WORDS: Final = {
    1: "Broke after a day.",
    2: "Not what I expected.",
    3: "It does what it should.",
    4: "Good value, would buy again.",
    5: "Excellent, I use it every day.",
}
_PIXEL = re.compile(r'src="(?P<url>https?://[^"]+/o/[^"]+)"')
_BUTTON = re.compile(r'href="(?P<url>https?://[^"]+/c/[^"]+)"')


@dataclass(frozen=True)
class Mail:
    """The links of a message as it lies in a mailbox."""

    pixel: str
    button: str


@dataclass(frozen=True)
class Visit:
    """One thing that somebody does at an instant."""

    at: datetime
    send_id: str
    act: str
    """delivered, bounce, scan, open, click or answer."""
    rating: int | None = None


@dataclass
class Visited:
    """What was done, by act."""

    delivered: int = 0
    bounce: int = 0
    scan: int = 0
    open: int = 0
    click: int = 0
    answer: int = 0


def read_outbox(outbox: Path) -> dict[str, Mail]:
    """Links of every message below an outbox by send_id; messages without tracking are left out."""
    found = {}
    for path in sorted(outbox.rglob("*.eml")):
        page = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("html",))
        text = page.get_content() if page else ""
        pixel, button = _PIXEL.search(text), _BUTTON.search(text)
        if pixel and button:
            found[path.stem] = Mail(unescape(pixel["url"]), unescape(button["url"]))
    return found


def visits(sends: pl.DataFrame, answers: pl.DataFrame, until: datetime) -> list[Visit]:
    """What happens up to `until`, in the order of its instants: `people.respond`'s answers, and the provider's events.

    Two messages of a hundred bounce, by their ids; who never got a message does not answer it.
    """
    acts = {"machine_opened_at": "scan", "opened_at": "open", "clicked_at": "click", "reviewed_at": "answer"}
    made = [
        Visit(row[column], row["send_id"], act, row["rating"] if act == "answer" else None)
        for row in answers.iter_rows(named=True)
        for column, act in acts.items()
        if row[column] is not None and row[column] <= until and not _bounces(row["send_id"])
    ]
    for send_id, at in sends.select("send_id", "at").iter_rows():
        made.append(Visit(at + _ARRIVAL, send_id, "bounce" if _bounces(send_id) else "delivered"))
    return sorted(made, key=lambda visit: (visit.at, visit.send_id, visit.act))


def _bounces(send_id: str) -> bool:
    return int(send_id[:4], 16) % 100 < _BOUNCES


def pay(
    all_visits: Iterable[Visit],
    mails: dict[str, Mail],
    set_clock: Callable[[datetime], None],
    *,
    events_url: str,
    secret: bytes,
) -> Visited:
    """Pay the visits in order, each at its instant on the shared clock; provider events go to `events_url`, signed.

    Raises httpx.HTTPError where the service does not answer as it should.
    """
    done = Visited()
    pages: dict[str, str] = {}
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        for visit in all_visits:
            if visit.send_id not in mails:
                continue
            set_clock(visit.at)
            if visit.act in ("delivered", "bounce"):
                _tell(client, visit, events_url, secret)
            else:
                _pay(client, visit, mails[visit.send_id], pages)
            setattr(done, visit.act, getattr(done, visit.act) + 1)
    return done


def _tell(client: httpx.Client, visit: Visit, url: str, secret: bytes) -> None:
    """One event of the provider, as its generic form has it."""
    event: dict[str, object] = {"id": f"{visit.act}-{visit.send_id}", "sendId": visit.send_id, "type": visit.act}
    event |= {"at": f"{visit.at.isoformat()}Z", "permanent": visit.act == "bounce"}
    body = json.dumps({"events": [event]}).encode()
    headers = {"content-type": "application/json", SIGNATURE: signed(body, visit.at, secret)}
    client.post(url, content=body, headers=headers).raise_for_status()


def _pay(client: httpx.Client, visit: Visit, mail: Mail, pages: dict[str, str]) -> None:
    if visit.act in ("scan", "open"):
        agent = SCANNER if visit.act == "scan" else PERSON
        client.get(mail.pixel, headers={"user-agent": agent}).raise_for_status()
    elif visit.act == "click":
        answer = client.get(mail.button, headers={"user-agent": BROWSER})
        pages[visit.send_id] = str(answer.raise_for_status().url)
    else:
        # As the form of the page posts it; few write, as few do.
        text = _WORDS[visit.rating or 3] if int(visit.send_id[:2], 16) % 2 else ""
        form = [("rating", (None, str(visit.rating))), ("text", (None, text))]
        client.post(pages[visit.send_id], files=form, headers={"user-agent": BROWSER}).raise_for_status()
