"""The gate at the send: whom a claim refuses, and that no history of claims breaks a cap."""

import threading
import time
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from engage_assets.domain.operations import address_hash
from engage_assets.domain.responses import Interaction, Preferences, Response
from engage_assets.domain.sends import Cap, ClaimRules, Claims, Move, Send
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.tables import sends as sends_table
from engage_assets_tests.contracts.sends import DAY, HOUR, MINUTE, NOW, SLOT, TICK, a_send, hand_over, ids

WINDOW = timedelta(days=30)
LATE = SLOT + 2 * HOUR + TICK
ADDRESS = "c-1@example.invalid"


def claimed(ledger: SqlLedger, send: Send, now: datetime = SLOT, **rules) -> str:
    """`won`, or the reason against a send, which is planned first."""
    ledger.plan([send], NOW)
    claims = ledger.claim([send.send_id], now, ClaimRules(**rules))
    return "won" if claims.won else claims.refused[send.send_id]


def asked(ledger: SqlLedger, customer: str = "c-1", **changes) -> None:
    """A send that has gone out."""
    send = a_send(customer, **changes)
    hand_over(ledger, send, now=send.slot_at, then="sent")


def opt_out(ledger: SqlLedger, customer: str = "c-1", **scope) -> None:
    ledger.opt_out(customer, NOW, **scope)


def answer(ledger: SqlLedger, customer: str = "c-1", **changes) -> None:
    said = {"program": "product-reviews", "marketplace": "DE", "subject_type": "product", "subject_id": "p-1"}
    given = Response(customer_id=customer, rating=5, at=NOW, **(said | changes))
    assert SqlContacts(ledger.database).respond(given, NOW) == "new"


def suppress(ledger: SqlLedger, customer: str | None = None, address: str | None = None) -> None:
    lists = [[one] if one else [] for one in (customer, address)]
    SqlOperations(ledger.database).suppress(*lists, who="ada", source="list.csv", now=NOW)


# --- the reasons ----------------------------------------------------------------------------------


def test_nothing_against_a_send_and_it_is_won(ledger):
    assert claimed(ledger, a_send(), cap=Cap(1, WINDOW), addresses={"c-1": address_hash(ADDRESS)}) == "won"


ORDER = ["SEND_WINDOW_MISSED", "RETURNED", "SUPPRESSED", "OPTED_OUT", "ALREADY_ANSWERED", "FREQUENCY_CAP", "won"]


@pytest.mark.parametrize("number", range(len(ORDER)))
def test_the_first_reason_is_told(ledger, number):
    """Each time there is one cause less against the send."""
    against, send = ORDER[number:], a_send()
    if "FREQUENCY_CAP" in against:
        asked(ledger, subject_id="p-9", slot_at=SLOT - DAY)
    if "ALREADY_ANSWERED" in against:
        answer(ledger)
    if "OPTED_OUT" in against:
        opt_out(ledger)
    if "SUPPRESSED" in against:
        suppress(ledger, "c-1")
    barred = {send.send_id: "RETURNED"} if "RETURNED" in against else {}
    now = LATE if "SEND_WINDOW_MISSED" in against else SLOT

    assert claimed(ledger, send, now, barred=barred, cap=Cap(1, WINDOW)) == ORDER[number]


def test_a_refused_send_is_skipped_for_good(ledger):
    send = a_send()
    opt_out(ledger)

    assert claimed(ledger, send) == "OPTED_OUT"
    assert ledger.claim([send.send_id], SLOT) == Claims([], {})
    log = ledger.send_events(None, SLOT)
    assert log.select("state", "reason").rows() == [("planned", None), ("skipped", "OPTED_OUT")]


@pytest.mark.parametrize(
    ("now", "outcome"), [(SLOT - DAY, "won"), (SLOT + 2 * HOUR, "won"), (LATE, "SEND_WINDOW_MISSED")]
)
def test_a_send_is_too_late_two_hours_after_its_slot(ledger, now, outcome):
    assert claimed(ledger, a_send(), now) == outcome


@pytest.mark.parametrize(
    ("listed", "outcome"),
    [
        ({"customer": "c-1"}, "SUPPRESSED"),
        ({"address": f" {ADDRESS.upper()}"}, "SUPPRESSED"),
        ({"customer": "c-2", "address": "c-2@example.invalid"}, "won"),
    ],
)
def test_suppression_is_by_customer_and_by_address(ledger, listed, outcome):
    suppress(ledger, **listed)

    assert claimed(ledger, a_send(), addresses={"c-1": address_hash(ADDRESS)}) == outcome


@pytest.mark.parametrize(
    ("scope", "outcome"),
    [
        ({}, "OPTED_OUT"),
        ({"program": "product-reviews"}, "OPTED_OUT"),
        ({"channel": "email"}, "OPTED_OUT"),
        ({"program": "product-reviews", "channel": "email"}, "OPTED_OUT"),
        ({"program": "music-feedback"}, "won"),
        ({"channel": "push"}, "won"),
        ({"program": "product-reviews", "channel": "push"}, "won"),
        ({"program": "music-feedback", "channel": "email"}, "won"),
    ],
)
def test_an_opt_out_bars_what_it_names(ledger, scope, outcome):
    opt_out(ledger, **scope)
    opt_out(ledger, "c-2")

    assert claimed(ledger, a_send()) == outcome


def test_a_revoked_opt_out_bars_nothing(ledger):
    contacts = SqlContacts(ledger.database)
    contacts.set_preferences("c-1", Preferences(everything=True), NOW)
    assert claimed(ledger, a_send(subject_id="p-1")) == "OPTED_OUT"

    contacts.set_preferences("c-1", Preferences(), NOW)
    assert claimed(ledger, a_send(subject_id="p-2")) == "won"


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ({}, "ALREADY_ANSWERED"),
        ({"subject_id": "p-2"}, "won"),
        ({"subject_type": "track"}, "won"),
        ({"program": "music-feedback"}, "won"),
    ],
)
def test_who_answered_is_not_asked_about_the_same(ledger, said, outcome):
    answer(ledger, **said)

    assert claimed(ledger, a_send()) == outcome


@pytest.mark.parametrize("is_changed", [False, True])
def test_who_answers_another_channel_before_the_mail_is_claimed_gets_none(ledger, is_changed):
    """A mail waits for its slot, another channel asks and is answered, perhaps twice, and then the slot comes."""
    mail, question = a_send(), a_send(channel="voice-assistant", slot_at=NOW)
    ledger.plan([mail], NOW)
    hand_over(ledger, question, then="sent")
    contacts = SqlContacts(ledger.database)
    for up in (True, False)[: 1 + is_changed]:
        said = Response("product-reviews", "c-1", "DE", "product", "p-1", None, NOW, question.send_id, is_positive=up)
        contacts.respond(said, NOW, may_edit=True)

    claims = ledger.claim([mail.send_id], SLOT)

    assert claims == Claims([], {mail.send_id: "ALREADY_ANSWERED"})
    assert contacts.send(mail.send_id).state == "skipped"


def test_an_answer_while_a_mail_is_on_its_way_stops_nothing_and_counts_once(ledger):
    mail = a_send()
    hand_over(ledger, mail)
    answer(ledger)
    ledger.move([mail.send_id], "sent", SLOT)

    assert SqlContacts(ledger.database).send(mail.send_id).state == "sent"
    assert ledger.responses(None, SLOT)["version"].to_list() == [1]


@pytest.mark.parametrize("kind", ["complaint", "bounce"])
def test_messages_that_ask_nothing_obey_suppression_and_opt_outs_but_no_cap(ledger, kind):
    asked(ledger, subject_id="p-9")
    answer(ledger)
    assert claimed(ledger, a_send(is_solicitation=False), cap=Cap(0, WINDOW)) == "won"

    opt_out(ledger, "c-2")
    assert claimed(ledger, a_send("c-2", is_solicitation=False)) == "OPTED_OUT"

    went_out = a_send("c-3", subject_id="p-9")
    hand_over(ledger, went_out, then="sent")
    event = Interaction("e-1", went_out.send_id, kind, NOW, "ses", is_permanent=kind == "bounce" or None)
    SqlContacts(ledger.database).record([event], NOW)
    assert claimed(ledger, a_send("c-3", is_solicitation=False)) == "SUPPRESSED"


# --- the cap --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("others", "maximum", "outcome"),
    [
        ([{"slot_at": SLOT - WINDOW + TICK}], 1, "FREQUENCY_CAP"),
        ([{"slot_at": SLOT - WINDOW}], 1, "won"),
        ([{"slot_at": SLOT}], 1, "FREQUENCY_CAP"),
        ([{"slot_at": SLOT}], 2, "won"),
        ([], 0, "FREQUENCY_CAP"),
        ([{"subject_id": "p-1", "channel": "push"}], 1, "won"),
        ([{"channel": "email"}, {"channel": "push"}], 2, "won"),
        ([{}, {"subject_type": "track", "program": "music-feedback"}], 2, "FREQUENCY_CAP"),
        ([{}, {"subject_type": "track", "program": "music-feedback"}], 3, "won"),
        ([{"program": "music-feedback"}], 1, "FREQUENCY_CAP"),
        ([{"program": "music-feedback", "cap_scope": "music-feedback"}], 1, "won"),
        ([{"is_solicitation": False}], 1, "won"),
        # Two that lie a window apart, and the new one between them.
        ([{"slot_at": SLOT - WINDOW + HOUR, "subject_id": "p-8"}, {"slot_at": SLOT + HOUR}], 2, "won"),
        ([{"slot_at": SLOT - WINDOW + 2 * HOUR, "subject_id": "p-8"}, {"slot_at": SLOT + HOUR}], 2, "FREQUENCY_CAP"),
    ],
)
def test_a_cap_counts_subjects_of_its_scope_in_every_window_around_the_slot(ledger, others, maximum, outcome):
    for other in others:
        asked(ledger, **({"subject_id": "p-9"} | other))

    assert claimed(ledger, a_send(), cap=Cap(maximum, WINDOW)) == outcome


def test_a_late_claim_counts_the_window_of_its_slot(ledger):
    asked(ledger, subject_id="p-9", slot_at=SLOT - WINDOW + TICK)

    assert claimed(ledger, a_send(), SLOT + 2 * HOUR, cap=Cap(1, WINDOW)) == "FREQUENCY_CAP"


@pytest.mark.parametrize(
    ("then", "outcome"),
    [("sent", "FREQUENCY_CAP"), ("in_doubt", "FREQUENCY_CAP"), (None, "FREQUENCY_CAP"), ("failed", "won")],
)
def test_only_what_failed_gives_its_quota_back(ledger, then, outcome):
    hand_over(ledger, a_send(subject_id="p-9"), then=then)

    assert claimed(ledger, a_send(), cap=Cap(1, WINDOW)) == outcome


def test_a_claim_given_back_frees_its_quota(ledger):
    first, second, third = (a_send(subject_id=f"p-{number}") for number in range(3))
    assert claimed(ledger, first, cap=Cap(1, WINDOW)) == "won"
    assert claimed(ledger, second, cap=Cap(1, WINDOW)) == "FREQUENCY_CAP"

    ledger.release([first.send_id], SLOT)

    assert claimed(ledger, third, cap=Cap(1, WINDOW)) == "won"


def test_the_first_of_one_claim_use_the_quota_up(ledger):
    sends = [a_send(subject_id=f"p-{number}") for number in (3, 1, 2)]
    ledger.plan(sends, NOW)

    claims = ledger.claim(ids(sends), SLOT, ClaimRules(cap=Cap(2, WINDOW)))

    assert claims == Claims(ids(sends[:2]), {sends[2].send_id: "FREQUENCY_CAP"})


@pytest.mark.parametrize(
    ("other", "outcome"),
    [
        ({"priority": 1}, "FREQUENCY_CAP"),
        ({"priority": 2}, "won"),
        ({"priority": 3}, "won"),
        ({"priority": 1, "slot_at": SLOT + WINDOW}, "won"),
        ({"priority": 1, "slot_at": SLOT + WINDOW - TICK}, "FREQUENCY_CAP"),
        ({"priority": 1, "slot_at": SLOT - 2 * HOUR}, "FREQUENCY_CAP"),
        ({"priority": 1, "slot_at": SLOT - 2 * HOUR - TICK}, "won"),
        ({"priority": 1, "subject_id": "p-1"}, "won"),
        ({"priority": 1, "cap_scope": "another"}, "won"),
        ({"priority": 1, "is_solicitation": False}, "won"),
    ],
)
def test_what_a_stronger_program_has_planned_keeps_its_quota(ledger, other, outcome):
    """The claim is that of a program of priority 2, at its slot."""
    ledger.plan([a_send(**({"program": "music-feedback", "subject_id": "p-9"} | other))], NOW)

    assert claimed(ledger, a_send(priority=2), cap=Cap(1, WINDOW)) == outcome


# --- any history ----------------------------------------------------------------------------------

CUSTOMERS = 25
STEP = timedelta(hours=6)
SETTLED = {"claimed", "handed_over", "sent", "in_doubt"}
_histories = count()


@dataclass(frozen=True)
class Asker:
    """A program of the common cap scope."""

    name: str
    cap: Cap
    priority: int


@dataclass
class History:
    """What one run of random steps knows of its own customers: the sends of each program, and where they stand."""

    random: Random
    ledger: SqlLedger
    now: datetime = NOW
    states: dict[str, str] = field(default_factory=dict)
    handed: Counter[str] = field(default_factory=Counter)

    def __post_init__(self):
        number, random = next(_histories), self.random
        self.askers = [
            Asker(f"program-{name}", Cap(random.choice([0, 1, 1, 2, 2, 3]), random.randint(1, 12) * STEP), priority)
            for name, priority in zip("abc", random.choices([1, 2, 3], k=3), strict=True)
        ]
        self.sends = {
            send.send_id: send
            for customer in range(CUSTOMERS)
            for asker in self.askers
            for subject, channel in random.sample([(s, c) for s in range(3) for c in ("email", "push")], k=3)
            for send in [
                a_send(
                    f"c-{number}-{customer}",
                    program=asker.name,
                    subject_id=f"p-{subject}",
                    channel=channel,
                    slot_at=NOW + random.randint(0, 14) * STEP,
                    cap_scope="common",
                    priority=asker.priority,
                    is_solicitation=random.random() < 0.9,
                )
            ]
        }

        self.of_customer = defaultdict(list)
        for key, send in self.sends.items():
            self.of_customer[send.customer_id].append((key, send))

    def some(self, *states: str, of: str | None = None, share: float = 0.5) -> list[str]:
        """Random sends in some states, of a program."""
        found = [one for one, state in self.states.items() if state in states and of in (None, self.sends[one].program)]
        return self.random.sample(found, k=round(len(found) * share))

    def plan(self) -> None:
        new = self.random.sample([*self.sends], k=len(self.sends) // 3)
        added = self.ledger.plan([self.sends[one] for one in new], self.now)
        assert added == len(set(new) - self.states.keys())
        self.states |= dict.fromkeys(set(new) - self.states.keys(), "planned")

    def claim(self) -> None:
        asker = self.random.choice(self.askers)
        wanted = [*self.some("planned", of=asker.name, share=0.8), *self.some(*SETTLED, share=0.1)]
        wanted = [one for one in wanted if self.sends[one].program == asker.name]
        claims = self.ledger.claim(wanted, self.now, ClaimRules(cap=asker.cap))
        assert {*claims.won, *claims.refused} == {one for one in wanted if self.states[one] == "planned"}
        for one in wanted:
            if one in claims.refused:
                assert claims.refused[one] == self.reason(one, asker.cap)
                self.states[one] = "skipped"
            elif one in claims.won:
                assert self.reason(one, asker.cap) is None
                self.states[one] = "claimed"
        for one in claims.won:
            assert self.sends[one].slot_at + 2 * HOUR >= self.now
            if self.sends[one].is_solicitation:
                assert self.most(one, asker.cap, SETTLED) <= asker.cap.maximum

    def reason(self, one: str, cap: Cap) -> str | None:
        """Why a planned send must be refused now."""
        send = self.sends[one]
        if send.slot_at + 2 * HOUR < self.now:
            return "SEND_WINDOW_MISSED"
        return (
            "FREQUENCY_CAP"
            if send.is_solicitation and self.most(one, cap, SETTLED, planned=True) > cap.maximum
            else None
        )

    def most(self, one: str, cap: Cap, states: set[str], *, planned: bool = False) -> int:
        """Most subjects of the customer in a window that holds `one`, which counts; all slots lie on whole steps."""
        send = self.sends[one]
        asks = [
            (other.slot_at, other.subject_id)
            for key, other in self.of_customer[send.customer_id]
            if other.is_solicitation and (self.states.get(key) in states or (planned and self.keeps(key, send)))
        ]
        ends = [send.slot_at + step * STEP for step in range(cap.window // STEP)]
        return max(len({send.subject_id, *(s for at, s in asks if end - cap.window < at <= end)}) for end in ends)

    def keeps(self, key: str, send: Send) -> bool:
        """Whether a planned send keeps quota from `send`."""
        other = self.sends[key]
        is_stronger = other.priority < send.priority and other.slot_at + 2 * HOUR >= self.now
        return self.states.get(key) == "planned" and is_stronger

    def release(self) -> None:
        some = self.some("claimed", share=0.2)
        self.ledger.release([*some, *self.some("sent", "handed_over")], self.now)
        self.states |= dict.fromkeys(some, "planned")

    def hand_over(self) -> None:
        some = self.some(*SETTLED, "planned", "failed", share=0.4)
        lost = self.ledger.settle([Move(one, "handed_over") for one in some], self.now)
        assert lost == {one for one in some if self.states[one] != "claimed"}
        self.handed.update(set(some) - lost)
        self.states |= dict.fromkeys(set(some) - lost, "handed_over")

    def end(self) -> None:
        ends = {one: self.random.choice(["sent", "failed", "in_doubt"]) for one in self.some("handed_over")}
        ends |= dict.fromkeys(self.some("in_doubt"), "failed") | dict.fromkeys(
            self.some("claimed", share=0.1), "failed"
        )
        self.ledger.settle([Move(one, state) for one, state in ends.items()], self.now)
        self.states |= ends

    def wait(self) -> None:
        self.now += self.random.choice([0 * HOUR, HOUR, 2 * HOUR, STEP, 3 * STEP])

    def live(self) -> None:
        """Two plans and a claim, then whatever comes."""
        for step in [self.plan, self.claim, self.plan, *self.random.choices(self.steps(), k=9)]:
            step()
        assert not self.handed or max(self.handed.values()) == 1
        assert self.states == self.stored()

    def steps(self):
        return [self.plan, *[self.claim] * 4, self.release, self.hand_over, self.end, *[self.wait] * 3]

    def stored(self) -> dict[str, str]:
        customers = {send.customer_id for send in self.sends.values()}
        query = select(sends_table.c.send_id, sends_table.c.state).where(sends_table.c.customer_id.in_(customers))
        with self.ledger.database.reading() as connection:
            return {row.send_id: row.state for row in connection.execute(query)}


_many = settings(max_examples=45, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_many
@given(seed=st.integers(0, 2**32))
def test_no_history_of_any_customer_breaks_a_cap(sqlite_ledger, seed):
    """Each example is the history of CUSTOMERS customers: more than a thousand in all."""
    History(Random(seed), sqlite_ledger).live()


@settings(_many, max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_no_history_on_postgresql_breaks_a_cap(postgres_ledger, seed):
    History(Random(seed), postgres_ledger).live()


# --- at once --------------------------------------------------------------------------------------


def test_two_programs_that_claim_the_same_customers_at_once_keep_the_cap(postgres_ledger, postgres_pair):
    ledgers = [postgres_ledger, SqlLedger(postgres_pair[1])]
    programs = ("product-reviews", "music-feedback")
    plans = {
        program: [
            a_send(f"c-{number}", program=program, subject_id=f"{program}-{subject}", cap_scope="common")
            for number in range(60)
            for subject in range(2)
        ]
        for program in programs
    }
    for plan in plans.values():
        ledgers[0].plan(plan, NOW)
    start = threading.Barrier(2)

    def claim_all(ledger: SqlLedger, program: str, seed: int) -> list[str]:
        order = Random(seed).sample(ids(plans[program]), k=len(plans[program]))
        start.wait()
        rules = ClaimRules(cap=Cap(2, WINDOW))
        return [one for at in range(0, len(order), 15) for one in ledger.claim(order[at : at + 15], SLOT, rules).won]

    with ThreadPoolExecutor(2) as pool:
        won = [one for some in pool.map(claim_all, ledgers, programs, (1, 2)) for one in some]
    customers = {send.send_id: send.customer_id for plan in plans.values() for send in plan}

    assert Counter(customers[one] for one in won) == {f"c-{number}": 2 for number in range(60)}


def test_what_was_planned_and_claimed_while_a_claim_waited_counts(postgres_ledger):
    """The first claim waits for another program's send of c-0; meanwhile a send of c-1 appears and is won."""
    other_process = SqlLedger(postgres_ledger.url)
    wanted = [a_send("c-0"), a_send("c-1", subject_id="p-1")]
    others = (a_send("c-0", subject_id="p-2", program=f"program-{number}") for number in range(1_000))
    held = next(other for other in others if other.send_id < min(ids(wanted)))
    late = a_send("c-1", subject_id="p-9", program="music-feedback")
    rules = ClaimRules(cap=Cap(1, WINDOW))
    postgres_ledger.plan([held, *wanted], NOW)

    with ThreadPoolExecutor(1) as pool:
        with other_process.database.reading() as holder:
            query = select(sends_table).where(sends_table.c.send_id == held.send_id).with_for_update()
            holder.execute(query).all()
            claim = pool.submit(postgres_ledger.claim, ids(wanted), SLOT, rules)
            wait_for_one_who_waits(other_process)
            other_process.plan([late], NOW)
            assert other_process.claim([late.send_id], SLOT, rules).won == [late.send_id]
        claims = claim.result(timeout=10)
    other_process.close()

    assert claims == Claims([wanted[0].send_id], {wanted[1].send_id: "FREQUENCY_CAP"})


def test_a_claim_goes_past_what_another_process_is_claiming(postgres_ledger):
    """Two that go through the same sends both progress: nobody waits for what he would not get."""
    other_process = SqlLedger(postgres_ledger.url)
    sends = [a_send("c-0"), a_send("c-1")]
    postgres_ledger.plan(sends, NOW)

    with other_process.database.reading() as holder:
        query = select(sends_table).where(sends_table.c.send_id == sends[0].send_id).with_for_update()
        holder.execute(query).all()
        assert postgres_ledger.claim(ids(sends), SLOT).won == [sends[1].send_id]
    assert postgres_ledger.claim(ids(sends), SLOT).won == [sends[0].send_id]
    other_process.close()


def test_two_plans_at_once_ask_a_customer_about_a_subject_once(postgres_ledger):
    """Two lists want the same question for different slots, and none can see the other's rows yet."""
    slots = [SLOT, SLOT + DAY]
    start = threading.Barrier(2)

    def plan(slot: datetime) -> None:
        ledger = SqlLedger(postgres_ledger.url)
        sends = [a_send(f"c-{number}", slot_at=slot) for number in range(100)]
        ledger.states("none")
        start.wait()
        ledger.plan(sends, NOW)
        ledger.close()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(plan, slots))

    assert postgres_ledger.states(a_send().campaign_id) == {"planned": 100, "skipped": 100}


def test_a_cut_is_not_starved_by_writers_who_overlap(postgres_ledger):
    is_over = threading.Event()

    def write() -> None:
        while not is_over.is_set():
            with postgres_ledger.database.writing() as connection:
                connection.execute(text("SELECT pg_sleep(0.02)"))

    with ThreadPoolExecutor(6) as pool:
        writers = [pool.submit(write) for _ in range(6)]
        try:
            slowest = slowest_cut(postgres_ledger)
        finally:
            is_over.set()
        for writer in writers:
            writer.result()

    assert slowest < 2.0


def slowest_cut(ledger: SqlLedger) -> float:
    """Seconds that the slowest of three cuts took."""
    taken = []
    for number in range(3):
        time.sleep(0.05)
        began = time.monotonic()
        ledger.send_events(None, NOW + number * MINUTE)
        taken.append(time.monotonic() - began)
    return max(taken)


def wait_for_one_who_waits(ledger: SqlLedger) -> None:
    """Until some session of the database waits for a lock."""
    query = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
    for _ in range(500):
        with ledger.database.reading() as connection:
            if connection.execute(query).scalar_one():
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")
