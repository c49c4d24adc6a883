import re
from datetime import timedelta
from xml.etree import ElementTree as ET

import polars as pl
import pytest

from engage_assets.domain.tables import DECISIONS, METRICS, empty_frame
from engage_assets.outcomes.charts import trend
from engage_assets.outcomes.figures import compact, duration, percent, thousands
from engage_assets.outcomes.metrics import measure
from engage_assets.outcomes.report import render_report, report_pictures
from engage_assets.outcomes.service import ServiceFigures
from engage_assets.outcomes.volume import AnswerVolume
from engage_assets_tests.builders import a_program, instant
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.outcomes import listening
from engage_assets_tests.outcomes.frames import A_DAY, NIGHT, PARTITION, on_polars, outcome_rows, sends

PROGRAM = a_program(programName="Reviews & <friends>", cost={"currency": "EUR", "perBatch": 3})
PLANNED = sends(("s-2", "planned", "2026-11-21 02:30"))
OPENED = {"human_opens": 1}
CAME = outcome_rows(
    {"outcome": "responded", "rating": 5, "human_clicks": 1, **OPENED},
    {"outcome": "responded", "rating": 4, "human_clicks": 1, "marketplace": "DE", **OPENED},
    {"bounced_at": instant("2026-11-21 16:00"), "is_hard_bounce": True},
    OPENED,
    {"machine_opens": 4},
    {"outcome": "pending", "marketplace": "JP"},
    {"outcome": "in_doubt", "reason": "OWNER_LOST"},
    {"outcome": "skipped", "reason": "OPTED_OUT"},
)
CONTRIBUTION = {
    "outcomes": on_polars(CAME),
    "unsolicited": 7,
    "headroom": on_polars(pl.DataFrame({"customer_id": ["a", "b"], "quota_left": [3, 0]})),
    "service": ServiceFigures(1000, 2, 0.0123, (0.01, 0.015), 1430, 1439),
    "volume": AnswerVolume(NIGHT, 9, (6, 7, 8, 7), NIGHT - timedelta(days=28), NIGHT - timedelta(days=40)),
}
MISSING = [("trust: FRAUD_SCORE_HIGH", "customer_trust.fraud_score")]


def measured(frame, log=None, **came):
    return measure(
        on_polars(frame),
        program=PROGRAM,
        partition=PARTITION,
        as_of=NIGHT,
        sends=None if log is None else on_polars(log),
        batch=(11.8, frame.height),
        **came,
    )


DAY = measured(pl.concat([A_DAY] * 1234), **CONTRIBUTION)
EMPTY = measured(empty_frame(DECISIONS))


SUNG = {
    "service": CONTRIBUTION["service"],
    "volume": CONTRIBUTION["volume"],
    "headroom": CONTRIBUTION["headroom"],
    "cache": (82, 18),
}
MUSIC_DAY = listening.measured(**SUNG)


def sung(**changes):
    """The page of a program with thumbs, spoken questions and playlists."""
    before = pl.concat(
        MUSIC_DAY.with_columns(
            partition_date=pl.lit(PARTITION - timedelta(days=days)), as_of=pl.lit(NIGHT - timedelta(days=days))
        )
        for days in (1, 2)
    )
    return rendered(**({"program": MUSIC, "metrics": MUSIC_DAY, "trend": before} | changes))


def earlier(*days_ago):
    """The day's own metrics as those of earlier partitions."""
    return pl.concat(
        DAY.with_columns(
            partition_date=pl.lit(PARTITION - timedelta(days=days)), as_of=pl.lit(NIGHT - timedelta(days=days))
        )
        for days in days_ago
    )


def rendered(metrics=DAY, **changes):
    given = {
        "program": PROGRAM,
        "partition": PARTITION,
        "as_of": NIGHT,
        "metrics": metrics,
        "trend": earlier(1, 2, 5),
        "not_evaluated": MISSING,
        "declared_clock": instant("2026-11-21 12:00"),
    }
    return render_report(**(given | changes))


def words(html):
    """The page as a reader sees it."""
    without_style = re.sub(r"<(style|title|desc)\b.*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without_style))


def test_the_page_shows_the_figures_with_their_words():
    text = words(rendered())
    for expected in (
        "Report for Friday, 20 November 2026",
        "Batch due 21 November 2026, 02:00 UTC",
        "Program file 192e992d0702",
        "review-propensity-v2-1",
        "declared clock, which stood at 21 November 2026, 12:00 UTC",
        "Input records 12,340 of them 1,234 duplicates",
        "Filter pass rate 50.0% 6,170 of 12,340 input records",
        "Sent 5 of 8 planned; 1 pending",
        "Batch duration 11.8 s 62,746 records a minute; deadline 2 h",
        "RETURNED the product was returned 1,234 10.0%",
        "All input records 12,340 100.0%",
        "Trust 1,234 8,638 70.0%",
        "0.7–0.8 high 2,468 50.0%",
        "email list from 0.7",
        "trust: FRAUD_SCORE_HIGH customer_trust. fraud_score",
        "1 send is in doubt. Nobody can tell whether it went out",
        "Sent 5 · 100.0% Opened 3 · 60.0% Clicked 2 · 40.0% Answered 2 · 40.0%",
        "Open rate 60.0% 80.0%",
        "Click-through rate 40.0% 40.0%",
        "Conversion rate 40.0% Bounce rate 20.0% Complaint rate 0.0%",
        "2 answers by rating Rating Answers Share 5 1 50.0% 4 1 50.0% 3 0 0.0%",
        "Mean rating sum of the answers&#39; ratings ÷ answers 4.50 of 5",
        "that belong to no send 7",
        "before the first send − 1 +28.6%",
        "÷ answers, from the program&#39;s cost section 1.5000",
        "In doubt OWNER_LOST the process that handed it over broke off",
        "Skipped OPTED_OUT the customer opted out after the list was made 1 12.5%",
        "DE 1 100.0% 100.0% 100.0%",
        "JP 0 – – – all by email 5 60.0% 40.0% 40.0%",
        "Requests left Customers 0 1 3 1",
        "between 10 and 15 ms, the bounds of its bucket 12.3 ms",
        "÷ requests 0.2%",
        "÷ minutes expected 99.4%",
    ):
        assert expected in text


def test_machines_stand_apart_in_the_funnel_and_in_its_words():
    html = rendered()
    assert "Sent: 5; Opened: 3 and 1 by machines only; Clicked: 2; Answered: 2" in html
    opened = re.findall(r'<rect class="machines" x="([\d.]+)" y="70" width="([\d.]+)"', html)
    assert opened == [("264.0", "88.0")]


def test_before_anything_came_back_the_page_says_so():
    text = words(rendered(measured(A_DAY, PLANNED)))
    assert "From send to answer There are no rates: no outcomes are made yet." in text
    assert "in doubt." not in text
    assert "The service What" not in text
    missing = "Click-through rate, click-to-open rate, conversion rate, bounce rate, complaint rate"
    assert (
        f"Answers, open rate, {missing.lower()}, mean rating, unsolicited answers, cost per answer no outcomes" in text
    )


def test_the_page_loads_nothing_and_escapes_what_it_is_given():
    html = rendered(not_evaluated=[("<script>alert(1)</script>", "a.b")])
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(| src=", html)
    assert "Reviews &amp; &lt;friends&gt;" in html


def test_the_page_of_music_shows_its_channels_genres_playlists_and_artists():
    text = words(sung())
    for expected in (
        "feedback-propensity-v3: the model's own score",
        "The score above is the rank of the weighted mean of these models' scores.",
        "0.9–1.0 1 9",
        "Sent 4 · 100.0% Opened 3 · 75.0% Clicked 2 · 50.0% Answered 2 · 50.0%",
        "Asked aloud by a voice assistant, beside these messages: 4 asked, 2 answered (50.0%).",
        "Conversion rate 50.0% … by email alone 50.0% … by voice-assistant alone 50.0%",
        "email 2 · 50.0% voice-assistant 2 · 50.0% 4 answers, each in the channel that asked",
        "Thumbs up by genre R&amp;B / Soul 100.0% of 1 unknown 100.0% of 1 Folk 50.0% of 2",
        "3 of 4 answers are thumbs up, or yes: 75.0%",
        "÷ answers, from the program&#39;s cost section 75.0000",
        "1 playlist with 2 tracks stands since the partition's update; against the day before, 4 tracks came",
        "Came 1 track Went 1 track Moved 2 tracks",
        "Before the update 0.714 plays a day After the update 1.143 plays a day Change: +60.0%",
        "this is no experiment: whatever else changed in these days is in it too",
        "AGED_OUT it was released too long ago 1 25.0%",
        "Artist satisfaction: 4.50 of 5 , the mean of the latest ratings of 2 artists",
        "Score cache hit rate kept scores ÷ scored candidates 82.0%",
        "Feedback volume increase feedbacks of 2026-11-21 ÷ their mean",
    ):
        assert expected in text
    assert "Rating Answers" not in text
    assert "Mean rating" not in text


def test_what_music_cannot_measure_is_named_with_its_cause():
    nothing = listening.given(as_of=NIGHT, tables={}, made={})
    text = words(sung(metrics=listening.measured(own=nothing)))
    assert "Playlists and artists" not in text
    assert "artist satisfaction the warehouse has no table streaming.artist_ratings" in text
    early = listening.given(as_of=NIGHT)
    text = words(sung(metrics=listening.measured(own=early)))
    assert "Whether people listen more since the update is not measured: the days after the update are not over" in text


def test_the_same_arguments_give_the_same_text():
    assert rendered() == rendered(DAY.reverse(), trend=earlier(5, 2, 1), not_evaluated=list(MISSING))


def test_a_program_file_that_changed_since_is_named():
    assert f"192e992d0702, the file now reads {PROGRAM.config_hash}" in words(rendered())


def test_an_empty_day_says_what_there_is_not():
    text = words(rendered(EMPTY, trend=empty_frame(METRICS), not_evaluated=[], declared_clock=None))
    assert "declared clock" not in text
    for expected in (
        "The partition has no input records.",
        "No record was scored.",
        "There are no earlier partitions to compare with.",
        "Every clause of every filter was evaluated.",
        "Filter pass rate – not measured: no input records",
        "There are no rates: no delivery has run.",
        "Sends planned, sent, pending, failed, in doubt, skipped, held out, answers, open rate",
    ):
        assert expected in text


def test_partitions_without_metrics_are_gaps_and_the_newest_night_counts():
    late = earlier(2).with_columns(as_of=pl.lit(NIGHT), value=pl.lit(77.0))
    future = earlier(1).with_columns(as_of=pl.lit(NIGHT + timedelta(days=1)), value=pl.lit(99.0))
    text = words(rendered(trend=pl.concat([late, earlier(1, 2, 5), future])))
    assert "6 partitions, 15 Nov to 20 Nov; 2 have no metrics and are gaps in the curves." in text
    assert "2026-11-19 12,340 6,170 2,468 2026-11-18 77 77 77 2026-11-17 – – –" in text


def test_a_curve_is_broken_at_a_gap():
    days = [PARTITION + timedelta(days=day) for day in range(5)]
    curve = trend(days, {"input": [1, 2, None, 3, None]}, width=360).curves[0]
    assert [len(run.split()) for run in curve.runs] == [2]
    assert len(curve.dots) == 1


@pytest.mark.parametrize("metrics", [DAY, EMPTY], ids=["a day", "an empty day"])
def test_pictures_are_svg_files_with_a_size_and_a_background(metrics):
    pictures = report_pictures(program=PROGRAM, partition=PARTITION, metrics=metrics)
    assert list(pictures) == ["funnel", "score_histogram"]
    are_pictures(pictures, "Reviews & <friends>")


def test_a_program_with_more_to_show_has_more_pictures():
    pictures = report_pictures(program=MUSIC, partition=PARTITION, metrics=MUSIC_DAY)
    models = ["scores_of_feedback_propensity_v3", "scores_of_music_affinity_v2"]
    assert list(pictures) == ["funnel", "score_histogram", *models, "answers_by_channel", "thumbs_up"]
    are_pictures(pictures, MUSIC.program_name)


def are_pictures(pictures, name):
    for picture in pictures.values():
        root = ET.fromstring(picture)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        background = root.find("{*}rect[@class='paper']").attrib
        assert (root.get("width"), root.get("height")) == (background["width"], background["height"])
        assert name in "".join(root.itertext())


def test_numbers_are_written_for_people():
    assert [percent(part, 10_000) for part in (0, 1, 5, 2500, 9_999, 10_000)] == [
        "0.0%", "<0.1%", "0.1%", "25.0%", ">99.9%", "100.0%",
    ]  # fmt: skip
    assert [percent(1, 0), percent(None), thousands(None), duration(None)] == ["–"] * 4
    assert [duration(seconds) for seconds in (0.04, 59.96, 185, 3720, 7200)] == [
        "0.0 s", "1 min", "3 min 05 s", "1 h 02 min", "2 h",
    ]  # fmt: skip
    assert [compact(tick) for tick in (0, 500, 1_500, 2_000_000)] == ["0", "500", "1.5k", "2M"]


CONTRAST = {"runOnly": ["color-contrast"]}
"""What axe-core looks for again in the dark."""


HEADINGS = [
    "Key figures",
    "From input to list",
    "Why records ended where they did",
    "Scores",
    "From send to answer",
    "Why sends were not made",
    "Marketplaces and channels",
    "The service",
    "The last 30 partitions",
    "What this report does not know",
]
IMAGES = ["Records left after each stage", "Messages sent, opened, clicked and answered"]
MUSIC_IMAGES = [
    *("Scored records by tenth of the score of music-affinity-v2", "Answers by channel"),
    *("Share of thumbs up among the answers", "Tracks that came, went and moved"),
    "Plays of the playlists' listeners before and after the update",
]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page_of", "headings", "images"),
    [
        (rendered, [PROGRAM.program_name, *HEADINGS], IMAGES),
        (sung, [MUSIC.program_name, *HEADINGS[:6], "Playlists and artists", *HEADINGS[6:]], [*IMAGES, *MUSIC_IMAGES]),
    ],
    ids=["reviews", "music"],
)
def test_the_page_opens_offline_and_fits_wide_and_narrow_screens(chromium_path, tmp_path, page_of, headings, images):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    quiet = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
    )
    page_file = tmp_path / "report.html"
    page_file.write_text(page_of(), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=quiet.split())
        page = browser.new_context(offline=True).new_page()
        requests, faults = [], []
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: faults.append(message.text))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(page_file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert [name for name in images if not page.get_by_role("img", name=name).is_visible()] == []
            assert page.locator("svg[aria-labelledby^=trend]:visible").count() == 1
        barriers = [found["id"] for found in Axe().run(page).response["violations"]]
        page.emulate_media(color_scheme="dark")
        barriers += [found["id"] for found in Axe().run(page, options=CONTRAST).response["violations"]]
        found = page.get_by_role("heading").all_inner_texts()
        captions = page.locator("table:not(:has(caption))").count()
        browser.close()
    assert found == headings
    assert captions == 0
    assert set(requests) == {page_file.as_uri()}
    assert faults == []
    assert barriers == []
