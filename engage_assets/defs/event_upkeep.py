"""What follows from an event's end: when people were asked last, and what is kept of them for a time only."""

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.event_stages import config_of
from engage_assets.domain.attendance import KEPT_MARKS, Attendances
from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import KEPT_DIETARY, DietaryPreferences
from engage_assets.events.catalogue import Catalogue, invited_by
from engage_assets.events.notices import survey_at

LAST_ZONE: Final = "Etc/GMT+12"
"""Where every local time comes last."""


def erase_dietary(dietary: DietaryPreferences, warehouse: Warehouse, now: datetime) -> int:
    """Erase what is due and return how much it was.

    An event that moved counts as it stands now; of one that the catalogue has lost, what was known of it last.
    """
    kept = dietary.events()
    if not kept:
        return 0
    events = known_events(warehouse, now)
    due = [
        key
        for key, erase_at in kept.items()
        if now >= (events[key[1]].ends_at + KEPT_DIETARY if key[1] in events else erase_at)
    ]
    return sum(dietary.erase(*key) for key in sorted(due))


def erase_marks(attendances: Attendances, warehouse: Warehouse, now: datetime) -> int:
    """Erase joins and leaves that are due and return how many there were; who came stays in the registrations.

    Of an event that the catalogue has lost, the time runs from what was told last.
    """
    kept = attendances.events()
    if not kept:
        return 0
    events = known_events(warehouse, now)
    ended = {key: events[key[1]].ends_at if key[1] in events else told_at for key, told_at in kept.items()}
    return sum(attendances.erase(*key) for key, at in sorted(ended.items()) if now >= at + KEPT_MARKS)


def known_events(warehouse: Warehouse, now: datetime) -> dict[str, Event]:
    """The events of the catalogue as they are known at `now`; none where there is no catalogue."""
    return _catalogue(warehouse).known(now)


def last_said(program: Program, warehouse: Warehouse, now: datetime) -> Callable[[date], datetime | None]:
    """When the last survey of a Monday's events is due, wherever people live. An event counts as it stands at `now`."""
    catalogue = _catalogue(warehouse)
    stands = catalogue.known(now)

    def last_of(monday: date) -> datetime | None:
        known = catalogue.known(program.cadence.batch_instant(monday))
        events = invited_by(known, monday, config_of(program).invite_lead_days)
        taking_place = [stands[one.event_id] for one in events if not stands[one.event_id].is_cancelled]
        return max((survey_at(one, LAST_ZONE) for one in taking_place), default=None)

    return last_of


def _catalogue(warehouse: Warehouse) -> Catalogue:
    table = warehouse.scan(EVENTS, str(EVENTS.database))
    return Catalogue.of(table.collect()) if table is not None else Catalogue(())
