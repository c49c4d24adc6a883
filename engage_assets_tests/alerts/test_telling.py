"""Each alert reaches each destination at least once; a broken one silences nobody and makes nobody hear twice."""

import logging
from collections import Counter
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.alerts import telling
from engage_assets.alerts.telling import AT_ONCE, Destination, NotTaken, tell
from engage_assets.domain.operations import Alert
from engage_assets.ledger.database import Database
from engage_assets.ledger.operations import SqlOperations
from engage_assets_tests.builders import instant

NOW = instant("2026-11-20 12:00")


class Ear:
    """A destination in memory: deaf as long as `error` is set."""

    def __init__(self, name="ear"):
        self.name = name
        self.error = None
        self.heard = Counter()

    def give(self, alerts, now):
        if self.error:
            raise self.error
        self.heard.update(alert.cause for alert in alerts)


class Board:
    """The alerts of Operations in memory."""

    def __init__(self):
        self.alerts = {}
        self.done = set()

    def raise_alert(self, cause):
        self.alerts.setdefault(cause, Alert(cause, f"text of {cause}", NOW))

    def untold(self):
        return [alert for cause, alert in self.alerts.items() if cause not in self.done]

    def told(self, causes, now):
        self.done.update(causes)


def test_an_alert_is_told_once_per_cause(tmp_path):
    operations = SqlOperations(Database(f"sqlite:///{tmp_path / 'ledger.db'}"))
    ear = Ear()
    destinations = [Destination(ear)]
    operations.raise_alert("run:x", "x failed", NOW)

    assert tell(operations, destinations, NOW) == 1
    operations.raise_alert("run:x", "x failed again", NOW + timedelta(hours=1))

    assert tell(operations, destinations, NOW + timedelta(hours=1)) == 0
    assert ear.heard == {"run:x": 1}
    assert not destinations[0].has(Alert("run:x", "", NOW))  # what everybody has need not be remembered


def test_a_broken_destination_is_named_by_class_and_host_and_tried_again(caplog):
    board, good, broken = Board(), Ear(), Ear("webhook hooks.example.com")
    destinations = [Destination(broken), Destination(good)]
    board.raise_alert("a")
    broken.error = OSError("https://hooks.example.com/secret-path ada@example.invalid")

    assert [tell(board, destinations, NOW) for _ in range(3)] == [0, 0, 0]
    assert (good.heard, broken.heard) == ({"a": 1}, {})
    assert "webhook hooks.example.com did not take 1 alerts: OSError" in caplog.text
    assert "secret" not in caplog.text
    assert "ada" not in caplog.text

    broken.error = None
    assert tell(board, destinations, NOW) == 1
    assert (good.heard, broken.heard) == ({"a": 1}, {"a": 1})


def test_many_that_wait_for_a_broken_destination_do_not_hold_up_the_others():
    board, good, broken = Board(), Ear(), Ear()
    destinations = [Destination(good), Destination(broken)]
    broken.error = NotTaken("HTTP 500")
    for number in range(2 * AT_ONCE + 1):
        board.raise_alert(f"{number:03}")

    for _ in range(3):
        tell(board, destinations, NOW)

    assert good.heard == Counter(list(board.alerts))


def test_without_a_destination_nothing_is_marked_and_it_is_said_once(caplog):
    telling._say_once.cache_clear()
    board = Board()
    board.raise_alert("a")

    with caplog.at_level(logging.WARNING):
        assert [tell(board, [], NOW) for _ in range(3)] == [0, 0, 0]

    assert board.untold()
    assert caplog.text.count("ENGAGE_ALERT_WEBHOOK") == 1


STEPS = st.lists(st.one_of(st.just("raise"), st.tuples(st.booleans(), st.booleans()), st.just("restart")), max_size=30)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_breaks_when_all_hear_everything_and_twice_only_after_a_restart(steps):
    board, ears = Board(), [Ear(), Ear()]
    destinations, restarts = [Destination(ear) for ear in ears], 0
    for step in [*steps, (True, True)]:
        if step == "raise":
            board.raise_alert(str(len(board.alerts)))
        elif step == "restart":
            destinations, restarts = [Destination(ear) for ear in ears], restarts + 1
        else:
            for ear, works in zip(ears, step, strict=True):
                ear.error = None if works else NotTaken("HTTP 503")
            tell(board, destinations, NOW)
        for cause in board.done:
            assert all(ear.heard[cause] for ear in ears)
    assert not board.untold()
    assert all(count <= 1 + restarts for ear in ears for count in ear.heard.values())
