from datetime import date, datetime, timedelta

import polars as pl
import pytest

from engage_assets.domain.tables import DELIVERIES, REVIEWS
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
