"""A program about events, its catalogue and its registrations, with everything real but the sends: a tests' world."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
import yaml

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain import purchases
from engage_assets.domain.events import CUSTOMER_PROFILES, Event
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import Register, Status
from engage_assets.domain.responses import KnownSend
from engage_assets.domain.sources import SOURCES
from engage_assets.events.openings import seats_of
from engage_assets.events.writing import append
from engage_assets.ledger.attendance import SqlAttendances
from engage_assets.ledger.database import Database
from engage_assets.ledger.dietary import SqlDietaryPreferences
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.ledger.surveys import SqlSurveyAnswers
from engage_assets.serving.registration_events import EventServices, WarehouseFacts
from engage_assets.serving.services import Services
from engage_assets_tests.serving.fakes import FakeContacts, a_send, a_token, some_services

NOW = datetime.fromisoformat("2026-11-20 12:00")
START = datetime.fromisoformat("2026-12-09 17:00")
NAMES = {"c-1": "Ada Canary-Lovelace"}
_DOCUMENTED = Path(__file__).parent.parent / "documented" / "event-invitations.yaml"
_NUMBERS = count(1)


def event_program(**config: Any) -> Program:
    """The documented program; `config` replaces keys of eventConfig."""
    block = yaml.safe_load(_DOCUMENTED.read_text(encoding="utf-8"))
    return Program.model_validate(block | {"eventConfig": block["eventConfig"] | config})


def know_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs name the table of profiles, whose people register."""
    if CUSTOMER_PROFILES.name not in SOURCES:
        source = replace(purchases.SOURCE, table=CUSTOMER_PROFILES, subject_type="event", form="registration")
        monkeypatch.setitem(SOURCES, CUSTOMER_PROFILES.name, source)


def an_event(event_id: str, **changes: Any) -> Event:
    """An evening in Berlin for two."""
    values: dict[str, Any] = {
        "known_at": datetime.fromisoformat("2026-11-01"),
        "name": "Kubernetes in practice",
        "topics": ("kubernetes",),
        "starts_at": START,
        "time_zone": "Europe/Berlin",
        "duration_minutes": 90,
        "event_type": "webinar",
        "speakers": ("Grace Hopper", "Alan Kay"),
        "capacity": 2,
        "join_link": "https://meet.example/k8s",
        "languages": ("en", "de"),
    }
    return Event(event_id=event_id, **(values | changes))


def send_of(customer: str, event_id: str, **changes: Any) -> KnownSend:
    """An invitation that was sent."""
    about = {"program": "event-invitations", "subject_type": "event", "subject_id": event_id, "locale": "en-GB"}
    named = {"send_id": f"{next(_NUMBERS):032x}", "customer_id": customer, "subject_name": "Kubernetes in practice"}
    return a_send(**(named | about | changes))


@dataclass
class Gathering:
    """One event of a service, whose people have links."""

    services: Services
    warehouse: Path
    event_id: str

    @property
    def events(self) -> EventServices:
        assert self.services.events
        return self.services.events

    def invite(self, customer: str, **changes: Any) -> str:
        """A new link of a customer: its token."""
        send = send_of(customer, self.event_id, **changes)
        assert isinstance(self.services.contacts, FakeContacts)
        self.services.contacts.sends[send.send_id] = send
        return a_token("answer", send.send_id)

    def version(self, **changes: Any) -> Event:
        """Add a version of the event, known from now on."""
        known = self.events.facts.events(self.services.clock.now())[self.event_id]
        event = replace(known, **({"known_at": self.services.clock.now()} | changes))
        append(self.warehouse, event)
        return event

    def take(self, *customers: str) -> None:
        """Register customers beside the page."""
        event = self.events.facts.events(self.services.clock.now())[self.event_id]
        seats = seats_of(self.services.programs["event-invitations"], event, frozenset())
        self.events.registrations.take([Register(seats, one, "DE") for one in customers], self.services.clock.now())

    def attend(self, **statuses: Status) -> None:
        """Record who came: `c_1="attended"`."""
        people = {customer.replace("_", "-"): status for customer, status in statuses.items()}
        self.events.registrations.attend("event-invitations", self.event_id, people, self.services.clock.now())

    def status(self, customer: str) -> str | None:
        """The customer's registration."""
        found = self.events.registrations.of_customer("event-invitations", self.event_id, customer)
        return found.status if found else None


@contextmanager
def a_ledger() -> Iterator[Database]:
    """A database in memory where the machine can."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(prefix="engage-", dir=memory if memory.is_dir() else None) as folder:
        database = Database(f"sqlite:///{folder}/ledger.db")
        yield database
        database.close()


def a_gathering(home: Path, database: Database, event: dict[str, Any] | None = None, **config: Any) -> Gathering:
    """A new event in a service over `database`; the warehouse lies in `home`."""
    event_id, warehouse = f"e-{next(_NUMBERS)}", home / "warehouse"
    (warehouse / "crm").mkdir(parents=True, exist_ok=True)
    people = {"customer_id": list(NAMES), "name": list(NAMES.values()), "marketplace": "DE", "time_zone": "Asia/Tokyo"}
    pl.DataFrame(people).write_parquet(warehouse / "crm" / "customers.parquet")
    append(warehouse, an_event(event_id, **(event or {})))
    seconds = count(0, 60)
    facts = WarehouseFacts(Warehouse(warehouse), lambda: next(seconds))
    program = event_program(**config)
    services = some_services(
        home / "photos",
        contacts=FakeContacts(),
        programs={program.program_id: program},
        events=EventServices(
            SqlRegistrations(database),
            SqlDietaryPreferences(database),
            facts,
            SqlSurveyAnswers(database),
            SqlAttendances(database),
        ),
    )
    return Gathering(services, warehouse, event_id)


MINUTE = timedelta(minutes=1)
