"""What people and providers answer: counted once in any order, and in one transaction with what follows from it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import count
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from engage_assets.domain.errors import EngageError
from engage_assets.domain.responses import (
    INTERACTION_KINDS,
    Interaction,
    KnownSend,
    Preferences,
    Response,
    ServiceMinute,
)
from engage_assets.domain.sends import Move
from engage_assets.domain.tables import INTERACTIONS_LOG, RESPONSES_LOG
from engage_assets.ledger import answers, tables
from engage_assets.ledger.answers import response_id
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets_tests.contracts.sends import CAMPAIGN, DAY, HOUR, MINUTE, NOW, SECOND, SLOT, TICK, a_send, hand_over

TEXT = "Very nice, thank you"
TOPICS = ("candidate_status", "customer_opted_out", "response")


@pytest.fixture
def contacts(ledger: SqlLedger) -> SqlContacts:
    return SqlContacts(ledger.database)


def an_event(kind: str = "delivered", send_id: str | None = None, **changes) -> Interaction:
    good = {"event_id": f"e-{kind}", "send_id": send_id or a_send().send_id, "at": NOW - MINUTE, "source": "ses"}
    return Interaction(kind=kind, **(good | changes))


def a_response(**changes) -> Response:
    good = {
        "program": "product-reviews",
        "customer_id": "c-1",
        "marketplace": "DE",
        "subject_type": "product",
        "subject_id": "p-1",
        "rating": 4,
        "at": NOW - MINUTE,
        "send_id": a_send().send_id,
    }
    return Response(**(good | changes))


def rows(ledger: SqlLedger, table, *names: str) -> list[tuple]:
    """Rows of a table, sorted."""
    with ledger.database.reading() as connection:
        return sorted(map(tuple, connection.execute(select(*(table.c[name] for name in names)))))


def suppressed(ledger: SqlLedger) -> list[tuple]:
    return rows(ledger, tables.suppressions, "customer_id", "reason")


def waiting(ledger: SqlLedger, *topics: str) -> list[dict]:
    return [entry.payload for entry in SqlOutbox(ledger.database).waiting(topics or TOPICS, 100)]


# --- sends and interactions -----------------------------------------------------------------------


def test_a_send_is_known_by_its_key(ledger, contacts):
    send = a_send(subject_name="A lamp", locale="de-AT")
    ledger.plan([send], NOW)
    assert contacts.send("f" * 32) is None
    known = contacts.send(send.send_id)

    names = [name for name in KnownSend.__dataclass_fields__ if name not in ("state", "handed_over_at")]
    assert [getattr(known, name) for name in names] == [getattr(send, name) for name in names]
    assert (known.state, known.handed_over_at) == ("planned", None)

    hand_over(ledger, send, now=NOW + SECOND, then="sent")
    assert contacts.send(send.send_id) == replace(known, state="sent", handed_over_at=NOW + SECOND)


def test_interactions_count_once_and_only_of_known_sends(ledger, contacts):
    hand_over(ledger, a_send(), then="sent")
    events = [
        an_event("open", event_id="e-1", machine_rule="PREFETCH"),
        an_event("click", event_id="e-2"),
        an_event("click", event_id="e-2"),
        an_event("open", event_id="e-3", send_id="f" * 32),
    ]

    assert contacts.record(events, NOW) == 2
    assert contacts.record([*events, an_event("bounce", is_permanent=False)], NOW + SECOND) == 1
    assert contacts.record([], NOW) == 0
    assert contacts.record(events[3:], NOW) == 0

    log = ledger.interactions(None, NOW + SECOND)
    assert log.schema == INTERACTIONS_LOG.schema
    assert log.drop("send_id", "source").rows() == [
        ("e-1", "open", NOW - MINUTE, NOW, "PREFETCH", None),
        ("e-2", "click", NOW - MINUTE, NOW, None, None),
        ("e-bounce", "bounce", NOW - MINUTE, NOW + SECOND, None, False),
    ]
    assert ledger.interactions(NOW, NOW + SECOND)["event_id"].to_list() == ["e-bounce"]


@pytest.mark.parametrize("changes", [{"kind": "seen"}, {"event_id": ""}, {"event_id": "e" * 201}])
def test_an_interaction_that_is_none_is_refused_and_nothing_is_kept(ledger, contacts, changes):
    ledger.plan([a_send()], NOW)

    with pytest.raises(EngageError, match="one of delivered, displayed, open, click, bounce, complaint"):
        contacts.record([an_event("open"), replace(an_event("click"), **changes)], NOW)
    assert ledger.interactions(None, NOW).is_empty()


@pytest.mark.parametrize("state", ["handed_over", "in_doubt"])
@pytest.mark.parametrize("kind", INTERACTION_KINDS)
def test_only_a_provider_s_event_proves_that_a_message_went_out(ledger, contacts, state, kind):
    hand_over(ledger, a_send(), then=None if state == "handed_over" else state)
    is_proof = kind in ("delivered", "bounce", "complaint")

    contacts.record([an_event(kind)], NOW + SECOND)

    assert ledger.states(CAMPAIGN) == {"sent" if is_proof else state: 1}
    assert [said["status"] for said in waiting(ledger)] == ["delivered"] * is_proof
    last = ledger.send_events(NOW, NOW + SECOND).select("state", "at", "reason").rows()
    assert last == [("sent", NOW + SECOND, "PROVIDER_EVENT")] * is_proof


def test_an_event_that_came_before_the_doubt_leaves_none(ledger, contacts):
    """The owner is lost after the hand-over, the provider reports at once, and only later the lease ends."""
    hand_over(ledger, a_send())
    contacts.record([an_event("delivered")], NOW + MINUTE)

    assert ledger.recover("product-reviews", NOW + HOUR) == (0, [])
    assert ledger.in_doubt().is_empty()
    assert ledger.states(CAMPAIGN) == {"sent": 1}


@pytest.mark.parametrize("answer", ["sent", "failed", "in_doubt"])
def test_the_owner_s_answer_after_the_provider_s_event_changes_nothing(ledger, contacts, answer):
    hand_over(ledger, a_send())
    contacts.record([an_event("delivered")], NOW)

    assert ledger.settle([Move(a_send().send_id, answer)], NOW + SECOND) == frozenset()
    assert ledger.states(CAMPAIGN) == {"sent": 1}
    assert len(waiting(ledger)) == 1


@pytest.mark.parametrize(
    ("event", "reasons"),
    [
        ({"kind": "bounce", "is_permanent": True}, ["hard_bounce"]),
        ({"kind": "bounce", "is_permanent": False}, []),
        ({"kind": "bounce", "is_permanent": None}, []),
        ({"kind": "complaint"}, ["complaint"]),
        ({"kind": "delivered"}, []),
    ],
)
def test_a_permanent_bounce_or_a_complaint_suppresses_the_customer(ledger, contacts, event, reasons):
    hand_over(ledger, a_send(), then="sent")

    contacts.record([an_event(**event), an_event(**event, event_id="another")], NOW)
    contacts.record([an_event(**event, event_id="a third")], NOW)

    assert suppressed(ledger) == [("c-1", reason) for reason in reasons]


_numbers = count()
_events = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(INTERACTION_KINDS), st.sampled_from([None, True, False])),
    min_size=1,
    max_size=8,
)
_settings = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_settings
@given(events=_events, doubts=st.sets(st.integers(0, 3)), seed=st.integers(0, 2**32))
def test_events_that_come_five_times_and_shuffled_change_nothing(ledger, contacts, events, doubts, seed):
    """One world hears each event once, in order and when all doubts are known; the other shuffled and five times."""
    in_order = [[place] for place in range(len(events))]
    shuffled = Random(seed).sample([*range(len(events))] * 5, k=5 * len(events))
    packets = [shuffled[at : at + 4] for at in range(0, len(shuffled), 4)]

    told = [
        tell(ledger, contacts, events, doubts, in_order, doubts_arise=0),
        tell(ledger, contacts, events, doubts, packets, doubts_arise=seed % len(packets)),
    ]

    assert told[0] == told[1]


def tell(
    ledger: SqlLedger,
    contacts: SqlContacts,
    events: list[tuple],
    doubts: set[int],
    packets: list[list[int]],
    doubts_arise: int,
) -> tuple:
    """What is known of four sends after packets of events, in terms that do not depend on the world."""
    world = f"world-{next(_numbers)}"
    sends = [a_send(f"{world}-{number}", campaign_id=world) for number in range(4)]
    hand_over(ledger, *sends)
    ledger.settle([Move(sends[number].send_id, "sent") for number in {0, 1} - doubts], NOW)
    happened = [
        an_event(kind, sends[number].send_id, event_id=f"{world}-{place}", is_permanent=is_permanent, at=NOW)
        for place, (number, kind, is_permanent) in enumerate(events)
    ]
    for number, packet in enumerate(packets):
        if number == doubts_arise:
            ledger.settle([Move(sends[doubt].send_id, "in_doubt") for doubt in doubts], NOW)
        contacts.record([happened[place] for place in packet], NOW)
    customers = {send.customer_id: number for number, send in enumerate(sends)}
    outbox = SqlOutbox(ledger.database)
    entries = outbox.waiting(TOPICS, 100)
    outbox.done([entry.entry_id for entry in entries], NOW)
    return (
        [
            (event_id.removeprefix(world), *rest)
            for event_id, *rest in rows(ledger, tables.interactions, "event_id", "kind", "is_permanent")
            if event_id.startswith(f"{world}-")
        ],
        [contacts.send(send.send_id).state for send in sends],
        sorted((customers[who], reason) for who, reason in suppressed(ledger) if who in customers),
        sorted(customers[entry.payload["customer_id"]] for entry in entries),
    )


# --- responses ------------------------------------------------------------------------------------


def test_a_response_is_kept_with_its_rating_and_what_follows_from_it(ledger, contacts):
    key = ("product-reviews", "c-1", "product", "p-1")
    assert not contacts.answered(*key)
    assert contacts.rating("product", "p-1") == (0, 0)

    assert contacts.answer(*key) is None

    given = a_response(text=TEXT, photos=("1.jpg", "2.jpg"), channel="email", tags=("warm", 'a "b", c'))
    assert contacts.respond(given, NOW) == "new"

    assert contacts.answer(*key) == given
    assert contacts.answered(*key)
    assert contacts.rating("product", "p-1") == (1, 4)
    place = {"program": "product-reviews", "marketplace": "DE", "subject_type": "product", "subject_id": "p-1"}
    at = NOW.isoformat()
    assert waiting(ledger) == [
        {"customer_id": "c-1", **place, "status": "consumed", "at": at},
        {**place, "at": at},
    ]
    log = ledger.responses(None, NOW)
    assert log.schema == RESPONSES_LOG.schema
    assert log.drop("response_id").rows(named=True) == [
        {
            **place,
            "customer_id": "c-1",
            "version": 1,
            "send_id": a_send().send_id,
            "channel": "email",
            "rating": 4,
            "is_positive": None,
            "tags": ["warm", 'a "b", c'],
            "has_text": True,
            "photos": 2,
            "at": NOW - MINUTE,
            "changed_at": NOW - MINUTE,
            "received_at": NOW,
        }
    ]


def test_the_first_answer_counts(ledger, contacts):
    assert contacts.respond(a_response(), NOW) == "new"
    assert contacts.respond(a_response(rating=1, text=TEXT, send_id=None), NOW + SECOND) == "unchanged"

    others = [a_response(customer_id="c-2", rating=5), a_response(program="another", rating=1, text="")]
    assert {contacts.respond(other, NOW + SECOND) for other in others} == {"new"}
    assert contacts.respond(a_response(subject_type="track"), NOW) == "new"

    assert contacts.rating("product", "p-1") == (3, 10)
    assert contacts.rating("track", "p-1") == (1, 4)
    assert len(waiting(ledger)) == 8
    assert ledger.responses(None, NOW + SECOND).select("rating", "has_text", "photos").rows() == [
        (4, False, 0),
        (4, False, 0),
        *sorted([(5, False, 0), (1, False, 0)], key=lambda row: by_id(others)[row[0]]),
    ]


def by_id(responses: list[Response]) -> dict[int, str]:
    """The id of each response by its rating."""
    return {
        one.rating: response_id(one.program, one.customer_id, one.subject_type, one.subject_id) for one in responses
    }


@pytest.mark.parametrize("rating", [0, 6, -1])
def test_a_rating_outside_one_to_five_is_refused(ledger, contacts, rating):
    with pytest.raises(EngageError, match="product p-1: rating must be 1 to 5"):
        contacts.respond(a_response(rating=rating, text=TEXT), NOW)
    assert ledger.responses(None, NOW).is_empty()


def a_thumb(minutes: int = 0, *, up: bool = True, **changes) -> Response:
    """An answer of yes or no, submitted minutes after NOW."""
    good = {"program": "another", "rating": None, "is_positive": up, "channel": "email", "at": NOW + minutes * MINUTE}
    return a_response(**(good | changes))


def test_an_answer_that_may_be_edited_counts_once_and_keeps_its_versions(ledger, contacts):
    up, down = a_thumb(text=TEXT, tags=("folk",)), a_thumb(5, up=False, channel="voice", send_id=None, marketplace="US")
    key = ("another", "c-1", "product", "p-1")

    said = [contacts.respond(one, NOW + at * MINUTE, may_edit=True) for at, one in enumerate((up, up, down, down))]
    later = contacts.respond(replace(up, at=NOW + HOUR), NOW + HOUR, may_edit=True)

    assert [*said, later] == ["new", "unchanged", "edited", "unchanged", "edited"]
    assert contacts.answer(*key) == replace(up, at=NOW + HOUR)
    assert contacts.rating("product", "p-1") == (0, 0)
    assert [one.get("status", "response") for one in waiting(ledger)] == ["consumed", "response"]
    names = ("version", "is_positive", "tags", "has_text", "channel", "at", "changed_at", "received_at")
    log = ledger.responses(None, NOW + HOUR)
    assert log["response_id"].n_unique() == 1
    assert log.select(names).rows() == [
        (1, True, ["folk"], True, "email", NOW, NOW, NOW),
        (2, False, [], False, "voice", NOW, NOW + 5 * MINUTE, NOW + 2 * MINUTE),
        (3, True, ["folk"], True, "email", NOW, NOW + HOUR, NOW + HOUR),
    ]
    assert ledger.responses(NOW, NOW + 2 * MINUTE)["version"].to_list() == [2]
    assert rows(ledger, tables.responses, "version", "body") == [(1, None), (2, None), (3, TEXT)]


@pytest.mark.parametrize(
    "other",
    [{"rating": 3}, {"is_positive": False}, {"tags": ("folk", "pop")}, {"text": "No"}, {"photos": ("1.jpg",)}],
    ids=lambda other: next(iter(other)),
)
def test_whatever_is_said_otherwise_is_an_edit_and_how_it_came_is_none(contacts, other):
    before = a_thumb(tags=("pop", "folk"), text=TEXT)
    contacts.respond(before, NOW)

    elsewhere = replace(before, channel="voice", send_id=None, at=NOW + SECOND)
    assert contacts.respond(elsewhere, NOW + SECOND, may_edit=True) == "unchanged"
    assert contacts.respond(replace(before, **other), NOW + SECOND, may_edit=True) == "edited"


def test_a_spoken_yes_or_no_leaves_the_comment_and_the_tags(ledger, contacts):
    written = a_thumb(text=TEXT, tags=("folk",))
    contacts.respond(written, NOW)

    said = []
    for minutes, is_up in enumerate((True, False)):
        spoken = a_thumb(minutes, up=is_up, channel="voice")
        with ledger.database.writing() as connection:
            said.append(answers.keep(connection, spoken, NOW, may_edit=True, is_thumb_only=True))

    assert said == ["unchanged", "edited"]
    stands = contacts.answer("another", "c-1", "product", "p-1")
    assert stands == replace(written, is_positive=False, channel="voice", at=NOW + MINUTE)
    assert ledger.responses(None, NOW)["has_text"].to_list() == [True, True]


def test_an_older_submission_that_comes_late_changes_nothing(contacts):
    contacts.respond(a_thumb(5), NOW + 5 * MINUTE, may_edit=True)

    assert contacts.respond(a_thumb(4, up=False), NOW + HOUR, may_edit=True) == "unchanged"
    assert contacts.respond(a_thumb(5, up=False), NOW + HOUR, may_edit=True) == "edited"


def test_a_rating_that_is_edited_is_counted_anew(contacts):
    for minutes, stars in enumerate((4, 1, None, 5)):
        contacts.respond(a_thumb(minutes, rating=stars), NOW, may_edit=True)
        assert contacts.rating("product", "p-1") == ((1, stars) if stars else (0, 0))


def test_edits_at_once_make_one_version_each(ledger, contacts):
    start = threading.Barrier(4)
    contacts.respond(a_thumb(rating=1), NOW, may_edit=True)

    def edit(thread: int) -> list[str]:
        start.wait()
        each = [a_thumb(rating=2 + (thread + place) % 4, text=f"{thread} {place}") for place in range(5)]
        return [contacts.respond(one, NOW, may_edit=True) for one in each]

    with ThreadPoolExecutor(4) as pool:
        said = [one for each in pool.map(edit, range(4)) for one in each]
    assert said == ["edited"] * 20
    log = ledger.responses(None, NOW)
    assert log["version"].to_list() == list(range(1, 22))
    assert contacts.rating("product", "p-1") == (1, log["rating"][-1])


def test_a_text_lies_in_one_column_of_one_table(ledger, contacts):
    hand_over(ledger, a_send(), then="sent")
    contacts.respond(a_response(text=TEXT), NOW)

    with ledger.database.reading() as connection:
        holders = {
            (table.name, name)
            for table in tables.metadata.sorted_tables
            for row in connection.execute(select(table)).mappings()
            for name, value in row.items()
            if TEXT in str(value)
        }
    assert holders == {("responses", "body")}


def test_answers_at_once_are_all_in_the_rating(ledger, contacts):
    """Eight people answer, each from two windows at once."""
    start = threading.Barrier(4)

    def answer(thread: int) -> int:
        start.wait()
        people = [f"c-{number}" for number in range(8)]
        said = [contacts.respond(a_response(customer_id=one), NOW) for one in Random(thread).sample(people, k=8)]
        return said.count("new")

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(answer, range(4))) == 8
    assert contacts.rating("product", "p-1") == (8, 32)


def test_responses_are_cut_by_when_they_came(ledger, contacts):
    cut = NOW + 10 * SECOND
    before = ledger.responses(None, cut), ledger.interactions(None, cut)
    ledger.plan([a_send()], NOW)

    contacts.respond(a_response(at=NOW - DAY), NOW)
    contacts.record([an_event("open", at=NOW - DAY)], NOW)

    assert (ledger.responses(None, cut).rows(), ledger.interactions(None, cut).rows()) == ([], [])
    assert before[0].is_empty()
    assert ledger.responses(cut, cut + SECOND)["received_at"].to_list() == [cut + TICK]
    assert ledger.interactions(cut, cut + SECOND)["received_at"].to_list() == [cut + TICK]


# --- preferences ----------------------------------------------------------------------------------

NOTHING = Preferences(everything=True)
SOME = Preferences(programs=frozenset({"product-reviews"}), channels=frozenset({"push"}))


def test_preferences_become_what_was_wanted(ledger, contacts):
    assert contacts.preferences("c-1") == Preferences()
    for wanted in (SOME, NOTHING, replace(SOME, everything=True), SOME, Preferences()):
        contacts.set_preferences("c-1", wanted, NOW)
        assert contacts.preferences("c-1") == wanted
        assert contacts.preferences("c-2") == Preferences()


def test_the_same_preferences_again_change_nothing(ledger, contacts):
    contacts.set_preferences("c-1", SOME, NOW)
    contacts.set_preferences("c-1", SOME, NOW + SECOND)

    assert ledger.opt_outs(NOW + SECOND)["at"].to_list() == [NOW, NOW]
    said = {"customer_id": "c-1", "at": NOW.isoformat()}
    assert waiting(ledger) == [{**said, "program": "product-reviews"}, {**said, "channel": "push"}]


def test_an_opt_out_of_one_channel_of_one_program_is_no_preference_and_stays(ledger, contacts):
    ledger.opt_out("c-1", NOW, program="product-reviews", channel="email")
    assert contacts.preferences("c-1") == Preferences()

    contacts.set_preferences("c-1", NOTHING, NOW)
    contacts.set_preferences("c-1", Preferences(), NOW + SECOND)

    assert ledger.opt_outs(NOW + SECOND).select("program", "channel", "revoked_at").rows() == [
        (None, None, NOW + SECOND),
        ("product-reviews", "email", None),
    ]
    ledger.plan([a_send()], NOW)
    assert ledger.claim([a_send().send_id], SLOT).refused == {a_send().send_id: "OPTED_OUT"}


def test_a_cut_sees_only_the_revocations_before_it(ledger, contacts):
    contacts.set_preferences("c-1", NOTHING, NOW)
    before = ledger.opt_outs(NOW + SECOND)
    assert before["revoked_at"].to_list() == [None]

    contacts.set_preferences("c-1", Preferences(), NOW)

    assert ledger.opt_outs(NOW + SECOND).equals(before)
    assert ledger.opt_outs(NOW + MINUTE)["revoked_at"].to_list() == [NOW + SECOND + TICK]
    contacts.set_preferences("c-1", NOTHING, NOW + HOUR)
    assert ledger.opt_outs(NOW + HOUR).select("at", "revoked_at").rows() == [
        (NOW, NOW + SECOND + TICK),
        (NOW + HOUR, None),
    ]


def test_the_same_click_twice_at_once_is_one_opt_out(ledger, contacts):
    start = threading.Barrier(4)

    def leave(_: int) -> None:
        start.wait()
        contacts.set_preferences("c-1", NOTHING, NOW)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(leave, range(4)))
    assert ledger.opt_outs(NOW).height == 1


# --- what the service measured --------------------------------------------------------------------


def test_a_minute_measured_again_replaces_itself(ledger, contacts):
    minute = ServiceMinute(NOW, "one", 10, 1, {"0.01": 9, "inf": 1})
    contacts.measured([minute, replace(minute, instance="two"), replace(minute, minute=NOW + MINUTE)])
    contacts.measured([replace(minute, requests=12, buckets={"0.01": 12})])
    contacts.measured([])

    measured = SqlOperations(ledger.database).service_minutes(NOW, NOW + MINUTE)

    assert measured.rows() == [(NOW, "one", 12, 1, '{"0.01": 12}'), (NOW, "two", 10, 1, '{"0.01": 9, "inf": 1}')]


def test_nobody_has_a_key_that_was_not_made(contacts):
    assert contacts.api_key("k-1") is None
