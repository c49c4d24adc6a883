"""Questions asked on demand: one a session, once a subject over all channels, within the cap that programs share."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select, text

from engage_assets.domain.prompts import Issued, Recorded, Reply, Wish, session_key
from engage_assets.domain.responses import Response
from engage_assets.domain.sends import Cap, ClaimRules, Move, Send
from engage_assets.ledger import tables
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.ledger.prompts import SqlPrompts
from engage_assets_tests.contracts.sends import HOUR, MINUTE, NOW, SLOT, a_send, hand_over, ids

WEEK = timedelta(days=7)
MAIL = ClaimRules(once_with=frozenset({"speaker"}), types={"speaker": "voice", "email": "email"})
TYPES = {"speaker": "voice", "email": "email"}
OPEN = ("candidate_status", "response")


@pytest.fixture
def prompts(ledger: SqlLedger) -> SqlPrompts:
    return SqlPrompts(ledger.database)


def a_question(customer: str = "c-1", at: datetime = SLOT, **changes) -> Send:
    """What would ask a customer by voice at an instant."""
    good = {"channel": "speaker", "campaign_id": "product-reviews:speaker:2026-11-19:DE", "slot_at": at}
    return a_send(customer, **(good | changes))


def a_wish(*sends: Send, session: str = "s-1", cap: Cap | None = None, minutes: int = 30, **changes) -> Wish:
    sends = sends or (a_question(),)
    customer, at = sends[0].customer_id, sends[0].slot_at
    rules = ClaimRules(cap=cap, types=TYPES)
    good = {"session": session_key(customer, session), "customer_id": customer, "expires_at": at + minutes * MINUTE}
    return replace(Wish(sends=sends, rules=rules, **good), **changes)


def ask(prompts: SqlPrompts, *sends: Send, now: datetime = SLOT, **changes) -> Issued:
    """What became of one wish."""
    (issued,) = prompts.take([a_wish(*sends, **changes)], now)
    return issued


def reply(prompts: SqlPrompts, send_id: str, now: datetime, customer: str = "c-1", *, yes: bool = True) -> str:
    (recorded,) = prompts.take([Reply(send_id, customer, yes)], now)
    return recorded.result


def waiting(ledger: SqlLedger) -> list[tuple[str, str]]:
    entries = SqlOutbox(ledger.database).waiting(OPEN, 100)
    return [(entry.topic, entry.payload.get("status", "")) for entry in entries]


# --- asking ---------------------------------------------------------------------------------------


def test_a_prompt_is_a_send_that_went_out_at_once(ledger, prompts):
    send = a_question(subject_name="A lamp", locale="de-AT")

    issued = ask(prompts, send)

    assert issued.prompt == prompts.find(send.send_id) == prompts.of_session(session_key("c-1", "s-1"))
    assert (issued.prompt.send_id, issued.prompt.subject_name, issued.prompt.answer) == (send.send_id, "A lamp", None)
    assert (issued.prompt.issued_at, issued.prompt.expires_at) == (SLOT, SLOT + 30 * MINUTE)
    log = ledger.send_events(None, SLOT)
    assert log["state"].to_list() == ["planned", "claimed", "handed_over", "sent"]
    assert set(log.select("at", "slot_at", "channel", "is_solicitation").rows()) == {(SLOT, SLOT, "speaker", True)}
    assert waiting(ledger) == [("candidate_status", "delivered")]


def test_a_session_is_asked_once_and_a_retry_gets_the_same(ledger, prompts):
    first = ask(prompts)

    assert ask(prompts, a_question(at=SLOT + MINUTE), now=SLOT + MINUTE) == first
    assert ask(prompts, a_question(at=SLOT + MINUTE), subject_id="p-1", now=SLOT + MINUTE) == first
    other = a_question(at=SLOT + MINUTE, subject_id="p-2")
    assert ask(prompts, other, subject_id="p-2", now=SLOT + MINUTE) == Issued(None, "SESSION_ASKED")
    assert ask(prompts, a_question(at=SLOT + HOUR), now=SLOT + 30 * MINUTE) == Issued(None, "SESSION_ASKED")
    assert ask(prompts, other, session="s-2", now=SLOT + MINUTE).prompt.subject_id == "p-2"
    assert ledger.states(a_question().campaign_id) == {"sent": 2}

    reply(prompts, first.prompt.send_id, SLOT + MINUTE)
    assert ask(prompts, a_question(at=SLOT + MINUTE), now=SLOT + MINUTE) == Issued(None, "SESSION_ASKED")


def test_the_first_question_that_nothing_speaks_against_is_asked(ledger, prompts):
    hand_over(ledger, a_send(subject_id="p-1"), then="sent")
    questions = [a_question(subject_id=f"p-{number}") for number in (1, 2, 3)]

    assert ask(prompts, *questions).prompt.subject_id == "p-2"
    assert ask(prompts, questions[0], session="s-2") == Issued(None, "ALREADY_ASKED")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("planned", "ALREADY_ASKED"),
        ("claimed", "ALREADY_ASKED"),
        ("handed_over", "ALREADY_ASKED"),
        ("sent", "ALREADY_ASKED"),
        ("in_doubt", "ALREADY_ASKED"),
        ("failed", None),
        ("held_out", None),
    ],
)
def test_who_was_or_will_be_asked_by_mail_is_not_asked_by_voice(ledger, prompts, state, reason):
    mail = a_send()
    if state in ("planned", "held_out", "claimed"):
        ledger.plan([mail], NOW)
    else:
        hand_over(ledger, mail, then=None if state == "handed_over" else state)
    if state == "claimed":
        ledger.claim([mail.send_id], NOW)
    if state == "held_out":
        ledger.move([mail.send_id], "held_out", NOW)

    assert ask(prompts).reason == reason


@pytest.mark.parametrize(
    ("mail", "outcome"),
    [
        ({}, "ALREADY_ASKED"),
        ({"subject_id": "p-2"}, "won"),
        ({"program": "other-reviews"}, "won"),
        ({"is_solicitation": False}, "won"),
    ],
)
def test_who_was_asked_by_voice_is_not_asked_by_mail(ledger, prompts, mail, outcome):
    ask(prompts)
    send = a_send(**mail)
    ledger.plan([send], SLOT)

    claims = ledger.claim([send.send_id], SLOT, MAIL)

    assert claims.refused.get(send.send_id, "won") == outcome


def test_each_of_the_ledgers_reasons_speaks_against_a_prompt(ledger, prompts):
    contacts, operations = SqlContacts(ledger.database), SqlOperations(ledger.database)
    operations.suppress(["c-1"], [], who="ada", source="list.csv", now=NOW)
    ledger.opt_out("c-2", NOW, channel="voice")
    ledger.opt_out("c-3", NOW, channel="email")
    ledger.opt_out("c-4", NOW, program="product-reviews")
    said = {"marketplace": "DE", "subject_type": "product", "subject_id": "p-1", "rating": 5, "at": NOW}
    contacts.respond(Response("product-reviews", "c-5", **said), NOW)

    found = prompts.take([a_wish(a_question(f"c-{number}")) for number in range(1, 6)], SLOT)
    assert [one.reason for one in found] == ["SUPPRESSED", "OPTED_OUT", None, "OPTED_OUT", "ALREADY_ANSWERED"]

    operations.stop("product-reviews", "a test", "ada", NOW)
    assert ask(prompts, a_question("c-6")) == Issued(None, "STOPPED")
    operations.resume("product-reviews", "ada", NOW)
    assert ask(prompts, a_question("c-6")).prompt


@pytest.mark.parametrize(
    ("others", "maximum", "is_asked"),
    [
        ([{"subject_id": "p-9", "slot_at": SLOT - WEEK}], 1, True),
        ([{"subject_id": "p-9", "slot_at": SLOT - WEEK + MINUTE}], 1, False),
        ([{"subject_id": "p-9", "program": "other"}], 1, False),
        ([{"subject_id": "p-9", "program": "other", "cap_scope": "other"}], 1, True),
        ([{"subject_id": "p-8"}, {"subject_id": "p-9", "program": "other"}], 3, True),
        ([], 0, False),
    ],
)
def test_the_cap_is_shared_with_mail_and_with_programs_of_its_scope(ledger, prompts, others, maximum, is_asked):
    for other in others:
        hand_over(ledger, a_send(**other), now=SLOT - WEEK, then="sent")

    issued = ask(prompts, cap=Cap(maximum, WEEK))

    assert (issued.prompt is not None, issued.reason) == (is_asked, None if is_asked else "FREQUENCY_CAP")


def test_wishes_of_one_round_see_each_other(prompts):
    """Two sessions of one customer at once, with room for one question."""
    wishes = [a_wish(a_question(subject_id=f"p-{n}"), session=f"s-{n}", cap=Cap(1, WEEK)) for n in (1, 2)]

    first, second = prompts.take(wishes, SLOT)
    assert (first.prompt.subject_id, second.reason) == ("p-1", "FREQUENCY_CAP")
    assert prompts.take([wishes[0], wishes[0]], SLOT) == [first, first]
    assert prompts.take([], SLOT) == []


# --- answering ------------------------------------------------------------------------------------


def test_an_answer_counts_once_and_may_be_changed_until_the_prompt_expires(ledger, prompts):
    key = ask(prompts).prompt.send_id
    late = SLOT + 30 * MINUTE

    assert [reply(prompts, key, SLOT + n * MINUTE, yes=yes) for n, yes in enumerate((True, True, False))] == [
        "recorded"
    ] * 3
    assert reply(prompts, key, late, yes=False) == "recorded"
    assert reply(prompts, key, late, yes=True) == "expired"
    log = ledger.responses(None, late)
    assert log.select("is_positive", "channel", "send_id", "at", "changed_at").rows() == [
        (True, "speaker", key, SLOT, SLOT),
        (False, "speaker", key, SLOT, SLOT + 2 * MINUTE),
    ]
    assert waiting(ledger) == [("candidate_status", "delivered"), ("candidate_status", "consumed"), ("response", "")]
    assert prompts.find(key).answer is False


def test_no_answer_is_taken_too_late_or_from_another(ledger, prompts):
    key = ask(prompts).prompt.send_id

    assert reply(prompts, key, SLOT, customer="c-2") == "unknown"
    assert reply(prompts, "f" * 32, SLOT) == "unknown"
    assert reply(prompts, key, SLOT + 30 * MINUTE) == "expired"
    assert ledger.responses(None, SLOT + HOUR).is_empty()
    assert reply(prompts, key, SLOT + 30 * MINUTE - timedelta(seconds=1)) == "recorded"


def test_replies_of_one_round_are_taken_in_order(prompts):
    key = ask(prompts).prompt.send_id
    replies = [Reply(key, "c-1", yes) for yes in (True, False)]

    assert prompts.take([*replies, replies[1]], SLOT + MINUTE) == [Recorded("recorded")] * 3
    assert prompts.find(key).answer is False


def test_who_answers_by_voice_is_not_written_to(ledger, prompts):
    """The mail's list was made before; its claim comes between question and answer, and again after it."""
    key = ask(prompts, at_once := a_question()).prompt.send_id
    mails = [a_send(), a_send(slot_at=SLOT + HOUR)]
    ledger.plan(mails[:1], SLOT)
    assert ledger.claim(ids(mails[:1]), SLOT, MAIL).refused == {mails[0].send_id: "ALREADY_ASKED"}

    reply(prompts, key, SLOT + MINUTE)
    ledger.plan(mails[1:], SLOT)
    assert ledger.claim(ids(mails[1:]), SLOT + MINUTE, MAIL).refused == {mails[1].send_id: "ALREADY_ANSWERED"}
    assert ledger.states(at_once.campaign_id) == {"sent": 1}


# --- any history ----------------------------------------------------------------------------------

CUSTOMERS = 24
STEP = timedelta(hours=12)
WINDOW = 6 * STEP
PROGRAMS = ("product-reviews", "other-reviews")
SETTLED = ("claimed", "handed_over", "sent", "in_doubt")


class History:
    """What happens to some customers whom two programs of one scope ask by mail and by voice."""

    def __init__(self, random: Random, ledger: SqlLedger) -> None:
        self.random, self.ledger, self.now = random, ledger, SLOT
        self.prompts = SqlPrompts(ledger.database)
        self.customers = [f"{random.getrandbits(64):x}-{number}" for number in range(CUSTOMERS)]
        self.cap = Cap(random.randrange(1, 4), WINDOW)
        self.sessions = 0

    def question(self, customer: str, channel: str, slot: datetime) -> Send:
        program, subject = self.random.choice(PROGRAMS), f"p-{self.random.randrange(4)}"
        campaign = f"{program}:{channel}:2026-11-19:DE"
        more = {"program": program, "campaign_id": campaign, "cap_scope": "shared", "subject_id": subject}
        return a_send(customer, channel=channel, slot_at=slot, **more)

    def some(self) -> list[str]:
        return self.random.sample(self.customers, k=CUSTOMERS // 2)

    def plan(self) -> None:
        later = self.random.randrange(3) * STEP
        self.ledger.plan([self.question(one, "email", self.now + later) for one in self.some()], self.now)

    def claim(self) -> None:
        wanted = self.of_customers("planned")
        won = self.ledger.claim(wanted, self.now, replace(MAIL, cap=self.cap)).won
        ends = self.random.choice(["sent", "failed", "in_doubt"])
        self.ledger.settle([Move(one, "handed_over") for one in won[::2]], self.now)
        self.ledger.settle([Move(one, ends) for one in won[::2]], self.now)
        self.ledger.release(won[1::4], self.now)

    def ask(self) -> None:
        self.sessions += 1
        wishes = []
        for customer in self.random.choices(self.customers, k=CUSTOMERS):
            sends = [self.question(customer, "speaker", self.now) for _ in range(2)]
            wishes.append(a_wish(*sends, session=f"s-{self.sessions}-{len(wishes)}", cap=self.cap))
        issued = self.prompts.take(wishes, self.now)
        told = [one.prompt for one in issued if one.prompt]
        self.prompts.take([Reply(one.send_id, one.customer_id, True) for one in told[::3]], self.now)

    def wait(self) -> None:
        self.now += self.random.choice([HOUR, STEP, 3 * STEP])

    def live(self) -> None:
        for step in [self.plan, self.ask, *self.random.choices([self.plan, self.claim, self.ask, self.wait], k=6)]:
            step()
        self.claim()
        asks = self.rows()
        per_customer = defaultdict(list)
        for customer, _, subject, _, slot, _ in asks:
            per_customer[customer].append((slot, subject))
        for asked in per_customer.values():
            for end in {slot for slot, _ in asked}:
                assert len({subject for slot, subject in asked if end - WINDOW < slot <= end}) <= self.cap.maximum
        ways = defaultdict(set)
        for customer, program, subject, channel, _, _ in asks:
            ways[customer, program, subject].add(channel)
        assert all(len(channels) == 1 for channels in ways.values())
        # What is never tried is never broken: of both ways some went out.
        assert {channel for *_, channel, _, _ in asks} >= {"speaker"}

    def of_customers(self, *states: str) -> list[str]:
        return [row[-1] for row in self.rows(*states)]

    def rows(self, *states: str) -> list[tuple]:
        table = tables.sends.c
        columns = (table.customer_id, table.program, table.subject_id, table.channel, table.slot_at, table.send_id)
        mine = table.customer_id.in_(self.customers) & table.state.in_(states or SETTLED)
        with self.ledger.database.reading() as connection:
            return [tuple(row) for row in connection.execute(select(*columns).where(mine))]


_many = settings(max_examples=45, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_many
@given(seed=st.integers(0, 2**32))
def test_no_history_of_mail_and_voice_breaks_the_shared_cap(sqlite_ledger, seed):
    """Each example is the history of CUSTOMERS customers: more than a thousand in all."""
    History(Random(seed), sqlite_ledger).live()


@settings(_many, max_examples=6)
@given(seed=st.integers(0, 2**32))
def test_no_history_on_postgresql_breaks_the_shared_cap(postgres_ledger, seed):
    History(Random(seed), postgres_ledger).live()


# --- at once --------------------------------------------------------------------------------------


def test_prompts_and_claims_at_once_ask_nobody_too_often(ledger, new_pair):
    """Four that write: two ask by voice in sessions of their own, two claim mails for the same customers and plan."""
    others = [SqlLedger(ledger.url) for _ in range(4)]
    customers = [f"c-{number}" for number in range(40)]
    mails = [a_send(one, subject_id=f"p-{n}") for one in customers for n in range(2)]
    ledger.plan(mails[: len(mails) // 2], NOW)
    start = threading.Barrier(4)

    def prompt(own: SqlLedger, name: int) -> list[str]:
        prompts, order = SqlPrompts(own.database), Random(name).sample(customers, k=len(customers))
        start.wait()
        found = []
        for customer in order:
            question = a_question(customer, subject_id=f"p-{1 + name}")
            found += [one.prompt for one in prompts.take([a_wish(question, session=str(name), cap=Cap(1, WEEK))], SLOT)]
        return [one.send_id for one in found if one]

    def claim(own: SqlLedger, name: int) -> list[str]:
        start.wait()
        if name:
            own.plan(mails[len(mails) // 2 :], NOW)
        rules = replace(MAIL, cap=Cap(1, WEEK))
        order = Random(name).sample(ids(mails), k=len(mails))
        return [one for at in range(0, len(order), 8) for one in own.claim(order[at : at + 8], SLOT, rules).won]

    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(act, own, name)
            for (act, name), own in zip([(prompt, 0), (prompt, 1), (claim, 0), (claim, 1)], others, strict=True)
        ]
        for job in jobs:
            job.result(timeout=60)
    for one in others:
        one.close()

    table = tables.sends.c
    query = select(table.customer_id).where(table.state.in_(SETTLED))
    with ledger.database.reading() as connection:
        asked = Counter(connection.execute(query).scalars())
    assert asked == dict.fromkeys(customers, 1)


def test_two_requests_of_one_session_at_once_get_one_prompt(ledger):
    others = [SqlLedger(ledger.url) for _ in range(2)]
    start = threading.Barrier(2)

    def prompt(own: SqlLedger) -> list[str]:
        prompts = SqlPrompts(own.database)
        own.states("none")
        start.wait()
        tick = timedelta(microseconds=1 + others.index(own))
        wishes = [a_wish(a_question(f"c-{n}", at=SLOT + tick)) for n in range(30)]
        return [prompts.take([wish], SLOT + tick)[0].prompt.send_id for wish in wishes]

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(prompt, others)
    for one in others:
        one.close()

    assert first == second


def test_no_mail_is_planned_and_claimed_while_a_prompt_is_being_asked(postgres_ledger):
    """The prompt waits for a row of its customer; who plans and claims a mail for him meanwhile waits for it."""
    others = [SqlLedger(postgres_ledger.url) for _ in range(2)]
    # It is looked at, and just too old for the cap.
    before = SLOT - WEEK - timedelta(hours=1)
    old = a_send(subject_id="p-0", slot_at=before)
    hand_over(postgres_ledger, old, now=before, then="sent")
    mail = a_send(subject_id="p-2")

    def plan_and_claim() -> list[str]:
        others[1].plan([mail], SLOT)
        return others[1].claim([mail.send_id], SLOT, replace(MAIL, cap=Cap(1, WEEK))).won

    with ThreadPoolExecutor(2) as pool:
        with others[0].database.reading() as holder:
            holder.execute(select(tables.sends).where(tables.sends.c.send_id == old.send_id).with_for_update()).all()
            prompt = pool.submit(ask, SqlPrompts(postgres_ledger.database), cap=Cap(1, WEEK))
            wait_for_those_who_wait(others[0], 1)
            claim = pool.submit(plan_and_claim)
            wait_for_those_who_wait(others[0], 2, claim.done)
        asked = [bool(prompt.result(timeout=10).prompt), *claim.result(timeout=10)]
    for one in others:
        one.close()

    assert asked == [True]


def wait_for_those_who_wait(ledger: SqlLedger, number: int, is_over: Callable[[], bool] = lambda: False) -> None:
    """Until so many sessions of the server wait for locks, or something else is over."""
    query = text("SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted")
    for _ in range(500):
        with ledger.database.reading() as connection:
            if connection.execute(query).scalar_one() >= number or is_over():
                return
        time.sleep(0.01)
    raise AssertionError("too few wait for locks")
