"""The calendar file of who has a seat: to download, and to open in a calendar."""

from dataclasses import dataclass
from typing import Final

from fastapi import Response

from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.registrations import Registration
from engage_assets.events.calendar import Organizer, Wording, calendar_file, entry_uid, mime_type, sequence_of
from engage_assets.serving import words
from engage_assets.serving.reception import Reception, go
from engage_assets.serving.registration_visit import Visit, visit_of, with_registration

_HEADERS: Final = {
    "Content-Disposition": 'attachment; filename="event.ics"',
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}


@dataclass(frozen=True)
class CalendarDesk:
    """Gives calendar files."""

    reception: Reception

    def file(self, token: str) -> Response:
        """The entry of the event (METHOD:PUBLISH); who has no seat is led to the page."""
        send, events = self.reception.visitor(token, "answer"), self.reception.services.events
        if send is None or events is None:
            return words.lost()
        visit = with_registration(events, visit_of(self.reception.services, send))
        market = self.reception.services.marketplaces.get(send.marketplace)
        if not visit.has_seat or visit.registration is None or market is None:
            return go(f"../../registration/{token}")
        language = words.language_of(send.locale, market.locale)
        content = _entry(visit, visit.registration, market, language)
        return Response(content, media_type=mime_type("PUBLISH"), headers=_HEADERS)


def _entry(visit: Visit, registration: Registration, market: Marketplace, language: str) -> bytes:
    event = visit.event
    organizer = Organizer.of(market)
    return calendar_file(
        event,
        method="PUBLISH",
        uid=entry_uid(event.event_id, registration.customer_id, organizer),
        sequence=sequence_of(len(visit.versions), registration.sequence),
        stamp=max(event.known_at, registration.changed_at),
        organizer=organizer,
        wording=Wording(words.said(language, "calendar_text"), url=event.join_link, location=event.join_link),
    )
