"""What every ledger keeps. A new database is one more entry of IMPLEMENTATIONS."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Claims, Move
from engage_assets.domain.tables import OPT_OUT_LOG, SENDS_LOG
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.states import MOVES
from engage_assets_tests.builders import instant
from engage_assets_tests.contracts.sends import (
    CAMPAIGN,
    NOW,
    SECOND,
    TICK,
    a_send,
    claim_in_tens,
    hand_over,
    ids,
    meet,
    meet_at,
)


@pytest.fixture(scope="module", autouse=True)
def two_processes() -> Iterator[ProcessPoolExecutor]:
    """Two processes of their own. They take seconds to start, so they do it while other tests run."""
    spawn = multiprocessing.get_context("spawn")
    start = spawn.Barrier(2, timeout=60)
    with ProcessPoolExecutor(2, spawn, initializer=meet_at, initargs=(start,)) as pool:
        for _ in range(2):
            pool.submit(meet)
        yield pool


def test_a_send_is_planned_once(ledger):
    sends = [a_send("c-1"), a_send("c-2"), a_send("c-1")]

    assert ledger.plan(sends, NOW) == 2
    assert ledger.plan([*sends, a_send("c-3")], NOW + SECOND) == 1
    assert ledger.plan([], NOW) == 0
    assert ledger.states(CAMPAIGN) == {"planned": 3}
    assert ledger.states("another") == {}


def test_planning_again_leaves_a_claimed_send_claimed(ledger):
    ledger.plan([a_send()], NOW)
    ledger.claim([a_send().send_id], NOW)

    assert ledger.plan([a_send()], NOW + SECOND) == 0
    assert ledger.states(CAMPAIGN) == {"claimed": 1}


def test_a_send_is_claimed_once_and_only_when_planned(ledger):
    first, second, skipped, unknown = (a_send(f"c-{number}").send_id for number in range(4))
    ledger.plan([a_send("c-0"), a_send("c-1"), a_send("c-2")], NOW)
    ledger.move([skipped], "skipped", NOW, "OPTED_OUT")

    assert ledger.claim([second, first, skipped, unknown, second], NOW).won == [second, first]
    assert ledger.claim([first, second], NOW + SECOND) == Claims([], {})
    assert ledger.claim([], NOW) == Claims([], {})


def test_the_log_holds_every_state_of_a_send(ledger):
    send = a_send(is_solicitation=False)
    ledger.plan([send], NOW)
    ledger.claim([send.send_id], NOW + SECOND)
    ledger.move([send.send_id], "handed_over", NOW + SECOND)
    ledger.move([send.send_id], "failed", NOW + 3 * SECOND, "mailbox full")

    log = ledger.send_events(None, NOW + 3 * SECOND)

    assert log.schema == SENDS_LOG.schema
    assert log.select("state", "at", "reason").rows() == [
        ("planned", NOW, None),
        ("claimed", NOW + SECOND, None),
        ("handed_over", NOW + SECOND, None),
        ("failed", NOW + 3 * SECOND, "mailbox full"),
    ]
    parts = ["send_id", "program", "campaign_id", "customer_id", "subject_id", "channel", "slot_at", "cap_scope"]
    assert log.select(*parts, "is_solicitation").unique().rows() == [
        tuple(getattr(send, name) for name in [*parts, "is_solicitation"])
    ]


@pytest.mark.parametrize("state", MOVES)
def test_only_the_moves_of_the_state_machine_are_made(ledger, state):
    path = {"claimed": [], "handed_over": ["handed_over"], "planned": [], "held_out": [], "skipped": []}
    steps = [state] if state in ("held_out", "skipped") else path.get(state, ["handed_over", state])
    for to in [*MOVES, "lost"]:
        send = a_send(f"c-{to}", campaign_id=f"to {to}")
        ledger.plan([send], NOW)
        if state not in ("planned", "held_out", "skipped"):
            ledger.claim([send.send_id], NOW)
        for step in steps:
            ledger.move([send.send_id], step, NOW, "for the test")
        assert ledger.states(send.campaign_id) == {state: 1}

        if to in MOVES[state] - {"claimed", "planned"}:
            ledger.move([send.send_id], to, NOW, "for the test")
            assert ledger.states(send.campaign_id) == {to: 1}
        else:
            with pytest.raises(EngageError, match=to):
                ledger.move([send.send_id], to, NOW, "for the test")
            assert ledger.states(send.campaign_id) == {state: 1}


def test_a_refused_move_names_send_and_states_and_moves_nobody(ledger):
    ledger.plan([a_send("c-1"), a_send("c-2")], NOW)
    claimed, planned = a_send("c-1").send_id, a_send("c-2").send_id
    ledger.claim([claimed], NOW)

    with pytest.raises(EngageError, match=f"send {planned}: planned → handed_over cannot .* none of the 2"):
        ledger.move([claimed, planned], "handed_over", NOW)
    with pytest.raises(EngageError, match="send nobody: unknown"):
        ledger.move([claimed, "nobody"], "handed_over", NOW)
    with pytest.raises(EngageError, match="'skipped' without a reason"):
        ledger.move([claimed], "skipped", NOW)
    assert ledger.states(CAMPAIGN) == {"planned": 1, "claimed": 1}


def test_a_send_that_two_lines_hold_is_handed_over_by_none(ledger):
    twice, once = ids([a_send("c-1"), a_send("c-2")])
    ledger.plan([a_send("c-1"), a_send("c-2")], NOW)
    ledger.claim([twice, once], NOW)

    assert ledger.settle([Move(twice, "handed_over"), Move(once, "handed_over"), Move(twice, "handed_over")], NOW) == {
        twice
    }
    assert ledger.states(CAMPAIGN) == {"claimed": 1, "handed_over": 1}


@pytest.mark.parametrize("then", [None, "sent", "in_doubt", "failed"])
def test_who_was_given_up_for_lost_cannot_skip_what_another_handed_over(ledger, then):
    hand_over(ledger, a_send(), then=then)

    assert ledger.settle([Move(a_send().send_id, "skipped", "SEND_WINDOW_MISSED")], NOW) == frozenset()
    assert ledger.states(CAMPAIGN) == {then or "handed_over": 1}


def test_a_list_that_comes_back_to_an_earlier_slot_leaves_the_send_that_stands(ledger):
    early, late = a_send(), a_send(slot_at=a_send().slot_at + timedelta(days=1))
    ledger.plan([early], NOW)
    ledger.plan([late], NOW)

    assert ledger.plan([early], NOW + SECOND) == 0
    assert ledger.due("product-reviews", "email", early.slot_at, late.slot_at) == [late.send_id]


def test_events_lie_after_the_first_instant_and_up_to_the_second(ledger):
    for number in range(4):
        ledger.plan([a_send(f"c-{number}")], NOW + number * SECOND)

    between = ledger.send_events(NOW, NOW + 2 * SECOND)

    assert between["customer_id"].to_list() == ["c-1", "c-2"]
    assert ledger.send_events(None, NOW - SECOND).schema == SENDS_LOG.schema


def test_the_first_event_is_known(ledger):
    assert ledger.first_event_at() is None

    ledger.plan([a_send("c-2")], NOW + SECOND)
    ledger.plan([a_send("c-1")], NOW)

    assert ledger.first_event_at() == NOW


def test_a_write_stamped_before_a_cut_falls_behind_it(ledger):
    cut = NOW + 10 * SECOND
    ledger.plan([a_send("c-1")], NOW)
    before = ledger.send_events(None, cut), ledger.opt_outs(cut)

    late = NOW + SECOND
    ledger.plan([a_send("c-2")], late)
    ledger.claim([a_send("c-1").send_id], late)
    ledger.move([a_send("c-1").send_id], "handed_over", cut)
    ledger.opt_out("c-1", late)

    assert_frame_equal(ledger.send_events(None, cut), before[0])
    assert_frame_equal(ledger.opt_outs(cut), before[1])
    assert ledger.send_events(cut, cut + SECOND)["at"].to_list() == [cut + TICK] * 3
    assert ledger.opt_outs(cut + SECOND)["at"].to_list() == [cut + TICK]


def test_a_cut_of_the_far_future_settles_nothing(ledger):
    ledger.send_events(None, instant("9999-12-31"))

    ledger.plan([a_send()], NOW)

    assert ledger.send_events(None, NOW)["at"].to_list() == [NOW]


def test_opt_outs_come_back_sorted_and_cut(ledger):
    ledger.opt_out("c-2", NOW)
    ledger.opt_out("c-1", NOW, program="product-reviews", channel="email")
    ledger.opt_out("c-1", NOW)
    ledger.opt_out("c-3", NOW + SECOND)

    opt_outs = ledger.opt_outs(NOW)

    assert opt_outs.schema == OPT_OUT_LOG.schema
    assert opt_outs.rows() == [
        ("c-1", NOW, None, None, None),
        ("c-1", NOW, "product-reviews", "email", None),
        ("c-2", NOW, None, None, None),
    ]


def test_the_first_completed_batch_of_a_partition_stays(ledger):
    assert ledger.batch("product-reviews", date(2026, 11, 19)) is None

    ledger.record_batch("product-reviews", date(2026, 11, 19), 12.5, 500_000, NOW)
    ledger.record_batch("product-reviews", date(2026, 11, 19), 1.0, 1, NOW + SECOND)

    assert ledger.batch("product-reviews", date(2026, 11, 19)) == (12.5, 500_000)
    assert ledger.batch("product-reviews", date(2026, 11, 18)) is None


SENDS = {number: a_send(f"c-{number}") for number in range(5)}
_some = st.sets(st.sampled_from(range(5)), min_size=1, max_size=3)
_steps = st.one_of(
    st.tuples(st.just("plan"), _some),
    st.tuples(st.just("claim"), _some),
    st.tuples(st.sampled_from(["release", "recover"]), _some),
    st.tuples(st.sampled_from(["handed_over", "sent", "failed", "in_doubt", "skipped"]), _some),
    st.tuples(st.just("cut"), _some),
)
# Clocks of different processes differ: a later call may bring an earlier time.
_lags = st.integers(-5, 60)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(st.sampled_from([0, 1]), _steps, _lags), min_size=5, max_size=30))
def test_under_any_interleaving_hand_overs_are_unique_cuts_stay_and_the_log_replays(new_pair, steps):
    cuts = []
    now = NOW
    ledgers = [SqlLedger(database) for database in new_pair()]
    for who, (step, numbers), lag in steps:
        now += lag * SECOND
        some = ids(SENDS[number] for number in sorted(numbers))
        if step == "plan":
            ledgers[who].plan([SENDS[number] for number in numbers], now)
        elif step == "claim":
            ledgers[who].claim(some, now)
        elif step == "release":
            ledgers[who].release(some, now)
        elif step == "recover":
            ledgers[who].recover("product-reviews", now + timedelta(minutes=11))
        elif step == "cut":
            cuts.append((now, ledgers[who].send_events(None, now)))
        else:
            with suppress(EngageError):
                ledgers[who].move(some, step, now, "SEND_WINDOW_MISSED")
    log = ledgers[0].send_events(None, now + timedelta(days=1))
    present = ledgers[1].states(CAMPAIGN)
    rebuilt = [ledgers[1].send_events(None, cut) for cut, _ in cuts]

    assert log.filter(state="handed_over")["send_id"].is_unique().all()
    for (_, before), after in zip(cuts, rebuilt, strict=True):
        assert_frame_equal(after, before)
    assert replayed(log.select("send_id", "state").rows()) == present


def replayed(events: list[tuple[str, str]]) -> dict[str, int]:
    """Sends by last state, following the log; each event must be a move that the state machine knows."""
    last: dict[str, str] = {}
    for send_id, state in events:
        assert state == "planned" if send_id not in last else state in MOVES[last[send_id]]
        last[send_id] = state
    return {state: list(last.values()).count(state) for state in MOVES if state in last.values()}


def test_two_processes_that_claim_the_same_sends_share_them(ledger, two_processes):
    sends = [a_send(f"c-{number}") for number in range(500)]
    ledger.plan(sends, NOW)

    claims = [two_processes.submit(claim_in_tens, ledger.url, ids(sends)) for _ in range(2)]
    won = [claim.result(timeout=60) for claim in claims]

    assert sorted(won[0] + won[1]) == sorted(ids(sends))
    assert ledger.states(CAMPAIGN) == {"claimed": 500}
