"""Seats of events: never more than there are, the line in its order, whatever is asked, on both databases."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from engage_assets.domain.registrations import Applied, Fit, Register, Room, Seats, Withdraw
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.ledger.registrations import SqlRegistrations

NOW = datetime.fromisoformat("2026-03-02 10:00")
DEADLINE = NOW + timedelta(days=8)
MINUTE = timedelta(minutes=1)
PROGRAM = "event-invitations"


@pytest.fixture
def registrations(ledger: SqlLedger) -> SqlRegistrations:
    return SqlRegistrations(ledger.database)


@pytest.fixture
def both(new_pair) -> list[SqlRegistrations]:
    """As two processes have them."""
    return [SqlRegistrations(database) for database in new_pair()]


def some_seats(capacity: int | None = 2, event: str = "e-1", **more) -> Seats:
    return Seats(PROGRAM, event, capacity, DEADLINE, **more)


def register(registrations, customer: str, seats: Seats | None = None, now: datetime = NOW) -> Applied:
    (applied,) = registrations.take([Register(seats or some_seats(), customer, "DE", "email", "s" * 32)], now)
    return applied


def withdraw(registrations, customer: str, seats: Seats | None = None, now: datetime = NOW) -> Applied:
    (applied,) = registrations.take([Withdraw(seats or some_seats(), customer)], now)
    return applied


def names(applied: Applied) -> list[str]:
    return [one.customer_id for one in applied.promoted]


def test_seats_then_the_line_then_a_freed_seat(registrations):
    verdicts = [register(registrations, f"c-{place}", now=NOW + place * MINUTE).verdict for place in range(5)]
    assert verdicts == ["registered", "registered", "wait_listed", "wait_listed", "wait_listed"]
    third = registrations.of_customer(PROGRAM, "e-1", "c-3")
    assert registrations.place(third) == 2

    gone = withdraw(registrations, "c-0", now=NOW + 10 * MINUTE)
    assert (gone.verdict, names(gone)) == ("cancelled", ["c-2"])
    assert registrations.place(third) == 1
    assert [one.customer_id for one in registrations.of_event(PROGRAM, "e-1")] == ["c-1", "c-2", "c-3", "c-4", "c-0"]
    assert registrations.counts(PROGRAM, ["e-1"])["e-1"] == {"registered": 2, "wait_listed": 2, "cancelled": 1}


def test_nothing_stays_of_a_rehearsal(ledger, registrations):
    registrations.warm(NOW)

    assert registrations.of_event("", "") == []
    assert not SqlOutbox(ledger.database).waiting(["candidate_status", "notice", "response"], 10)
    assert register(registrations, "c-1").verdict == "registered"


def test_asked_twice_it_stays_as_it_is(registrations):
    first = register(registrations, "c-1")
    again = register(registrations, "c-1", now=NOW + MINUTE)
    assert (again.verdict, again.registration) == ("unchanged", first.registration)
    withdraw(registrations, "c-1")
    assert withdraw(registrations, "c-1").verdict == "unchanged"
    assert withdraw(registrations, "nobody").verdict == "unchanged"


def test_who_comes_again_goes_to_the_end(registrations):
    for customer in ("c-1", "c-2", "c-3"):
        register(registrations, customer)
    withdraw(registrations, "c-1")  # c-3 moves up
    back = register(registrations, "c-1", now=NOW + MINUTE)
    assert (back.verdict, back.registration.sequence) == ("wait_listed", 2)
    assert back.registration.registered_at == NOW + MINUTE


@pytest.mark.parametrize(
    ("seats", "now", "verdict"),
    [
        (some_seats(), DEADLINE - timedelta(microseconds=1), "registered"),
        (some_seats(), DEADLINE, "closed"),
        (some_seats(is_cancelled=True), NOW, "called_off"),
        (some_seats(0), NOW, "wait_listed"),
        (some_seats(None), NOW, "registered"),
        (some_seats(elsewhere=frozenset({"c-1"})), NOW, "elsewhere"),
        (some_seats(elsewhere=frozenset({"c-8", "c-9"})), NOW, "wait_listed"),
    ],
)
def test_what_an_event_answers(registrations, seats, now, verdict):
    assert register(registrations, "c-1", seats, now).verdict == verdict


def test_nobody_moves_up_after_the_deadline_or_in_a_cancelled_event(registrations):
    for customer in ("c-1", "c-2", "c-3"):
        register(registrations, customer)
    assert names(withdraw(registrations, "c-1", now=DEADLINE)) == []
    assert names(withdraw(registrations, "c-2", some_seats(is_cancelled=True))) == []
    (fitted,) = registrations.take([Fit(some_seats())], NOW)
    assert names(fitted) == ["c-3"]


def test_a_lowered_capacity_removes_nobody_and_a_raised_one_serves_the_line(registrations):
    for customer in ("c-1", "c-2", "c-3", "c-4"):
        register(registrations, customer)
    assert names(withdraw(registrations, "c-1", some_seats(1))) == []
    (raised,) = registrations.take([Fit(some_seats(3))], NOW)
    assert names(raised) == ["c-3", "c-4"]
    assert registrations.counts(PROGRAM, ["e-1"])["e-1"]["registered"] == 3


def test_a_seat_that_both_systems_know_is_one_seat(registrations):
    register(registrations, "c-1")
    both = some_seats(2, elsewhere=frozenset({"c-1"}))
    assert register(registrations, "c-2", both).verdict == "registered"
    assert register(registrations, "c-3", both).verdict == "wait_listed"
    assert names(withdraw(registrations, "c-1", both)) == []  # the other system still gives it
    assert names(withdraw(registrations, "c-2", both)) == ["c-3"]


def test_a_registration_is_an_answer_and_tells_those_who_must_know(ledger, registrations):
    register(registrations, "c-1", some_seats(1))
    register(registrations, "c-2", some_seats(1))
    withdraw(registrations, "c-1", some_seats(1))
    assert SqlContacts(ledger.database).answered(PROGRAM, "c-1", "event", "e-1")
    entries = SqlOutbox(ledger.database).waiting(["candidate_status", "response", "notice"], 100)
    said = Counter(
        (one.topic, one.payload["customer_id"], one.payload["status"]) for one in entries if one.topic != "response"
    )
    steps = [("c-1", "registered"), ("c-2", "wait_listed"), ("c-1", "cancelled"), ("c-2", "registered")]
    assert said == Counter((topic, *step) for topic in ("candidate_status", "notice") for step in steps)
    assert sum(one.topic == "response" for one in entries) == 2
    log = registrations.changes(None, NOW)
    assert sorted(log.select("customer_id", "sequence", "status").rows()) == [
        ("c-1", 0, "registered"), ("c-1", 1, "cancelled"), ("c-2", 0, "wait_listed"), ("c-2", 1, "registered"),
    ]  # fmt: skip
    assert registrations.changes(NOW, NOW + MINUTE).is_empty()


def test_attendance_is_of_those_with_a_seat(registrations):
    for customer in ("c-1", "c-2", "c-3"):
        register(registrations, customer)
    came = {"c-1": "attended", "c-2": "no_show", "c-3": "attended", "stranger": "attended"}
    assert registrations.attend(PROGRAM, "e-1", came, NOW) == 2
    assert registrations.attend(PROGRAM, "e-1", {"c-1": "no_show", "c-2": "attended"}, NOW) == 1
    statuses = {one.customer_id: one.status for one in registrations.of_event(PROGRAM, "e-1")}
    assert statuses == {"c-1": "attended", "c-2": "attended", "c-3": "wait_listed"}


# --- against a naive book --------------------------------------------------------------------------


@dataclass
class Naive:
    """Seats and the line of one event, as a person would keep them on paper."""

    seated: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)

    def take(self, kind: str, customer: str, seats: Seats, now: datetime) -> None:
        is_open = now < seats.deadline and not seats.is_cancelled
        if kind == "register" and is_open and customer not in (*self.seated, *self.line, *seats.elsewhere):
            self.line.append(customer)
        if kind == "withdraw":
            self.line = [one for one in self.line if one != customer]
            self.seated = [one for one in self.seated if one != customer]
        while is_open and self.line and len({*self.seated, *seats.elsewhere}) < seats.seats:
            self.seated.append(self.line.pop(0))


people = st.sampled_from([f"c-{number}" for number in range(7)])
changes = st.one_of(
    st.fixed_dictionaries({"seats": st.integers(0, 4)}),
    st.fixed_dictionaries({"elsewhere": st.frozensets(people, max_size=3)}),
    st.fixed_dictionaries({"is_cancelled": st.sampled_from([False, False, True])}),
    st.fixed_dictionaries({"deadline": st.sampled_from([NOW, DEADLINE, DEADLINE])}),
)
"""What the catalogue and another system say from now on."""
steps = st.tuples(
    st.sampled_from(["register", "register", "withdraw", "fit"]), people, st.one_of(*5 * [st.just({})], changes)
)
FIVE = [("register", f"c-{number}", {}) for number in range(5)]
_NUMBERS = count()
MANY = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(MANY, max_examples=100)
@given(st.integers(0, 4), st.lists(st.lists(steps, min_size=1, max_size=6), max_size=8))
@example(1, [FIVE, [("withdraw", "c-0", {})]])
@example(1, [FIVE, [("fit", "c-0", {"elsewhere": frozenset({"c-1"}), "seats": 3})]])
def test_random_histories_are_those_of_a_naive_book(both, capacity, rounds):
    seats, book, now = some_seats(capacity, f"e-{next(_NUMBERS)}"), Naive(), NOW
    for place, acts in enumerate(rounds):
        taken, got = [], []
        for kind, customer, changed in acts:
            seats = replace(seats, **changed)
            taken.append(_act(kind, customer, seats))
            before = list(book.seated)
            book.take(kind, customer, seats, now)
            got.append([one for one in book.seated if one not in before])
        done = both[place % 2].take(taken, now)
        assert [seated_by(act, applied) for act, applied in zip(taken, done, strict=True)] == got
        assert_is(both[1 - place % 2], seats, book)
        now += MINUTE


def seated_by(act: Register | Withdraw | Fit, applied: Applied) -> list[str]:
    """Who got a seat by an act, first in line first."""
    assert all(one.status == "registered" for one in applied.promoted)
    mine = [act.customer_id] if applied.verdict == "registered" and isinstance(act, Register) else []
    return list(dict.fromkeys([*names(applied), *mine]))


def assert_is(registrations: SqlRegistrations, seats: Seats, book: Naive) -> None:
    """Seats, the line in its order, places in it and what is counted are those of a book."""
    found = registrations.of_event(PROGRAM, seats.event_id)
    assert sorted(one.customer_id for one in found if one.status == "registered") == sorted(book.seated)
    waiting = [one for one in found if one.status == "wait_listed"]
    assert [one.customer_id for one in waiting] == book.line
    assert not any(one.ticket for one in found if one.status != "wait_listed")
    assert [registrations.place(one) for one in waiting] == [place + 1 for place in range(len(waiting))]
    room = registrations.room(seats)
    assert (room.free, room.waiting) == (seats.seats - len({*book.seated, *seats.elsewhere}), len(book.line))


def _act(kind: str, customer: str, seats: Seats) -> Register | Withdraw | Fit:
    if kind == "register":
        return Register(seats, customer, "DE")
    return Withdraw(seats, customer) if kind == "withdraw" else Fit(seats)


@settings(MANY, max_examples=6)
@given(st.integers(0, 6), st.lists(st.lists(st.tuples(st.booleans(), people), max_size=12), min_size=4, max_size=4))
def test_whoever_asks_at_once_no_seat_and_no_place_is_lost_or_given_twice(new_pair, capacity, asking):
    """Four askers, each of people of its own, on two processes: how their acts interleave is the database's affair."""
    pair = [SqlRegistrations(database) for database in new_pair()]
    seats, last = some_seats(capacity), {}

    def ask(asker: int) -> None:
        for wants, name in asking[asker]:
            customer = f"{asker}-{name}"
            done = (register if wants else withdraw)(pair[asker % 2], customer, seats)
            assert wants or done.verdict in ("cancelled", "unchanged")
            last[customer] = wants

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    found = pair[0].of_event(PROGRAM, "e-1")
    standing = {one.customer_id for one in found if one.status != "cancelled"}
    assert standing == {customer for customer, wants in last.items() if wants}
    seated = [one for one in found if one.status == "registered"]
    assert len(seated) == min(len(standing), capacity)
    tickets = [one.ticket for one in found if one.status == "wait_listed"]
    assert tickets == sorted(set(tickets))
    assert pair[1].room(seats) == Room(capacity - len(seated), len(tickets))
    changed = Counter(pair[0].changes(None, NOW)["customer_id"])
    assert changed == {one.customer_id: one.sequence + 1 for one in found}


def test_many_at_once_never_overbook_and_stand_in_the_order_of_their_answers(registrations):
    seats, answered, guard = some_seats(20), [], threading.Lock()

    def person(number: int) -> None:
        customer = f"c-{number}"
        applied = register(registrations, customer, seats)
        with guard:
            answered.append(customer)
        if number % 10 == 3:
            withdraw(registrations, customer, seats)
        assert applied.verdict in ("registered", "wait_listed")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(person, range(60)))
    found = registrations.of_event(PROGRAM, "e-1")
    statuses = Counter(one.status for one in found)
    assert statuses == {"registered": 20, "wait_listed": 34, "cancelled": 6}
    tickets = [one.ticket for one in found if one.status == "wait_listed"]
    assert tickets == sorted(set(tickets))
    late = register(registrations, "late", seats).registration
    assert registrations.place(late) == 35
