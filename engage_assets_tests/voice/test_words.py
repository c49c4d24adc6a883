"""How yes and no are understood, and how questions are worded."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.channel_specs import VoiceConfig
from engage_assets.domain.tokens import Signer
from engage_assets.programs import read_marketplaces
from engage_assets.voice import words
from engage_assets.voice.links import LIFETIME, SignedLinks
from engage_assets.voice.prompts import prompt_text
from engage_assets.voice.speech import SPOKEN, say
from engage_assets.voice.words import LANGUAGES, LONGEST, languages_of, understand
from engage_assets_tests.builders import instant

ROOT = Path(__file__).parents[2]
NOW = instant("2026-11-20 12:00")


@pytest.mark.parametrize(
    ("said", "locale", "meant"),
    [
        ("yes", "en-US", True),
        (" YES!! ", "en-GB", True),
        ("ＹＥＳ", "en-US", True),
        ("Oh, yes yes.", "en-AU", True),
        ("I didn’t", "en-US", False),
        ("ja", "de-DE", True),
        ("NÖ", "de-DE", False),
        ("auf  jeden\nFall", "de-DE", True),
        ("natuerlich nicht", "de-DE", None),
        ("d'accord", "fr-FR", True),
        ("Je n’ai pas aimé", "fr-FR", False),
        ("si", "fr-FR", True),
        ("si", "de-DE", None),
        ("はい。", "ja-JP", True),
        ("うん、うん", "ja-JP", True),
        ("ハイ", "ja-JP", True),
        ("いいえ！", "ja-JP", False),
        ("好き じゃ ない", "ja-JP", False),
        ("हाँ जी", "en-IN", True),
        ("ji nahi", "en-IN", False),
        ("yes", "en-IN", True),
        ("nao", "pt-BR", False),
        ("Não!", "pt-BR", False),
        ("com certeza", "pt-BR", True),
        ("yes", "ja-JP", True),
        ("yes", "xx", True),
        ("👍🏽", "de-DE", True),
        ("👎", "ja-JP", False),
        ("yes and no", "en-US", None),
        ("maybe", "en-US", None),
        ("🎸", "en-US", None),
        ("<b>yes</b>", "en-US", None),
        ("", "en-US", None),
        ("...", "ja-JP", None),
        ("yes " * 51, "en-US", None),
        ("yes " * 50, "en-US", True),
    ],
)
def test_answers_are_understood_in_the_language_of_the_marketplace(said, locale, meant):
    assert understand(said, locale) is meant


def test_every_marketplace_has_a_language_that_is_understood_and_spoken():
    for place in read_marketplaces(ROOT / "programs" / "marketplaces.yaml").values():
        assert set(languages_of(place.locale)) <= LANGUAGES, place.locale
        assert set(languages_of(place.locale)) <= SPOKEN, place.locale
    assert LANGUAGES == SPOKEN
    assert say("thanks", "pt-BR") != say("thanks", "xx-XX") == say("thanks", "en-US")


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_phrase_means_both(language):
    yes, no = (words._phrases(listed[language], language) for listed in (words._YES, words._NO))
    assert yes
    assert no
    assert not yes & no


@given(st.text(max_size=LONGEST + 10), st.sampled_from(["en-US", "ja-JP", "en-IN", "de"]))
def test_any_text_has_a_meaning_or_none_and_shouting_changes_nothing(text, locale):
    assert understand(text, locale) in (True, False, None)
    assert words.normal(words.normal(text)) == words.normal(text)


def a_config(**changes) -> VoiceConfig:
    return VoiceConfig.model_validate(
        {"prompt": "Did you enjoy {trackName}?", "responseOptions": ["yes", "no"]} | changes
    )


@pytest.mark.parametrize(
    ("config", "locale", "name", "text"),
    [
        ({}, "en-US", "Blue Skies", "Did you enjoy Blue Skies?"),
        ({}, "en-US", None, None),
        ({"prompt": "Did you like it?"}, "en-US", None, "Did you like it?"),
        ({"prompt": "Enjoyed {subjectName}?"}, "en-US", "Sun", "Enjoyed Sun?"),
        ({"prompt": "Enjoyed {eventName}?"}, "en-US", "Sun", "Enjoyed {eventName}?"),
        ({"prompts": {"de": "Gefiel dir {trackName}?"}}, "de-AT", "Sun", "Gefiel dir Sun?"),
        ({"prompts": {"de": "Gefiel dir {trackName}?"}}, "fr-FR", "Sun", "Did you enjoy Sun?"),
        ({"prompts": {"de": "A", "de-AT": "B"}}, "de-AT", "Sun", "B"),
        ({}, "en-US", "{trackName} {0} \\1 %s", "Did you enjoy {trackName} {0} \\1 %s?"),
        ({}, "en-US", " Two\n lines ", "Did you enjoy Two lines?"),
    ],
)
def test_a_question_names_its_subject_in_the_listeners_language(config, locale, name, text):
    assert prompt_text(a_config(**config), locale, "track", name) == text


@pytest.mark.parametrize("options", [["yes"], ["yes", "yes"], [], ["yes", "no", "maybe"]])
def test_a_program_takes_yes_and_no(options):
    with pytest.raises(ValueError, match="responseOptions"):
        a_config(responseOptions=options)


def test_an_access_token_names_one_customer_for_a_day():
    links, other = (SignedLinks(Signer({1: letter * 32}, 1)) for letter in (b"k", b"o"))
    token, expires_at = links.token("ü/c-1", NOW)

    assert expires_at == NOW + LIFETIME
    assert links.customer(token, expires_at - LIFETIME / 100) == "ü/c-1"
    assert links.customer(token, expires_at) is None
    assert other.customer(token, NOW) is None
    for wrong in ("", token[:-1], token + "A", "Q" + token[1:], "ä", "x" * 5000, token.swapcase()):
        assert links.customer(wrong, NOW) is None
