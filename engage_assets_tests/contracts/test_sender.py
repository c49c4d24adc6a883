"""What every `Sender` keeps to, whatever carries the messages."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.channels.smtp import smtp_sender
from engage_assets.domain.ports import Line, Sender
from engage_assets_tests.channels.letters import ADDRESS, LINKS, letter, rendered
from engage_assets_tests.channels.mail_servers import mail_server


@dataclass
class Carrier:
    """A sender, one line of it, and the contents that arrived at the other end."""

    sender: Sender
    line: Line
    arrived: Callable[[], list[bytes]]


@contextmanager
def dry_run(outbox: Path):
    sender = DryRunSender(outbox)
    yield Carrier(sender, sender.open(), lambda: [path.read_bytes() for path in sorted(outbox.rglob("*.eml"))])


@contextmanager
def smtp(_):
    with mail_server() as (port, inbox):
        sender = smtp_sender(f"smtp://127.0.0.1:{port}", None, lines=3, per_second=100)
        yield Carrier(sender, sender.open(), lambda: [content for _, _, content in inbox.letters])


CARRIERS = {"dry_run": dry_run, "smtp": smtp}


@pytest.fixture(params=CARRIERS)
def carrier(request, tmp_path):
    with CARRIERS[request.param](tmp_path) as carrier:
        yield carrier
        carrier.line.close()


def test_it_says_what_it_is(carrier):
    assert carrier.sender.transport in CARRIERS
    assert carrier.sender.leaves_machine is False
    assert carrier.sender.lines >= 1
    assert carrier.sender.per_second is None or carrier.sender.per_second > 0


@pytest.mark.parametrize("locale", ["en", "ja"])
@pytest.mark.parametrize("links", [None, LINKS], ids=["alone", "with a service"])
def test_what_arrives_is_what_was_handed_over_byte_for_byte(carrier, locale, links):
    made = letter(rendered(locale=locale, subject_name="湯沸かし – " * 12), links=links)
    assert carrier.line.hand_over(made).state == "sent"
    assert carrier.arrived() == [made.content]


def test_different_sends_arrive_each_and_the_line_may_be_closed_between(carrier):
    made = [letter(rendered(customer_id=f"c{i}")) for i in range(3)]
    receipts = set()
    for one in made:
        receipts.add(carrier.line.hand_over(one).receipt)
        carrier.line.close()
    assert len(receipts) == 3
    assert sorted(carrier.arrived()) == sorted(one.content for one in made)


def test_where_it_went_tells_nothing_of_the_person(carrier):
    answer = carrier.line.hand_over(letter())
    assert answer.receipt
    assert answer.reason is None
    for told in ("c1", "Ada", ADDRESS):
        assert told not in answer.receipt.replace("/", " ").split()


def test_the_outbox_takes_a_send_once(tmp_path):
    line = DryRunSender(tmp_path).open()
    first, again = line.hand_over(letter()), line.hand_over(letter(name="Bea"))
    assert first == again
    assert (tmp_path / first.receipt).read_bytes() == letter().content
