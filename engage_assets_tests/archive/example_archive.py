"""A small archive that the documentation asks its questions to: the same changes whenever it is made."""

import random
from datetime import UTC, datetime, timedelta

from engage_assets_tests.archive.changes import change
from engage_assets_tests.archive.mirrored import put

EVENTS = ("evt-arena", "evt-garden", "evt-stadium", "evt-theatre")
ANNOUNCED = datetime(2025, 2, 13, 15, tzinfo=UTC)


def iso(at):
    return f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"


def demand(number, event, at, **date):
    fan = f"fan-{number:04}"
    return {
        "type": "demand",
        "fanId": fan,
        "eventId": event,
        "saleId": f"{event}-public",
        "requestedDateTime": iso(at),
        "email": f"{fan}@example.org",
        "contactMethod": ("email", "sms")[number % 2],
        "date": {"requested": iso(at)} | {name: iso(one) for name, one in date.items()},
    }


def life(number, event, at, chance):
    """A request, mostly a notification, sometimes a deletion."""
    yield change(demand(number, event, at), "INSERT", f"{number}-new", at)
    sent = at + timedelta(seconds=20 + chance.expovariate(1 / 25))
    if chance.random() < 0.7:
        noted = {"triggered": sent - timedelta(seconds=4), "notified": sent}
        yield change(demand(number, event, at, **noted), "MODIFY", f"{number}-sent", sent)
    if chance.random() < 0.1:
        gone = at + timedelta(days=chance.uniform(1, 30))
        yield change(demand(number, event, at), "REMOVE", f"{number}-gone", gone)


def names():
    """The names of one event, as its managers changed them."""
    given = ("Stadium Night", "Stadium Nights", "Stadium Nights 2025")
    for number, (name, day) in enumerate(zip(given, (2, 20, 41), strict=True)):
        at = datetime(2025, 1, 1, 9, tzinfo=UTC) + timedelta(days=day)
        item = {"type": "event", "id": "evt-stadium", "name": name, "date": {"firstSeen": "2025-01-03T09:00:00Z"}}
        yield change(item, "MODIFY" if number else "INSERT", f"event-{number}", at)


def fill(root):
    """Archive 260 requests and what became of them, an announcement's rush, and an event."""
    chance = random.Random(11)
    start = datetime(2024, 10, 1, 8, tzinfo=UTC)
    for number in range(200):
        at = start + timedelta(days=chance.uniform(0, 130))
        put(root, *life(number, EVENTS[number % 4], at, chance), first=f"life-{number}")
    rush = (ANNOUNCED + timedelta(seconds=chance.uniform(0, 300) ** 2 / 300) for _ in range(60))
    moments = enumerate(rush, 200)
    put(root, *(one for number, at in moments for one in life(number, "evt-stadium", at, chance)), first="rush")
    put(root, *names(), first="names")
