"""The outbox: where a message lies, and that it is there whole or not at all."""

import os

import pytest

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Answer, Letter

SEND = "0123456789abcdef" * 2
CAMPAIGN = "product-reviews:email:2026-11-20:DE"


def hand_over(outbox, send=SEND, campaign=CAMPAIGN):
    letter = Letter(send, campaign, "shop@example.invalid", "person@example.invalid", b"Subject: x\r\n\r\nHello\r\n")
    return DryRunSender(outbox).open().hand_over(letter)


def test_path_is_program_campaign_send_and_the_bytes_are_the_letters(tmp_path):
    where = f"product-reviews/email_2026-11-20_DE/{SEND}.eml"
    assert hand_over(tmp_path) == Answer("sent", receipt=where)
    assert (tmp_path / where).read_bytes() == b"Subject: x\r\n\r\nHello\r\n"


@pytest.mark.parametrize("campaign", ["../../x:../..:/etc", "..", "", "p:music:R&B/Soul:America/New_York", "p:\x00:…"])
def test_no_campaign_leaves_the_outbox(tmp_path, campaign):
    where = hand_over(tmp_path / "outbox", campaign=campaign).receipt
    assert (tmp_path / "outbox" / where).is_file()
    assert ".." not in where
    assert len(where.split("/")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["outbox"]


@pytest.mark.parametrize("send", ["", "../" + SEND, SEND + "\n", SEND.upper()])
def test_what_is_no_send_id_is_refused(tmp_path, send):
    with pytest.raises(EngageError, match="no send id"):
        hand_over(tmp_path, send=send)
    assert not list(tmp_path.rglob("*.eml"))


def test_a_write_that_breaks_off_leaves_no_message_and_the_next_one_completes(tmp_path, monkeypatch):
    def breaks_off(_):
        raise OSError("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", breaks_off)
        with pytest.raises(OSError, match="disk full"):
            hand_over(tmp_path)
    assert not list(tmp_path.rglob("*.eml"))
    where = hand_over(tmp_path).receipt
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / where]
