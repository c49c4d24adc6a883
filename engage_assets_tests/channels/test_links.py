"""The links of a send: each good for one purpose, 90 days from the slot."""

from datetime import timedelta

import pytest

from engage_assets.channels.links import Links, untracked
from engage_assets.domain.errors import EngageError
from engage_assets.domain.tokens import LIFETIME
from engage_assets_tests.builders import instant
from engage_assets_tests.channels.letters import LINKS, SIGNER

SEND, SLOT = "0123456789abcdef" * 2, instant("2026-11-22T09:00")
PURPOSES = {"c": "click", "h": "click", "o": "open", "preferences": "preferences", "unsubscribe": "preferences"}


def split(url):
    """Path and token of a link."""
    base, path, token = url.rsplit("/", 2)
    assert base == "https://reviews.example.invalid/r"
    return path, token.removesuffix(".gif")


def test_each_link_carries_a_token_of_its_purpose_for_the_send():
    links = LINKS.of(SEND, SLOT)
    found = dict(map(split, (links.review, links.hidden, links.pixel, links.preferences, links.unsubscribe)))
    assert found.keys() == PURPOSES.keys()
    for path, text in found.items():
        token = SIGNER.read(text, PURPOSES[path], SLOT)
        assert (token.send_id, token.expires_at) == (SEND, SLOT + LIFETIME)
        assert SIGNER.read(text, PURPOSES[path], SLOT + LIFETIME + timedelta(seconds=1)) is None
        assert SIGNER.read(text, "answer", SLOT) is None


def test_the_page_itself_takes_an_answer():
    path, text = split(LINKS.page(SEND, SLOT))
    assert path == "review"
    assert SIGNER.read(text, "answer", SLOT).send_id == SEND


def test_a_preview_has_no_token_and_loads_nothing():
    links = untracked("https://reviews.example.invalid/")
    assert links.preferences == "https://reviews.example.invalid/preferences/preview"
    assert links.pixel == "data:,"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "reviews.example.invalid",
        "ftp://reviews.example.invalid",
        "https://user@reviews.example.invalid",
        "https://reviews.example.invalid/?a=b",
        "https://reviews.example.invalid/#a",
        "https://reviews.example.invalid/a b",
        "https://reviews.example.invalid/\r\nBcc: x@example.invalid",
        'https://reviews.example.invalid/">',
        "https://reviews.example.invalid/" + "a" * 400,
    ],
)
def test_what_is_no_address_of_a_service_is_refused(url):
    with pytest.raises(EngageError, match="https://host"):
        Links(url, SIGNER)
