"""The calendar file that goes with an invitation."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from engage_assets.channels.message import CalendarPart
from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.events.calendar import Organizer, Wording, calendar_file, entry_uid, mime_type, sequence_of
from engage_assets.events.catalogue import Catalogue

if TYPE_CHECKING:
    from engage_assets.defs.batch import Batch

Enclosing = Callable[[Mapping[str, Any]], CalendarPart | None]
"""What goes with the message of a row of EMAIL_CAMPAIGNS."""


def invitations(batch: "Batch", now: datetime) -> Enclosing:
    """Calendar files of the batch's events as the catalogue states them at `now`.

    A file is of one customer's entry (its UID is that of a later confirmation), tentative, and names neither the person
    nor where the event takes place: that is for those with a seat. Of a cancelled event there is none.
    """
    table = batch.tables.get(EVENTS.name)
    catalogue = Catalogue.of(table.collect()) if table is not None else Catalogue(())
    known = catalogue.known(now)
    versions = {event_id: len(catalogue.history(event_id, now)) for event_id in known}

    def enclose(row: Mapping[str, Any]) -> CalendarPart | None:
        event = known.get(row["subject_id"])
        if event is None or event.is_cancelled:
            return None
        return _part(event, row, batch.marketplaces[row["marketplace"]], versions[event.event_id])

    return enclose


def _part(event: Event, row: Mapping[str, Any], market: Marketplace, versions: int) -> CalendarPart:
    organizer = Organizer.of(market)
    content = calendar_file(
        event,
        method="PUBLISH",
        uid=entry_uid(event.event_id, row["customer_id"], organizer),
        sequence=sequence_of(versions, 0),
        stamp=event.known_at,
        organizer=organizer,
        wording=Wording(row["subject"]),
        is_tentative=True,
    )
    return CalendarPart(content, mime_type("PUBLISH"))
