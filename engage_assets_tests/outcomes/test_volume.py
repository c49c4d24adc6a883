from datetime import date, datetime, time, timedelta

import polars as pl

from engage_assets.domain.purchases import REVIEWS, SOURCE
from engage_assets.outcomes.volume import answer_volume, volume_rows
from engage_assets_tests.outcomes.frames import on_duckdb, on_polars, responses

DAY = date(2026, 11, 21)
FIRST_SEND = date(2026, 11, 18)
"""A Wednesday; the Saturdays before it are 14 and 7 November, 31 and 24 October."""


def reviews(by_day, *more):
    """REVIEWS: so many a day by different people; `more` are (customer, instant)."""
    given = [(f"{day} {one}", datetime.combine(day, time(12))) for day, count in by_day.items() for one in range(count)]
    rows = [{"customer_id": who, "product_id": "p-1", "reviewed_at": at} for who, at in [*given, *more]]
    return pl.DataFrame(rows, schema=REVIEWS.schema)


def saturdays(*counts):
    return {date(2026, 10, 24) + timedelta(weeks=week): count for week, count in enumerate(counts)}


def row(table, answers=None, on=on_polars, first_send=FIRST_SEND):
    given = responses() if answers is None else answers
    volume = answer_volume(on(table), on(given), answers=SOURCE.answers, first_send=first_send, day=DAY)
    return increase(volume)


def increase(volume):
    return list(volume_rows(volume, SOURCE.answers.word))[1]


def test_a_day_is_compared_with_the_same_weekday_of_four_weeks():
    table = reviews({**saturdays(1, 3, 2, 2, 3), date(2026, 10, 20): 9, date(2026, 11, 20): 9})
    for on in (on_polars, on_duckdb):
        figure = row(table, on=on)
        assert (figure.numerator, figure.denominator, figure.value) == (1, 2, 0.5)


def test_a_first_send_on_the_same_weekday_is_no_part_of_the_weeks_before():
    table = reviews({**saturdays(1, 3, 2, 2, 3), date(2026, 10, 17): 5})
    assert row(table, first_send=date(2026, 11, 14)).denominator == (5 + 1 + 3 + 2) / 4


def test_a_review_counts_once_on_its_first_day():
    again = ("2026-10-24 0", datetime.combine(DAY, time(9)))
    table = reviews(saturdays(1, 1, 1, 1, 1), again, ("c-1", datetime.combine(DAY, time(10))), ("c-9", None))
    answers = responses(("r-1", "2026-11-21 09:59", 5))
    edited = responses(("r-1", "2026-11-21 09:59", 1), version=2)
    for given in (answers, pl.concat([answers, edited])):
        assert row(table, given).value == 1.0


def test_without_four_weeks_of_reviews_there_is_no_increase():
    assert row(reviews(saturdays(0, 1, 1, 1, 1))).note == (
        "reviews are needed from 2026-10-24 on; they are known from 2026-10-31 on"
    )
    assert row(reviews({})).value is None
    assert row(reviews({date(2026, 10, 1): 1})).note == "no reviews on the same weekdays before the first send"
    assert increase(None).value is None
