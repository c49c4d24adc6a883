"""What every `Sender` keeps to, whatever carries the messages."""

from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy

import pytest

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.channels.message import build_message
from engage_assets.domain.ports import Sender
from engage_assets_tests.channels.letters import ADDRESS, MARKETPLACE, rendered


@dataclass
class Carrier:
    """A sender and the raw messages that arrived at the other end."""

    sender: Sender
    arrived: Callable[[], list[bytes]]


def dry_run(tmp_path):
    return Carrier(DryRunSender(tmp_path), lambda: [path.read_bytes() for path in sorted(tmp_path.rglob("*.eml"))])


CARRIERS = {"dry_run": dry_run}
LEAVES_MACHINE = {"dry_run": False}


@pytest.fixture(params=CARRIERS)
def carrier(request, tmp_path):
    return CARRIERS[request.param](tmp_path)


def hand_over(carrier, *, name="Ada", **changes):
    row = rendered(**changes)
    message = build_message(row, marketplace=MARKETPLACE, name=name, address=ADDRESS)
    return message, carrier.sender.hand_over(row["send_id"], row["campaign_id"], message)


def test_it_says_what_it_is(carrier):
    assert carrier.sender.transport in CARRIERS
    assert carrier.sender.leaves_machine is LEAVES_MACHINE[carrier.sender.transport]


@pytest.mark.parametrize("locale", ["en", "ja"])
def test_what_arrives_is_what_was_handed_over(carrier, locale):
    message, _ = hand_over(carrier, locale=locale, subject_name="湯沸かし – " * 12)
    (raw,) = carrier.arrived()
    mail = message_from_bytes(raw, policy=policy.default)
    assert {name: mail[name] for name in message} == {name: message[name] for name in message}
    for kind in ("plain", "html"):
        assert mail.get_body((kind,)).get_content() == message.get_body((kind,)).get_content()


def test_the_same_send_arrives_once(carrier):
    _, first = hand_over(carrier)
    arrived = carrier.arrived()
    _, again = hand_over(carrier, name="Bea")
    assert first == again
    assert carrier.arrived() == arrived


def test_different_sends_arrive_each(carrier):
    places = {hand_over(carrier, customer_id=f"c{i}")[1] for i in range(3)}
    assert len(places) == len(carrier.arrived()) == 3


def test_where_it_went_tells_nothing_of_the_person(carrier):
    _, where = hand_over(carrier)
    assert where
    assert not {"c1", "Ada", ADDRESS} & set(where.replace("/", ":").removesuffix(".eml").split(":"))
