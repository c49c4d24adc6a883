from collections import Counter
from datetime import date, timedelta
from typing import Any

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.channels.exploration import Exploration
from engage_assets.channels.filling import fill
from engage_assets.channels.lists import email_list, explored, judge_for_list
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch
from engage_assets.defs.list_stages import fill_lists
from engage_assets.domain.channel_specs import EmailChannel
from engage_assets.domain.tables import EMAIL_LIST, LIST_VERDICTS
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_candidate, a_program, candidates
from engage_assets_tests.sample.worlds import MARKETPLACES

PARTITION = date(2026, 11, 19)
LISTED, DRAWN = pl.col("reason") == "LISTED", pl.col("is_exploration")


def an_email(**changes: Any) -> EmailChannel:
    channel = {**PRODUCT_REVIEWS["channels"][0], "minScore": 0.7, "limit": None}
    return EmailChannel.model_validate(channel | changes)


def a_lot(share: float, day: date = PARTITION, program: str = "product-reviews") -> Exploration:
    return Exploration(program, day, share)


def people(scores: list[float], **changes: Any) -> pl.DataFrame:
    """One candidate per score, each of a customer and about a subject of its own."""
    return candidates(
        *(
            a_candidate(
                **{"record_id": f"r-{n}", "customer_id": f"c-{n}", "subject_id": f"p-{n}", **changes, "score": s}
            )
            for n, s in enumerate(scores)
        )
    )


def verdicts_on(rows: pl.DataFrame, exploration: Exploration | None, channel: EmailChannel | None = None):
    channel = channel or an_email()
    judged = judge_for_list(nw.from_native(rows.lazy()), channel).to_native().collect()
    return fill([(channel, judged)], exploration)


def drawn(rows: pl.DataFrame, exploration: Exploration, channel: EmailChannel | None = None) -> list[str]:
    """Records that were drawn, in the order of their ranks."""
    return verdicts_on(rows, exploration, channel).filter(DRAWN).sort("rank")["record_id"].to_list()


def test_a_share_of_a_full_lists_places_goes_by_lot_and_the_score_fills_the_rest():
    found = verdicts_on(people([0.9] * 30 + [0.1] * 70), a_lot(0.2), an_email(limit=20))
    listed = found.filter(LISTED)
    assert listed.height == 20
    assert listed.filter(DRAWN).sort("rank")["rank"].to_list() == [17, 18, 19, 20]
    low = people([0.9] * 30 + [0.1] * 70).filter(pl.col("score") < 0.7)["record_id"]
    assert set(listed.filter(pl.col("record_id").is_in(low.implode()))["is_exploration"]) == {True}


@pytest.mark.parametrize(
    ("share", "listed", "eligible", "limit", "places"),
    [
        (0.1, 50, 50, None, 5),
        (0.1, 50, 50, 30, 3),
        (0.29, 100, 100, 100, 29),  # as floating-point numbers: 28.999999999999996
        (0.05, 19, 19, None, 0),
        (0.05, 20, 20, None, 1),
        (0.1, 300, 1000, None, 32),  # ⌊0.1 × 300 ÷ (1 − 0.1 × 0.7)⌋: the list becomes 322.6 rows long
        (0.1, 300, 1000, 310, 31),
        (0.1, 0, 1000, 10, 0),
        (0.1, 0, 0, None, 0),
        (0.999, 1, 10**6, None, 998),
    ],
)
def test_places_are_the_share_of_the_list_as_it_becomes(share, listed, eligible, limit, places):
    assert a_lot(share).places(listed=listed, eligible=eligible, limit=limit) == places


def test_without_a_limit_the_share_of_the_list_is_the_share():
    rows = people([0.9] * 60 + [0.1] * 140)
    lists = [verdicts_on(rows, a_lot(0.25, PARTITION + timedelta(n))).filter(LISTED) for n in range(40)]
    shares = [listed["is_exploration"].sum() / listed.height for listed in lists]
    assert {int(listed["is_exploration"].sum()) for listed in lists} == {18}
    assert sum(shares) / len(shares) == pytest.approx(0.25, abs=0.01)


def test_every_eligible_record_is_drawn_equally_often():
    rows = people([n / 40 for n in range(40)])
    days = 300
    times = Counter(
        record for n in range(days) for record in drawn(rows, a_lot(0.5, PARTITION + timedelta(n)), an_email(limit=8))
    )
    expected = days * 4 / 40
    chi_square = sum((times[record] - expected) ** 2 / expected for record in rows["record_id"])
    assert sum(times.values()) == days * 4
    assert chi_square < 72  # 39 degrees of freedom: above it once in a thousand


def test_lots_are_the_same_in_every_version():
    rows = people([0.1] * 6 + [0.9] * 4)
    drawn_order = a_lot(0.5).in_drawn_order(rows)["record_id"].str.strip_prefix("r-")
    assert "".join(drawn_order) == "1536982740"


def test_each_program_and_each_day_has_lots_of_its_own():
    rows = people([0.9] * 50)
    orders = [
        tuple(lot.in_drawn_order(rows)["record_id"])
        for lot in (a_lot(0.5), a_lot(0.5, PARTITION + timedelta(1)), a_lot(0.5, program="music-feedback"))
    ]
    assert len(set(orders)) == 3


def test_who_cannot_be_reached_or_has_no_score_is_not_drawn():
    rows = pl.concat([people([0.9] * 5), people([0.9] * 5, email_eligible=False), people([None] * 5)])
    rows = rows.with_columns(record_id=pl.format("r-{}", pl.int_range(pl.len())))
    assert set(drawn(rows, a_lot(0.999))) <= {f"r-{n}" for n in range(5)}


def test_who_is_drawn_uses_up_the_quota_of_better_records():
    found = verdicts_on(people([0.9, 0.8] + [0.1] * 8, customer_id="c-1", quota_left=1), a_lot(0.9))
    first_lot = found.filter(LISTED)
    assert first_lot.select("is_exploration", "rank").rows() == [(True, 1)]
    refused = found.filter(~LISTED).join(first_lot, on="record_id", how="anti")
    above = [record for record in ("r-0", "r-1") if record not in first_lot["record_id"]]
    assert refused.filter(reason="FREQUENCY_CAP")["record_id"].to_list() == above
    assert set(refused.filter(~pl.col("record_id").is_in(above))["reason"]) == {"BELOW_MIN_SCORE"}


def test_a_lot_that_a_quota_refuses_goes_to_the_next():
    many = people([0.9] * 20, customer_id="c-1", quota_left=1)
    others = people([0.9] * 20).with_columns(
        *(pl.format("other-{}", name).alias(name) for name in ("record_id", "customer_id"))
    )
    found = verdicts_on(pl.concat([many, others]), a_lot(0.5), an_email(limit=12))
    assert found.filter(DRAWN).height == 6
    assert found.filter(DRAWN, customer_id="c-1").height <= 1


@st.composite
def histories(draw) -> tuple[list[dict[str, Any]], EmailChannel, float]:
    """Few customers, subjects and scores, so that quotas, limits and lots collide."""
    quotas = draw(st.lists(st.none() | st.integers(0, 3), min_size=1, max_size=5))
    pairs = draw(st.lists(st.tuples(st.integers(0, len(quotas) - 1), st.integers(0, 5)), unique=True, max_size=24))
    rows = [
        a_candidate(
            record_id=f"r-{place}",
            customer_id=f"c-{customer}",
            subject_id=f"p-{subject}",
            quota_left=quotas[customer],
            score=draw(st.sampled_from([None, 0.0, 0.3, 0.699999, 0.7, 0.8, 1.0])),
            email_eligible=draw(st.sampled_from([True, True, True, False, None])),
        )
        for place, (customer, subject) in enumerate(pairs)
    ]
    limits = draw(st.fixed_dictionaries(dict.fromkeys(("limit", "perTrackLimit"), st.none() | st.integers(0, 8))))
    return rows, an_email(**limits), draw(st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9]))


@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_limits_hold_and_counts_close_for_any_list(history, random):
    rows, channel, share = history
    frame = candidates(*rows)
    found = verdicts_on(frame, a_lot(share), channel)
    scored = frame.drop_nulls("score")
    assert found.schema == LIST_VERDICTS.schema
    assert sorted(found["record_id"]) == sorted(scored["record_id"])
    assert found.select(pl.col("reason", "is_exploration").null_count()).row(0) == (0, 0)

    listed = found.filter(LISTED).join(frame.drop("reason"), on=["record_id", "customer_id"]).sort("rank")
    assert listed["rank"].to_list() == list(range(1, listed.height + 1))
    assert found.filter(DRAWN)["rank"].null_count() == 0
    assert channel.limit is None or listed.height <= channel.limit
    assert channel.limit is None or listed["is_exploration"].sum() <= share * channel.limit
    quotas = {row["customer_id"]: row["quota_left"] for row in rows}
    taken = Counter(listed["customer_id"])
    assert all(quotas[one] is None or count <= quotas[one] for one, count in taken.items())
    assert channel.per_track_limit is None or max(Counter(listed["subject_id"]).values(), default=0) <= (
        channel.per_track_limit
    )
    assert listed["is_exploration"].is_sorted()
    assert set(listed["email_eligible"]) <= {True}
    chosen = listed.filter(~DRAWN)["score"]
    assert chosen.is_sorted(descending=True)
    assert (chosen >= 0.7).all()

    random.shuffle(rows)
    assert verdicts_on(candidates(*rows), a_lot(share), channel).equals(found)


@settings(max_examples=60, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_who_is_drawn_does_not_depend_on_scores(history, random):
    """Scores can change how many are drawn, through caps and limits, but never who comes first."""
    rows, channel, share = history
    scores = [row["score"] for row in rows if row["score"] is not None]
    random.shuffle(scores)
    shuffled = [{**row, "score": row["score"] if row["score"] is None else scores.pop()} for row in rows]
    before, after = (drawn(candidates(*some), a_lot(share), channel) for some in (rows, shuffled))
    shorter = min(len(before), len(after))
    assert before[:shorter] == after[:shorter]

    free = {"quota_left": None, "email_eligible": True}
    unbound = an_email(limit=channel.limit)
    before, after = (
        drawn(candidates(*({**row, **free} for row in some)), a_lot(share), unbound) for some in (rows, shuffled)
    )
    assert before == after


@settings(max_examples=60, deadline=None)
@given(histories())
def test_a_share_of_zero_changes_nothing(history):
    rows, channel, _ = history
    without = verdicts_on(candidates(*rows), None, channel)
    assert verdicts_on(candidates(*rows), a_lot(0), channel).equals(without)
    assert not without["is_exploration"].any()


def test_a_programs_lists_draw_its_share_by_the_same_lots(tmp_path):
    banner = {"channelId": "banner", "type": "in-app", "minScore": 0.5, "limit": 20}
    banner["config"] = {"bannerType": "slim", "displayDuration": 3, "placement": "home"}
    email = {**PRODUCT_REVIEWS["channels"][0], "limit": 10}
    program = a_program(channels=[email, banner], explorationShare=0.3)
    rows = people([0.9] * 20 + [0.1] * 20, in_app_eligible=True)
    verdicts = fill_lists(Batch(program, PARTITION, MARKETPLACES, Warehouse(tmp_path)), rows.lazy())
    mailed, shown = (
        verdicts.filter(DRAWN, channel=channel).sort("rank")["record_id"].to_list() for channel in ("email", "banner")
    )
    assert (len(mailed), len(shown)) == (3, 6)
    assert mailed == shown[:3]


def test_the_list_says_who_was_drawn():
    rows, channel = people([0.9] * 10 + [0.1] * 10), an_email(limit=10)
    verdicts = verdicts_on(rows, a_lot(0.3), channel)
    listed = email_list(rows.lazy(), verdicts, program=a_program(), channel=channel, partition=PARTITION)
    assert listed.schema == EMAIL_LIST.schema
    assert listed["is_exploration"].to_list() == [False] * 7 + [True] * 3
    expected = listed.tail(3).select("campaign_id", "customer_id", "subject_id")
    assert explored(listed.lazy()).collect().equals(expected)
    assert explored(listed.drop("is_exploration").lazy()).collect().is_empty()
