"""One good customer and event, and all that is known around them."""

from datetime import datetime
from pathlib import Path
from typing import Any

from engage_assets.domain.events import Event
from engage_assets.domain.program import Program
from engage_assets.programs import read_program

EVENTS: Program = read_program(Path(__file__).parent.parent.parent / "programs" / "event-invitations.yaml")
MONDAY = datetime(2026, 11, 23, 2)  # noqa: DTZ001 - UTC without a zone attached


def an_event(**changes: Any) -> Event:
    """An event on Tuesday of the week after, at 15:00 UTC."""
    given = {
        "event_id": "e-1",
        "known_at": datetime(2026, 11, 1),  # noqa: DTZ001 - as above
        "name": "All about clouds",
        "topics": ("cloud computing",),
        "starts_at": datetime(2026, 12, 1, 15),  # noqa: DTZ001 - as above
        "time_zone": "Europe/Berlin",
        "duration_minutes": 60,
    }
    return Event(**{**given, **changes})
