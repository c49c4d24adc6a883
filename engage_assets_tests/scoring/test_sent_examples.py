"""Whom a program asked, and who answered: the rules of examples made of sends."""

from datetime import date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from engage_assets.domain.keys import campaign_id, send_id
from engage_assets.domain.tables import INTERACTIONS_LOG, RESPONSES_LOG, SENDS_LOG
from engage_assets.scoring.sent_examples import sent_examples
from engage_assets_tests.builders import a_program
from engage_assets_tests.scoring.synthetic import scoring_model

at = datetime.fromisoformat
TRAINED = date(2026, 6, 1)
PROGRAM = a_program()
WEEKLY = a_program(batchSchedule="cron(0 2 ? * 2 *)")
MODEL = scoring_model(label_days=14, history_days=60)
INTERESTED, ATTENDED = (MODEL.model_copy(update={"label": label}) for label in ("interested", "attended"))
DAY = date(2026, 5, 1)
SLOT = at("2026-05-02T14:00")
TAKEN = at("2026-05-02T14:03")


def send(customer="ann", product="lamp", day=DAY, states=("handed_over", "sent"), taken=TAKEN, **changes):
    """The events of one send: its states, a second apart; the hand-over is at `taken`."""
    campaign = campaign_id("product-reviews", "email", day, "US")
    row = {
        "send_id": send_id("product-reviews", campaign, customer, product, "email", SLOT),
        "program": "product-reviews",
        "campaign_id": campaign,
        "customer_id": customer,
        "subject_id": product,
        "channel": "email",
        "slot_at": SLOT,
        "is_solicitation": True,
    }
    before = [{"state": "planned", "at": taken - timedelta(hours=9)}, {"state": "claimed", "at": taken}]
    after = [{"state": state, "at": taken + timedelta(seconds=second)} for second, state in enumerate(states)]
    return [row | event | changes for event in before + after]


def answer(customer="ann", product="lamp", after=timedelta(days=1), **changes):
    instant = TAKEN + after
    row = {"program": "product-reviews", "customer_id": customer, "subject_id": product, "at": instant}
    return [row | {"received_at": instant, "response_id": f"{customer}-{product}", "rating": 5} | changes]


def examples_of(
    sends, answers=(), interactions=(), explored=None, program=PROGRAM, as_of=TRAINED, model=MODEL, attended=None
):
    return sent_examples(
        pl.LazyFrame(sends, schema=SENDS_LOG.schema),
        pl.LazyFrame(list(answers), schema=RESPONSES_LOG.schema),
        pl.LazyFrame(list(interactions), schema=INTERACTIONS_LOG.schema),
        model=model,
        program=program,
        as_of=as_of,
        explored=explored,
        attended=attended,
    ).collect()


CLICK = {"kind": "click", "machine_rule": None}


@pytest.mark.parametrize(
    ("answers", "click", "label"),
    [
        ((), None, False),
        ({}, None, True),
        ((), {}, True),
        ((), {"machine_rule": "prefetch"}, False),
        ((), {"kind": "open"}, False),
        ((), {"after": timedelta(days=14)}, True),
        ((), {"after": timedelta(days=14, seconds=1)}, False),
        ((), {"received_at": at("2026-06-02")}, False),  # after the training date
    ],
)
def test_who_clicked_or_answered_is_interested(answers, click, label):
    sent, clicks = send(), []
    if click is not None:
        instant = TAKEN + click.get("after", timedelta(days=2))
        known = {"send_id": sent[0]["send_id"], "at": instant, "received_at": instant, "event_id": "i-1"}
        clicks = [{**CLICK, **known, **{name: value for name, value in click.items() if name != "after"}}]
    given = answer() if answers == {} else ()
    assert examples_of(sent, given, clicks, model=INTERESTED)["label"].to_list() == [label]


@pytest.mark.parametrize(
    ("answered", "came", "label"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_who_registered_and_came_attended(answered, came, label):
    people = pl.LazyFrame({"customer_id": ["ann"] if came else ["eve"], "subject_id": ["lamp"]})
    given = answer() if answered else ()
    assert examples_of(send(), given, model=ATTENDED, attended=people)["label"].to_list() == [label]
    assert examples_of(send(), given, model=ATTENDED)["label"].to_list() == [False], "nobody came yet"


def labels_of(*given, **more):
    return examples_of(*given, **more)["label"].to_list()


def test_an_answer_that_was_changed_is_one_answer_given_first():
    changed = {"version": 2, "received_at": TAKEN + timedelta(days=16)}
    assert labels_of(send(), [*answer(), *answer(**changed)]) == [True]
    assert labels_of(send(), answer(**changed | {"after": timedelta(days=15)})) == [False]


@pytest.mark.parametrize(
    ("answers", "label"),
    [
        ([], []),  # no answer is no example
        ([{"is_positive": True}], [True]),
        ([{"is_positive": False}], [False]),
        ([{"is_positive": None}], []),
        ([{"is_positive": True, "after": timedelta(days=15)}], []),
        # changed while it still counts, and after the training date
        ([{"is_positive": True}, {"is_positive": False, "version": 2, "received_at": at("2026-05-20")}], [False]),
        ([{"is_positive": True}, {"is_positive": False, "version": 2, "received_at": at("2026-06-02")}], [True]),
    ],
)
def test_liked_is_the_latest_version_known_of_an_answer(answers, label):
    given = [row for each in answers for row in answer(**each)]
    liked = MODEL.model_copy(update={"label": "liked"})
    for order in (given, given[::-1]):
        assert labels_of(send(), order, model=liked) == label


def test_an_example_stands_at_the_batch_that_chose_it():
    result = examples_of(send())
    assert result.rows() == [("ann", "lamp", at("2026-05-02T02:00"), False, False)]
    assert result.columns == ["customer_id", "subject_id", "as_of", "label", "is_exploration"]
    monday = date(2026, 4, 27)
    assert examples_of(send(day=monday), program=WEEKLY)["as_of"].item() == at("2026-04-27T02:00")


@pytest.mark.parametrize(
    ("after", "label"),
    [
        (timedelta(0), [True]),
        (timedelta(days=14), [True]),
        (timedelta(days=14, microseconds=1), [False]),
        (timedelta(microseconds=-1), []),  # had answered before the hand-over: the message could move nothing
    ],
)
def test_the_label_is_an_answer_within_the_days(after, label):
    assert labels_of(send(), answer(after=after)) == label


def test_only_an_answer_about_the_subject_to_the_program_counts():
    others = [*answer(product="mug"), *answer(customer="bob"), *answer(program="music-feedback")]
    assert labels_of(send(), others) == [False]


@pytest.mark.parametrize("rule", ["scanner", None])
def test_opens_and_clicks_make_no_label(rule):
    clicks = [
        {"event_id": kind, "send_id": send()[0]["send_id"], "kind": kind, "at": TAKEN, "received_at": TAKEN}
        | {"machine_rule": rule}
        for kind in ("open", "click", "delivered")
    ]
    assert labels_of(send(), (), clicks) == [False]


@pytest.mark.parametrize(
    ("states", "counts"),
    [
        (("handed_over", "sent"), True),
        (("handed_over", "in_doubt", "sent"), True),
        (("handed_over", "in_doubt"), False),
        (("handed_over", "failed"), False),
        (("handed_over",), False),
        (("skipped",), False),
        (("held_out",), False),
        ((), False),
    ],
)
def test_only_what_was_surely_sent(states, counts):
    assert examples_of(send(states=states), answer()).height == counts


def test_what_solicits_nothing_and_other_programs_stay_out():
    assert examples_of(send(is_solicitation=False)).is_empty()
    assert examples_of(send(program="music-feedback")).is_empty()
    assert examples_of(send(is_solicitation=None)).height == 1  # written before the flag was


@pytest.mark.parametrize(("is_permanent", "counts"), [(True, False), (False, True), (None, True)])
def test_a_message_that_was_returned_for_good_asked_nobody(is_permanent, counts):
    bounce = {"event_id": "b", "send_id": send()[0]["send_id"], "kind": "bounce", "at": TAKEN, "received_at": TAKEN}
    assert examples_of(send(), (), [bounce | {"is_permanent": is_permanent}]).height == counts


@pytest.mark.parametrize(
    ("taken", "day", "counts"),
    [
        (at("2026-05-18T00:00"), date(2026, 5, 17), True),  # ripe at midnight of 1 June
        (at("2026-05-18T00:00:00.000001"), date(2026, 5, 17), False),
        (TAKEN, date(2026, 4, 1), True),  # its batch was 59 days and 22 hours before
        (TAKEN, date(2026, 3, 31), False),
    ],
)
def test_only_mature_examples_of_the_history(taken, day, counts):
    assert examples_of(send(taken=taken, day=day)).height == counts


def test_the_latest_of_a_customer_and_subject_counts():
    again = send(day=date(2026, 5, 8), taken=TAKEN + timedelta(days=7))
    assert examples_of(send() + again)["as_of"].to_list() == [at("2026-05-09T02:00")]
    # The second one found the answer there already.
    assert examples_of(send() + again, answer()).select("as_of", "label").rows() == [(at("2026-05-02T02:00"), True)]


def test_explored_rows_are_marked():
    drawn = pl.LazyFrame(send("bob")[:1]).select("campaign_id", "customer_id", "subject_id")
    result = examples_of(send() + send("bob"), explored=pl.concat([drawn, drawn]))
    assert result.select("customer_id", "is_exploration").rows() == [("ann", False), ("bob", True)]


def a_season(seed):
    """Sends and answers of a season around the training date, some unripe, some late, some later."""
    rng = np.random.default_rng(seed)
    sends, answers = [], []
    for number in range(150):
        taken = at("2026-04-10T14:00") + timedelta(minutes=int(rng.integers(0, 100_000)))
        who, day = f"c{number % 70}", taken.date() - timedelta(days=1)
        last = ("sent", "failed", "in_doubt")[rng.choice(3, p=[0.8, 0.1, 0.1])]
        sends += send(who, f"p{number % 5}", day, ("handed_over", last), taken)
        if rng.random() < 0.5:
            instant = taken + timedelta(minutes=int(rng.integers(-2000, 30_000)))
            late = instant + timedelta(minutes=int(rng.exponential(2000)))
            answers += answer(who, f"p{number % 5}", at=instant, received_at=late)
    return sends, answers


def test_nothing_later_than_the_training_date_is_seen():
    midnight = datetime.combine(TRAINED, datetime.min.time())
    sends, answers = a_season(1)
    before = examples_of(sends, answers)
    assert before.height > 40
    assert 0.1 < before["label"].mean() < 0.9
    told = [row for row in answers if max(row["at"], row["received_at"]) <= midnight]
    assert len(told) < len(answers)
    for row in sends:  # answers that were given in time and became known too late
        told += answer(row["customer_id"], row["subject_id"], at=row["at"], received_at=midnight + timedelta(seconds=1))
    done = [row if row["at"] <= midnight else row | {"state": "failed", "customer_id": "eve"} for row in sends]
    doubts = [row for row in sends if row["state"] == "in_doubt"]
    done += [row | {"state": "sent", "at": midnight + timedelta(seconds=1)} for row in doubts]
    assert examples_of(done, told).equals(before)


def test_order_and_repetition_of_rows_change_nothing():
    sends, answers = a_season(2)
    result = examples_of(sends, answers)
    assert result.select("customer_id", "subject_id").is_duplicated().sum() == 0
    assert examples_of(sends[::-1] * 2, answers[::-1] * 2).equals(result)
