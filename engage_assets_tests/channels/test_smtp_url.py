"""ENGAGE_SMTP_URL: what it may say, and that a wrong one is never repeated."""

import pytest

from engage_assets.channels.smtp import smtp_sender
from engage_assets.channels.smtp_url import read_smtp_url
from engage_assets.domain.errors import EngageError


@pytest.mark.parametrize(
    ("url", "port", "security"),
    [
        ("smtp://localhost", 25, "none"),
        ("smtp://localhost:2525", 2525, "none"),
        ("smtp://mx.example.invalid?starttls=required", 587, "starttls"),
        ("smtps://mx.example.invalid", 465, "tls"),
        ("smtps://[2001:db8::1]:2465/", 2465, "tls"),
    ],
)
def test_the_scheme_says_how_and_where(url, port, security):
    server = read_smtp_url(url, None)
    assert (server.port, server.security) == (port, security)


def test_user_and_options_are_read():
    server = read_smtp_url(
        "smtps://shop%40mail@mx.example.invalid?timeout=5&messages=7&ehlo=me.example.invalid", "secret"
    )
    assert (server.user, server.password, server.timeout) == ("shop@mail", "secret", 5)
    assert (server.messages, server.ehlo) == (7, "me.example.invalid")
    assert "secret" not in repr(server)
    assert "shop" not in repr(server)


@pytest.mark.parametrize(
    ("host", "leaves"),
    [
        ("localhost", False),
        ("127.0.0.1", False),
        ("127.8.8.8", False),
        ("[::1]", False),
        ("localhost.example.invalid", True),
        ("10.0.0.1", True),
        ("mx.example.invalid", True),
    ],
)
def test_only_this_machine_is_not_outside(host, leaves):
    assert smtp_sender(f"smtp://{host}", None).leaves_machine is leaves


@pytest.mark.parametrize(
    ("url", "password", "found"),
    [
        ("", None, "ENGAGE_SMTP_URL is none"),
        ("mx.secret.invalid", None, "ENGAGE_SMTP_URL is none"),
        ("http://mx.secret.invalid", None, "ENGAGE_SMTP_URL is none"),
        ("smtp://", None, "ENGAGE_SMTP_URL is none"),
        ("smtp://mx.secret.invalid/path", None, "ENGAGE_SMTP_URL is none"),
        ("smtp://mx.secret.invalid:99999", None, "port of 1 to 65535"),
        ("smtp://mx.secret.invalid?tls=1", None, "no option is called tls"),
        ("smtp://mx.secret.invalid?starttls=maybe", None, "only `required`"),
        ("smtps://mx.secret.invalid?starttls=required", None, "only for smtp://"),
        ("smtps://mx.secret.invalid?timeout=soon", None, "timeout is a whole number"),
        ("smtps://mx.secret.invalid?messages=0", None, "messages is a whole number"),
        ("smtps://mx.secret.invalid?ca=/secret", None, "ca names no file"),
        ("smtps://user:secret@mx.secret.invalid", None, "set ENGAGE_SMTP_PASSWORD"),
        ("smtps://user@mx.secret.invalid", None, "ENGAGE_SMTP_PASSWORD is not set"),
        ("smtps://mx.secret.invalid", "secret", "names no user"),
        ("smtp://user@mx.secret.invalid", "secret", "without encryption"),
    ],
)
def test_a_wrong_one_says_what_to_do_and_is_not_repeated(url, password, found):
    with pytest.raises(EngageError, match=found) as error:
        read_smtp_url(url, password)
    assert "ENGAGE_SMTP_" in str(error.value)
    assert "secret" not in str(error.value)
