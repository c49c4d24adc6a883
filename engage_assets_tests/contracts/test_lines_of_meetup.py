"""Real answers to real invitations, with their changes of mind: seats and lines are those of a book kept by hand."""

import importlib
import re
import sys
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from engage_assets.domain.registrations import Applied, Registration, Seats
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets_tests.contracts.test_registrations import Naive

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
FOLDERS = {"montana": DATA / "meetup_montana", "stream": DATA / "meetup_rsvp_stream"}

pytestmark = [
    pytest.mark.shared_data,
    pytest.mark.skipif(
        not all(folder.is_dir() for folder in FOLDERS.values()),
        reason=f"needs {' and '.join(map(str, FOLDERS.values()))}: docs/meetup/README.md",
    ),
]


@pytest.fixture
def replaying(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "meetup"))
    yield importlib.import_module("replay_meetup")
    sys.modules.pop("replay_meetup", None)


def answers(replaying, name: str) -> list:
    return getattr(replaying, name)(FOLDERS[name])


def kept_by_hand(told: list, capacity: int) -> dict[str, Naive]:
    """Books of all events; who gets a seat by an answer is compared as it comes."""
    books: dict[str, Naive] = defaultdict(Naive)
    for answer, applied in told:
        book, deadline = books[answer.event_id], answer.at + timedelta(days=not answer.is_late)
        seated = list(book.seated)
        seats = Seats("a program", answer.event_id, capacity, deadline)
        book.take("register" if answer.is_yes else "withdraw", answer.customer_id, seats, answer.at)
        assert seated_by(answer.customer_id, applied) == [one for one in book.seated if one not in seated]
        assert len(book.seated) <= capacity
    return books


def seated_by(customer: str, applied: Applied) -> list[str]:
    """Who got a seat, first in line first."""
    promoted = [one.customer_id for one in applied.promoted]
    return promoted if applied.verdict != "registered" or customer in promoted else [*promoted, customer]


def compared(replaying, registrations: SqlRegistrations, name: str, *, at_once: int) -> list:
    """Replays a data set, and compares it answer by answer, and event by event in the end."""
    capacity = replaying.CAPACITY[name]
    told = list(replaying.replay(registrations, answers(replaying, name), capacity, at_once=at_once))
    books = kept_by_hand(told, capacity)
    seated, lines = standing(registrations, replaying.PROGRAM)
    for event, book in books.items():
        assert sorted(one.customer_id for one in seated[event]) == sorted(book.seated)
        assert [one.customer_id for one in lines[event]] == book.line
    return told


def standing(registrations: SqlRegistrations, program: str) -> list[dict[str, list[Registration]]]:
    """By event who has a seat, and who stands in line, in the order of their tickets."""
    found: list[dict[str, list[Registration]]] = [defaultdict(list), defaultdict(list)]
    for by_event, status in zip(found, ("registered", "wait_listed"), strict=True):
        people = registrations.with_status(program, [status], None, 100_000)
        for one in sorted(people, key=lambda one: one.ticket or 0):
            by_event[one.event_id].append(one)
    return found


@pytest.mark.parametrize(("name", "full"), [("montana", 175), ("stream", 8)])
def test_real_answers_never_overbook_and_lines_keep_their_order(replaying, sqlite_ledger, name, full):
    registrations = SqlRegistrations(sqlite_ledger.database)
    told = compared(replaying, registrations, name, at_once=replaying.AT_ONCE)
    counts = replaying.counted(told, registrations)
    assert counts["events with a line"] >= full
    assert counts["most seats taken"] == replaying.CAPACITY[name]
    assert documented(name) == [str(value) for value in counts.values()]


def documented(name: str) -> list[str]:
    """The numbers of a data set's column in the table of the page."""
    page = (ROOT / "docs" / "meetup" / "README.md").read_text(encoding="utf-8")
    table = page[page.index("| | Montana | the stream |") :].split("\n\n")[0]
    column = {"montana": 2, "stream": 3}[name]
    cells = [line.split("|")[column].strip().replace(",", "") for line in table.splitlines()[2:]]
    return [cell for cell in cells if re.fullmatch(r"\d+", cell)]


@pytest.mark.soak
@pytest.mark.parametrize("name", FOLDERS)
def test_one_by_one_on_both_databases(replaying, ledger, name):
    compared(replaying, SqlRegistrations(ledger.database), name, at_once=1)


@pytest.mark.soak
def test_answers_that_come_side_by_side_never_overbook(replaying, ledger):
    registrations, given = SqlRegistrations(ledger.database), answers(replaying, "stream")
    capacity, parts = replaying.CAPACITY["stream"], 6

    def ask(part: int) -> list:
        return list(replaying.replay(registrations, given[part::parts], capacity, at_once=16))

    with ThreadPoolExecutor(parts) as pool:
        told = [pair for part in pool.map(ask, range(parts)) for pair in part]
    assert len(told) == len(given)
    seated, lines = standing(registrations, replaying.PROGRAM)
    assert max(map(len, seated.values())) == capacity
    assert len(lines) >= 8
    for event, line in lines.items():
        assert len(seated[event]) == capacity
        assert len({one.ticket for one in line}) == len(line)
