"""What a person sees before a campaign goes out: everything but the recipient."""

import re
from html import unescape

import polars as pl
import pytest

from engage_assets.channels.email import render
from engage_assets.channels.preview import STAND_IN, preview
from engage_assets_tests.channels.letters import CHANNEL, MARKETPLACE, PROGRAM, listed

ROWS = render(
    pl.concat([listed(locale="ja"), listed(customer_id="c2", subject_name="<script>alert(1)</script>")]),
    program=PROGRAM,
    channel=CHANNEL,
    marketplaces={"DE": MARKETPLACE},
)


@pytest.mark.parametrize("base_url", [None, "https://reviews.example.invalid"])
def test_each_message_is_there_whole_and_closed_in(base_url):
    page = preview(ROWS, marketplaces={"DE": MARKETPLACE}, base_url=base_url)
    for row in ROWS.iter_rows(named=True):
        assert row["send_id"] in page
        assert row["subject"] in unescape(page)
        assert row["greeting_named"].replace("%%name%%", STAND_IN) in unescape(page)
    shown = [unescape(html) for html in re.findall(r'<iframe sandbox [^>]*srcdoc="([^"]*)"></iframe>', page)]
    assert [html[:15] + html[-7:] for html in shown] == ["<!doctype html></html>"] * 2
    assert "<script" not in page
    assert "%%" not in page
    assert "Müller &amp; Söhne &lt;reviews@shop.example.invalid&gt;" in page
    assert ("/preferences/preview" in page) == (base_url is not None)


def test_no_rows_make_a_page_too():
    assert "no campaign" in preview(ROWS.clear(), marketplaces={})
