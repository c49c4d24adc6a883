"""The outbox: where a message lies, and that it is there whole or not at all."""

import os
from email.message import EmailMessage

import pytest

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.domain.errors import EngageError

SEND = "0123456789abcdef" * 2
CAMPAIGN = "product-reviews:email:2026-11-20:DE"


def letter(text="Hello"):
    message = EmailMessage()
    message.set_content(text)
    return message


def test_path_is_program_campaign_send(tmp_path):
    where = DryRunSender(tmp_path).hand_over(SEND, CAMPAIGN, letter())
    assert where == f"product-reviews/email_2026-11-20_DE/{SEND}.eml"
    assert (tmp_path / where).read_bytes() == letter().as_bytes()


@pytest.mark.parametrize("campaign", ["../../x:../..:/etc", "..", "", "p:music:R&B/Soul:America/New_York", "p:\x00:…"])
def test_no_campaign_leaves_the_outbox(tmp_path, campaign):
    where = DryRunSender(tmp_path / "outbox").hand_over(SEND, campaign, letter())
    assert (tmp_path / "outbox" / where).is_file()
    assert ".." not in where
    assert len(where.split("/")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["outbox"]


@pytest.mark.parametrize("send", ["", "../" + SEND, SEND + "\n", SEND.upper()])
def test_what_is_no_send_id_is_refused(tmp_path, send):
    with pytest.raises(EngageError, match="no send id"):
        DryRunSender(tmp_path).hand_over(send, CAMPAIGN, letter())
    assert not list(tmp_path.rglob("*.eml"))


def test_a_write_that_breaks_off_leaves_no_message_and_the_next_one_completes(tmp_path, monkeypatch):
    def breaks_off(_):
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", breaks_off)
        with pytest.raises(OSError, match="disk full"):
            DryRunSender(tmp_path).hand_over(SEND, CAMPAIGN, letter())
    assert not list(tmp_path.rglob("*.eml"))
    where = DryRunSender(tmp_path).hand_over(SEND, CAMPAIGN, letter())
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / where]
