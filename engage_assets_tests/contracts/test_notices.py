"""Whatever happens to registrations and events, and whenever a process dies: nobody is told what is not so, or twice.

Random histories on the real ledger, with ticks at random times and crashes at the places where a tick may end.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from engage_assets.domain.notices import OF_ONE_CHANGE, SurveyAnswer, window_of
from engage_assets.domain.registrations import Register, Seats
from engage_assets.domain.sends import Answer, Letter, Send
from engage_assets.events.catalogue import change_between
from engage_assets.events.notices import RECALLED, late_survey_at, survey_at
from engage_assets.ledger import tables
from engage_assets.ledger.ledger import LEASE
from engage_assets.ledger.notices import SqlNotices
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.ledger.surveys import SqlSurveyAnswers
from engage_assets_tests.defs.small_notices import NOW, PEOPLE, PROGRAM, Town, emptied

MINUTE = timedelta(minutes=1)
EVENT = "e-1"
STARTS = NOW + timedelta(hours=32)
WHO = st.sampled_from(sorted(PEOPLE))
PEOPLE_ACT = st.tuples(st.sampled_from(["register", "withdraw", "subscribe"]), WHO)
RARE = st.one_of(
    st.tuples(st.just("silence"), WHO),
    st.tuples(st.just("starts"), st.sampled_from([0, 1, 24, -3])),
    st.tuples(st.just("status"), st.sampled_from(["scheduled", "scheduled", "cancelled"])),
    *2 * [st.tuples(st.just("capacity"), st.sampled_from([0, 1, 2, None]))],
    *2 * [st.tuples(st.just("crash"), st.tuples(st.sampled_from(["plan", "claim", "settle", "done"]), WHO))],
)
TIME = st.one_of(
    st.tuples(st.just("tick"), st.none()), st.tuples(st.just("wait"), st.sampled_from([1, 20, 60, 119, 300, 1500]))
)
CAME = st.one_of(st.tuples(st.sampled_from(["attend", "attend", "stayed", "no_show", "answer"]), WHO), TIME)
BEFORE, AFTER = st.lists(st.one_of(*3 * [PEOPLE_ACT], RARE, *2 * [TIME]), max_size=6), st.lists(CAME, max_size=5)


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """People register, days pass, some come: with anything between."""
    steps = [("register", who) for who in draw(st.lists(WHO, max_size=4))]
    steps += [("subscribe", who) for who in draw(st.lists(WHO, max_size=3))]
    for hours, few in ((-31, BEFORE), (-25, BEFORE), (-9, BEFORE), (-1, BEFORE), (2, AFTER), (17, AFTER), (24, AFTER)):
        steps += [*draw(few), ("until", hours), *draw(st.sampled_from([[], [("tick", None)]]))]
    return [*steps, *draw(AFTER)]


HISTORIES = histories()
CHANGED = {"registered": "confirmation", "wait_listed": "wait_listed", "cancelled": "withdrawn"}
STANDS = {"registered", "wait_listed"}
MAY_HEAR = {kind: {status} for status, kind in CHANGED.items()}
MAY_HEAR |= {"promoted": {"registered"}, "reminder": {"registered"}, "survey": {"attended"}}
MAY_HEAR |= {"moved": STANDS, "called_off": STANDS}
"""Who may be told what, said once more: the product's own table is what is tested."""


class Killed(Exception):
    """The process ends here."""


class History:
    """A town whose every letter is looked at when it is handed over."""

    def __init__(self, folder: Path, database: Any) -> None:
        self.town = Town(folder, database)
        self.faults: list[str] = []
        self.seen: Counter[tuple[Any, ...]] = Counter()
        self.silent: set[str] = set()
        self.ticks: list[datetime] = []
        self.is_dying = False
        self.crashed_at = NOW - LEASE
        self.town.mail.answer = self.town.push.answer = self.look
        self.town.event(EVENT, starts_at=STARTS, capacity=2)

    def run(self, steps: list[tuple[str, Any]]) -> None:
        for act, what in steps:
            getattr(self, act)(what)
            self.town.clock.time += timedelta(seconds=1)
        for minutes in (11, 11, 11, *5 * [360]):  # leases end, what was given back is taken up again, a day goes by
            self.wait(minutes)
            self.tick(None)
        for minutes in 2 * [0, *5 * [360]]:
            self.wait(minutes)
            for who in PEOPLE if not minutes else ():  # the platform counts once more
                self.stayed(who)
            self.tick(None)

    def register(self, who: str) -> None:
        self.town.register(who, EVENT)

    def withdraw(self, who: str) -> None:
        if self.town.clock.time < self.event.starts_at:  # the page gives nothing back later
            self.town.withdraw(who, EVENT)

    def attend(self, who: str) -> None:
        if self.town.clock.time >= self.event.starts_at and not self.event.is_cancelled:
            self.town.attend("attended", who, event_id=EVENT)

    def stayed(self, who: str) -> None:
        """An import says something else of how long he was there, or that he was there at all."""
        if self.town.clock.time >= self.event.ends_at and not self.event.is_cancelled:
            minutes = float(len(self.ticks))
            self.town.registrations.attend(PROGRAM, EVENT, {who: "attended"}, self.town.clock.time, {who: minutes})

    def no_show(self, who: str) -> None:
        if self.town.clock.time >= self.event.ends_at and not self.event.is_cancelled:
            self.town.attend("no_show", who, event_id=EVENT)

    def answer(self, who: str) -> None:
        said = SurveyAnswer(PROGRAM, EVENT, who, "DE", 4, self.town.clock.time)
        SqlSurveyAnswers(self.town.database).keep(said, self.town.clock.time)

    def silence(self, who: str) -> None:
        self.town.ledger.opt_out(who, self.town.clock.time)
        self.silent.add(who)

    def subscribe(self, who: str) -> None:
        self.town.addresses.keep(who, f'{{"endpoint": "https://push.example/{who}"}}', self.town.clock.time)

    def starts(self, hours: int) -> None:
        self.town.event(EVENT, starts_at=STARTS + timedelta(hours=hours))

    def status(self, status: str) -> None:
        self.town.event(EVENT, status=status)

    def capacity(self, seats: int | None) -> None:
        self.town.event(EVENT, capacity=seats)
        self.town.fit(EVENT)

    def wait(self, minutes: int) -> None:
        self.town.clock.time += minutes * MINUTE

    def until(self, hours: int) -> None:
        """Hours after the start as it is known, if that lies ahead."""
        self.town.clock.time = max(self.town.clock.time, self.event.starts_at + timedelta(hours=hours))

    def tick(self, _: None) -> None:
        now = self.town.clock.time
        self.ticks.append(now)
        self.town.tick()
        if now > self.crashed_at + LEASE:  # else a dead process may hold what somebody ought to hear
            self.faults += self.unaware([row for row in self.town.rows().values() if row["kind"]])

    def crash(self, at: tuple[str, str]) -> None:
        """Somebody changes his mind, and the tick after it ends right after what it wrote (done: right before)."""
        where, who = at
        standing = self.standing(who)
        (self.register if standing is None or standing.status == "cancelled" else self.withdraw)(who)
        self.town.clock.time += timedelta(seconds=1)
        owner: Any = self.town.outbox if where == "done" else self.town.ledger
        method = getattr(owner, where)
        setattr(owner, where, self.dies(method, is_done=where != "done"))
        self.is_dying = True
        self.crashed_at = self.town.clock.time
        try:
            self.town.tick()
        except Killed:
            pass
        finally:
            setattr(owner, where, method)
            self.is_dying = False

    def dies(self, method: Callable[..., Any], *, is_done: bool) -> Callable[..., Any]:
        def dying(*args: Any, **kwargs: Any) -> None:
            if is_done:
                method(*args, **kwargs)
            raise Killed

        return dying

    @property
    def event(self) -> Any:
        return self.town.known()[EVENT]

    def standing(self, who: str) -> Any:
        return self.town.registrations.of_customer(PROGRAM, EVENT, who)

    def look(self, letter: Letter) -> Answer:
        """Whether what a letter says is so at this moment."""
        row, now = self.town.row(letter), self.town.clock.time
        who, kind = row["customer_id"], row["kind"]
        standing, event = self.standing(who), self.event
        self.seen[who, kind, row["channel"], kind != "survey" and row["slot_at"], row["sequence"]] += 1
        checks = {
            "a status that it is not told in": standing.status in MAY_HEAR[kind],
            "another change": kind not in OF_ONE_CHANGE or standing.sequence == row["sequence"],
            "somebody who wants nothing": who not in self.silent,
            "too late": now <= row["slot_at"] + window_of(kind),
            "too early": now >= row["slot_at"],
            "an event that does not take place": not event.is_cancelled or kind in ("called_off", "withdrawn"),
            "an event that does": event.is_cancelled or kind != "called_off",
            "one that began": kind != "reminder" or now < event.starts_at,
            "one that is not over": kind != "survey" or now >= event.ends_at,
            "an answered survey": kind != "survey" or not SqlSurveyAnswers(self.town.database).of(PROGRAM, EVENT, who),
        }
        self.faults += [f"{who} was told {kind} at {now}: {what}" for what, is_so in checks.items() if not is_so]
        return Answer("sent")

    def untold(self) -> list[str]:
        """Changes that nobody was told of, without a good reason."""
        rows = [row for row in self.town.rows().values() if row["kind"]]
        found = [f"{row['customer_id']}: {row['kind']} {row['state']} {row['reason']}"
                 for row in rows if row["state"] in ("planned", "claimed", "handed_over")]  # fmt: skip
        told = {(row["customer_id"], row["sequence"]): row for row in rows if row["kind"] in OF_ONE_CHANGE}
        changes = self.changes()
        was = {(who, sequence): status for who, sequence, status, _ in changes}
        for who, sequence, status, at in changes:
            is_promotion = status == "registered" and was.get((who, sequence - 1)) == "wait_listed"
            row, standing = told.get((who, sequence)), self.standing(who)
            if row is None:
                found.append(f"{who}: {status} {sequence} is nowhere")
            elif row["kind"] != ("promoted" if is_promotion else CHANGED[status]):
                found.append(f"{who}: {status} {sequence} was told as {row['kind']}")
            elif row["state"] == "skipped" and not self.is_good(row, standing):
                found.append(f"{who}: {status} {sequence} at {at} was skipped as {row['reason']}")
        return found + self.unaware(rows) + self.unasked(rows)

    def unasked(self, rows: list[Any]) -> list[str]:
        """Who came, and was not asked how it was at the next such hour."""
        asked = {row["customer_id"] for row in rows if row["kind"] == "survey"}
        people = [self.standing(who) for who in sorted(set(PEOPLE) - self.silent - asked)]
        came = [one for one in people if one and one.status == "attended" and not self.event.is_cancelled]
        zone_of = self.town.bureau.lookout._zones(came)
        found = []
        for one in came:
            zone = zone_of[one.customer_id]
            due_at = max(survey_at(self.event, zone), late_survey_at(one.changed_at, zone))
            if any(due_at <= tick < due_at + RECALLED for tick in self.ticks):
                found.append(f"{one.customer_id} came and was not asked")
        return found

    def is_good(self, row: Any, standing: Any) -> bool:
        reason, now = row["reason"], self.town.clock.time
        if reason == "OPTED_OUT":
            return row["customer_id"] in self.silent
        if reason == "SEND_WINDOW_MISSED":
            return bool(now > row["slot_at"] + window_of(row["kind"]))
        is_off = any(one.is_cancelled for one in self.versions()) or now >= self.event.ends_at
        return reason == "SUPERSEDED" and (standing.sequence > row["sequence"] or is_off)

    def unaware(self, rows: list[Any]) -> list[str]:
        """Who believes that the event takes place at another time than it does, or at all."""
        found, versions, now = [], self.versions(), self.town.clock.time
        for who in sorted(set(PEOPLE) - self.silent):
            standing = self.standing(who)
            if standing is None or standing.status not in MAY_HEAR["moved"]:
                continue
            mine = [row for row in rows if row["customer_id"] == who and row["state"] in ("sent", "in_doubt")]
            heard = [row["sequence"] for row in mine if row["kind"] in ("moved", "called_off")]
            knows = max([sum(one.known_at <= standing.registered_at for one in versions), *heard])
            change = change_between(versions[knows - 1], versions[-1])
            changed = [
                place for place, one in enumerate(versions) if place and change_between(versions[place - 1], one)
            ]
            is_news = change is not None and now < versions[-1].ends_at and now < versions[knows - 1].ends_at
            is_late = changed and now > versions[changed[-1]].known_at + window_of("moved")
            if is_news and not is_late:
                found.append(f"{who} knows {versions[knows - 1]} and not {versions[-1]}")
        return found

    def versions(self) -> list[Any]:
        return list(self.town.bureau.lookout.histories(self.town.clock.time)[EVENT].history)

    def changes(self) -> list[Any]:
        log, of = tables.registration_changes.c, tables.registrations.c
        query = select(of.customer_id, log.sequence, log.status, log.at).join_from(
            tables.registration_changes, tables.registrations, log.registration_id == of.registration_id
        )
        with self.town.database.reading() as connection:
            return [
                row for row in connection.execute(query) if row.status in ("registered", "wait_listed", "cancelled")
            ]


def check(new_pair: Callable[[], Any], steps: list[tuple[str, Any]]) -> None:
    with TemporaryDirectory(prefix="engage-") as folder:
        history = History(Path(folder), new_pair()[0])
        history.run(steps)
        assert history.faults == []
        assert [what for what, times in history.seen.items() if times > 1] == []
        assert history.untold() == []


def test_a_notice_about_no_registration_is_not_told_and_is_nobody_elses_to_skip(ledger):
    def a_send(who: str, kind: str | None) -> Send:
        about = {"program": PROGRAM, "campaign_id": "p:email:2026-12-01:DE", "subject_id": EVENT, "channel": "email"}
        return Send(
            customer_id=who, slot_at=NOW, cap_scope="p", is_solicitation=kind is None, kind=kind, sequence=0, **about
        )

    notice, question = a_send("ada", "reminder"), a_send("bob", None)
    ledger.plan([notice, question], NOW)
    assert ledger.overdue(PROGRAM, NOW + MINUTE) == [question.send_id]
    claims = ledger.claim([notice.send_id, question.send_id], NOW)
    assert (claims.won, claims.refused) == ([question.send_id], {notice.send_id: "SUPERSEDED"})


def test_of_two_surveys_about_one_event_the_first_alone_is_claimed(ledger):
    registrations = SqlRegistrations(ledger.database)
    registrations.take([Register(Seats(PROGRAM, EVENT, 9, STARTS), "ada", "DE")], NOW)
    registrations.take([Register(Seats(PROGRAM, EVENT, 9, STARTS), "bob", "US")], NOW)
    registrations.attend(PROGRAM, EVENT, {"ada": "attended"}, STARTS)
    (ada,) = registrations.of_event(PROGRAM, EVENT, NOW)
    found = registrations.of_customers(PROGRAM, [(EVENT, "ada"), (EVENT, "cho"), ("e-2", "ada")])
    assert (ada.status, found) == ("attended", {(EVENT, "ada"): ada})
    first, second, third = (
        Send(PROGRAM, f"{PROGRAM}:email:{day}:DE", "ada", EVENT, "email", STARTS + day * timedelta(hours=1), "p",
             is_solicitation=False, kind="survey", sequence=0)
        for day in range(3)
    )  # fmt: skip
    ledger.plan([first, second, third], STARTS)
    ledger.move([first.send_id], "skipped", STARTS, "TEST_ACCOUNT")
    claims = ledger.claim([third.send_id, second.send_id], STARTS + timedelta(hours=3))
    assert (claims.won, claims.refused) == ([second.send_id], {third.send_id: "SUPERSEDED"})
    assert SqlNotices(ledger.database).asked(PROGRAM, EVENT, ["ada", "bob"]) == {"ada"}


NOBODY_HEARS = [
    *[("register", "ada"), ("withdraw", "ada"), ("until", -9), ("tick", None)],  # when she would be reminded
    *[("register", "cho"), ("until", 0), ("wait", 20), ("tick", None)],  # reminded an hour before the start, or never
    *[("until", 2), ("no_show", "cho"), ("until", 24), ("tick", None)],  # when who came is asked
]
"""At each of these ticks somebody would be told what must not be told."""
ALL_HEAR = [
    *[("register", "ada"), ("register", "bob"), ("register", "cho"), ("tick", None)],
    *[("withdraw", "ada"), ("tick", None), ("starts", 24), ("tick", None), ("starts", 0), ("tick", None)],
]
"""A place in line that becomes a seat, a move, and a move back to what was known first."""
PATIENT = {"suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow], "deadline": None}


@settings(max_examples=5, **PATIENT)
@given(HISTORIES)
@example(NOBODY_HEARS)
@example(ALL_HEAR)
def test_nobody_is_told_what_is_not_so_and_nothing_is_lost(sqlite_pair, steps):
    check(lambda: [emptied(sqlite_pair[0])], steps)


@pytest.mark.soak
@settings(max_examples=200, **PATIENT)
@given(HISTORIES)
def test_in_long_histories_on_both_databases_too(new_pair, steps):
    check(new_pair, steps)
