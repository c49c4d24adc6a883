"""Sessions and purchases of a log, over all days it has."""

from dataclasses import dataclass
from datetime import date, datetime

from engage_assets_tests.summaries.naive_events import Event, by_session


@dataclass
class Session:
    """A session: where it starts, and its events by time."""

    name: str
    date: date
    hour: int
    events: list[Event]

    def has(self, kind: str) -> bool:
        return any(event.kind == kind for event in self.events)

    def seconds(self) -> float:
        return (self.events[-1].at - self.events[0].at).total_seconds()


def all_sessions(events: list[Event]) -> list[Session]:
    """Each session starts with its first session.start, else with its first event."""
    made = []
    for name, own in by_session(events).items():
        starts = [event for event in own if event.kind == "session_start"]
        start = (starts or own)[0]
        made.append(Session(name, start.day, start.hour, own))
    return made


def counted_purchases(events: list[Event]) -> list[Event]:
    """The first event of each order, and each without an order id."""
    orders: dict[str, Event] = {}
    alone = []
    for event in events:
        if event.kind != "purchase":
            continue
        order = event.values.get("order")
        if order is None:
            alone.append(event)
        elif order not in orders or purchase_place(event) < purchase_place(orders[order]):
            orders[order] = event
    return alone + list(orders.values())


def purchase_place(event: Event) -> tuple[datetime, tuple, tuple, tuple, str]:
    """Time, session, amount, payment method, event id; what is null comes first."""
    parts = (event.session, event.amount, event.values.get("payment"))
    return (event.at, *((part is not None, part if part is not None else 0) for part in parts), event.event_id)
