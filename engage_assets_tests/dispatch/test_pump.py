"""The pump: recorded before handed over, never twice, every letter ends, and every stop is a short one."""

from contextlib import suppress
from datetime import timedelta
from threading import Event, Semaphore, Thread, active_count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.errors import EngageError
from engage_assets_tests.dispatch.fakes import REFUSALS, START, Office, in_time

OUTCOMES = st.sampled_from(["sent", "failed", "in_doubt", "refuse", "refuse", "limit", "raise"])
SCRIPTS = st.lists(st.lists(OUTCOMES, max_size=8), min_size=1, max_size=20)


@settings(max_examples=200, deadline=None)
@given(
    scripts=SCRIPTS,
    lines=st.integers(1, 4),
    halt_at=st.none() | st.integers(1, 15),
    fail_at=st.none() | st.integers(1, 15),
    window=st.sampled_from([1, 60, 7200]),
    capacity=st.sampled_from([1, 4, 100]),
)
def test_every_letter_ends_once_whatever_happens(scripts, lines, halt_at, fail_at, window, capacity):
    script = {f"s{number}": outcomes for number, outcomes in enumerate(scripts)}
    office = Office(len(scripts), script, lines=lines, capacity=capacity)
    ledger, sender = office.ledger, office.sender
    begun_at_halt = []

    def halt_in_time(_send_id):
        if len(sender.calls) == halt_at:
            begun_at_halt.extend(sender.begun())
            office.pump.halt("stopped")

    def fail_in_time(_moves):
        if len(ledger.rounds) == fail_at:
            ledger.rounds.append(None)
            raise OSError("disk full")

    sender.on_call = halt_in_time
    ledger.before_settle = fail_in_time
    counts = None
    with suppress(OSError, RuntimeError):
        counts = office.send(window)

    assert sender.too_early == []
    assert ledger.most_open <= lines
    tried = sender.begun()
    for send_id in tried:
        *before, _ = [outcome for one, _, outcome in sender.calls if one == send_id]
        assert all(outcome in REFUSALS for outcome in before)
    ends = ledger.ends()
    assert ends.keys() <= {"sent", "failed", "in_doubt", "skipped", "planned"}
    assert {send_id for send_id, state in ledger.states.items() if state in ("planned", "skipped")}.isdisjoint(tried)
    for send_id, _, outcome in sender.calls:
        if outcome in ("sent", "failed", "in_doubt"):
            assert ledger.states[send_id] == outcome
    if begun_at_halt:
        assert len(sender.begun()) - len(begun_at_halt) < lines
    if counts is not None:
        counts["planned"] = counts.pop("released", 0)
        assert +counts == ends


def test_an_answer_and_the_next_hand_over_are_one_transaction():
    office = Office(3)
    fed = Event()
    office.sender.on_call = lambda _send_id: fed.wait(10)
    pump = office.start()
    pump.feed(office.letters, START + timedelta(hours=2))
    fed.set()
    in_time(pump.finish)

    assert [[(move.send_id, move.state) for move in moves] for moves in office.ledger.rounds] == [
        [("s0", "handed_over")],
        [("s0", "sent"), ("s1", "handed_over")],
        [("s1", "sent"), ("s2", "handed_over")],
        [("s2", "sent")],
    ]


def test_a_round_records_answers_and_hand_overs_of_all_lines():
    office = Office(400, lines=8)
    office.ledger.before_settle = lambda _moves: office.time.sleep(0.02)

    assert office.send() == {"sent": 400}
    assert len(office.ledger.rounds) < 200
    fullest = max(office.ledger.rounds, key=len)
    assert {move.state for move in fullest} == {"handed_over", "sent"}
    assert len(fullest) > 8


def test_retries_back_off():
    office = Office(2, {"s0": ["refuse"] * 5, "s1": ["refuse"] * 6})

    office.send()

    first, second = (office.sender.tries(send_id) for send_id in ("s0", "s1"))
    assert first == [0, 1.5, 4, 8.5, 17, 33.5]
    assert len(second) == 6
    assert office.ledger.states == {"s0": "sent", "s1": "failed"}
    assert office.ledger.reasons["s1"] == "TRANSPORT_UNAVAILABLE"


def test_what_some_devices_have_is_tried_again_and_sent_where_it_is_given_up():
    office = Office(1, {"s0": ["partly"] * 9})

    assert office.send() == {"sent": 1}
    assert len(office.sender.tries("s0")) == 6


@pytest.mark.parametrize("stands", [False, True], ids=["real clock", "declared clock"])
def test_a_rate_limit_waits_until_the_window_ends(stands):
    office = Office(2, {"s0": ["limit"] * 1000}, stands=stands)

    assert office.send(seconds=100) == {"failed": 1, "skipped": 1}
    assert office.sender.tries("s0") == [0, 1.5, 4, 8.5, 17, 33.5, 50, 66.5, 83, 99.5]
    assert set(office.ledger.reasons.values()) == {"SEND_WINDOW_MISSED"}
    assert office.time.seconds == 100


def test_a_rate_limit_is_no_failure():
    office = Office(1, {"s0": ["limit"] * 20})

    assert office.send() == {"sent": 1}


def test_a_refusal_that_outlasts_the_window_has_missed_it():
    office = Office(1, {"s0": ["refuse"] * 9})

    assert office.send(seconds=5) == {"failed": 1}
    assert office.sender.tries("s0") == [0, 1.5, 4]
    assert office.ledger.reasons == {"s0": "SEND_WINDOW_MISSED"}


def test_too_late_is_not_handed_over():
    office = Office(500)

    assert office.send(seconds=0) == {"skipped": 500}
    assert office.sender.calls == []
    assert set(office.ledger.reasons.values()) == {"SEND_WINDOW_MISSED"}


def test_the_throttle_spaces_letters_over_all_lines():
    office = Office(30, lines=3, per_second=10)
    office.send()
    assert office.time.seconds >= 2.8

    office = Office(6, lines=1, per_second=10)
    office.send()
    assert [second for _, second, _ in office.sender.calls] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])


def test_a_dead_transport_is_left_alone_and_probed():
    office = Office(30, usual="refuse")
    office.send(seconds=600)

    tries = [second for _, second, _ in office.sender.calls]
    begun = {send_id: office.sender.tries(send_id)[0] for send_id in office.sender.begun()}
    opened = tries[9]
    assert not [second for second in begun.values() if opened < second < opened + 30]
    assert len(tries) < 130
    assert office.ledger.ends().keys() == {"failed", "skipped"}


def test_a_transport_that_comes_back_is_used_again():
    outcomes = {f"s{number}": ["refuse"] * 6 for number in range(3)}
    office = Office(50, outcomes)

    assert office.send() == {"failed": 3, "sent": 47}
    second_probe = office.sender.tries("s3")[0]
    assert second_probe == office.sender.tries("s2")[0] + 33.5
    assert {office.sender.tries(f"s{number}")[0] for number in range(4, 50)} == {second_probe}


def test_halt_lets_each_line_finish_its_letter():
    office = Office(50, lines=3, capacity=100)
    on_lines, arrived, go_on = [], Semaphore(0), Event()

    def hold(send_id):
        on_lines.append(send_id)
        arrived.release()
        assert go_on.wait(10)

    office.sender.on_call = hold
    pump = office.start()
    pump.feed(office.letters[:40], START + timedelta(hours=2))
    assert all(arrived.acquire(timeout=10) for _ in range(3))
    pump.halt("engage stop")
    pump.halt("once more")
    pump.feed(office.letters[40:], START + timedelta(hours=2))
    go_on.set()

    assert in_time(pump.finish) == {"sent": 3, "released": 47}
    assert sorted(office.sender.begun()) == sorted(on_lines)
    assert office.ledger.ends() == {"sent": 3, "planned": 47}
    assert pump.halted == "engage stop"


def test_halt_does_not_wait_for_retries():
    office = Office(5, usual="limit")
    office.sender.on_call = lambda _send_id: len(office.sender.calls) == 2 and office.pump.halt("stop")

    assert office.send() == {"failed": 1, "released": 4}
    assert len(office.sender.calls) == 2
    assert office.ledger.reasons["s0"] == "TRANSPORT_UNAVAILABLE"


def test_an_error_of_the_ledger_surfaces_and_nothing_begins_after_it():
    office = Office(200, lines=4, capacity=10)

    def fail(_moves):
        if len(office.sender.calls) >= 20:
            raise OSError("disk full")

    office.ledger.before_settle = fail
    with pytest.raises(OSError, match="disk full"):
        office.send()
    begun = len(office.sender.begun())
    assert 20 <= begun <= 23
    ends = office.ledger.ends()
    assert ends["handed_over"] <= 4
    assert ends["planned"] == 200 - begun
    with pytest.raises(OSError, match="disk full"):
        in_time(office.pump.finish)


def test_answers_beside_the_one_that_the_ledger_refuses_are_kept():
    office = Office(40, lines=4)
    office.sender.on_call = lambda send_id: send_id == "s9" and office.ledger.states.update(s9="sent")

    with pytest.raises(EngageError, match="s9: sent → sent"):
        office.send()
    assert office.ledger.count("handed_over") == 0
    assert set(office.sender.begun()) == {send_id for send_id, state in office.ledger.states.items() if state == "sent"}


def test_what_another_process_took_over_is_left_to_it():
    office = Office(5)
    office.ledger.others = {"s1", "s3"}

    assert office.send() == {"sent": 3, "lost": 2}
    assert office.sender.begun() == ["s0", "s2", "s4"]


def test_a_line_that_raises_leaves_its_letter_in_doubt_and_goes_on(caplog):
    office = Office(6, {"s0": ["raise"], "s1": ["raise"], "s3": ["raise"]})

    assert office.send() == {"in_doubt": 3, "sent": 3}
    assert office.ledger.reasons["s0"] == "NO_ANSWER"
    assert "RuntimeError" in caplog.text


def test_a_line_that_keeps_raising_stops_the_pump():
    office = Office(100, usual="raise")

    with pytest.raises(RuntimeError, match="a defect"):
        office.send()
    assert office.ledger.ends() == {"in_doubt": 3, "planned": 97}


def test_a_line_that_does_not_open_stops_the_pump():
    office = Office(300, lines=2, capacity=5)
    office.sender.open = lambda: 1 / 0

    with pytest.raises(ZeroDivisionError):
        office.send()
    assert office.ledger.ends() == {"planned": 300}


def test_feed_waits_for_room():
    office = Office(20, capacity=4)
    go_on = Event()
    office.sender.on_call = lambda _send_id: go_on.wait(10)
    pump = office.start()
    feeder = Thread(target=pump.feed, args=(office.letters, START + timedelta(hours=2)), daemon=True)
    feeder.start()
    feeder.join(0.05)
    assert feeder.is_alive()
    go_on.set()
    feeder.join(10)
    assert in_time(pump.finish) == {"sent": 20}


def test_leases_of_all_letters_in_hand_are_extended():
    office = Office(10, renew_seconds=0)
    office.sender.on_call = lambda _send_id: office.time.sleep(1)

    office.send()

    assert {send_id for send_ids in office.ledger.renewed for send_id in send_ids} >= {"s5", "s9"}


def test_leaving_the_block_by_an_error_halts():
    office = Office(10, lines=2, capacity=100)
    threads = active_count()

    def letters():
        yield from office.letters[:5]
        raise KeyError("a template")

    def run():
        with office.start() as pump:
            pump.feed(letters(), START + timedelta(hours=2))

    with pytest.raises(KeyError):
        in_time(run)
    assert office.pump.halted == "KeyError"
    assert office.ledger.ends()["claimed"] == 5
    assert office.ledger.ends().keys() <= {"sent", "planned", "claimed"}
    assert active_count() == threads


def test_a_finished_pump_takes_nothing():
    office = Office(1)
    office.send()

    with pytest.raises(RuntimeError, match="finished"):
        office.pump.feed(office.letters, START)
