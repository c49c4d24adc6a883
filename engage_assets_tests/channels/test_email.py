"""What a list becomes: subjects, texts and pages in the person's language, closed to injected data."""

from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError

from engage_assets.channels.email import SUBJECT_NAME_LENGTH, languages, render, template_ids
from engage_assets.channels.message import GREETING, NAME
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Send
from engage_assets.domain.tables import EMAIL_CAMPAIGNS
from engage_assets_tests.channels.letters import CHANNEL, MARKETPLACE, PROGRAM, QUESTIONS, listed, rendered


class Page(HTMLParser):
    """What a reader gets out of an HTML part: its language, its links, its words, its tags."""

    def __init__(self, html):
        super().__init__()
        self.links, self.words, self.tags, self.lang = [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        self.lang = attributes["lang"] if tag == "html" else self.lang
        self.links += [attributes["href"]] if tag == "a" else []

    def handle_data(self, data):
        self.words += data.split()

    @property
    def text(self):
        return " ".join(self.words)


def test_every_language_is_pinned_here():
    assert languages("review-request-v3") == set(QUESTIONS)


@pytest.mark.parametrize("language", QUESTIONS)
@pytest.mark.parametrize("product", ["Kettle", None, " \u200b"])
def test_subject_text_and_page_say_the_same_in_each_language(language, product):
    row = rendered(locale=language, subject_name=product)
    page = Page(row["html"])
    assert row["subject"] == QUESTIONS[language][0 if product == "Kettle" else 1]
    assert row["locale"] == page.lang == language
    for line in row["text"].splitlines():
        if not line.startswith(("https:", "mailto:", "-- ")):
            assert " ".join(line.split()) in page.text
    assert ("Kettle" in row["text"]) == ("Kettle" in page.text) == (product == "Kettle")
    assert "None" not in row["text"] + row["html"]


@pytest.mark.parametrize("language", QUESTIONS)
def test_greeting_is_left_open(language):
    row = rendered(locale=language)
    assert row["text"].count(GREETING) == row["html"].count(GREETING) == 1
    assert row["greeting_named"].count(NAME) == 1
    assert row["greeting_plain"].strip()
    assert "%" not in row["greeting_plain"]


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("de-AT", "de"),
        ("DE_at", "de"),
        ("ja", "ja"),
        ("pt-BR", "pt"),
        ("es-ES", "en"),
        ("zh-Hant-TW", "en"),
        (None, "fr"),
        ("", "fr"),
        ("?", "fr"),
    ],
)
def test_language_is_the_persons_else_the_marketplaces_else_english(locale, language):
    assert rendered(MARKETPLACE.model_copy(update={"locale": "fr-FR"}), locale=locale)["locale"] == language


def test_marketplace_whose_language_no_template_has_writes_english():
    assert rendered(MARKETPLACE.model_copy(update={"locale": "hi-IN"}), locale=None)["locale"] == "en"


def test_footer_names_the_sender_and_links_lead_to_the_review_and_out():
    row = rendered(subject_id="a/b c?ä")
    review = "https://shop.example.invalid/de/review/a%2Fb%20c%3F%C3%A4"
    stop = f"mailto:help@shop.example.invalid?subject=unsubscribe%20{row['send_id']}"
    assert Page(row["html"]).links == [review, stop]
    assert review in row["text"]
    assert stop in row["text"]
    for part in (row["text"], Page(row["html"]).text):
        assert "Müller & Söhne, Marktstraße 1, 10115 Berlin" in part


def test_page_loads_nothing_from_elsewhere():
    page = Page(rendered()["html"])
    assert not {"img", "link", "script", "style", "iframe"} & set(page.tags)
    assert "url(" not in rendered()["html"]


def test_product_name_cannot_bring_markup():
    row = rendered(subject_name="<b onclick=x>&amp;</b>{{ 7*7 }}")
    assert Page(row["html"]).tags == Page(rendered()["html"]).tags
    assert "<b onclick=x>&amp;</b>{{ 7*7 }}" in row["text"]


HOSTILE = st.lists(
    st.sampled_from([*"%{}<>&\"' abe\n\r\t\x00\x0b\x1c\x85\u2028\u2029\u202e\u200b", NAME, GREETING])
).map("".join)


@given(product=HOSTILE, shop=HOSTILE)
def test_data_bring_no_merge_field_no_markup_and_no_line_break(product, shop):
    marketplace = MARKETPLACE.model_copy(update={"sender_name": shop, "postal_address": shop})
    row = rendered(marketplace, subject_name=product)
    assert row["text"].count("%%") == row["html"].count("%%") == 2
    assert "%%" not in row["subject"]
    assert len(row["subject"].splitlines()) == 1
    assert Page(row["html"]).tags == Page(rendered()["html"]).tags
    assert len(row["text"].splitlines()) == len(rendered()["text"].splitlines())


@pytest.mark.parametrize("name", ["word " * 40, "語" * 200])
def test_long_product_name_is_cut_in_the_subject_only(name):
    row = rendered(subject_name=name)
    assert len(row["subject"]) <= len("How was your ?") + SUBJECT_NAME_LENGTH
    assert row["subject"].endswith("…?")
    assert name.strip() in row["text"]


def test_result_has_the_tables_schema_the_lists_order_and_the_ledgers_keys():
    rows = pl.concat([listed(customer_id=f"c{i}", subject_id=f"p{9 - i}") for i in range(4)])
    made = render(rows, program=PROGRAM, channel=CHANNEL, marketplaces={"DE": MARKETPLACE})
    assert dict(made.schema) == EMAIL_CAMPAIGNS.schema
    assert made["customer_id"].to_list() == ["c0", "c1", "c2", "c3"]
    first = made.row(0, named=True)
    send = Send(
        program="product-reviews",
        campaign_id=first["campaign_id"],
        customer_id="c0",
        subject_id="p9",
        channel="email",
        slot_at=first["slot_at"],
        cap_scope="any",
    )
    assert first["send_id"] == send.send_id
    assert made["send_id"].n_unique() == 4


def test_slices_make_what_the_whole_makes():
    rows = pl.concat([listed(customer_id=f"c{i}", locale=locale) for i, locale in enumerate(["de", "ja", None, "xx"])])
    sliced = pl.concat(
        render(part, program=PROGRAM, channel=CHANNEL, marketplaces={"DE": MARKETPLACE}) for part in rows.iter_slices(1)
    )
    assert sliced.equals(render(rows, program=PROGRAM, channel=CHANNEL, marketplaces={"DE": MARKETPLACE}))


def test_empty_list_makes_an_empty_campaign():
    made = render(listed().clear(), program=PROGRAM, channel=CHANNEL, marketplaces={})
    assert made.is_empty()
    assert dict(made.schema) == EMAIL_CAMPAIGNS.schema


@pytest.mark.parametrize("given_id", ["review-request-v9", "../templates", ""])
def test_unknown_template_names_key_value_and_what_there_is(given_id):
    config = CHANNEL.config.model_copy(update={"template_id": given_id})
    channel = CHANNEL.model_copy(update={"config": config})
    with pytest.raises(EngageError) as error:
        render(listed(), program=PROGRAM, channel=channel, marketplaces={"DE": MARKETPLACE})
    for part in ("product-reviews", "channels.config.templateId", repr(given_id), *template_ids()):
        assert part in str(error.value)


def test_unknown_marketplace_is_named():
    with pytest.raises(EngageError, match=r"marketplaces.yaml has no ZZ"):
        render(listed(marketplace="ZZ"), program=PROGRAM, channel=CHANNEL, marketplaces={"DE": MARKETPLACE})


def test_templates_refuse_what_the_program_did_not_give():
    from engage_assets.channels.email import _edition

    edition = _edition("review-request-v3", "en")
    with pytest.raises(UndefinedError, match="language"):
        edition.html.render(edition.html_words)
