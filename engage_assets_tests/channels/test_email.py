"""What a list becomes: subjects, texts and pages in the person's language, closed to injected data."""

import re
from html.parser import HTMLParser

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import DictLoader, StrictUndefined, UndefinedError
from jinja2.sandbox import SandboxedEnvironment

from engage_assets.channels.editions import edition, languages, template_ids
from engage_assets.channels.email import SUBJECT_NAME_LENGTH, Letters, render
from engage_assets.channels.merge import GREETING, NAME
from engage_assets.channels.send_ids import send_ids
from engage_assets.channels.written_in import written_in
from engage_assets.domain.errors import EngageError
from engage_assets.domain.keys import send_id
from engage_assets.domain.sends import Send
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import EMAIL_CAMPAIGNS
from engage_assets_tests.channels.letters import (
    CHANNEL,
    LINKS,
    MARKETPLACE,
    PROGRAM,
    QUESTIONS,
    listed,
    parts,
    rendered,
)


class Page(HTMLParser):
    """What a reader gets out of an HTML part: its language, its links, its words, its tags."""

    def __init__(self, html):
        super().__init__()
        self.links, self.hidden, self.images, self.words, self.tags, self.lang = [], [], [], [], [], None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        attributes = dict(attrs)
        self.lang = attributes["lang"] if tag == "html" else self.lang
        self.links += [attributes["href"]] if tag == "a" else []
        self.hidden += [attributes] if tag == "a" and "display:none" in attributes["style"] else []
        self.images += [attributes] if tag == "img" else []

    def handle_data(self, data):
        self.words += data.split()

    @property
    def text(self):
        return " ".join(self.words)


def test_every_language_is_pinned_here():
    assert languages("review-request-v3") == set(QUESTIONS)


@pytest.mark.parametrize("language", QUESTIONS)
@pytest.mark.parametrize("product", ["Kettle", None, " \u200b"])
@pytest.mark.parametrize("links", [None, LINKS], ids=["alone", "with a service"])
def test_subject_text_and_page_say_the_same_in_each_language(language, product, links):
    row = rendered(locale=language, subject_name=product)
    text, html = parts(row, links=links)
    page = Page(html)
    assert row["subject"] == QUESTIONS[language][0 if product == "Kettle" else 1]
    assert row["locale"] == page.lang == language
    for line in text.splitlines():
        if not line.startswith(("https:", "mailto:", "-- ")):
            assert " ".join(line.split()) in page.text
    assert ("Kettle" in text) == ("Kettle" in page.text) == (product == "Kettle")
    assert "None" not in text + html
    assert "%%" not in text + html


STOP_WORDS = {"en": "unsubscribe", "de": "abmelden", "fr": "désinscri", "ja": "配信", "pt": "descadastr"}


@pytest.mark.parametrize("language", QUESTIONS)
def test_footer_tells_how_to_stop_by_link_or_else_by_mail(language):
    row = rendered(locale=language)
    alone, linked = parts(row)[0], parts(row, links=LINKS)[0]
    assert len(alone.splitlines()) == len(linked.splitlines())
    changed = [pair for pair in zip(alone.splitlines(), linked.splitlines(), strict=True) if pair[0] != pair[1]]
    (_, review), (by_mail, by_link), (_, label), (mailto, preferences) = changed
    assert mailto.startswith("mailto:help@shop.example.invalid?")
    assert review.startswith("https://reviews.example.invalid/r/c/")
    assert preferences.startswith("https://reviews.example.invalid/r/preferences/")
    for words in (by_mail, by_link, label):
        assert STOP_WORDS[language] in words.lower()


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


def test_the_text_has_no_gaps_where_a_block_was_left_out():
    row = rendered()
    stop = f"mailto:help@shop.example.invalid?subject=unsubscribe%20{row['send_id']}"
    words = "If you would rather not get review requests, reply to this e-mail with the word “unsubscribe”."
    assert f"\n{words}\nUnsubscribe by e-mail\n{stop}\n\nSender: " in parts(row)[0]
    link = LINKS.of(row["send_id"], row["slot_at"]).preferences
    words = "If you would rather not get review requests, you can unsubscribe with this link:"
    assert f"\n{words}\nUnsubscribe or change preferences\n{link}\n\nSender: " in parts(row, links=LINKS)[0]


def test_footer_names_the_sender_and_links_lead_to_the_review_and_out():
    row = rendered(subject_id="a/b c?ä")
    text, html = parts(row)
    review = "https://shop.example.invalid/de/review/a%2Fb%20c%3F%C3%A4"
    stop = f"mailto:help@shop.example.invalid?subject=unsubscribe%20{row['send_id']}"
    assert Page(html).links == [review, stop]
    assert review in text
    assert stop in text
    for part in (text, Page(html).text):
        assert "Müller & Söhne, Marktstraße 1, 10115 Berlin" in part


def test_with_a_service_links_are_the_sends_one_is_hidden_and_one_pixel_ends_the_page():
    row = rendered()
    links = LINKS.of(row["send_id"], row["slot_at"])
    text, html = parts(row, links=LINKS)
    page = Page(html)
    assert page.links == [links.review, links.preferences, links.hidden]
    (hidden,), (pixel,) = page.hidden, page.images
    assert (hidden["href"], hidden["tabindex"], hidden["aria-hidden"]) == (links.hidden, "-1", "true")
    assert (pixel["src"], pixel["alt"], pixel["width"], pixel["height"]) == (links.pixel, "", "1", "1")
    assert html.rstrip().endswith("</body>\n</html>")
    assert html.index(links.pixel) > html.rindex("</table>")
    assert links.review in text
    assert links.preferences in text
    assert links.hidden not in text


def test_without_a_service_the_page_loads_nothing_from_elsewhere():
    _, html = parts(rendered())
    assert not {"img", "link", "script", "style", "iframe"} & set(Page(html).tags)
    assert "url(" not in html


def test_rendering_knows_no_host_and_no_key():
    row = rendered()
    assert "https://" not in row["text"] + row["html"]
    assert "mailto:" not in row["text"] + row["html"]
    assert row["send_id"] not in row["text"] + row["html"]


def test_product_name_cannot_bring_markup():
    row = rendered(subject_name="<b onclick=x>&amp;</b>{{ 7*7 }}")
    assert Page(row["html"]).tags == Page(rendered()["html"]).tags
    assert "<b onclick=x>&amp;</b>{{ 7*7 }}" in row["text"]


FIELDS = re.compile(r"%%[a-z_]+%%")
HOSTILE = st.lists(
    st.sampled_from([*"%{}<>&\"' abe\n\r\t\x00\x0b\x1c\x85\u2028\u2029\u202e\u200b", NAME, GREETING])
).map("".join)


@given(product=HOSTILE, shop=HOSTILE)
def test_data_bring_no_merge_field_no_markup_and_no_line_break(product, shop):
    marketplace = MARKETPLACE.model_copy(update={"sender_name": shop, "postal_address": shop})
    row = rendered(marketplace, subject_name=product)
    for part in ("text", "html"):
        assert FIELDS.findall(row[part]) == FIELDS.findall(rendered()[part])
        assert not FIELDS.sub("", row[part]).count("%%")
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
    assert (first["subject_type"], first["subject_name"], first["time_zone"]) == ("product", "Kettle", "Europe/Berlin")
    assert made["send_id"].n_unique() == 4


@given(st.lists(st.tuples(st.text(), st.text(), st.text(), st.datetimes()), max_size=5))
def test_ids_of_a_list_are_those_of_its_sends(keys):
    kinds = {"campaign_id": pl.String, "customer_id": pl.String, "subject_id": pl.String, "slot_at": pl.Datetime("us")}
    made = send_ids(pl.DataFrame(keys, kinds, orient="row"), "music-feedback", "email")
    expected = [
        send_id("music-feedback", campaign, customer, subject, "email", at) for campaign, customer, subject, at in keys
    ]
    assert made.to_list() == expected


@pytest.mark.parametrize(
    ("name", "kept"), [("  Tea\x00\nkettle\u202e ", "Tea kettle"), ("\u200b ", None), (None, None)]
)
def test_the_subjects_name_is_kept_on_one_line_or_not_at_all(name, kept):
    assert rendered(subject_name=name)["subject_name"] == kept


@pytest.mark.parametrize("remembered", [1, 3, 100])
def test_slices_make_what_the_whole_makes(remembered, monkeypatch):
    locales = ["de", "ja", None, "xx", "ja", "de", "fr", "de", None]
    rows = pl.concat([listed(customer_id=f"c{i}", locale=locale) for i, locale in enumerate(locales)])
    common = {"program": PROGRAM, "channel": CHANNEL, "marketplaces": {"DE": MARKETPLACE}}
    whole, letters = render(rows, **common), Letters()
    monkeypatch.setattr("engage_assets.channels.email.REMEMBERED", remembered)
    assert pl.concat(render(part, letters=letters, **common) for part in rows.iter_slices(2)).equals(whole)


def test_letter_that_many_people_get_is_made_once():
    told = pl.DataFrame({"marketplace": ["DE"] * 3, "locale": ["de", None, "de"]})
    made, letters = [], Letters()

    def letter(values):
        made.append(values)
        return (None,) * 8

    assert letters.of(told, letter).height == letters.of(told.reverse(), letter).height == 3
    assert made == [("DE", "de"), ("DE", None)]


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
    for part in ("product-reviews", "channels.config.templateId", repr(given_id), *template_ids("message")):
        assert part in str(error.value)


def test_unknown_marketplace_is_named():
    with pytest.raises(EngageError, match=r"marketplaces.yaml has no ZZ"):
        render(listed(marketplace="ZZ"), program=PROGRAM, channel=CHANNEL, marketplaces={"DE": MARKETPLACE})


def test_no_word_of_a_template_has_the_name_of_what_a_message_tells():
    told = {"name", "maker", "subject", "date", "time", "zone"}
    told |= {segment for source in SOURCES.values() for segment in source.segments}
    for template in template_ids("message"):
        for language in languages(template):
            opened = edition(template, "message", language)
            assert not told & (opened.text_words.keys() | opened.html_words.keys())  # they are written in beforehand


SAID = st.sampled_from(["", "Kettle", "<b>Tom & Ann's</b>", "{{ name }}", "%%name%%", "müde Katze\u202e", "2026-12-01"])


@pytest.mark.parametrize("template", template_ids("message"))
@given(data=st.data())
def test_what_is_written_into_a_template_beforehand_changes_no_letter(template, data):
    """The template as it lies there, given the same words and values, says the same."""
    from engage_assets.channels.email import _letterhead

    language = data.draw(st.sampled_from(sorted(languages(template))))
    opened, head = edition(template, "message", language), _letterhead(template, language, MARKETPLACE)
    segments = sorted({segment for source in SOURCES.values() for segment in source.segments})
    dated = ("date", "time", "zone") if "date" in opened.text_words["question"].arguments else ()
    about = {name: data.draw(SAID) for name in ("name", "maker", *segments, *dated)}

    subject, text, html = head.render(about)

    values = {
        **about,
        "subject": subject,
        "language": language,
        "sender_name": MARKETPLACE.sender_name,
        "postal_address": ", ".join(MARKETPLACE.postal_address.splitlines()),
    }
    assert text == opened.text.render(opened.text_words | values)
    assert html == opened.html.render(opened.html_words | values)


@pytest.mark.parametrize(
    "macro",
    [
        "{% macro said(name) %}{{ name }}, {{ name }}{% endmacro %}",
        "{% macro said(other) %}{{ other }}{% endmacro %}",
        "{% macro said(name='you') %}{{ name }}{% endmacro %}",
        "{% macro said(name) %}{% set word = 'here' %}{{ word }} {{ name }}{% endmacro %}",
        "{% macro said(name) %}{% for one in name %}{{ one }}.{% endfor %}{% endmacro %}",
        "{% macro said(name) %}{% if name %}{{ said('') }}{{ name }}{% else %}<none>{% endif %}{% endmacro %}",
    ],
)
@pytest.mark.parametrize("escaped", [True, False])
def test_a_macro_says_the_same_in_the_place_of_its_call(macro, escaped):
    layout = "<p>{{ said(name) }}{{ name }}{{ said('<') }}{{ said(name)|upper }}{{ word }}</p>"
    loader = DictLoader({"words": macro + "{% set word = '<i>' %}", "layout": layout})
    environment = SandboxedEnvironment(loader=loader, autoescape=escaped, undefined=StrictUndefined)
    words, template = vars(environment.get_template("words").module), environment.get_template("layout")

    written = written_in(template, words, "words")

    for name in ("", "Ann & Tom", "<b>"):
        assert written.render(words | {"name": name}) == template.render(words | {"name": name})


def test_templates_refuse_what_the_program_did_not_give():
    opened = edition("review-request-v3", "message", "en")
    with pytest.raises(UndefinedError, match="language"):
        opened.html.render(opened.html_words)
