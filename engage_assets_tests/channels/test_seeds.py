"""Seed letters: the first message of each campaign, once for each address of the team."""

from email import message_from_bytes, policy

import polars as pl
import pytest

from engage_assets.channels.email import render
from engage_assets.channels.seeds import seed_letters
from engage_assets.domain.errors import EngageError
from engage_assets_tests.channels.letters import CHANNEL, MARKETPLACE, PROGRAM, listed

OTHER = "product-reviews:email:2026-11-20:US"
MARKETPLACES = {"DE": MARKETPLACE, "US": MARKETPLACE.model_copy(update={"sender_name": "The Shop"})}
ROWS = render(
    pl.concat(
        [
            listed(),
            listed(customer_id="c2", subject_name="Teapot"),
            listed(customer_id="c3", marketplace="US", campaign_id=OTHER, subject_name="Lamp"),
        ]
    ),
    program=PROGRAM,
    channel=CHANNEL,
    marketplaces=MARKETPLACES,
)


def seeded(*addresses):
    config = CHANNEL.config.model_copy(update={"seed_list": addresses})
    return seed_letters(ROWS, channel=CHANNEL.model_copy(update={"config": config}), marketplaces=MARKETPLACES)


def test_each_address_gets_the_first_message_of_each_campaign():
    letters = seeded("a@example.invalid", "b@example.invalid")
    mails = [message_from_bytes(letter.content, policy=policy.default) for letter in letters]
    assert [(mail["To"], mail["Subject"], mail["X-Campaign-ID"]) for mail in mails] == [
        ("a@example.invalid", "[Seed] How was your Kettle?", ROWS["campaign_id"][0]),
        ("b@example.invalid", "[Seed] How was your Kettle?", ROWS["campaign_id"][0]),
        ("a@example.invalid", "[Seed] How was your Lamp?", OTHER),
        ("b@example.invalid", "[Seed] How was your Lamp?", OTHER),
    ]
    for mail in mails:
        text, html = (mail.get_body((kind,)).get_content() for kind in ("plain", "html"))
        assert text.startswith("Hello,")
        assert "<img" not in html
        assert mail["List-Unsubscribe-Post"] is None


def test_keys_are_stable_and_nobody_elses():
    keys = [letter.send_id for letter in seeded("a@example.invalid", "b@example.invalid")]
    assert keys == [letter.send_id for letter in seeded("other@example.invalid", "b@example.invalid")]
    assert len({*keys, *ROWS["send_id"]}) == 7


def test_without_a_seed_list_there_are_none():
    assert seeded() == []


def test_a_seed_that_is_no_address_is_named_by_its_place():
    with pytest.raises(EngageError, match=r"seedList: entry 2 of email is not an address") as error:
        seeded("a@example.invalid", "secret")
    assert "secret" not in str(error.value)
