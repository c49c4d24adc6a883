"""A program about events, its catalogue and its real ledger, with transports that keep what they are given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import polars as pl
from icalendar import Calendar
from sqlalchemy import delete, select

from engage_assets.channels.links import Links
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.event_desk import Bureau
from engage_assets.defs.event_due import Lookout
from engage_assets.defs.event_notices import Noticed, deliver_notices
from engage_assets.domain.events import Event
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import Act, Fit, Register, Seats, Status, Withdraw
from engage_assets.domain.sends import Answer, Letter
from engage_assets.domain.tokens import Signer
from engage_assets.events.catalogue import Catalogue
from engage_assets.events.openings import seats_of
from engage_assets.events.writing import append
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.notices import SqlNotices
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.ledger.push_addresses import SqlPushSubscriptions
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.programs import ProgramFolder, load_folder
from engage_assets.watermark import Watermark
from engage_assets_tests.defs.homes import PROGRAMS

PROGRAM = "event-invitations"
START = datetime.fromisoformat("2026-12-09 17:00")
"""18:00 in Berlin, a Wednesday."""
NOW = datetime.fromisoformat("2026-12-01 09:00")
PEOPLE = {
    "ada": ("DE", "Europe/Berlin", "de-DE"),
    "bob": ("US", "America/New_York", "en-US"),
    "cho": ("JP", None, "ja-JP"),
    "dan": ("US", "Asia/Kolkata", None),
}


@dataclass
class HandClock:
    """A clock that a test sets."""

    time: datetime = NOW
    is_declared = False

    def now(self) -> datetime:
        return self.time


@dataclass
class Keeper:
    """A transport and its line: keeps every letter, and says how it ended."""

    answer: Callable[[Letter], Answer] = lambda _: Answer("sent")
    letters: list[Letter] = field(default_factory=list)
    transport = "kept"
    leaves_machine = False
    lines = 1
    per_second: float | None = None

    def open(self) -> "Keeper":
        return self

    def hand_over(self, letter: Letter) -> Answer:
        self.letters.append(letter)
        return self.answer(letter)

    def close(self) -> None:
        pass


@cache
def programs() -> ProgramFolder:
    """This project's own."""
    return load_folder(PROGRAMS)


def emptied(database: Database) -> Database:
    """The same without a row."""
    with database.writing() as connection:
        for table in reversed(tables.metadata.sorted_tables):
            if table is not tables.gate:
                connection.execute(delete(table))
    return database


def event_program(**push: Any) -> Program:
    """The program of this project; `push` replaces keys of its push channel."""
    program = programs().programs[PROGRAM]
    channels = tuple(
        one.model_copy(update={"config": one.config.model_copy(update=push)}) if one.type == "push" else one
        for one in program.channels
    )
    return program.model_copy(update={"channels": channels})


class Town:
    """People, events, and what they are told."""

    def __init__(self, folder: Path, database: Database, program: Program | None = None) -> None:
        self.clock, self.mail, self.push = HandClock(), Keeper(), Keeper()
        self.program = program or event_program(fallback="email")
        self.root = folder / "warehouse"
        self.warehouse = Warehouse(self.root)
        self.ledger = SqlLedger(database, Random(1))
        self.operations = SqlOperations(database)
        self.registrations = SqlRegistrations(database)
        self.outbox = SqlOutbox(database)
        self.notices = SqlNotices(database)
        self.addresses = SqlPushSubscriptions(database)
        self.database = database
        marketplaces = programs().marketplaces
        lookout = Lookout(self.program, marketplaces, self.warehouse, self.registrations, self.notices, self.outbox)
        self.bureau = Bureau(
            lookout, self.ledger, self.operations, self.addresses, self.mail, self.push, self.clock,
            Watermark(folder / "watermark.json"), Links("https://shop.example", Signer({1: b"k" * 32}, 1)),
        )  # fmt: skip
        self.people(PEOPLE)

    def people(
        self,
        people: Mapping[str, tuple[str, str | None, str | None]],
        address: str = "{0}@canary.example",
        *,
        keep: bool = False,
    ) -> None:
        """Write the customers; `keep`: in place of those alone who are named."""
        rows = [(name, *where, f"{name.title()} Canary", address.format(name)) for name, where in people.items()]
        names = ("customer_id", "marketplace", "time_zone", "locale", "name", "email")
        path = self.root / "crm" / "customers.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        new = pl.DataFrame(rows, schema=dict.fromkeys(names, pl.String()), orient="row")
        old = pl.read_parquet(path).join(new, on="customer_id", how="anti") if keep else new.clear()
        pl.concat([old, new]).write_parquet(path)

    def event(self, event_id: str = "e-1", **changes: Any) -> Event:
        """Add a version of an event."""
        known = self.known().get(event_id)
        values: dict[str, Any] = {
            "name": "Kubernetes in practice", "topics": ("kubernetes",), "starts_at": START,
            "time_zone": "Europe/Berlin", "duration_minutes": 90, "join_link": "https://meet.example/k8s",
        }  # fmt: skip
        first = Event(event_id=event_id, known_at=self.clock.now(), **(values | changes))
        event = replace(known, **{"known_at": self.clock.now()} | changes) if known else first
        append(self.root, event)
        return event

    def known(self) -> dict[str, Event]:
        folder = self.root / "events" / "events"
        files = sorted(folder.glob("*.parquet")) if folder.is_dir() else []
        return (
            Catalogue.of(pl.concat([pl.read_parquet(file) for file in files])).known(self.clock.now()) if files else {}
        )

    def seats(self, event_id: str = "e-1") -> Seats:
        return seats_of(self.program, self.known()[event_id], frozenset())

    def register(self, customer: str, event_id: str = "e-1") -> None:
        market = PEOPLE[customer][0]
        self.act(Register(self.seats(event_id), customer, market, "email", "5" * 32))

    def withdraw(self, customer: str, event_id: str = "e-1") -> None:
        self.act(Withdraw(self.seats(event_id), customer))

    def fit(self, event_id: str = "e-1") -> None:
        self.act(Fit(self.seats(event_id)))

    def act(self, act: Act) -> None:
        self.registrations.take([act], self.clock.now())

    def attend(self, status: Status, *customers: str, event_id: str = "e-1") -> None:
        self.registrations.attend(PROGRAM, event_id, dict.fromkeys(customers, status), self.clock.now())

    def tick(self, at: str | datetime | None = None) -> Noticed:
        """What is due is told, at an instant."""
        if at is not None:
            self.clock.time = datetime.fromisoformat(at) if isinstance(at, str) else at
        return deliver_notices(self.bureau)

    def told(self) -> list[tuple[str, str]]:
        """Who got a letter of which kind since the last look, in order; with `!` by push."""
        found = [*((letter, "!") for letter in self.push.letters), *((letter, "") for letter in self.mail.letters)]
        self.push.letters, self.mail.letters = [], []
        return [
            (row["customer_id"], row["kind"] + mark) for row, mark in ((self.row(one), mark) for one, mark in found)
        ]

    def row(self, letter: Letter) -> Mapping[str, Any]:
        return self.rows()[letter.send_id]

    def rows(self) -> dict[str, Mapping[str, Any]]:
        """Every send with its present state and reason, by key."""
        states = tables.send_states
        joined = select(tables.sends, states.c.reason).join_from(
            tables.sends,
            states,
            (states.c.send_id == tables.sends.c.send_id) & (states.c.step == tables.sends.c.step),
        )
        with self.database.reading() as connection:
            return {row["send_id"]: row for row in connection.execute(joined).mappings()}

    def ends(self) -> set[tuple[str, str, str, str | None]]:
        """Customer, kind, state and reason of every notice."""
        return {(row["customer_id"], row["kind"], row["state"], row["reason"]) for row in self.rows().values()}


def read(letter: Letter) -> EmailMessage:
    """A mail, as a mail program reads it."""
    return message_from_bytes(letter.content, policy=policy.default)  # type: ignore[return-value]


def entry_of(letter: Letter) -> tuple[str, Any] | None:
    """Method and entry of a mail's calendar file."""
    part = next((one for one in read(letter).walk() if one.get_content_type() == "text/calendar"), None)
    if part is None:
        return None
    calendar = Calendar.from_ical(part.get_content())
    return str(calendar["METHOD"]), calendar.events[0]
