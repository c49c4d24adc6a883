from datetime import date, datetime, timedelta

import polars as pl
import pytest

from engage_assets.domain import music
from engage_assets.domain.purchases import DELIVERIES, REVIEWS, SOURCE
from engage_assets.scoring.examples import examples
from engage_assets_tests.scoring.synthetic import scoring_model

at = datetime.fromisoformat
TRAINED = date(2026, 6, 1)
MODEL = scoring_model(label_days=14, history_days=60)


def examples_of(deliveries, reviews=()):
    """Deliveries are (customer, product, day) or (…, status); reviews (customer, product, instant)."""
    delivered = [
        dict(zip(("customer_id", "product_id", "delivery_date", "status"), (*row, "COMPLETED")[:4], strict=True))
        for row in deliveries
    ]
    written = [dict(zip(("customer_id", "product_id", "reviewed_at"), row, strict=True)) for row in reviews]
    return examples(
        pl.LazyFrame(delivered, schema=DELIVERIES.schema),
        pl.LazyFrame(written, schema=REVIEWS.schema),
        source=SOURCE,
        model=MODEL,
        as_of=TRAINED,
    ).collect()


DAY = date(2026, 5, 1)


@pytest.mark.parametrize(
    ("reviewed_at", "label"),
    [
        (at("2026-05-02T02:00:00.000001"), True),  # just after the batch instant
        (at("2026-05-16T02:00"), True),  # the last instant that counts
        (at("2026-05-16T02:00:00.000001"), False),
        (at("2026-05-02T02:00"), None),  # already reviewed when the batch ran
        (None, None),  # long ago
    ],
)
def test_the_label_is_a_review_after_the_batch(reviewed_at, label):
    result = examples_of([("ann", "lamp", DAY)], [("ann", "lamp", reviewed_at)])
    assert result["label"].to_list() == ([] if label is None else [label])


def test_an_example_stands_at_the_batch_that_would_have_scored_it():
    result = examples_of(
        [("ann", "lamp", DAY)], [("ann", "mug", at("2026-05-03T00:00")), ("bob", "lamp", at("2026-05-03T00:00"))]
    )
    assert result.rows() == [("ann", "lamp", at("2026-05-02T02:00"), False, False)]
    assert result.columns == ["customer_id", "subject_id", "as_of", "label", "is_exploration"]


@pytest.mark.parametrize(
    ("day", "counts"),
    [
        (date(2026, 5, 16), True),  # scored on 17 May 02:00: the label ripens on 31 May 02:00
        (date(2026, 5, 17), False),  # ripens after midnight of 1 June
        (date(2026, 4, 1), True),  # scored 59 days and 22 hours before
        (date(2026, 3, 31), False),
        (None, False),
    ],
)
def test_only_mature_examples_of_the_history(day, counts):
    assert examples_of([("ann", "lamp", day)]).height == counts


def test_only_completed_deliveries_with_keys():
    assert examples_of([("ann", "lamp", DAY, "RETURNED"), (None, "lamp", DAY), ("ann", None, DAY)]).is_empty()


def test_the_latest_of_a_customer_and_product_counts():
    delivered = [("ann", "lamp", date(2026, 4, 10)), ("ann", "lamp", DAY), ("ann", "lamp", DAY)]
    later_review = [("ann", "lamp", at("2026-05-05T00:00"))]
    assert examples_of(delivered, later_review).rows() == [("ann", "lamp", at("2026-05-02T02:00"), True, False)]
    # The later delivery found the review there already, so the earlier one is the example.
    earlier_review = [("ann", "lamp", at("2026-04-15T00:00"))]
    assert examples_of(delivered, earlier_review).rows() == [("ann", "lamp", at("2026-04-11T02:00"), True, False)]


def test_order_of_rows_changes_nothing():
    delivered = [(f"c{number % 7}", f"p{number % 3}", date(2026, 4, 1 + number % 20)) for number in range(60)]
    written = [
        (f"c{number % 5}", f"p{number % 3}", at("2026-04-01T12:00") + timedelta(days=number)) for number in range(20)
    ]
    result = examples_of(delivered, written)
    assert result.height > 10
    assert result.select("customer_id", "subject_id").is_duplicated().sum() == 0
    assert examples_of(delivered[::-1], written[::-1]).equals(result)


def test_nothing_later_than_the_training_date_is_seen():
    delivered = [(f"c{number % 40}", f"p{number % 3}", date(2026, 4, 1 + number % 29)) for number in range(120)]
    written = [
        (f"c{number % 40}", f"p{number % 3}", at("2026-04-03T12:00") + timedelta(hours=20 * number))
        for number in range(120)
    ]
    midnight = datetime.combine(TRAINED, datetime.min.time())
    before = examples_of(delivered, written)
    assert 0 < before["label"].sum() < before.height
    assert any(row[2] > midnight for row in written)
    moved = [row if row[2] <= midnight else (row[0], "p9", row[2] + timedelta(days=1)) for row in written]
    more = [(f"c{number}", "p0", TRAINED + timedelta(days=number)) for number in range(9)]
    assert examples_of(delivered + more, moved).equals(before)


LIKED = scoring_model(label="liked", label_days=14, history_days=60)
PLAYED = {"play_count": 1, "completion_rate": 0.95, "track_release_date": DAY}


def liked_of(plays, feedback):
    """Plays are dicts laid over a whole play of a new track; feedback (listener, track, instant, thumbs up)."""
    given = [dict(zip(("listener_id", "track_id", "given_at", "thumbs_up"), row, strict=True)) for row in feedback]
    played = [
        {"listener_id": "ann", "track_id": "hit", "played_at": at("2026-05-01T23:59"), **PLAYED, **play}
        for play in plays
    ]
    return examples(
        pl.LazyFrame(played, schema=music.TRACK_PLAYS.schema),
        pl.LazyFrame(given, schema=music.FEEDBACK.schema),
        source=music.SOURCE,
        model=LIKED,
        as_of=TRAINED,
    ).collect()


@pytest.mark.parametrize(
    ("feedback", "label"),
    [
        ([("2026-05-03T00:00", True)], [True]),
        ([("2026-05-03T00:00", False)], [False]),
        ([("2026-05-04T00:00", True), ("2026-05-03T00:00", False)], [False]),  # the first answer counts
        ([("2026-05-03T00:00", None)], []),  # an answer that does not say so
        ([], []),  # no answer is no example
        ([("2026-05-02T02:00", True)], []),  # answered before the batch
    ],
)
def test_liked_is_learned_from_answers_alone(feedback, label):
    given = [("ann", "hit", at(when), up) for when, up in feedback]
    assert liked_of([{}], given)["label"].to_list() == label


@pytest.mark.parametrize(
    ("play", "counts"),
    [
        ({}, True),
        ({"completion_rate": 0.9499}, False),
        ({"play_count": 0}, False),
        ({"track_release_date": date(2026, 4, 25)}, True),  # seven days before the batch's date
        ({"track_release_date": date(2026, 4, 24)}, False),
        ({"track_release_date": date(2026, 5, 2)}, True),
        ({"track_release_date": date(2026, 5, 3)}, False),
    ],
)
def test_whole_plays_of_new_tracks_are_offered(play, counts):
    assert liked_of([play], [("ann", "hit", at("2026-05-03T00:00"), True)]).height == counts
