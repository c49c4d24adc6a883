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
from engage_assets_tests.builders import a_program, instant
from engage_assets_tests.outcomes.frames import A_DAY, NIGHT, PARTITION, on_polars, sends

PROGRAM = a_program(programName="Reviews & <friends>")
SENDS = sends(("s-1", "sent", "2026-11-21 10:00"), ("s-2", "planned", "2026-11-21 02:30"))
MISSING = [("trust: FRAUD_SCORE_HIGH", "customer_trust.fraud_score")]


def measured(frame, log=None):
    return measure(
        on_polars(frame),
        program=PROGRAM,
        partition=PARTITION,
        as_of=NIGHT,
        sends=None if log is None else on_polars(log),
        batch=(11.8, frame.height),
    )


DAY = measured(pl.concat([A_DAY] * 1234), SENDS)
EMPTY = measured(empty_frame(DECISIONS))


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
        "Sent 1 of 2 planned; 1 pending",
        "Batch duration 11.8 s 62,746 records a minute; deadline 2 h",
        "RETURNED the product was returned 1,234 10.0%",
        "All input records 12,340 100.0%",
        "Trust 1,234 8,638 70.0%",
        "0.7–0.8 high 2,468 50.0%",
        "email list from 0.7",
        "trust: FRAUD_SCORE_HIGH customer_trust. fraud_score",
        "Open rate, click-through rate, conversion rate no interactions are recorded yet",
        "Cost per message the program file has no cost section",
    ):
        assert expected in text


def test_the_page_loads_nothing_and_escapes_what_it_is_given():
    html = rendered(not_evaluated=[("<script>alert(1)</script>", "a.b")])
    assert not re.search(r"https?:|<script|<link|<img|<iframe|@import|url\(| src=", html)
    assert "Reviews &amp; &lt;friends&gt;" in html


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
        "Sends planned, sent, pending, failed, in doubt, skipped, held out no delivery has run",
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
    for picture in pictures.values():
        root = ET.fromstring(picture)
        assert root.tag == "{http://www.w3.org/2000/svg}svg"
        background = root.find("{*}rect[@class='paper']").attrib
        assert (root.get("width"), root.get("height")) == (background["width"], background["height"])
        assert "Reviews & <friends>" in "".join(root.itertext())


def test_numbers_are_written_for_people():
    assert [percent(part, 10_000) for part in (0, 1, 5, 2500, 9_999, 10_000)] == [
        "0.0%", "<0.1%", "0.1%", "25.0%", ">99.9%", "100.0%",
    ]  # fmt: skip
    assert [percent(1, 0), percent(None), thousands(None), duration(None)] == ["–"] * 4
    assert [duration(seconds) for seconds in (0.04, 59.96, 185, 3720, 7200)] == [
        "0.0 s", "1 min", "3 min 05 s", "1 h 02 min", "2 h",
    ]  # fmt: skip
    assert [compact(tick) for tick in (0, 500, 1_500, 2_000_000)] == ["0", "500", "1.5k", "2M"]


@pytest.mark.browser
def test_the_page_opens_offline_and_fits_wide_and_narrow_screens(chromium_path, tmp_path):
    from playwright.sync_api import sync_playwright

    quiet = (
        "--no-sandbox --disable-gpu --disable-quic --no-first-run"
        " --disable-background-networking --disable-component-update --disable-sync"
    )
    page_file = tmp_path / "report.html"
    page_file.write_text(rendered(), encoding="utf-8")
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
            assert page.get_by_role("img", name="Records left after each stage").is_visible()
            assert page.locator("svg[aria-labelledby^=trend]:visible").count() == 1
        headings = page.get_by_role("heading").all_inner_texts()
        figure = page.get_by_text("12,340", exact=True).first.is_visible()
        captions = page.locator("table:not(:has(caption))").count()
        browser.close()
    assert headings == [
        "Reviews & <friends>",
        "Key figures",
        "From input to list",
        "Why records ended where they did",
        "Scores",
        "Marketplaces and channels",
        "The last 30 partitions",
        "What this report does not know",
    ]
    assert figure
    assert captions == 0
    assert set(requests) == {page_file.as_uri()}
    assert faults == []
