"""The circuit breaker and the throttle, by the second."""

import pytest

from engage_assets.dispatch.breaker import Breaker
from engage_assets.dispatch.throttle import Throttle


def after(outcomes, at=0):
    """A breaker after outcomes: `x` refused, `.` not."""
    breaker = Breaker()
    for outcome in outcomes:
        breaker.note(at, is_refused=outcome == "x")
    return breaker


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("xxxxxxxxx", "closed"),
        ("xxxxx.....", "open"),
        ("......xxxx", "closed"),
        ("......xxxxx", "open"),
        ("xxxx..........", "closed"),
    ],
)
def test_half_of_the_last_ten_open_it(outcomes, state):
    assert after(outcomes).state == state


def test_one_letter_probes_after_thirty_seconds():
    breaker = after("xxxxxxxxxx", at=100)

    assert breaker.ask(100) == 30
    assert breaker.ask(129) == 1
    assert breaker.ask(130) == 0
    assert breaker.state == "probing"
    assert breaker.ask(130) > 0


def test_a_probe_that_is_taken_closes_it():
    breaker = after("xxxxxxxxxx")
    assert breaker.ask(30) == 0
    breaker.note(31, is_refused=False)

    assert breaker.state == "closed"
    assert breaker.ask(31) == 0
    for _ in range(9):
        breaker.note(32, is_refused=True)
    assert breaker.state == "closed"


def test_a_probe_that_is_refused_opens_it_again():
    breaker = after("xxxxxxxxxx")
    assert breaker.ask(30) == 0
    breaker.note(31, is_refused=True)

    assert breaker.ask(31) == 30
    assert breaker.ask(61) == 0


def test_late_outcomes_change_nothing_while_it_is_open():
    breaker = after("xxxxxxxxxx")
    breaker.note(5, is_refused=False)
    breaker.note(5, is_refused=True)

    assert breaker.ask(10) == 20


def test_turns_are_evenly_spaced_and_unused_ones_are_lost():
    throttle = Throttle(100)

    assert [round(throttle.reserve(1), 3) for _ in range(8)] == [0, 0, 0, 0, 0, 0, 0.01, 0.02]
    assert [round(throttle.reserve(50), 3) for _ in range(7)] == [0, 0, 0, 0, 0, 0, 0.01]
    assert Throttle(None).reserve(0) == 0
