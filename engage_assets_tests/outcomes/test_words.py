from datetime import date, timedelta

import polars as pl

from engage_assets.outcomes.metrics import measure
from engage_assets.outcomes.words import contribution, funnel, history, range_table
from engage_assets_tests.builders import a_program
from engage_assets_tests.outcomes import listening
from engage_assets_tests.outcomes.frames import A_DAY, NIGHT, PARTITION, decisions, on_polars, outcome_rows


def figures(text: str) -> list[tuple[str, int]]:
    """Label and count of each line of a funnel."""
    lines = [line.split() for line in text.splitlines()[2:]]
    return [(" ".join(words[:-2]), int(words[-2].replace(",", ""))) for words in lines]


def test_the_funnel_takes_away_what_ended_and_arrives_at_the_list():
    assert figures(funnel(a_program(), PARTITION, A_DAY.lazy())) == [
        ("input records", 10),
        ("KEY_MISSING", -1),
        ("after contract", 9),
        ("DUPLICATE", -1),
        ("after duplicate", 8),
        ("RETURNED", -1),
        ("after trust", 7),
        ("OPTED_OUT", -1),
        ("after eligibility", 6),
        ("FREQUENCY_CAP", -1),
        ("after frequency-cap", 5),
        ("NOT_SCORED", -1),
        ("after score", 4),
        ("band high", 3),
        ("band medium", 0),
        ("band low", 1),
        ("BELOW_MIN_SCORE", -1),
        ("FREQUENCY_CAP", -1),
        ("listed", 2),
    ]


def test_the_bands_of_a_funnel_begin_at_their_limits():
    scored = decisions(*(("list", "LISTED", "DE", score) for score in (0.0, 0.399999, 0.4, 0.699999, 0.7, 1.0)))
    found = dict(figures(funnel(a_program(), PARTITION, scored.lazy())))
    assert [found[f"band {name}"] for name in ("high", "medium", "low")] == [2, 2, 2]


def test_the_funnel_of_an_empty_day_has_no_shares():
    text = funnel(a_program(), PARTITION, A_DAY.clear().lazy())
    assert text.splitlines()[0] == f"E-Commerce Product Reviews, {PARTITION}"
    assert {count for _, count in figures(text)} == {0}
    assert "%" not in text


def measured(came):
    log = None if came is None else on_polars(came)
    how = {"partition": PARTITION, "as_of": NIGHT, "sends": None, "batch": None, "outcomes": log, "unsolicited": 1}
    return measure(on_polars(A_DAY), program=a_program(), **how)


def test_questions_asked_aloud_stand_beside_the_messages():
    lines = contribution(listening.measured(own=listening.given())).splitlines()
    assert lines[2:12] == [
        "sent                                   8  88.9%",
        "opened                                 3  75.0%",
        "  by machines only                     0   0.0%",
        "clicked                                2  50.0%",
        "  by machines only                     0   0.0%",
        "answered                               2  50.0%",
        "asked aloud                            4  50.0%",
        "  answered                             2  50.0%",
        "",
        "open rate                                 75.0%",
    ]
    assert "playlist improvement                     +60.0%" in lines
    assert "artist satisfaction                   4.50 of 5" in lines
    assert {len(line) for line in lines if ":" not in line} == {0, 47}


def test_the_funnel_goes_on_with_what_came_back():
    came = outcome_rows(
        {"outcome": "responded", "rating": 5, "human_opens": 1, "human_clicks": 1},
        {"human_opens": 1},
        {"machine_opens": 1},
        {},
        {"outcome": "skipped", "reason": "OPTED_OUT"},
    )
    assert contribution(measured(came)).splitlines() == [
        "sends planned                          5 100.0%",
        "  skipped                             -1  20.0%",
        "sent                                   4  80.0%",
        "opened                                 2  50.0%",
        "  by machines only                     1  25.0%",
        "clicked                                1  25.0%",
        "  by machines only                     0   0.0%",
        "answered                               1  25.0%",
        "",
        "open rate                                 50.0%",
        "click-through rate                        25.0%",
        "click-to-open rate                        50.0%",
        "conversion rate                           25.0%",
        "mean rating                           5.00 of 5",
        "unsolicited answers                           1",
        "not measured: no provider event (delivered, bounce, complaint) of the partition's sends is recorded",
    ]
    assert contribution(measured(None)) == "sends: no delivery has run"


def test_a_history_tells_each_record_in_words():
    earlier = A_DAY.with_columns(partition_date=PARTITION - timedelta(days=1), customer_id=pl.lit("c-8"))
    lines = history("c-8", pl.concat([A_DAY, earlier.head(1)]).lazy()).splitlines()
    assert lines == [
        "2026-11-19  record d-0, subject p-1: KEY_MISSING at contract: a required key column is null or blank",
        "2026-11-20  record d-8, subject p-1: LISTED at list: on a channel's list, score 0.700001 (list from 0.7)",
    ]
    assert history("c-99", A_DAY.lazy()) == "no record of customer c-99 was decided"


def test_the_table_of_a_range_shows_whether_each_day_closes():
    stages = ["contract", "duplicate", "trust", "eligibility", "frequency-cap", "score", "list"]
    days = {PARTITION: (10, A_DAY.lazy()), PARTITION + timedelta(days=1): (10, A_DAY[:9].lazy())}
    cells = [[cell.strip(" *") for cell in line.split("|")[1:-1]] for line in range_table(days, stages).splitlines()]
    assert cells[0] == ["partition", "input", *stages, "listed", "sum"]
    assert cells[2] == [str(PARTITION), "10", *["1"] * 6, "2", "2", "10"]
    assert cells[3] == [str(date(2026, 11, 21)), "10", *["1"] * 6, "2", "1", "9"]
    assert cells[4] == ["all", "20", *["2"] * 6, "4", "3", "19"]
