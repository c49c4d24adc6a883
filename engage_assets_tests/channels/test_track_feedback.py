"""Mails about tracks: each names its own track, artist and genre, in the person's language."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from engage_assets.channels.editions import languages
from engage_assets.channels.email import render
from engage_assets.channels.filling import fill
from engage_assets.channels.links import untracked
from engage_assets.channels.lists import email_list, judge_for_list
from engage_assets.channels.message import Letterpress
from engage_assets.channels.preview import preview
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch, as_frame
from engage_assets.defs.list_stages import render_campaigns
from engage_assets.domain.music import TRACKS
from engage_assets.domain.tables import CUSTOMERS, EMAIL_LIST
from engage_assets.programs import load_folder
from engage_assets_tests.builders import a_candidate, a_customer, candidates, rows_of
from engage_assets_tests.channels.letters import LINKS, LISTED_SCHEMA, MARKETPLACE, listed
from engage_assets_tests.channels.letters import rendered as a_review_request
from engage_assets_tests.channels.test_email import STOP_WORDS, Page

FOLDER = load_folder(Path(__file__).parents[2] / "programs")
PROGRAM = FOLDER.programs["music-feedback"]
CHANNEL = PROGRAM.channels[0]
PARTITION = date(2026, 11, 19)
SCHEMA = {**LISTED_SCHEMA, "subject_maker": pl.String()}

WORDS = {
    "en": (
        "What did you think of Paper Boats?",
        "What did you think of the new track you heard?",
        "Share Your Thoughts",
        "Genre: Indie Rock",
    ),
    "de": (
        "Wie hat Ihnen „Paper Boats“ gefallen?",
        "Wie hat Ihnen der neue Titel gefallen?",
        "Meinung abgeben",
        "Genre: Indie Rock",
    ),
    "fr": (
        "Qu’avez-vous pensé de «\xa0Paper Boats\xa0»\u202f?",
        "Qu’avez-vous pensé du nouveau titre que vous avez écouté\u202f?",
        "Donner mon avis",
        "Genre\xa0: Indie Rock",
    ),
    "ja": (
        "「Paper Boats」はいかがでしたか？",
        "先日お聴きいただいた新曲はいかがでしたか？",
        "感想を伝える",
        "ジャンル： Indie Rock",
    ),
    "pt": (
        "O que você achou de “Paper Boats”?",
        "O que você achou da nova faixa que ouviu?",
        "Compartilhar minha opinião",
        "Gênero: Indie Rock",
    ),
}
"""Subject line with and without the track's name, button and genre, by language."""


def mail(**changes: Any) -> dict[str, Any]:
    """The rendered row of one listed track."""
    row = {"subject_type": "track", "subject_id": "t-1", "subject_name": "Paper Boats", "subject_maker": "The Lanterns"}
    row = {**listed().row(0, named=True), **row, "segments": ["Indie Rock"], **changes}
    frame = render(
        pl.DataFrame([row], schema=SCHEMA), program=PROGRAM, channel=CHANNEL, marketplaces={"DE": MARKETPLACE}
    )
    return frame.row(0, named=True)


def parts(row: dict[str, Any], *, is_linked: bool = True) -> tuple[str, str]:
    links = LINKS.of(row["send_id"], row["slot_at"]) if is_linked else None
    return Letterpress({"DE": MARKETPLACE}).parts(row, name="Ada", links=links)


def test_every_language_of_the_reviews_is_there():
    assert languages("track-feedback-v2") == languages("review-request-v3") == set(WORDS)


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("is_linked", [True, False], ids=["with a service", "alone"])
def test_subject_text_and_page_tell_of_the_track_in_each_language(language, is_linked):
    row = mail(locale=language)
    text, html = parts(row, is_linked=is_linked)
    page = Page(html)
    named, _, button, genre = WORDS[language]
    assert (row["subject"], row["subject_name"], row["locale"], page.lang) == (named, "Paper Boats", language, language)
    assert row["subject_maker"] == "The Lanterns"
    for line in text.splitlines():
        if not line.startswith(("https:", "mailto:", "-- ", "♪ ")):
            assert " ".join(line.split()) in page.text
    for told in ("Paper Boats", "The Lanterns", " ".join(genre.split()), button):
        assert told in page.text
        assert told in " ".join(text.split())
    assert "♪ Paper Boats – The Lanterns\n" in text
    assert sum(STOP_WORDS[language] in line.lower() for line in text.splitlines()[-6:]) >= 1
    assert "%%" not in text + html
    assert "None" not in text + html


@pytest.mark.parametrize("language", WORDS)
def test_what_is_not_known_is_left_out_without_gaps(language):
    for unknown in (
        {"subject_maker": None},
        {"segments": ["unknown"]},
        {"segments": None},
        {"subject_maker": " \u200b"},
    ):
        text, html = parts(mail(locale=language, **unknown))
        assert "Paper Boats" in text
        for gap in ("unknown", "()", " – \n", "\n\n\n", "None"):
            assert gap not in text
            assert gap not in html.partition("<div role=")[2].replace("\n", " ")
    row = mail(locale=language, subject_name=None)
    text, html = parts(row)
    assert row["subject"] == WORDS[language][1]
    assert row["subject_name"] is None
    assert "♪" not in text + html
    assert "\n\n\n" not in text


def test_the_button_leads_to_the_sends_link_else_to_the_marketplaces_feedback_page():
    row = mail(subject_id="a/b c")
    links = LINKS.of(row["send_id"], row["slot_at"])
    page = Page(parts(row)[1])
    assert page.links == [links.review, links.preferences, links.hidden]
    assert [pixel["src"] for pixel in page.images] == [links.pixel]
    text, html = parts(row, is_linked=False)
    assert Page(html).links[0] == "https://shop.example.invalid/de/feedback/a%2Fb%20c"
    assert "https://shop.example.invalid/de/feedback/a%2Fb%20c\n" in text


def test_names_cannot_bring_markup_or_fields():
    hostile = "<b onclick=x>%%pixel_url%%</b>\n{{ 7*7 }}"
    row = mail(subject_name=hostile, subject_maker=hostile, segments=[hostile])
    assert Page(row["html"]).tags == Page(mail()["html"]).tags
    assert row["html"].count("%%") == mail()["html"].count("%%")
    assert row["text"].count("%%") == mail()["text"].count("%%")
    assert "<b onclick=x>%pixel_url%</b> {{ 7*7 }}" in row["text"]


# --- from a list to its campaigns -------------------------------------------------------------------


def plays(*rows: dict[str, Any]) -> pl.DataFrame:
    """Scored candidates about tracks, each of a listener and about a track of its own, with their genre."""
    own = [
        {"record_id": f"r-{n}", "customer_id": f"c-{n}", "subject_id": f"t-{n}", "subject_type": "track"}
        for n in range(1, len(rows) + 1)
    ]
    genres = [row.pop("genre", "Pop") for row in rows]
    frame = candidates(*(a_candidate(**keys | row) for keys, row in zip(own, rows, strict=True)))
    return frame.with_columns(genre=pl.Series(genres, dtype=pl.String))


def on_the_list(scored: pl.DataFrame) -> pl.DataFrame:
    judged = judge_for_list(as_frame(scored.lazy()), CHANNEL).to_native().collect()
    found = email_list(scored.lazy(), fill([(CHANNEL, judged)]), program=PROGRAM, channel=CHANNEL, partition=PARTITION)
    assert found.schema == EMAIL_LIST.schema
    return found


def test_campaigns_are_split_by_marketplace_and_genre():
    found = on_the_list(
        plays(
            {"genre": "Indie Rock", "score": 0.9},
            {"genre": "indie-rock", "score": 0.8},
            {"genre": "R&B / Soul", "score": 0.7, "marketplace": "US", "time_zone": "America/New_York"},
            {"genre": None, "score": 0.6},
            {"genre": "Pop", "score": 0.599999},
        )
    )
    start = "music-feedback:email:2026-11-19"
    assert found.select("campaign_id", "segments").rows() == [
        (f"{start}:DE:Indie_Rock", ["Indie Rock"]),
        (f"{start}:DE:indie-rock", ["indie-rock"]),
        (f"{start}:US:R~26B_~2F_Soul", ["R&B / Soul"]),
        (f"{start}:DE:unknown", ["unknown"]),
    ]
    assert found["slot_at"].dt.strftime("%d %H:%M").to_list() == ["20 09:00", "20 09:00", "20 15:00", "20 09:00"]


def rendered(folder: Path, *tracks: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The messages of a list about tracks t-1, t-2, …, which the deployment's `tracks` describe."""
    (folder / "crm").mkdir()
    (folder / "streaming").mkdir()
    rows_of(CUSTOMERS, a_customer()).write_parquet(folder / "crm" / "customers.parquet")
    if tracks:
        rows_of(TRACKS, *tracks).write_parquet(folder / "streaming" / "tracks.parquet")
    found = on_the_list(plays({"genre": "Folk", "score": 0.9}, {"score": 0.8}))
    batch = Batch(PROGRAM, PARTITION, FOLDER.marketplaces, Warehouse(folder))
    return pl.concat(render_campaigns(batch, found.lazy())).iter_rows(named=True)


def test_each_mail_names_its_own_track(tmp_path):
    tracks = [{"track_id": f"t-{n}", "name": f"Song {n}", "artist_name": f"Band {n}"} for n in (2, 1)]
    first, second = rendered(tmp_path, *({"artist_id": None, "genre": "of tracks"} | track for track in tracks))
    assert (first["subject"], second["subject"]) == (
        "Wie hat Ihnen „Song 1“ gefallen?",
        "Wie hat Ihnen „Song 2“ gefallen?",
    )
    assert "♪ Song 1 – Band 1\nGenre: Folk\n" in first["text"]
    assert "♪ Song 2 – Band 2\nGenre: Pop\n" in second["text"]
    assert "Song 2" not in first["text"]


def test_a_deployment_without_tracks_asks_in_general(tmp_path):
    assert [row["subject"] for row in rendered(tmp_path)] == ["Wie hat Ihnen der neue Titel gefallen?"] * 2


# --- as people see it -------------------------------------------------------------------------------


@pytest.mark.browser
def test_mails_and_the_preview_have_no_barriers_and_fit_wide_and_narrow_screens(chromium_path, tmp_path):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    quiet = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    long = {"subject_name": "Word" * 30, "subject_maker": "Name " * 30}
    rows = [mail(locale=language, campaign_id=f"p:email:2026-11-19:DE:{language}") for language in ("de", "ja")]
    rows.append(mail(locale="en", campaign_id="p:email:2026-11-19:DE:en", **long))
    press, pages = Letterpress({"DE": MARKETPLACE}), {}
    for number, row in enumerate([*rows, a_review_request()]):
        links = untracked("https://feedback.example.invalid")
        pages[f"{number}.html"] = press.parts(row, name="Ada", links=links)[1]
    pages["preview.html"] = preview(pl.DataFrame(rows), marketplaces={"DE": MARKETPLACE})
    barriers, faults = {}, []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=quiet.split())
        page = browser.new_context(offline=True).new_page()
        page.on("console", lambda message: faults.append(message.text))
        for name, html in pages.items():
            (tmp_path / name).write_text(html, encoding="utf-8")
            for width in (1100, 320):
                page.set_viewport_size({"width": width, "height": 900})
                page.goto((tmp_path / name).as_uri())
                assert page.evaluate("document.documentElement.scrollWidth") == width, name
            barriers[name] = [
                found["id"] for found in Axe().run(page, options={"iframes": False}).response["violations"]
            ]
        page.get_by_role("link", name="ja", exact=True).click()
        assert page.url.endswith("#campaign-3")
        browser.close()
    assert {name: found for name, found in barriers.items() if found} == {}
    assert faults == []
