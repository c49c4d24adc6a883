"""Whatever becomes of an event meanwhile: an invitation, by mail or as a banner, goes out only while it may be taken.

Random histories on the real ledger: who registers, what the catalogue says, what another system sold, ticks between.
"""

from datetime import datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engage_assets.defs import list_stages
from engage_assets.domain.events import EVENTS, PAST_REGISTRATIONS, Event
from engage_assets.domain.registrations import SEATED, Register, Seats, Withdraw
from engage_assets.domain.sends import Answer, Letter
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.domain.tables import EMAIL_CAMPAIGNS
from engage_assets.events.catalogue import Catalogue
from engage_assets.events.openings import seats_of
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets_tests.defs.small_events import add_version, path_of
from engage_assets_tests.defs.small_notices import Keeper
from engage_assets_tests.defs.test_banner_delivery import BERLIN, EVENT, MONDAY, PROGRAM, World

MEMORY = Path("/dev/shm")
HOUR = timedelta(hours=1)
MAILED = BERLIN - 4 * HOUR
DUE = (MAILED, BERLIN, MAILED + 6 * HOUR, BERLIN + 6 * HOUR)
"""Hours of mail and banner, in Berlin and in New York."""
INVITED = ("c-002", "c-006", "c-010", "c-014", "c-018", "c-000")
ANYBODY = st.sampled_from([*INVITED, *3 * ("c-001", "c-003", "c-005")])
ACTS = st.one_of(
    *4 * [st.tuples(st.just("register"), ANYBODY)],
    *2 * [st.tuples(st.just("withdraw"), ANYBODY)],
    st.tuples(st.just("elsewhere"), ANYBODY),
    st.tuples(st.just("capacity"), st.sampled_from([0, 1, 2, 3, None])),
    st.tuples(st.just("deadline"), st.sampled_from([9, 10, 13, 14, 19, 48])),
    st.tuples(st.just("status"), st.sampled_from(["scheduled", "scheduled", "cancelled"])),
    *2 * [st.tuples(st.just("wait"), st.sampled_from([0.25, 0.25, 1, 2.01]))],
    st.tuples(st.just("tick"), st.none()),
)
HISTORIES = st.tuples(*[st.lists(ACTS, max_size=4)] * (len(DUE) + 1))
"""What happens before and after each of the hours."""
FULL, FREED = [("capacity", 1), ("register", "c-001")], [("withdraw", "c-001")]
LINE_WAITS = [("register", "c-003"), ("register", "c-005"), ("capacity", 2)]


class Invitations(World):
    """A week's mails and banners, each looked at as it goes out."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.registrations, self.now = SqlRegistrations(self.database), MAILED - HOUR
        self.sender: Any = Keeper(self.mailed)
        self.faults: list[str] = []
        self.fates: dict[str, str] = {}
        listed = list_stages.list_for_email(self.batch, self.scored.lazy(), self.listed("email"))
        mails = pl.concat(list_stages.render_campaigns(self.batch, listed.lazy()))
        self.lake.write((PROGRAM.key, EMAIL_CAMPAIGNS.name), str(MONDAY), mails)
        both = pl.concat(frame.select("send_id", "customer_id", "slot_at") for frame in (mails, self.banners))
        self.sends: dict[str, tuple[str, datetime]] = {one: (who, slot) for one, who, slot in both.iter_rows()}

    def run(self, history: tuple[list[tuple[str, Any]], ...]) -> None:
        for hour, acts in zip((*DUE, None), history, strict=True):
            for name, value in acts:
                getattr(self, name)(value)
                self.now += timedelta(seconds=1)
            if hour:
                self.now = max(self.now, hour)
                self.tick()

    def register(self, who: str) -> None:
        self.registrations.take([Register(self.seats, who, "DE")], self.now)

    def withdraw(self, who: str) -> None:
        self.registrations.take([Withdraw(self.seats, who)], self.now)

    def elsewhere(self, who: str) -> None:
        path = path_of(self.home.warehouse, PAST_REGISTRATIONS)
        known = pl.read_parquet(path)
        row = {"customer_id": who, "event_id": EVENT, "registered_at": self.now, "attended": None}
        pl.concat([known, pl.DataFrame([row], schema=known.schema)]).write_parquet(path)

    def capacity(self, seats: int | None) -> None:
        add_version(self.home.warehouse, EVENT, known_at=self.now, capacity=seats)

    def deadline(self, hour: int) -> None:
        """It starts a day after an hour of the Monday, UTC."""
        starts = datetime.combine(MONDAY, time()) + timedelta(days=1, hours=hour)
        add_version(self.home.warehouse, EVENT, known_at=self.now, starts_at=starts)

    def status(self, status: str) -> None:
        add_version(self.home.warehouse, EVENT, known_at=self.now, status=status)

    def wait(self, hours: float) -> None:
        self.now += hours * HOUR

    def tick(self, _: None = None) -> None:
        """A delivery: what it did, and what it left, is compared with what was so at this moment."""
        before = self.fates
        self.deliver()
        events = self.ledger.send_events(None, self.now + HOUR)
        self.fates = {row["send_id"]: row["reason"] or row["state"] for row in events.iter_rows(named=True)}
        for send_id, (who, slot) in self.sends.items():
            fate, was = self.fates.get(send_id, "planned"), before.get(send_id, "planned")
            allowed = {was}
            if was == "planned" and self.now >= slot:
                allowed = self.reasons(who) or {"sent"} if self.now <= slot + SEND_WINDOW else {"SEND_WINDOW_MISSED"}
            if fate not in allowed:
                self.faults.append(f"{who}, due at {slot}, at {self.now}: {fate}, not {sorted(allowed)}")

    def mailed(self, letter: Letter) -> Answer:
        who, _ = self.sends[letter.send_id]
        self.faults += [f"{who} got a mail at {self.now}: {reason}" for reason in self.reasons(who)]
        return Answer("sent")

    def reasons(self, who: str) -> set[str]:
        """Why somebody must not be invited now."""
        event, seats, asked = self.event, self.seats, self.registrations.of_event(PROGRAM.program_id, EVENT)
        taken = {*seats.elsewhere, *(one.customer_id for one in asked if one.status in SEATED)}
        is_open = not event.is_cancelled and self.now < seats.deadline and len(taken) < (seats.seats or 0)
        has_answered = who in taken or who in {one.customer_id for one in asked}
        return {*(() if is_open else ["SUBJECT_CLOSED"]), *(["ALREADY_ANSWERED"] if has_answered else [])}

    @property
    def event(self) -> Event:
        catalogue = Catalogue.of(pl.read_parquet(path_of(self.home.warehouse, EVENTS)))
        return catalogue.known(self.now)[EVENT]

    @property
    def seats(self) -> Seats:
        past = pl.read_parquet(path_of(self.home.warehouse, PAST_REGISTRATIONS)).filter(event_id=EVENT)
        return seats_of(PROGRAM, self.event, frozenset(past["customer_id"]))


def check(history: tuple[list[tuple[str, Any]], ...]) -> None:
    with TemporaryDirectory(prefix="engage-", dir=MEMORY if MEMORY.is_dir() else None) as folder:
        invitations = Invitations(Path(folder))
        invitations.run(history)
        invitations.database.close()
        assert invitations.faults == []


@settings(max_examples=4)
@given(HISTORIES)
@example((FULL, FREED, LINE_WAITS, [], []))
def test_none_goes_out_for_what_is_closed_full_called_off_or_answered_and_none_is_held_back_else(history):
    check(history)


@pytest.mark.soak
@settings(max_examples=100)
@given(HISTORIES)
def test_nor_in_many_histories(history):
    check(history)
