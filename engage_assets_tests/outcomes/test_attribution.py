from collections import Counter
from datetime import date, datetime, timedelta
from itertools import permutations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.tables import INTERACTIONS_LOG, OUTCOMES, RESPONSES_LOG, SENDS_LOG, empty_frame
from engage_assets.outcomes.attribution import outcomes, unsolicited
from engage_assets_tests.builders import a_program, instant
from engage_assets_tests.outcomes.frames import NIGHT, PARTITION, campaign, interactions, on_polars, responses, sends

PROGRAM = a_program()
EARLIER = PARTITION - timedelta(days=3)
SENT = sends(
    ("s-1", "planned", "2026-11-21 02:30"),
    ("s-1", "claimed", "2026-11-21 15:00"),
    ("s-1", "handed_over", "2026-11-21 15:00"),
    ("s-1", "sent", "2026-11-21 15:00:01"),
)
NOBODY, NOTHING = empty_frame(INTERACTIONS_LOG), empty_frame(RESPONSES_LOG)


def made(sent=SENT, touched=NOBODY, answers=NOTHING, *, partition=PARTITION, night=NIGHT):
    log = outcomes(*map(on_polars, (sent, touched, answers)), program=PROGRAM, partition=partition, as_of=night)
    return log.collect("polars").to_native().sort("send_id")


def the_only(*given, **how):
    return made(*given, **how).row(0, named=True)


def strays(sent, answers, *, partition=PARTITION, night=NIGHT):
    found = unsolicited(on_polars(sent), on_polars(answers), program=PROGRAM, partition=partition, as_of=night)
    return found.collect("polars").to_native()["response_id"].sort().to_list()


def test_a_send_that_was_opened_clicked_and_answered():
    touched = interactions(
        ("s-1", "delivered", "2026-11-21 15:00:05"),
        ("s-1", "open", "2026-11-21 15:01", "prefetch"),
        ("s-1", "open", "2026-11-21 17:00"),
        ("s-1", "open", "2026-11-21 16:00"),
        ("s-1", "click", "2026-11-21 16:01"),
        ("s-9", "click", "2026-11-21 16:01"),
    )
    row = the_only(SENT, touched, responses(("r-1", "2026-11-21 16:05", 4)))
    assert list(row) == OUTCOMES.names
    assert row == {
        "send_id": "s-1",
        "program": "product-reviews",
        "partition_date": PARTITION,
        "as_of": NIGHT,
        "campaign_id": campaign(),
        "marketplace": "US",
        "channel": "email",
        "customer_id": "c-1",
        "subject_id": "p-1",
        "slot_at": None,
        "outcome": "responded",
        "reason": None,
        "sent_at": instant("2026-11-21 15:00"),
        "delivered_at": instant("2026-11-21 15:00:05"),
        "displayed_at": None,
        "first_open_at": instant("2026-11-21 16:00"),
        "human_opens": 2,
        "machine_opens": 1,
        "first_click_at": instant("2026-11-21 16:01"),
        "human_clicks": 1,
        "machine_clicks": 0,
        "bounced_at": None,
        "is_hard_bounce": None,
        "complained_at": None,
        "responded_at": instant("2026-11-21 16:05"),
        "rating": 4,
        "is_positive": None,
        "response_id": "r-1",
    }


@pytest.mark.parametrize(
    ("state", "outcome", "reason"),
    [
        ("planned", "pending", None),
        ("claimed", "pending", None),
        ("handed_over", "pending", None),
        ("sent", "sent", None),
        ("failed", "failed", "WHY"),
        ("in_doubt", "in_doubt", "WHY"),
        ("skipped", "skipped", "WHY"),
        ("held_out", "held_out", None),
    ],
)
def test_the_last_state_of_a_send_is_its_outcome(state, outcome, reason):
    row = the_only(sends(("s-1", "planned", "2026-11-21 02:30"), ("s-1", state, "2026-11-21 15:00", "WHY")))
    assert (row["outcome"], row["reason"]) == (outcome, reason)
    assert (row["sent_at"] is not None) == (outcome in ("sent", "in_doubt"))


@pytest.mark.parametrize(
    ("states", "outcome", "reason"),
    [
        (["planned 02:30", "claimed 15:00", "planned 15:05", "claimed 15:10", "sent 15:10"], "sent", None),
        (["planned 02:30", "claimed 15:00", "planned 15:05", "skipped 17:30"], "skipped", "AT 17:30"),
        (["planned 02:30", "claimed 15:00", "planned 15:00"], "pending", None),
        (["in_doubt 15:00", "failed 18:00"], "failed", "AT 18:00"),
    ],
)
def test_a_state_may_be_entered_again_and_the_latest_counts(states, outcome, reason):
    events = [(state.split()[0], state.split()[1]) for state in states]
    log = sends(*(("s-1", state, f"2026-11-21 {at}", f"AT {at}") for state, at in events))
    for order in (log, log.reverse()):
        row = the_only(order)
        assert (row["outcome"], row["reason"]) == (outcome, reason)


def test_a_banner_is_displayed_when_a_person_first_was_shown_it():
    shown = interactions(
        ("s-1", "displayed", "2026-11-21 18:00"),
        ("s-1", "displayed", "2026-11-21 17:00"),
        ("s-1", "displayed", "2026-11-21 16:00", "scanner"),
    )
    row = the_only(SENT, shown)
    assert (row["displayed_at"], row["human_opens"], row["outcome"]) == (instant("2026-11-21 17:00"), 0, "sent")


def test_what_solicits_nothing_is_of_no_partition():
    reminder = SENT.with_columns(is_solicitation=pl.lit(value=False))
    assert made(reminder).is_empty()


def test_a_doubt_that_is_resolved_later_leaves_the_send_where_it_was():
    log = sends(
        ("s-1", "handed_over", "2026-11-21 15:00"),
        ("s-1", "in_doubt", "2026-11-21 15:30", "OWNER_LOST"),
        ("s-1", "sent", "2026-11-23 09:00", "RESOLVED"),
    )
    answered = responses(("r-1", "2026-11-21 15:10", 5))
    assert the_only(log)["outcome"] == "in_doubt"
    assert the_only(log, NOBODY, answered)["outcome"] == "responded"
    late = the_only(log, NOBODY, answered, night=date(2026, 11, 24))
    assert (late["outcome"], late["sent_at"]) == ("responded", instant("2026-11-21 15:00"))


def test_only_the_partitions_own_campaigns_have_rows():
    other = sends(("s-2", "sent", "2026-11-21 15:00"), campaign=campaign(EARLIER))
    longer = sends(("s-3", "sent", "2026-11-21 15:00"), campaign="product-reviews:email:2026-11-20")
    foreign = sends(("s-4", "sent", "2026-11-21 15:00"), campaign="music:email:2026-11-20:US", program="music")
    rows = made(pl.concat([SENT, other, longer, foreign]))
    assert rows.select("send_id", "marketplace").rows() == [("s-1", "US"), ("s-3", None)]


# --- whose answer ------------------------------------------------------------------------------------


def test_an_answer_belongs_to_the_latest_send_before_it():
    earlier = sends(("s-0", "sent", "2026-11-18 15:00"), campaign=campaign(EARLIER))
    later = sends(("s-2", "sent", "2026-11-21 20:00"), campaign=campaign(PARTITION, "DE"))
    log = pl.concat([earlier, SENT, later])
    owner = {"2026-11-20 12:00": "s-0", "2026-11-21 15:00": "s-1", "2026-11-21 19:59": "s-1", "2026-11-21 20:00": "s-2"}
    for at, send in owner.items():
        answer = responses(("r-1", at, 5))
        rows = pl.concat([made(log, NOBODY, answer, partition=day) for day in (EARLIER, PARTITION)])
        assert rows.filter(outcome="responded")["send_id"].to_list() == [send]


@pytest.mark.parametrize(("link", "owner"), [("s-1", "s-1"), ("s-2", "s-2"), (None, "s-2"), ("s-9", "s-2")])
def test_an_answer_through_a_link_belongs_to_its_send_though_a_banner_came_later(link, owner):
    banner = sends(
        ("s-2", "sent", "2026-11-21 19:00"), campaign=campaign().replace("email", "in-app"), channel="in-app"
    )
    answer = responses(("r-1", "2026-11-21 20:00", None), send_id=link)
    rows = made(pl.concat([SENT, banner]), NOBODY, answer)
    assert rows.filter(outcome="responded")["send_id"].to_list() == [owner]


def test_of_sends_at_one_instant_the_greatest_key_owns_the_answer():
    twin = sends(("s-2", "sent", "2026-11-21 15:00"), campaign=campaign(PARTITION, "DE"))
    rows = made(pl.concat([twin, SENT]), NOBODY, responses(("r-1", "2026-11-21 16:00", 5)))
    assert rows["outcome"].to_list() == ["sent", "responded"]


def test_fourteen_days_are_included_and_an_instant_more_is_not():
    night = date(2026, 12, 6)
    for at, outcome, stray in (
        ("2026-12-05 15:00:00", "responded", []),
        ("2026-12-05 15:00:00.000001", "sent", ["r-1"]),
        ("2026-11-21 14:59:59.999999", "sent", ["r-1"]),
    ):
        answer = responses(("r-1", at, 5))
        day = PROGRAM.cadence.partition_of(instant(at))
        assert the_only(SENT, NOBODY, answer, night=night)["outcome"] == outcome
        assert strays(SENT, answer, partition=day, night=night) == stray


@pytest.mark.parametrize("state", ["planned", "handed_over", "failed", "skipped", "held_out"])
def test_what_was_not_sent_owns_no_answer(state):
    log = sends(("s-1", state, "2026-11-21 15:00", "WHY"))
    answer = responses(("r-1", "2026-11-21 16:00", 5))
    assert the_only(log, NOBODY, answer)["response_id"] is None
    assert strays(log, answer) == ["r-1"]


def test_a_reminder_owns_no_answer():
    answer = responses(("r-1", "2026-11-21 16:00", 5))
    assert strays(SENT.with_columns(is_solicitation=pl.lit(value=False)), answer) == ["r-1"]


@pytest.mark.parametrize("column", ["customer_id", "subject_id", "program"])
def test_an_answer_of_others_is_none_of_the_send(column):
    answer = responses(("r-1", "2026-11-21 16:00", 5), **{column: "another"})
    assert the_only(SENT, NOBODY, answer)["outcome"] == "sent"
    assert strays(SENT, answer) == ([] if column == "program" else ["r-1"])


def test_unsolicited_answers_are_those_between_two_batch_instants():
    given = {
        "r-0": "2026-11-21 02:00",
        "r-1": "2026-11-21 02:00:01",
        "r-2": "2026-11-22 02:00",
        "r-3": "2026-11-22 03:00",
    }
    answers = pl.concat([responses((key, at, 5), customer_id=key) for key, at in given.items()])
    assert strays(SENT, answers, night=date(2026, 11, 30)) == ["r-1", "r-2"]
    assert strays(SENT, answers) == ["r-1"]


def test_what_was_received_after_the_night_is_not_known_yet():
    late = pl.lit(instant("2026-11-22 00:00"))
    touched = interactions(("s-1", "open", "2026-11-21 16:00"), ("s-1", "bounce", "2026-11-21 16:00"))
    answer = responses(("r-1", "2026-11-21 16:05", 4))
    row = the_only(SENT, touched.with_columns(received_at=late), answer.with_columns(received_at=late))
    assert (row["outcome"], row["human_opens"], row["bounced_at"]) == ("sent", 0, None)
    assert strays(SENT, answer.with_columns(received_at=late)) == []
    assert made(SENT, night=PARTITION).is_empty()


def test_an_answer_that_was_changed_counts_once_at_its_first_instant_and_as_it_stood():
    first = responses(("r-1", "2026-11-21 16:05", 2))
    edits = [
        responses(("r-1", "2026-11-21 16:05", rating), version=version, received_at=instant(at))
        for version, rating, at in ((2, 5, "2026-11-21 20:00"), (3, 1, "2026-11-22 10:00"))
    ]
    for versions in permutations((first, *edits)):
        given = pl.concat([*versions, *versions])
        for night, rating in ((NIGHT, 5), (date(2026, 11, 22), 1)):
            row = the_only(SENT, NOBODY, given, night=night)
            assert (row["rating"], row["responded_at"]) == (rating, instant("2026-11-21 16:05"))
        assert strays(SENT.clear(), given) == ["r-1"]


def test_bounces_and_complaints():
    touched = interactions(("s-1", "bounce", "2026-11-21 16:00"), ("s-1", "complaint", "2026-11-21 17:00"))
    for permanent, hard in ((None, False), (False, False), (True, True)):
        row = the_only(SENT, touched.with_columns(is_permanent=pl.lit(permanent, pl.Boolean)))
        assert row["is_hard_bounce"] is hard
        assert (row["bounced_at"], row["complained_at"]) == (instant("2026-11-21 16:00"), instant("2026-11-21 17:00"))


def test_a_click_makes_no_open():
    row = the_only(
        SENT, interactions(("s-1", "click", "2026-11-21 16:00"), ("s-1", "click", "2026-11-21 16:00", "scan"))
    )
    assert (row["human_clicks"], row["machine_clicks"], row["human_opens"], row["first_open_at"]) == (1, 1, 0, None)


# --- any history ------------------------------------------------------------------------------------

START = datetime(2026, 11, 18)  # noqa: DTZ001 - instants are UTC without a zone
MOMENT = st.integers(0, 24 * 18).map(lambda hours: START + timedelta(hours=hours))
PEOPLE, SUBJECTS = ["c-1", "c-2"], ["p-1", "p-2"]
ENDS = ["planned", "claimed", "handed_over", "sent", "failed", "in_doubt", "skipped", "held_out"]


@st.composite
def histories(draw):
    """Sends of two partitions in any state, what was done with them, and at most one answer a pair."""
    events, touched, answers = [], [], []
    for number in range(draw(st.integers(3, 12))):
        partition = PARTITION - timedelta(days=draw(st.integers(0, 1)))
        send = {
            "send_id": f"s-{number}",
            "program": "product-reviews",
            "campaign_id": campaign(partition),
            "customer_id": draw(st.sampled_from(PEOPLE)),
            "subject_id": draw(st.sampled_from(SUBJECTS)),
            "is_solicitation": True,
        }
        begins = draw(MOMENT)
        for step, state in enumerate(["planned", "claimed", "planned", draw(st.sampled_from(ENDS))]):
            events.append({**send, "state": state, "at": begins + timedelta(minutes=step), "reason": "WHY"})
        kinds = st.tuples(st.sampled_from(["open", "click", "bounce"]), MOMENT, st.sampled_from([None, "scan"]))
        for kind, at, rule in draw(st.lists(kinds, max_size=3)):
            event = {"event_id": f"e-{len(touched)}", "send_id": send["send_id"], "kind": kind, "at": at}
            touched.append({**event, "received_at": at, "machine_rule": rule})
    links = st.none() | st.sampled_from(sorted({event["send_id"] for event in events}))
    for customer in PEOPLE:
        for subject in SUBJECTS:
            if at := draw(st.none() | MOMENT):
                answer = {"response_id": f"{customer}/{subject}", "program": "product-reviews", "customer_id": customer}
                answer |= {"subject_id": subject, "send_id": draw(links), "version": 1, "rating": 5}
                answers.append({**answer, "at": at, "received_at": at})
    return events, touched, answers


def frames(history):
    tables = (SENDS_LOG, INTERACTIONS_LOG, RESPONSES_LOG)
    return [pl.DataFrame(rows, schema=table.schema) for rows, table in zip(history, tables, strict=True)]


def owners(events, answers):
    """By answer, the send that it belongs to: told once more, plainly."""
    begun = {}
    last = {event["send_id"]: event for event in events}
    for event in events:
        if event["state"] in ("handed_over", "sent", "in_doubt"):
            begun.setdefault(event["send_id"], event["at"])
    found = {}
    for answer in answers:
        fitting = [
            (send == answer["send_id"], begun[send], send)
            for send, event in last.items()
            if event["state"] in ("sent", "in_doubt")
            and (event["customer_id"], event["subject_id"]) == (answer["customer_id"], answer["subject_id"])
            and timedelta(0) <= answer["at"] - begun[send] <= timedelta(days=14)
        ]
        found[answer["response_id"]] = max(fitting)[-1] if fitting else None
    return found


@settings(max_examples=15, deadline=None)
@given(histories(), st.randoms())
def test_however_often_and_in_whatever_order_events_come_outcomes_are_the_same(history, random):
    night, days = date(2026, 12, 31), [PARTITION - timedelta(days=back) for back in range(2)]
    again = [random.sample(rows * 2, 2 * len(rows)) for rows in history]
    rows = pl.concat([made(*frames(history), partition=day, night=night) for day in days])
    assert pl.concat([made(*frames(again), partition=day, night=night) for day in days]).equals(rows)
    events, touched, answers = history
    assert Counter(rows["send_id"]) == Counter({event["send_id"] for event in events})
    assert not rows["outcome"].null_count()
    belongs = owners(events, answers)
    owned = {answer: send for answer, send in belongs.items() if send}
    answered = rows.filter(outcome="responded")
    assert dict(answered.select("response_id", "send_id").iter_rows()) == owned
    counted = rows.select("human_opens", "machine_opens", "human_clicks", "machine_clicks").sum_horizontal().sum()
    assert counted == sum(event["kind"] != "bounce" for event in touched)
    sent, _, given_answers = frames(again)
    astray = [answer for answer in answers if not belongs[answer["response_id"]]]
    window = {PROGRAM.cadence.partition_of(answer["at"] - timedelta(seconds=1)) for answer in astray}
    stray = [key for day in window for key in strays(sent, given_answers, partition=day, night=night)]
    assert sorted(stray) == sorted(answer["response_id"] for answer in astray)
