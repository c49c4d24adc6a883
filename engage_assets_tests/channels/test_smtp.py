"""The transport to a mail server: each way in which a message ends, and what is known then."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.channels import smtp
from engage_assets.channels.smtp import smtp_sender
from engage_assets.channels.smtp_conversation import dot_stuffed
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Answer, Letter, TransientRefusal
from engage_assets_tests.channels.letters import ADDRESS
from engage_assets_tests.channels.mail_servers import (
    HANG_UP,
    PASSWORD,
    SILENCE,
    USER,
    certificate,
    free_port,
    mail_server,
    scripted,
)

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")

SEND = "0123456789abcdef" * 2
CONTENT = b"Subject: Hello\r\n\r\n.one\r\n..two\r\n.\r\nthree\r\n"
SENT = Answer("sent", receipt="2.0.0 Ok: queued as Q1")
IN_DOUBT = Answer("in_doubt", "NO_ANSWER")


def letter(content=CONTENT, recipient=ADDRESS):
    return Letter(SEND, "product-reviews:email:2026-11-20:DE", "shop@example.invalid", recipient, content)


def line_to(port, *, scheme="smtp", options="", user="", password=None):
    return smtp_sender(f"{scheme}://{user}127.0.0.1:{port}{options}", password).open()


def outcome(line, what=None):
    """The answer, or the cause of a transient refusal and whether it is a rate limit."""
    try:
        return line.hand_over(what or letter())
    except TransientRefusal as refusal:
        return refusal.cause, refusal.is_rate_limit


@pytest.mark.parametrize("has_pipelining", [True, False])
def test_a_line_keeps_its_connection_and_what_arrives_is_what_was_given(has_pipelining):
    with mail_server(has_pipelining=has_pipelining) as (port, inbox):
        line = line_to(port)
        answers = [line.hand_over(letter()) for _ in range(3)]
        line.close()
        line.close()
    assert [answer.receipt for answer in answers] == [f"2.0.0 Ok: queued as Q{n}" for n in (1, 2, 3)]
    assert inbox.letters == [("shop@example.invalid", (ADDRESS,), CONTENT)] * 3
    assert inbox.connections == 1


def test_pipelining_asks_in_one_write_and_sends_content_only_after_the_servers_word():
    with scripted() as server:
        assert outcome(line_to(server.port)) == SENT
    _, asked, content = server.writes
    assert asked == f"MAIL FROM:<shop@example.invalid>\r\nRCPT TO:<{ADDRESS}>\r\nDATA\r\n".encode()
    assert content == dot_stuffed(CONTENT) + b".\r\n"


def test_the_size_is_announced_where_the_server_wants_it():
    with scripted({"EHLO": b"250-mx.example.invalid\r\n250 SIZE 1000"}) as server:
        assert outcome(line_to(server.port)) == SENT
    assert server.writes[1] == f"MAIL FROM:<shop@example.invalid> SIZE={len(CONTENT)}\r\n".encode()


def test_connections_are_renewed_after_so_many_messages_and_after_doing_nothing(monkeypatch):
    with scripted() as server:
        line = line_to(server.port, options="?messages=2")
        assert [outcome(line) for _ in range(5)] == [SENT] * 5
        assert server.connections == 3
        monkeypatch.setattr(smtp, "IDLE", -1)
        assert outcome(line) == SENT
        assert server.connections == 4


REFUSALS = [
    (b"550 5.1.1 <person@example.invalid> unknown", Answer("failed", "TRANSPORT_REFUSED 550 5.1.1")),
    (b"554-5.7.1 no\r\n554 5.7.1 never", Answer("failed", "TRANSPORT_REFUSED 554 5.7.1")),
    (b"550 person@example.invalid unknown", Answer("failed", "TRANSPORT_REFUSED 550")),
    (b"421 4.7.0 come back", ("SMTP 421 4.7.0", True)),
    (b"450 4.2.1 mailbox busy", ("SMTP 450 4.2.1", False)),
    (b"450 4.2.1 receiving mail at a rate that", ("SMTP 450 4.2.1", True)),
    (b"450 not a corporate matter", ("SMTP 450", False)),
    (b"451 4.3.0 disk", ("SMTP 451 4.3.0", False)),
    (b"451 4.7.1 later", ("SMTP 451 4.7.1", True)),
    (b"452 Too many messages", ("SMTP 452", True)),
    (b"452 4.2.2 mailbox full", ("SMTP 452 4.2.2", False)),
    (b"454 Throttling failure: Maximum sending rate exceeded.", ("SMTP 454", True)),
]


@pytest.mark.parametrize(("reply", "expected"), REFUSALS)
@pytest.mark.parametrize("extension", [b"PIPELINING", b"HELP"])
@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA", "CONTENT"])
def test_each_refusal_is_final_or_transient_wherever_it_comes_and_the_line_goes_on(step, reply, expected, extension):
    ehlo = b"250-mx.example.invalid\r\n250 " + extension
    with scripted({"EHLO": ehlo, step: reply}) as server:
        line = line_to(server.port)
        assert outcome(line) == expected
        assert outcome(line) == expected
        assert len(server.contents) == (2 if step == "CONTENT" else 0)
        assert server.connections == (2 if reply.startswith(b"421") else 1)


def test_a_server_that_awaits_the_content_of_a_refused_message_gets_none():
    with scripted({"RCPT": b"550 5.1.1 no", "DATA": b"354 go on"}, {}) as server:
        line = line_to(server.port)
        assert outcome(line) == Answer("failed", "TRANSPORT_REFUSED 550 5.1.1")
        assert server.contents == []
        assert outcome(line) == SENT
    assert server.connections == 2
    assert not any(b"RSET" in write for write in server.writes)


def test_a_refusal_counts_though_the_server_hangs_up_after_it():
    with scripted({"MAIL": b"550 5.7.1 no", "RCPT": HANG_UP}) as server:
        assert outcome(line_to(server.port)) == Answer("failed", "TRANSPORT_REFUSED 550 5.7.1")


@pytest.mark.parametrize("reply", [b"250 sent already", b"199 what", b"999 what"])
def test_any_other_word_than_354_gets_no_content(reply):
    with scripted({"DATA": reply}) as server:
        assert outcome(line_to(server.port)) == Answer("failed", f"TRANSPORT_REFUSED {reply[:3].decode()}")
    assert server.contents == []


@pytest.mark.parametrize("step", ["MAIL", "RCPT", "DATA"])
def test_broken_before_the_content_nothing_went_out(step):
    with scripted({step: HANG_UP}) as server:
        assert outcome(line_to(server.port)) == ("SMTP DISCONNECTED", False)
    assert server.contents == []
    assert server.connections == 1


@pytest.mark.parametrize(
    "script",
    [
        {"PART": HANG_UP},
        {"CONTENT": HANG_UP},
        {"CONTENT": SILENCE},
        {"CONTENT": b"what?"},
        {"CONTENT": b"354 go on"},
        {"CONTENT": b"250-half an answ"},
    ],
    ids=lambda script: "-".join(map(str, next(iter(script.items())))),
)
def test_broken_after_the_content_began_nobody_can_tell_and_the_line_goes_on(script, monkeypatch):
    with scripted(script, {}) as server:
        line = smtp.SmtpLine(smtp.SmtpServer("127.0.0.1", server.port, answer_timeout=0.2))
        big = letter(CONTENT + (b"x" * 70 + b"\r\n") * 100_000)
        assert outcome(line, big if "PART" in script else letter()) == IN_DOUBT
        assert outcome(line) == SENT
    assert server.connections == 2


@pytest.mark.parametrize("farewell", [HANG_UP, b"421 4.4.2 timeout exceeded"])
def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced_at_once(farewell):
    with scripted({"MAIL": [b"250 fine", farewell]}, {}) as server:
        line = line_to(server.port)
        assert [outcome(line), outcome(line)] == [SENT, SENT]
    assert len(server.contents) == 2
    assert server.connections == 2


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"GREETING": HANG_UP}, ("SMTP CONNECT", False)),
        ({"GREETING": b"554 5.7.1 not you"}, ("SMTP CONNECT 554 5.7.1", False)),
        ({"GREETING": b"421 4.7.0 too many connections"}, ("SMTP CONNECT 421 4.7.0", True)),
        ({"EHLO": b"550 5.7.1 who", "HELO": b"550 5.7.1 who"}, ("SMTP EHLO 550 5.7.1", False)),
    ],
)
def test_no_connection_is_no_message(script, expected):
    with scripted(script) as server:
        assert outcome(line_to(server.port)) == expected


def test_nobody_there_is_transient():
    assert outcome(line_to(free_port())) == ("SMTP CONNECT", False)


@pytest.mark.parametrize(
    "what",
    [
        letter(b"a\nb\r\n"),
        letter(b"a\rb\r\n"),
        letter(b"a\r\n.\n"),
        letter(b"a"),
        letter("ä\r\n".encode()),
        letter(b"a\0\r\n"),
        letter(recipient="person@example.invalid> SIZE=1"),
        letter(recipient="person@example.invalid\r\nDATA"),
        letter(recipient="person"),
    ],
    ids=lambda what: repr(what.content),
)
def test_what_is_not_plain_is_not_sent(what):
    with scripted() as server:
        assert outcome(line_to(server.port), what) == Answer("failed", "MESSAGE_INVALID")
    assert server.connections == 0


@given(st.lists(st.sampled_from([b"", b".", b"..", b".a", b"a.", b"a"])).map(b"\r\n".join))
def test_dots_are_doubled_at_line_starts_only(content):
    stuffed = dot_stuffed(content)
    lines = stuffed.split(b"\r\n")
    assert b"\r\n".join(line.removeprefix(b".") if line.startswith(b".") else line for line in lines) == content
    assert b"." not in lines


def test_receipts_and_reasons_repeat_no_address():
    with scripted({"CONTENT": b"250 2.6.0 <abc@mx.example.invalid> for person@example.invalid queued as Q7"}) as server:
        assert outcome(line_to(server.port)) == Answer("sent", receipt="2.6.0 for queued as Q7")


def test_a_login_that_is_right_sends_and_one_that_is_wrong_does_not():
    with mail_server(has_login=True) as (port, inbox):
        assert outcome(line_to(port, user=f"{USER}@", password=PASSWORD)).state == "sent"
        wrong = line_to(port, user=f"{USER}@", password="wrong")
        assert outcome(wrong) == ("SMTP LOGIN 535 5.7.8", False)
    assert len(inbox.letters) == 1


@pytest.mark.parametrize("scheme", ["smtps", "starttls"])
def test_encrypted_lines_trust_only_a_certificate_that_is_known(scheme, tmp_path):
    context, ca = certificate(tmp_path)
    url = {"smtps": ("smtps", ""), "starttls": ("smtp", "&starttls=required")}[scheme]
    with mail_server(**{"tls" if scheme == "smtps" else "starttls": context}) as (port, inbox):
        line = line_to(port, scheme=url[0], options=f"?ca={ca}{url[1]}")
        assert [outcome(line).state, outcome(line).state] == ["sent", "sent"]
        line.close()
        stranger = line_to(port, scheme=url[0], options=f"?timeout=5{url[1]}")
        assert outcome(stranger) == ("SMTP TLS", False)
    assert len(inbox.letters) == 2


def test_where_encryption_is_required_and_not_offered_nothing_is_sent():
    with scripted() as server:
        assert outcome(line_to(server.port, options="?starttls=required")) == ("SMTP NOT_OFFERED", False)
    assert not any(b"MAIL" in write for write in server.writes)


def test_check_says_what_a_first_send_will_meet(tmp_path):
    context, ca = certificate(tmp_path)
    with mail_server(tls=context, has_pipelining=True, has_login=True) as (port, _):
        sender = smtp_sender(f"smtps://{USER}@127.0.0.1:{port}?ca={ca}", PASSWORD)
        facts = sender.check()
    assert (facts.server, facts.is_logged_in, facts.has_pipelining, facts.size) == (
        "mx.example.invalid", True, True, 33554432,
    )  # fmt: skip
    assert facts.tls.startswith("TLSv1.")


@pytest.mark.parametrize(
    ("options", "user", "password", "found"),
    [
        ("", f"{USER}@", "wrong", r"LOGIN 535 5.7.8: .*ENGAGE_SMTP_PASSWORD"),
        ("?starttls=required", "", None, r"NOT_OFFERED: .*ENGAGE_SMTP_URL"),
    ],
)
def test_check_names_variable_and_remedy(options, user, password, found):
    with mail_server(has_login=True) as (port, _), pytest.raises(EngageError, match=found) as error:
        smtp_sender(f"smtp://{user}127.0.0.1:{port}{options}", password).check()
    assert USER not in str(error.value).replace("ENGAGE_SMTP", "")
