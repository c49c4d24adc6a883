"""The pages of events: what they say, that they open offline, and that nobody is kept out."""

from datetime import datetime

import polars as pl
import pytest

from engage_assets.outcomes.event_charts import Moment, outlook
from engage_assets.outcomes.event_figures import event_figures
from engage_assets.outcomes.event_report import event_picture, file_name, looked_up, render_event_report
from engage_assets.outcomes.event_tables import EventTables
from engage_assets.outcomes.report import render_report
from engage_assets_tests.outcomes import happenings
from engage_assets_tests.outcomes.happenings import AHEAD, DECIDED, EVENTS, MONDAY, NIGHT, OVER, expected, given, on
from engage_assets_tests.outcomes.test_report import CONTRAST, words

RECORDS = DECIDED.group_by("subject_id", "stage", "reason").agg(records=pl.len())


def page_of(event: str = OVER, declared: datetime | None = None, **changed) -> str:
    tables = EventTables.of(given(**changed))
    assert tables
    return render_event_report(
        program=EVENTS,
        tables=tables,
        figures=looked_up(event_figures(tables)),
        decisions=RECORDS,
        event_id=event,
        as_of=NIGHT,
        partition=MONDAY,
        declared_clock=declared,
    )


def week(**changed) -> str:
    rows = happenings.measured(own=given(**changed))
    return render_report(
        program=EVENTS, partition=MONDAY, as_of=NIGHT, metrics=rows, trend=rows.head(0), not_evaluated=[],
        declared_clock=None,
    )  # fmt: skip


def test_the_page_of_an_event_shows_its_way_and_its_forecast_beside_what_came():
    said = words(page_of())
    assert "Wednesday, 2 December 2026, 18:00 in Europe/Berlin" in said
    assert "6 people got 10 invitations over all channels; 5 registered (50.0% of the invitations), 3 came" in said
    assert "Capacity use 100.0% 5 of 5 seats" in said
    assert "3.2 (2–4) of those with a seat are expected: sum of the probabilities" in said
    assert "At the start the interval held; came ÷ forecast is 0.94, the Brier score 0.120." in said
    assert "in-app 4 3 75.0% 2 66.7%" in said, "clicks of banners are shares of the displayed"
    assert "5 registrations by channel under three attributions" in said
    assert "DE 3 2 · 66.7% 1 · 50.0%" in said
    assert "5 1 50.0%" in said


def test_an_event_that_lies_ahead_says_what_is_not_known_yet():
    said = words(page_of(AHEAD))
    assert "Attended – not measured: the event is not over, or nobody is recorded as attended" in said
    assert "Capacity use – not measured: the event has no limit of seats" in said
    assert "0.7 (0–1) of those with a seat are expected" in said
    assert "pale points: what past events let expect, nobody being registered yet" in said
    assert "Satisfaction no answer of a survey is recorded" in said


def test_what_is_given_is_escaped_and_a_demonstration_and_a_cancellation_are_said():
    html = page_of(AHEAD, declared=on(11))
    assert "<h1>Statistics &amp; &lt;other&gt; numbers</h1>" in html
    assert "declared clock, which stood at 4 December 2026, 12:00 UTC" in html
    assert not [one for one in ("http://", "https://", "<script", "@import") if one in html]
    states = [{**happenings.STATES[0], "is_cancelled": True}, happenings.STATES[1]]
    said = words(page_of(event_states=states, attendance_forecasts=happenings.FORECASTS[:3]))
    assert "The event does not take place. It was cancelled." in said
    assert "this is what was expected of it before: 4 registered, 3.0 expected, interval 2 to 4" in said


def test_the_weeks_report_has_the_events_beside_the_figures_of_all_programs():
    said = words(week())
    assert "8 people got 12 invitations over all channels; 6 registered" in said
    assert "1 event moved since the batch." in said
    assert (
        "e-2 Statistics &amp; &lt;other&gt; numbers, 2026-12-05 12:00 America/New_York 2 1 no limit 0 0.7 (0–1) – –"
        in said
    )
    assert "Banners in the app, beside these messages: 4 open for display, 3 displayed (75.0%), 2 clicked" in said
    assert "Of the forecasts at the start of events that are over, 100.0% held (90 % are meant to)" in said
    assert "there is no forecast" in words(week(attendance_forecasts=[]))


def test_the_same_arguments_give_the_same_text():
    assert page_of() == page_of()
    assert week() == week()


def test_a_forecast_of_one_moment_and_of_nobody_can_be_drawn():
    found = outlook([Moment(on(0), 0, 0, 0, 0)], None, 400)
    assert found.came is None
    assert len(found.dots) == 1
    many = outlook([Moment(on(0), 0, 900, 700, 1100), Moment(on(9), 1300, 1000, 900, 1200)], 1150, 400)
    heights = [float(point.split(",")[1]) for point in many.band.split()]
    assert 0 <= min(heights) <= max(heights) <= many.height
    assert [tick.text for tick in many.y_ticks] == ["0", "500", "1k", "1.5k"]


@pytest.mark.parametrize(
    ("event", "name"), [("k8s-1", "k8s-1"), ("a/../b", "a%2F..%2Fb"), ("müller 1", "m%C3%BCller%201")]
)
def test_a_page_is_named_after_its_event(event, name):
    assert file_name(event) == name


def test_long_and_hidden_names_are_hashed():
    assert len(file_name("x" * 500)) == len(file_name("..")) == 64


def test_the_picture_is_an_svg_file_or_nothing():
    tables = EventTables.of(given())
    assert tables
    figures = looked_up(event_figures(tables))
    assert event_picture(figures, OVER, "a caption").startswith("<svg")
    nobody = EventTables.of(given(send_events=[], registrations=[]))
    assert nobody
    assert event_picture(looked_up(event_figures(nobody)), OVER, "a caption") is None


FORECASTS = [
    expected(OVER, 0, 0, 15.5, 9, 22, moment="opening", at=on(0, 2)),
    *(expected(OVER, day, 10 * day, 7.2 * day, 6 * day, 8 * day) for day in range(1, 9)),
    expected(OVER, 9, 80, 58, 50, 66, moment="start", at=on(9, 17), attended=70, brier=0.2),
]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("page_of", "images"),
    [
        (
            lambda: page_of(attendance_forecasts=FORECASTS),
            ["People from invitation to survey", "Forecast of attendance"],
        ),
        (week, ["People from invitation to survey", "Registrations by channel of the last touch"]),
    ],
    ids=["event", "week"],
)
def test_pages_open_offline_and_fit_wide_and_narrow_screens(chromium_path, tmp_path, page_of, images):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    quiet = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    file, requests, faults, barriers = tmp_path / "page.html", [], [], []
    file.write_text(page_of(), encoding="utf-8")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=quiet.split())
        page = browser.new_context(offline=True).new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: faults.append(message.text))
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            shown = page.locator("svg:visible").evaluate_all(
                "found => found.map(one => one.querySelector('title').textContent)"
            )
            assert [name for name in images if not any(one.startswith(name) for one in shown)] == []
        barriers += [found["id"] for found in Axe().run(page).response["violations"]]
        page.emulate_media(color_scheme="dark")
        barriers += [found["id"] for found in Axe().run(page, options=CONTRAST).response["violations"]]
        untitled = page.locator("table:not(:has(caption))").count()
        browser.close()
    assert (set(requests), faults, barriers, untitled) == ({file.as_uri()}, [], [], 0)
