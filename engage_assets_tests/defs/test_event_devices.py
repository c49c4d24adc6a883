"""One send goes to all of a person's devices, each asked until it has answered, and has one end."""

from collections import Counter

import pytest

from engage_assets.defs.event_devices import Devices
from engage_assets.domain.sends import Answer, Letter, TransientRefusal
from engage_assets_tests.defs.small_notices import Keeper

SENT, GONE = Answer("sent"), Answer("failed", "PUSH_GONE")
DOUBT, REFUSED = Answer("in_doubt", "NO_ANSWER"), Answer("failed", "TRANSPORT_REFUSED")
LETTER = Letter("s-1", "p:push:2026-12-08:DE", "", "", b"content")


def a_line(*answers: Answer | None):
    """A line of devices 0, 1, … that answer so; None: not now."""
    gone: list[str] = []

    def answer(letter: Letter) -> Answer:
        said = answers[int(letter.recipient)]
        if said is None:
            raise TransientRefusal("HTTP 429", is_rate_limit=True)
        return said

    keeper = Keeper(answer)
    return keeper, gone, Devices(keeper, {"s-1": [str(place) for place in range(len(answers))]}, gone.append).open()


@pytest.mark.parametrize(
    ("answers", "end"),
    [
        ([SENT, SENT], SENT),
        ([GONE, SENT], SENT),
        ([REFUSED, SENT], SENT),
        ([DOUBT, SENT], SENT),
        ([REFUSED, DOUBT, GONE], DOUBT),
        ([GONE, REFUSED], REFUSED),
        ([GONE, GONE], GONE),
        ([], GONE),
    ],
)
def test_a_send_has_the_best_of_its_devices_answers(answers, end):
    keeper, gone, line = a_line(*answers)
    assert line.hand_over(LETTER) == end
    assert len(keeper.letters) == len(answers)
    assert gone == [str(place) for place, one in enumerate(answers) if one == GONE]


@pytest.mark.parametrize(
    ("first", "otherwise"), [(SENT, SENT), (DOUBT, DOUBT), (GONE, None), (REFUSED, None), (None, None)]
)
def test_who_did_not_take_it_for_now_is_asked_again_and_nobody_else(first, otherwise):
    keeper, _, line = a_line(first, None)
    for _ in range(3):
        with pytest.raises(TransientRefusal) as refusal:
            line.hand_over(LETTER)
        assert (refusal.value.otherwise, refusal.value.is_rate_limit) == (otherwise, True)
    asked = Counter(one.recipient for one in keeper.letters)
    assert asked == {"0": 3 if first is None else 1, "1": 3}


def test_a_device_that_is_gone_is_not_asked_for_the_next_send():
    keeper, gone, _ = a_line(GONE)
    line = Devices(keeper, {"s-1": ["0"], "s-2": ["0"]}, gone.append).open()
    assert [line.hand_over(LETTER), line.hand_over(Letter("s-2", "c", "", "", b""))] == [GONE, GONE]
    assert (len(keeper.letters), gone) == (1, ["0"])
