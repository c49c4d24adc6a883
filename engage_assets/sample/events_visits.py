"""What guests do about events, through a running service: register, cancel, look at an app, follow notices, answer."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from urllib.parse import urlsplit

from engage_assets.domain.signatures import SIGNATURE, signed
from engage_assets.sample.events_people import Guests, stays
from engage_assets.sample.visits import BROWSER, Form, Round

_FIRST_WORD: Final = timedelta(minutes=20)
_LAST_WORD: Final = timedelta(minutes=10)


@dataclass(frozen=True)
class FormVisit:
    """Somebody posts a form on a page to which a link led him before."""

    at: datetime
    page: str
    """Under which name the page's address was noted."""
    act: str
    form: Form

    @property
    def whose(self) -> str:
        """The page and the act."""
        return f"{self.page} {self.act}"

    def pay(self, way: Round) -> Iterable[str]:
        """Post it."""
        address = way.pages.get(self.page)
        if address is None:
            return ()
        way.set_clock(self.at)
        fields = [(name, (None, value)) for name, value in self.form]
        way.client.post(address, files=fields, headers={"user-agent": BROWSER}).raise_for_status()
        return (self.act,)


@dataclass(frozen=True)
class LinkVisit:
    """Somebody follows the button of a message, and stays on the page that it led to."""

    at: datetime
    send_id: str
    act: str

    @property
    def whose(self) -> str:
        """The send and the act."""
        return f"{self.send_id} {self.act}"

    def pay(self, way: Round) -> Iterable[str]:
        """Follow it."""
        mail = way.mail_of(self.send_id)
        if mail is None:
            return ()
        way.set_clock(self.at)
        answer = way.client.get(mail.button, headers={"user-agent": BROWSER})
        way.pages[self.send_id] = str(answer.raise_for_status().url)
        return (self.act,)


@dataclass(frozen=True)
class AppVisit:
    """A customer opens the app, which asks for banners and shows the first."""

    at: datetime
    program: str
    customer: str
    subject: str
    """The banner about this, where it is there, is the one that he may tap."""
    clicks: bool

    @property
    def whose(self) -> str:
        """The customer and what he may tap."""
        return f"app {self.customer} {self.subject}"

    def pay(self, way: Round) -> Iterable[str]:
        """Ask, show, tap."""
        way.set_clock(self.at)
        key = {"authorization": f"Bearer {way.key}"}
        place = f"{way.url}/v1/programs/{self.program}/banners"
        found = way.client.get(place, params={"customerId": self.customer}, headers=key).raise_for_status().json()
        shown = [one for one in found["items"] if one["subjectId"] == self.subject]
        if not shown:
            return ("looked",)
        banner = shown[0]["bannerId"]
        way.client.post(f"{place}/{banner}/displayed", headers=key).raise_for_status()
        if not self.clicks:
            return ("looked", "displayed")
        address = urlsplit(shown[0]["call"]["url"])
        answer = way.client.get(f"{way.url}{address.path}", headers={"user-agent": BROWSER})
        way.pages[self.whose] = str(answer.raise_for_status().url)
        return ("looked", "displayed", "tapped")


@dataclass(frozen=True)
class DeviceVisit:
    """Somebody who registered lets a device remind him: its browser gives the page's script an address."""

    at: datetime
    page: str
    customer: str

    @property
    def whose(self) -> str:
        """The page."""
        return f"{self.page} device"

    def pay(self, way: Round) -> Iterable[str]:
        """Give it."""
        address = way.pages.get(self.page)
        if address is None:
            return ()
        way.set_clock(self.at)
        token = address.rsplit("/", 1)[-1]
        body = json.dumps(a_subscription(self.customer))
        way.client.post(f"{way.url}/push/subscriptions/{token}", content=body).raise_for_status()
        return ("subscribed",)


@dataclass(frozen=True)
class NotificationVisit:
    """A device shows a notification; its person may open it. The worker tells the service."""

    at: datetime
    send_id: str
    content: bytes
    """As the push service took it."""
    acts: tuple[str, ...]

    @property
    def whose(self) -> str:
        """The send."""
        return f"{self.send_id} {self.acts[0]}"

    def pay(self, way: Round) -> Iterable[str]:
        """Tell it."""
        beacons: dict[str, Any] = json.loads(self.content)["notification"].get("data", {})
        if not beacons:
            return ()
        way.set_clock(self.at)
        for act in self.acts:
            place = beacons["clicks" if act == "click" else "opens"]
            way.client.post(f"{place}/{act}", headers={"user-agent": BROWSER}).raise_for_status()
        return tuple(f"notification_{act}" for act in self.acts)


@dataclass(frozen=True)
class PlatformVisit:
    """The event platform tells who came and left so far, or all of it when the event is over."""

    at: datetime
    program: str
    event_id: str
    guests: Guests
    is_over: bool

    @property
    def whose(self) -> str:
        """The event."""
        return f"platform {self.event_id}"

    def pay(self, way: Round) -> Iterable[str]:
        """Ask who has a seat, and tell what was seen of them."""
        event = self.guests.events[self.event_id]
        way.set_clock(self.at)
        query: dict[str, Any] = {"eventDate": event.local_date.isoformat(), "limit": 10_000}
        query["status"] = ["registered", "attended", "no_show"]
        key = {"authorization": f"Bearer {way.key}"}
        place = f"{way.url}/v1/programs/{self.program}"
        found = way.client.get(f"{place}/registrations", params=query, headers=key).raise_for_status().json()["items"]
        customers = sorted(one["customerId"] for one in found if one["subjectId"] == self.event_id)
        told = [self._entry(stay) for stay in stays(self.guests, event, customers) if stay[1] <= self.at]
        if not told:
            return ()
        body = json.dumps({"eventId": self.event_id, "entries": told}).encode()
        headers = {"content-type": "application/json", SIGNATURE: signed(body, self.at, way.secret)}
        way.client.post(f"{place}/attendance", content=body, headers=headers).raise_for_status()
        return ("attended",) * len({one["customerId"] for one in told}) if self.is_over else ("told",)

    def _entry(self, stay: tuple[str, datetime, datetime]) -> dict[str, str]:
        customer, joined, left = stay
        entry = {"customerId": customer, "joinedAt": f"{joined.isoformat()}Z", "session": f"{joined:%H%M%S}"}
        return entry | ({"leftAt": f"{left.isoformat()}Z"} if left <= self.at else {})


def platform_visits(program: str, guests: Guests, since: datetime, until: datetime) -> list[PlatformVisit]:
    """What the platform tells of the events that begin in [since, until]: while they last, and afterwards."""
    known = guests.events.values()
    held = [event for event in known if not event.is_cancelled and since <= event.starts_at <= until]
    times = [(event, event.starts_at + _FIRST_WORD, False) for event in held]
    times += [(event, event.ends_at + _LAST_WORD, True) for event in held]
    return [PlatformVisit(at, program, event.event_id, guests, is_over) for event, at, is_over in times]


def a_subscription(customer: str) -> dict[str, Any]:
    """What a browser of the customer gives, of a push service that nobody runs."""
    seed = sha256(customer.encode()).digest()
    keys = {"p256dh": b"\x04" + seed + seed[::-1], "auth": seed[:16]}
    coded = {name: urlsafe_b64encode(value).rstrip(b"=").decode() for name, value in keys.items()}
    return {"endpoint": f"https://push.example.invalid/{seed.hex()[:24]}", "expirationTime": None, "keys": coded}
