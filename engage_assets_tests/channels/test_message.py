"""One message: standards-true, the same bytes for the same input, no header that data could break."""

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.header import decode_header, make_header
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.channels.message import build_message, one_line
from engage_assets.domain.errors import EngageError
from engage_assets_tests.channels.letters import ADDRESS, MARKETPLACE, QUESTIONS, rendered


def built(row=None, *, name="Ada", address=ADDRESS, marketplace=MARKETPLACE):
    return build_message(row or rendered(), marketplace=marketplace, name=name, address=address)


def parsed(message):
    return message_from_bytes(message.as_bytes(), policy=policy.default)


@pytest.mark.parametrize("language", QUESTIONS)
@pytest.mark.parametrize("product", ["Kettle", None])
@pytest.mark.parametrize("name", ["Zoë O'Hara <b>", None, " \n"])
def test_message_parses_back_to_the_same_headers_and_bodies(language, product, name):
    row = rendered(locale=language, subject_name=product)
    mail = parsed(built(row, name=name))
    called = "Zoë O'Hara <b>" if name and name.strip() else None
    greeting = row["greeting_named"].replace("%%name%%", called) if called else row["greeting_plain"]
    marked = greeting.replace("'", "&#x27;").replace("<", "&lt;").replace(">", "&gt;")
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    assert text.get_content().replace("\r\n", "\n") == row["text"].replace("%%greeting%%", greeting)
    assert html.get_content().replace("\r\n", "\n") == row["html"].replace("%%greeting%%", marked)
    assert mail["Subject"] == row["subject"]
    assert mail["From"].addresses[0].display_name == "Müller & Söhne"
    assert mail["From"].addresses[0].addr_spec == "reviews@shop.example.invalid"
    assert mail["To"] == ADDRESS
    assert mail["Reply-To"] == "help@shop.example.invalid"
    assert mail["Date"].datetime == datetime(2026, 11, 22, 9, tzinfo=UTC)
    assert mail["Message-ID"] == f"<{row['send_id']}@shop.example.invalid>"
    assert mail["List-Unsubscribe"] == f"<mailto:help@shop.example.invalid?subject=unsubscribe%20{row['send_id']}>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == language
    assert mail["X-Campaign-ID"] == row["campaign_id"]
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert not [part.defects for part in mail.walk() if part.defects]
    assert not [name for part in mail.walk() for name, value in part.items() if value.defects]


def test_message_reads_the_same_before_it_is_written():
    message = built()
    assert message["Subject"] == "How was your Kettle?"
    assert message.get_body(("plain",)).get_content().startswith("Hello Ada,")


@given(
    subject=st.text(max_size=200).map(one_line),
    sender=st.text(max_size=80).map(one_line).filter(bool),
    name=st.text(max_size=30),
)
def test_any_text_survives_the_way_through_the_wire(subject, sender, name):
    row = rendered() | {"subject": subject}
    message = built(row, name=name, marketplace=MARKETPLACE.model_copy(update={"sender_name": sender}))
    raw, mail = message.as_bytes(), parsed(message)
    assert mail["Subject"] == subject
    # The library's parser leaves a blank between two encoded words of a display name; its decoder does not.
    shown, address = parseaddr(str(message_from_bytes(raw)["From"]))
    assert (str(make_header(decode_header(shown))), address) == (sender, MARKETPLACE.sender_address)
    assert raw.isascii()
    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert "%%" not in mail.get_body(("plain",)).get_content() + mail.get_body(("html",)).get_content()


def test_equal_input_gives_equal_bytes():
    assert built().as_bytes() == built().as_bytes()
    assert built().as_bytes() != built(name="Bea").as_bytes()


def test_structured_headers_are_never_encoded_words():
    raw, send = built().as_bytes(), rendered()["send_id"].encode()
    assert b"\r\nList-Unsubscribe: <mailto:help@shop.example.invalid?subject=unsubscribe%20" + send + b">\r\n" in raw
    assert b"\r\nMessage-ID: <" + send + b"@shop.example.invalid>\r\n" in raw


def test_a_name_that_reads_as_a_merge_field_is_only_a_name():
    mail = parsed(built(name="%%greeting%% %%name%%"))
    assert mail.get_body(("plain",)).get_content().startswith("Hello %greeting% %name%,")


def test_subject_that_looks_encoded_is_shown_as_it_is():
    assert parsed(built(rendered() | {"subject": "=?utf-8?q?Free?="}))["Subject"] == "=?utf-8?q?Free?="


@pytest.mark.parametrize("break_", ["\r\nBcc: x@example.invalid", "\n", "\r", "\x00", "\x0b", "\x85", "\u2028"])
@pytest.mark.parametrize("field", ["subject", "campaign_id", "locale", "send_id", "sender_name"])
def test_header_injection_is_refused(field, break_):
    row, marketplace = rendered(), MARKETPLACE
    if field == "sender_name":
        marketplace = MARKETPLACE.model_copy(update={field: f"Shop{break_}"})
    else:
        row[field] += break_
    with pytest.raises(EngageError, match=r"(?s)customer c1.*line break"):
        built(row, marketplace=marketplace)


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
        built(address=address)
    assert "customer c1" in str(error.value)
    assert "secr" not in str(error.value).lower()
    assert error.value.__suppress_context__ or error.value.__context__ is None


def test_domain_outside_ascii_is_sent_as_idna():
    assert parsed(built(address="person@bücher.invalid"))["To"] == "person@xn--bcher-kva.invalid"


def test_wrong_sender_address_names_the_marketplace():
    with pytest.raises(EngageError, match="marketplace DE: senderAddress"):
        built(marketplace=MARKETPLACE.model_copy(update={"sender_address": "a b@example.invalid"}))
