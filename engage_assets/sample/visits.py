"""The simulated people's visits: what their answers do to a running service, through its real addresses.

Links are found as a person finds them: in the messages. A simulated provider tells what was delivered and what bounced.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from html import unescape
from pathlib import Path
from typing import Final, Protocol

import httpx
import polars as pl

from engage_assets.domain.signatures import SIGNATURE, signed

PERSON: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:143.0) Gecko/20100101 Thunderbird/143.0"
BROWSER: Final = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
SCANNER: Final = "Mozilla/5.0"
"""What a mail program that prefetches pictures calls itself."""
_BOUNCES: Final = 2
"""Messages of a hundred that bounce."""
_ARRIVAL: Final = timedelta(seconds=30)
_ACTS: Final = {"machine_opened_at": "scan", "opened_at": "open", "clicked_at": "click", "answered_at": "answer"}
_PIXEL = re.compile(r'src="(?P<url>https?://[^"]+/o/[^"]+)"')
_BUTTON = re.compile(r'href="(?P<url>https?://[^"]+/c/[^"]+)"')

Form = tuple[tuple[str, str], ...]
"""Fields of a form and what is typed into them, in the order of the page; a field may stand several times."""


@dataclass(frozen=True)
class Mail:
    """The links of a message as it lies in a mailbox."""

    pixel: str
    button: str


@dataclass
class Round:
    """What is at hand while visits are paid."""

    client: httpx.Client
    url: str
    """The service's address."""
    secret: bytes = field(repr=False)
    """Of the provider whose events it takes."""
    key: str = field(repr=False)
    """Of its API, for the voice assistant."""
    mail_of: Callable[[str], Mail | None]
    """The message of a send as it lies in a mailbox; None: there is none, or it is not tracked."""
    set_clock: Callable[[datetime], None]
    pages: dict[str, str] = field(default_factory=dict)
    """Addresses that links led to, by send_id."""


class Visit(Protocol):
    """One thing that somebody does at an instant."""

    @property
    def at(self) -> datetime:
        """When."""
        ...

    @property
    def whose(self) -> str:
        """What puts visits of one instant in order."""
        ...

    def pay(self, way: Round) -> Iterable[str]:
        """Do it, and say what was done. Raises httpx.HTTPError where the service does not answer as it should."""
        ...


@dataclass(frozen=True)
class MailVisit:
    """One thing that becomes of a message."""

    at: datetime
    send_id: str
    act: str
    """delivered, bounce, scan, open, click or answer."""
    form: Form = ()

    @property
    def whose(self) -> str:
        """The send and the act."""
        return f"{self.send_id} {self.act}"

    def pay(self, way: Round) -> Iterable[str]:
        """Follow the message's links, or tell what its provider tells."""
        mail = way.mail_of(self.send_id)
        if mail is None:
            return ()
        way.set_clock(self.at)
        if self.act in ("delivered", "bounce"):
            self._tell(way)
        else:
            self._follow(way, mail)
        return (self.act,)

    def _tell(self, way: Round) -> None:
        """One event of the provider, as its generic form has it."""
        event: dict[str, object] = {"id": f"{self.act}-{self.send_id}", "sendId": self.send_id, "type": self.act}
        event |= {"at": f"{self.at.isoformat()}Z", "permanent": self.act == "bounce"}
        body = json.dumps({"events": [event]}).encode()
        headers = {"content-type": "application/json", SIGNATURE: signed(body, self.at, way.secret)}
        way.client.post(f"{way.url}/v1/events/generic", content=body, headers=headers).raise_for_status()

    def _follow(self, way: Round, mail: Mail) -> None:
        if self.act in ("scan", "open"):
            agent = SCANNER if self.act == "scan" else PERSON
            way.client.get(mail.pixel, headers={"user-agent": agent}).raise_for_status()
        elif self.act == "click":
            answer = way.client.get(mail.button, headers={"user-agent": BROWSER})
            way.pages[self.send_id] = str(answer.raise_for_status().url)
        else:
            # As the form of the page posts it.
            fields = [(name, (None, value)) for name, value in self.form]
            page = way.pages[self.send_id]
            way.client.post(page, files=fields, headers={"user-agent": BROWSER}).raise_for_status()


@dataclass
class Outbox:
    """The messages below a folder, read when they are asked for."""

    root: Path
    _paths: dict[str, Path] = field(default_factory=dict, repr=False)
    _mails: dict[str, Mail | None] = field(default_factory=dict, repr=False)

    def mail_of(self, send_id: str) -> Mail | None:
        """Links of the message of a send; None: there is none, or it is not tracked."""
        if send_id not in self._mails:
            if send_id not in self._paths:
                self._paths = {path.stem: path for path in self.root.rglob("*.eml")}
            path = self._paths.get(send_id)
            if path is None:
                return None
            self._mails[send_id] = _links(path)
        return self._mails[send_id]


def _links(path: Path) -> Mail | None:
    page = message_from_bytes(path.read_bytes(), policy=policy.default).get_body(("html",))
    text = page.get_content() if page else ""
    pixel, button = _PIXEL.search(text), _BUTTON.search(text)
    return Mail(unescape(pixel["url"]), unescape(button["url"])) if pixel and button else None


def mail_visits(sends: pl.DataFrame, answers: pl.DataFrame, forms: Mapping[str, Form]) -> list[Visit]:
    """What becomes of messages: what people do with them, and the provider's events.

    `sends` has send_id and slot_at; `answers` send_id, machine_opened_at, opened_at, clicked_at and answered_at, null
    where it does not happen; `forms` what is typed, by send_id. Two messages of a hundred bounce, by their ids; who
    never got a message does not answer it.
    """
    made: list[Visit] = [
        MailVisit(row[column], row["send_id"], act, forms[row["send_id"]] if act == "answer" else ())
        for row in answers.iter_rows(named=True)
        for column, act in _ACTS.items()
        if row[column] is not None and not _bounces(row["send_id"])
    ]
    for send_id, at in sends.select("send_id", "slot_at").iter_rows():
        made.append(MailVisit(at + _ARRIVAL, send_id, "bounce" if _bounces(send_id) else "delivered"))
    return made


def _bounces(send_id: str) -> bool:
    return int(send_id[:4], 16) % 100 < _BOUNCES


def pay(visits: Iterable[Visit], way: Round) -> Counter[str]:
    """Pay the visits in the order of their instants, each at its own on the shared clock, and count what was done.

    Raises httpx.HTTPError where the service does not answer as it should.
    """
    return Counter(act for visit in sorted(visits, key=lambda visit: (visit.at, visit.whose)) for act in visit.pay(way))
