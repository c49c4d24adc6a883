"""What a webhook and a mailbox really get, and what never shows."""

import json
import logging
from datetime import UTC
from email import message_from_bytes, policy

import pytest

from engage_assets.alerts.mail import Mail
from engage_assets.alerts.opening import destinations
from engage_assets.alerts.telling import NotTaken
from engage_assets.alerts.webhook import Webhook
from engage_assets.channels.smtp import SmtpSender, smtp_sender
from engage_assets.channels.smtp_conversation import may_go_out
from engage_assets.channels.smtp_url import SmtpServer
from engage_assets.domain.errors import EngageError
from engage_assets.domain.operations import Alert
from engage_assets.domain.sends import Answer, TransientRefusal
from engage_assets.serving.webhooks import is_signed
from engage_assets_tests.alerts.servers import a_web_server
from engage_assets_tests.builders import instant
from engage_assets_tests.channels.mail_servers import free_port, mail_server

NOW = instant("2026-11-20 12:00")
ALERTS = [
    Alert("late:product-reviews:2026-11-19", "product-reviews: the batch of 2026-11-19 was due", NOW),
    Alert("pause:c:1", "c:1 was paused: 6 % bounces – more than 5 %\nBcc: mallory@example.invalid", NOW),
]
SECRET = b"w" * 32
URL = "smtp://127.0.0.1"


def test_a_webhook_gets_one_signed_request_with_all_alerts(caplog):
    with a_web_server() as desk, caplog.at_level(logging.DEBUG):
        Webhook(desk.url, SECRET).give(ALERTS, NOW)
    [(headers, body)] = desk.requests

    assert json.loads(body)["alerts"][0] == {
        "cause": "late:product-reviews:2026-11-19",
        "text": "product-reviews: the batch of 2026-11-19 was due",
        "at": "2026-11-20T12:00:00Z",
    }
    assert json.loads(body)["text"].startswith("product-reviews: the batch of 2026-11-19 was due\nc:1 was paused")
    assert is_signed(body, headers["X-Engage-Signature"], SECRET, NOW.replace(tzinfo=UTC).timestamp())
    assert not is_signed(body, headers["X-Engage-Signature"], b"x" * 32, NOW.replace(tzinfo=UTC).timestamp())
    assert "secret-path" not in "".join(record.getMessage() for record in caplog.records if record.name == "httpx")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_anything_but_success_is_a_failure(status):
    with a_web_server() as desk:
        desk.status = status
        with pytest.raises(NotTaken, match=rf"^HTTP {status}$"):
            Webhook(desk.url).give(ALERTS, NOW)
    assert "X-Engage-Signature" not in desk.requests[0][0]


@pytest.mark.parametrize("url", ["http://hooks.example.com/s3cret", "ftp://x/s3cret", "s3cret", "https:///s3cret"])
def test_a_webhook_must_be_https_and_is_not_repeated(url):
    with pytest.raises(EngageError, match="no https URL") as caught:
        Webhook(url)
    assert "s3cret" not in str(caught.value)


def test_a_mailbox_gets_one_plain_message_and_no_header_is_smuggled():
    with mail_server() as (port, inbox):
        sender = SmtpSender(SmtpServer("127.0.0.1", port))
        Mail(sender, "engage@example.invalid", "desk@example.invalid").give(ALERTS, NOW)
    [(author, recipients, content)] = inbox.letters
    message = message_from_bytes(content, policy=policy.default)

    assert (author, recipients) == ("engage@example.invalid", ("desk@example.invalid",))
    assert message["Subject"].strip() == "[engage] product-reviews: the batch of 2026-11-19 was due (and 1 more)"
    assert message["Date"].datetime == NOW.replace(tzinfo=UTC)
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Bcc"] is None
    assert message["Message-ID"].endswith("@example.invalid>")
    assert all(alert.cause in message.get_content() for alert in ALERTS)
    assert "6 % bounces – more than 5 %" in message.get_content()


def test_a_mail_server_that_is_not_there_is_a_failure_without_its_address():
    sender = SmtpSender(SmtpServer("127.0.0.1", free_port()))
    with pytest.raises(NotTaken, match=r"^SMTP CONNECT$"):
        Mail(sender, "a@example.invalid", "b@example.invalid").give(ALERTS, NOW)


class Post:
    """A transport that answers as told."""

    def __init__(self, answer):
        self.answer, self.letters = answer, []

    def open(self):
        return self

    def hand_over(self, letter):
        self.letters.append(letter)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self):
        pass


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer("failed", "SMTP 550"), "failed SMTP 550"),
        (Answer("in_doubt", "NO_ANSWER"), "in_doubt NO_ANSWER"),
        (TransientRefusal("SMTP 421"), "SMTP 421"),
    ],
)
def test_only_a_message_that_was_taken_counts(answer, said):
    with pytest.raises(NotTaken, match=f"^{said}$"):
        Mail(Post(answer), "a@example.invalid", "b@example.invalid").give(ALERTS, NOW)


def test_a_subject_of_any_text_stays_one_line_and_the_message_may_go_out():
    post = Post(Answer("sent"))
    hostile = Alert("c", "é\r\nBcc: mallory@example.invalid " + "漢" * 500 + "\n.\n" + "long " * 400, NOW)
    Mail(post, "a@example.invalid", "b@example.invalid").give([hostile], NOW)
    message = message_from_bytes(post.letters[0].content, policy=policy.default)

    assert may_go_out(post.letters[0])
    assert message["Bcc"] is None
    assert message["Subject"].startswith("[engage] é Bcc: mallory@")
    assert "漢" * 500 in message.get_content()


def test_the_environment_names_the_destinations_without_showing_them():
    sender = smtp_sender(URL, None)
    found = destinations(
        {
            "ENGAGE_ALERT_WEBHOOK": "https://hooks.example.com/services/s3cret",
            "ENGAGE_ALERT_EMAIL": " ada@example.invalid, bob@other.invalid,ada@example.invalid,",
        },
        sender,
    )
    assert [one.name for one in found] == ["webhook hooks.example.com", "mail example.invalid", "mail other.invalid"]
    assert found[2]._way._author == "ada@example.invalid"
    assert destinations({}, None) == []


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"ENGAGE_ALERT_EMAIL": "ada@example.invalid"}, "set ENGAGE_SMTP_URL"),
        ({"ENGAGE_ALERT_EMAIL": "bob@example.invalid, Ada <ada@example.invalid>"}, "entry 2 of 2 is no plain"),
        ({"ENGAGE_ALERT_EMAIL": "x@example.invalid", "ENGAGE_ALERT_FROM": "ada\r\nX: y"}, "ENGAGE_ALERT_FROM: entry 1"),
    ],
)
def test_faults_of_the_environment_name_the_variable_and_no_address(environment, said):
    with pytest.raises(EngageError, match=said) as caught:
        destinations(environment, smtp_sender(URL, None) if "SMTP" not in said else None)
    assert "ada" not in str(caught.value)
