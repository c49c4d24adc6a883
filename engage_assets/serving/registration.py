"""The registration page: a seat or a place in line, dietary preferences, and giving both back, by one signed link."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool

from engage_assets.domain.registrations import KEPT_DIETARY, Act, Register, Withdraw
from engage_assets.domain.responses import KnownSend
from engage_assets.domain.slots import known_zones
from engage_assets.serving import words
from engage_assets.serving.forms import Fault, FormTooLarge, FormUnreadable
from engage_assets.serving.reception import Reception, go
from engage_assets.serving.registration_events import EventServices
from engage_assets.serving.registration_form import RegistrationForm, check, read_registration
from engage_assets.serving.registration_visit import Visit, visit_of, visits_of, with_registration
from engage_assets.serving.rounds import Rounds

ROUND: Final = 256
"""Most requests of one transaction."""
GATHER: Final = 0.008
"""Seconds in which they come together."""
FORM: Final = "registration"
Asked = tuple[str, str]
"""The send whose link was used, and what was asked: register or cancel."""


class RegistrationDesk:
    """A PromptDesk. Whatever many ask at once is taken in rounds, in the order in which it came."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._services = reception.services
        self._rounds = Rounds(self._take, "registrations", ROUND, GATHER) if reception.services.events else None

    def page(self, send: KnownSend, token: str) -> Response:
        """Where the person stands, and what he may do."""
        return self._page(send, token)

    async def post(self, send: KnownSend, token: str, request: Request) -> Response:
        """Do what was asked, and go on to the page that says what came of it; or show the form again."""
        return await self.post_of(send.send_id, token, request) or words.lost()

    async def post_of(self, send_id: str, token: str, request: Request) -> Response | None:
        """See PromptDesk."""
        events, rounds = self._services.events, self._rounds
        if events is None or rounds is None:
            return None
        posted, faults, status = await self._read(request)
        if posted is None or faults or posted.act == "preferences":
            send = await run_in_threadpool(self._services.contacts.send, send_id)
            if send is None or not self._is_own(send):
                return None
            if posted is None or faults:
                return await run_in_threadpool(self._page, send, token, faults, status, posted)
            is_kept = await run_in_threadpool(self._note, events, send, posted.dietary)
            return go(f"../{'thanks' if is_kept else FORM}/{token}")
        taken = await rounds.take((send_id, posted.act))
        if taken is None:
            return None
        await self._follow(events, taken, posted)
        return go(f"../{FORM}/{token}")

    async def _read(self, request: Request) -> tuple[RegistrationForm | None, dict[str, Fault], int]:
        """What was posted, what is wrong with it, and with which status that is said."""
        try:
            posted = await read_registration(request, self._services.limits)
        except FormTooLarge:
            return None, {"form": Fault("registration_too_large")}, 413
        except FormUnreadable:
            return None, {"form": Fault("registration_unreadable")}, 422
        return posted, check(posted, self._services.limits), 422

    def thanks(self, send: KnownSend, token: str) -> Response:
        """The page, and that what was written is saved; who is not registered is led to the form."""
        events = self._services.events
        standing = events.registrations.of_customer(send.program, send.subject_id, send.customer_id) if events else None
        if standing is None or standing.status == "cancelled":
            return go(f"../registration/{token}")
        return self._page(send, token, is_saved=True)

    def _take(self, asked: Sequence[Asked]) -> list[Visit | None]:
        """Where those who asked stand after it; None: their sends are none of ours.

        Where nothing was asked of the ledger, there is no registration.
        """
        events = self._services.events
        assert events is not None
        sends = self._services.contacts.known_sends([send_id for send_id, _ in asked])
        own = {place: send for place, send in enumerate(sends) if send and self._is_own(send)}
        visits = dict(zip(own, visits_of(self._services, list(own.values())), strict=True))
        acts = {place: act for place, visit in visits.items() if (act := _act(visit, asked[place][1]))}
        applied = events.registrations.take(list(acts.values()), self._services.clock.now())
        visits |= {
            place: replace(visits[place], registration=one.registration)
            for place, one in zip(acts, applied, strict=True)
        }
        return [visits.get(place) for place in range(len(asked))]

    def _is_own(self, send: KnownSend) -> bool:
        """Whether the send's person answers on this form."""
        return self._reception.form_of(send).name == FORM

    async def _follow(self, events: EventServices, visit: Visit, posted: RegistrationForm) -> None:
        """Keep what the person wrote beside a registration; forget it with one that was given back."""
        standing = visit.registration
        if standing is None:
            return
        if standing.status == "cancelled":
            if posted.act == "cancel":
                place = (standing.program, standing.event_id, standing.customer_id)
                await run_in_threadpool(events.dietary.erase, *place)
        elif posted.dietary:
            await run_in_threadpool(self._keep, events, visit, posted.dietary)

    def _note(self, events: EventServices, send: KnownSend, dietary: str) -> bool:
        """Whether the preferences were kept: only of who is registered or in line."""
        return self._keep(events, with_registration(events, visit_of(self._services, send)), dietary)

    def _keep(self, events: EventServices, visit: Visit, dietary: str) -> bool:
        if visit.registration is None or not visit.may_note:
            return False
        events.dietary.keep(visit.registration, dietary, visit.event.ends_at + KEPT_DIETARY, visit.now)
        return True

    def _page(
        self,
        send: KnownSend,
        token: str,
        faults: dict[str, Fault] | None = None,
        status: int = 200,
        posted: RegistrationForm | None = None,
        *,
        is_saved: bool = False,
    ) -> Response:
        events = self._services.events
        if events is None:
            return words.lost()
        visit = with_registration(events, visit_of(self._services, send))
        standing = visit.registration
        kept = events.dietary.of(standing) if standing and visit.may_note else None
        place = events.registrations.place(standing) if standing and standing.status == "wait_listed" else None
        return self._reception.show(
            "registration",
            send,
            status,
            token=token,
            visit=visit,
            dietary=posted.dietary if posted else kept or "",
            place_in_line=place,
            saved=is_saved,
            faults=faults or {},
            push_key=(push_key := self._push_key(visit)),
            is_scripted=push_key is not None,
            **self._times(events, visit),
        )

    def _push_key(self, visit: Visit) -> str | None:
        """With what a browser may subscribe to the reminder, where there is something to be reminded of."""
        push = self._services.push
        return push.public_key if push and visit.may_note else None

    def _times(self, events: EventServices, visit: Visit) -> dict[str, Any]:
        """The person's name, and the event's instants on the clocks of both."""
        if not visit.versions:
            return {"name": None, "event": None, "times": [], "closes": None}
        person, event = events.facts.person(visit.send.customer_id), visit.event
        market = self._services.marketplaces.get(visit.send.marketplace)
        zones = known_zones()
        own = next((zone for zone in (person.time_zone, market and market.time_zone) if zone in zones), None)
        starts = [
            (zone, _on_clock(event.starts_at, zone))
            for zone in dict.fromkeys([own or event.time_zone, event.time_zone])
        ]
        is_one = len({local.utcoffset() for _, local in starts}) == 1
        deadline = visit.seats.deadline if visit.seats else event.starts_at
        return {
            "name": " ".join((person.name or "").split()) or None,
            "event": event,
            "times": starts[:1] if is_one else starts,
            "closes": _on_clock(deadline, event.time_zone),
        }


def _act(visit: Visit, wanted: str) -> Act | None:
    """What the ledger is asked; None where there is nothing to ask."""
    if visit.seats is None:
        return None
    send = visit.send
    if wanted == "register":
        return Register(visit.seats, send.customer_id, send.marketplace, send.channel, send.send_id)
    return Withdraw(visit.seats, send.customer_id) if visit.now < visit.event.starts_at else None


def _on_clock(instant: datetime, zone: str) -> datetime:
    return instant.replace(tzinfo=UTC).astimezone(ZoneInfo(zone))
