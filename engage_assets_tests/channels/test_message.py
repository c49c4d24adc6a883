"""One message: standards-true, the same bytes for the same input, no header that data could break."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.utils import parseaddr

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engage_assets.channels.merge import one_line
from engage_assets.channels.message import CalendarPart
from engage_assets.domain.errors import EngageError
from engage_assets_tests.channels.letters import ADDRESS, LINKS, MARKETPLACE, QUESTIONS, letter, parts, rendered


def parsed(letter):
    return message_from_bytes(letter.content, policy=policy.default)


def bodies(mail):
    return [mail.get_body((kind,)).get_content().replace("\r\n", "\n") for kind in ("plain", "html")]


def defects(mail):
    return [
        *(part.defects for part in mail.walk() if part.defects),
        *(name for part in mail.walk() for name, value in part.items() if value.defects),
    ]


@pytest.mark.parametrize("language", QUESTIONS)
@pytest.mark.parametrize("product", ["Kettle", None])
@pytest.mark.parametrize("name", ["Zoë O'Hara <b>", None, " \n"])
def test_message_parses_back_to_the_same_headers_and_bodies(language, product, name):
    row = rendered(locale=language, subject_name=product)
    made = letter(row, name=name)
    mail = parsed(made)
    called = "Zoë O'Hara <b>" if name and name.strip() else None
    greeting = row["greeting_named"].replace("%%name%%", called) if called else row["greeting_plain"]
    marked = greeting.replace("'", "&#x27;").replace("<", "&lt;").replace(">", "&gt;")
    text, html = bodies(mail)
    assert [text, html] == list(parts(row, name=name))
    for part in mail.iter_parts():
        content = part.get_payload(decode=True)
        assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r") > 10
    assert text.startswith(f"{greeting}\n")
    assert f">{marked}</p>" in html
    assert (made.send_id, made.campaign_id) == (row["send_id"], row["campaign_id"])
    assert (made.sender, made.recipient) == ("reviews@shop.example.invalid", ADDRESS)
    assert mail["Subject"] == row["subject"]
    assert mail["From"].addresses[0].display_name == "Müller & Söhne"
    assert mail["From"].addresses[0].addr_spec == "reviews@shop.example.invalid"
    assert mail["To"] == ADDRESS
    assert mail["Reply-To"] == "help@shop.example.invalid"
    assert mail["Date"].datetime == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert mail["Message-ID"] == f"<{row['send_id']}@shop.example.invalid>"
    assert mail["List-Unsubscribe"] == f"<mailto:help@shop.example.invalid?subject=unsubscribe%20{row['send_id']}>"
    assert mail["List-Unsubscribe-Post"] is None
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language
    assert mail["X-Campaign-ID"] == row["campaign_id"]
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert not defects(mail)


def test_with_a_service_one_click_unsubscribes():
    row = rendered()
    links = LINKS.of(row["send_id"], row["slot_at"])
    mail = parsed(letter(row, links=LINKS))
    assert mail["List-Unsubscribe"] == (
        f"<{links.unsubscribe}>, <mailto:help@shop.example.invalid?subject=unsubscribe%20{row['send_id']}>"
    )
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert bodies(mail) == list(parts(row, links=LINKS))
    assert not defects(mail)


def by_the_library(row, name):
    """The same message as the standard library builds it."""
    message = EmailMessage(policy=policy.SMTP)
    message["Subject"] = row["subject"]
    message["To"] = ADDRESS
    message["X-Campaign-ID"] = row["campaign_id"]
    text, html = parts(row, name=name)
    message.set_content(text)
    message.add_alternative(html, subtype="html")
    message["Content-Language"] = row["locale"]
    return message_from_bytes(message.as_bytes(), policy=policy.default)


SCRIPTS = st.sampled_from("aZ 09.,;:<>()[]@\"'\\=?_-%&ÄßéœИЯ語湯沸かしギ한عربيไ👍🏽e\u0301")
TEXTS = st.one_of(st.text(max_size=100), st.text(SCRIPTS, max_size=100)).map(one_line)


@settings(max_examples=150)
@example(subject="語" * 60, sender="é" * 80, name="", product="")
@given(subject=TEXTS, sender=TEXTS.map(lambda text: text[:80]).filter(bool), name=TEXTS, product=TEXTS)
def test_any_text_reads_as_in_the_librarys_message(subject, sender, name, product):
    row = rendered(subject_name=product) | {"subject": subject}
    marketplace = MARKETPLACE.model_copy(update={"sender_name": sender})
    raw = letter(row, name=name, marketplace=marketplace).content
    mail, same = message_from_bytes(raw, policy=policy.default), by_the_library(row, name)
    assert mail["Subject"] == subject
    for header in ("Subject", "To", "X-Campaign-ID", "Content-Language"):
        assert mail[header] == same[header]
    # The library ends each part with a line break of its own.
    assert [f"{body}\n" for body in bodies(mail)] == bodies(same)
    # The library's parser leaves a blank between two encoded words of a display name; its decoder does not.
    shown, address = parseaddr(str(message_from_bytes(raw)["From"]))
    assert (str(make_header(decode_header(shown))), address) == (sender, MARKETPLACE.sender_address)
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert all(len(line) <= 76 for line in raw.split(b"\r\n") if b"=?utf-8?" in line)
    assert "%%" not in "".join(bodies(mail))


def test_a_calendar_file_stands_where_mail_programs_look_for_it():
    content = b"BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nSUMMARY:F\xc3\xbcr alle\r\nEND:VCALENDAR\r\n"
    part = CalendarPart(content, 'text/calendar; charset="utf-8"; method=REQUEST; component=VEVENT')
    mail = parsed(letter(calendar=part))
    assert not defects(mail)
    assert bodies(mail) == bodies(parsed(letter()))
    found = [one for one in mail.walk() if one.get_content_type() == "text/calendar"]
    assert [one.get_payload(decode=True) for one in found] == [content, content]
    assert [one["Content-Type"].params["method"] for one in found] == ["REQUEST", "REQUEST"]
    assert [one.get_filename() for one in found] == [None, "event.ics"]
    assert mail.get_content_type() == "multipart/mixed"


def test_equal_input_gives_equal_bytes():
    assert letter(links=LINKS) == letter(links=LINKS)
    assert letter().content != letter(name="Bea").content != letter(links=LINKS).content


def test_structured_headers_are_never_encoded_words():
    raw, send = letter().content, rendered()["send_id"].encode()
    assert b"\r\nList-Unsubscribe: <mailto:help@shop.example.invalid?subject=unsubscribe%20" + send + b">\r\n" in raw
    assert b"\r\nMessage-ID: <" + send + b"@shop.example.invalid>\r\n" in raw


def test_a_name_that_reads_as_a_merge_field_is_only_a_name():
    mail = parsed(letter(name="%%greeting%% %%name%%"))
    assert mail.get_body(("plain",)).get_content().startswith("Hello %greeting% %name%,")


def test_subject_that_looks_encoded_is_shown_as_it_is():
    assert parsed(letter(rendered() | {"subject": "=?utf-8?q?Free?="}))["Subject"] == "=?utf-8?q?Free?="


BREAKS = ["\r\nBcc: x@example.invalid", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028"]


@pytest.mark.parametrize("break_", BREAKS)
@pytest.mark.parametrize("field", ["subject", "campaign_id", "locale"])
def test_header_injection_is_refused(field, break_):
    row = rendered()
    with pytest.raises(EngageError, match=r"(?s)customer c1, send [0-9a-f]{32}: the header .* line break"):
        letter(row | {field: row[field] + break_})


@pytest.mark.parametrize("break_", BREAKS)
def test_header_injection_by_the_marketplace_is_refused(break_):
    with pytest.raises(EngageError, match=r"(?s)marketplace DE: senderName: the header From .* line break"):
        letter(marketplace=MARKETPLACE.model_copy(update={"sender_name": f"Shop{break_}"}))


@pytest.mark.parametrize("send", ["", "../" + "0" * 32, "0" * 32 + "\r\nBcc: x@example.invalid", "0" * 31 + "Z"])
def test_what_is_no_send_id_is_refused(send):
    with pytest.raises(EngageError, match=r"(?s)customer c1.*32 hex digits"):
        letter(rendered() | {"send_id": send}, links=LINKS)


def test_a_field_that_nobody_knows_is_refused():
    with pytest.raises(EngageError, match=r"customer c1, send .* merge field %%price_tag%% is not known"):
        letter(rendered() | {"text": "only %%price_tag%%"})


@pytest.mark.parametrize("links", [None, LINKS], ids=["alone", "with a service"])
def test_campaigns_that_were_rendered_without_fields_are_sent_as_they_are(links):
    row = rendered() | {"text": "100%% sure, %%greeting%%\n", "html": "<p>%%greeting%%</p>"}
    assert bodies(parsed(letter(row, name="<Ada>", links=links))) == [
        "100%% sure, Hello <Ada>,\n",
        "<p>Hello &lt;Ada&gt;,</p>",
    ]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "secret",
        "secret@",
        "@secret.invalid",
        "secret@@example.invalid",
        "secret@example.invalid\nBcc: x@example.invalid",
        "secret@example.invalid, other@example.invalid",
        "Secret <secret@example.invalid>",
        "sec ret@example.invalid",
        "secret@-example.invalid",
        "secret@example..invalid",
        ".secret@example.invalid",
        "secrét@example.invalid",
        "secret" * 11 + "@example.invalid",
        "secret@" + "example." * 31 + "invalid",
        "=?utf-8?q?secret?=@example.invalid",
    ],
)
def test_no_address_is_refused_without_repeating_it(address):
    with pytest.raises(EngageError) as error:
        letter(address=address)
    assert "customer c1" in str(error.value)
    assert "secr" not in str(error.value).lower()
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_domain_outside_ascii_is_sent_as_idna():
    assert parsed(letter(address="person@bücher.invalid"))["To"] == "person@xn--bcher-kva.invalid"


def test_wrong_sender_address_names_the_marketplace():
    with pytest.raises(EngageError, match="marketplace DE: senderAddress"):
        letter(marketplace=MARKETPLACE.model_copy(update={"sender_address": "a b@example.invalid"}))
