"""A token is good as we wrote it, for its purpose, until it expires: nothing else is."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from datetime import timedelta
from random import Random
from string import printable

import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.domain.tokens import LENGTH, LIFETIME, Signer
from engage_assets_tests.builders import instant

NOW = instant("2026-11-20 12:00")
SEND = "00112233445566778899aabbccddeeff"
OLD, NEW = b"o" * 32, b"n" * 32
SIGNER = Signer({1: OLD, 2: NEW}, signing=2)
TOKEN = SIGNER.sign("click", SEND, NOW + LIFETIME)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
BITS = 55 * 8


def raw(text: str) -> int:
    return int.from_bytes(urlsafe_b64decode(text + "=="))


def text(number: int) -> str:
    return urlsafe_b64encode(number.to_bytes(55)).rstrip(b"=").decode()


def flipped_bits(random: Random) -> Iterator[str]:
    """Every single bit, then many random patterns: version, key id, purpose, expiry, send, signature."""
    yield from (text(raw(TOKEN) ^ 1 << bit) for bit in range(BITS))
    while True:
        yield text(raw(TOKEN) ^ random.randrange(1, 1 << random.randrange(1, BITS)))


def fields_of_others(random: Random) -> Iterator[str]:
    """The signature of one token under the body of another that is just as good."""
    body, signature = 23, 32
    while True:
        other = SIGNER.sign(
            random.choice(["open", "answer", "preferences"]), random.randbytes(16).hex(), NOW + timedelta(days=1)
        )
        ours, theirs = raw(TOKEN).to_bytes(55), raw(other).to_bytes(55)
        yield text(int.from_bytes(ours[:body] + theirs[-signature:]))
        yield text(int.from_bytes(theirs[:body] + ours[-signature:]))


def other_writings(random: Random) -> Iterator[str]:
    """The same bytes, or a few characters changed: spare bits, padding, the other alphabet, blanks, case."""
    last = ALPHABET.index(TOKEN[-1])
    yield from (TOKEN[:-1] + ALPHABET[last ^ spare] for spare in range(1, 16))
    yield from (TOKEN + pad for pad in ("=", "==", "===", "A", "\n", " ", "\0", "é"))
    yield from (TOKEN.swapcase(), TOKEN.lower(), TOKEN[1:], TOKEN[:-1], "", "=" * LENGTH, TOKEN[:-2] + "==")
    both = next(one for one in (SIGNER.sign("click", f"{n:032x}", NOW) for n in range(999)) if {"-", "_"} <= set(one))
    yield both.replace("-", "+")
    yield both.replace("_", "/")
    while True:
        place = random.randrange(LENGTH)
        yield TOKEN[:place] + random.choice(printable + "é٣") + TOKEN[place + random.randrange(3) :]


@pytest.mark.parametrize(
    ("alterations", "number"), [(flipped_bits, 5_000), (fields_of_others, 2_000), (other_writings, 3_000)]
)
def test_an_altered_token_is_never_accepted(alterations, number):
    altered = alterations(Random(7))
    tried = 0
    while tried < number:
        one = next(altered)
        if one == TOKEN:
            continue
        tried += 1
        for purpose in ("open", "click", "answer", "preferences"):
            assert SIGNER.read(one, purpose, NOW) is None, (one, purpose)


def test_a_token_says_what_was_signed_for_its_purpose_alone():
    said = SIGNER.read(TOKEN, "click", NOW)
    assert said is not None
    assert (said.purpose, said.send_id, said.expires_at) == ("click", SEND, NOW + LIFETIME)
    assert len(TOKEN) == LENGTH
    assert all(SIGNER.read(TOKEN, other, NOW) is None for other in ("open", "answer", "preferences"))


def test_it_is_good_until_it_expires_to_the_second():
    token = SIGNER.sign("open", SEND, NOW)
    assert SIGNER.read(token, "open", NOW) is not None
    assert SIGNER.read(token, "open", NOW + timedelta(microseconds=1)) is None
    assert SIGNER.read(SIGNER.sign("open", SEND, NOW + timedelta(microseconds=999_999)), "open", NOW) is not None


def test_a_rotation_keeps_links_that_were_signed_before():
    before = Signer({1: OLD}, signing=1).sign("open", SEND, NOW)
    assert SIGNER.read(before, "open", NOW) is not None
    assert SIGNER.sign("open", SEND, NOW) != before
    assert Signer({2: NEW}, signing=2).read(before, "open", NOW) is None, "a key that was retired signs nothing"
    assert Signer({1: NEW, 2: NEW}, signing=2).read(before, "open", NOW) is None, "another secret under the same id"


@pytest.mark.parametrize("keys", [{}, {2: b"n" * 31}, {1: OLD}, {2: NEW, 256: OLD}, {2: NEW, -1: OLD}])
def test_a_signer_needs_whole_keys(keys):
    with pytest.raises(EngageError, match="engage keys rotate"):
        Signer(keys, signing=2)
