"""What is kept of registrations for a time only: dietary preferences, erased a week after their event's end."""

from datetime import datetime

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.events import EVENTS, Event
from engage_assets.domain.registrations import KEPT_DIETARY, DietaryPreferences
from engage_assets.events.catalogue import Catalogue


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


def known_events(warehouse: Warehouse, now: datetime) -> dict[str, Event]:
    """The events of the catalogue as they are known at `now`; none where there is no catalogue."""
    table = warehouse.scan(EVENTS, str(EVENTS.database))
    return Catalogue.of(table.collect()).known(now) if table is not None else {}
