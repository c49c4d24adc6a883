from itertools import pairwise

import narwhals as nw
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.reasons import REASONS
from engage_assets.domain.tables import DECISIONS, METRICS, empty_frame
from engage_assets.outcomes.metrics import measure, stages_of
from engage_assets_tests.builders import a_program
from engage_assets_tests.outcomes.frames import A_DAY, NIGHT, PARTITION, decisions, on_duckdb, on_polars, sends

PROGRAM = a_program()
SENDS = sends(
    ("s-1", "planned", "2026-11-21 02:30"),
    ("s-1", "claimed", "2026-11-21 10:00"),
    ("s-1", "handed_over", "2026-11-21 10:00"),
    ("s-1", "sent", "2026-11-21 10:00"),
    ("s-2", "planned", "2026-11-21 02:30"),
    ("s-2", "sent", "2026-11-22 01:00"),
    ("s-3", "skipped", "2026-11-21 12:30"),
)


def measured(frame=A_DAY, *, on=on_polars, program=PROGRAM, sent=None, batch=None):
    log = None if sent is None else on(sent)
    return measure(on(frame), program=program, partition=PARTITION, as_of=NIGHT, sends=log, batch=batch)


def values(metrics, metric, dimension="all"):
    rows = metrics.filter(pl.col("metric") == metric, pl.col("dimension") == dimension)
    return dict(rows.select("member", "value").iter_rows())


def figure(metrics, metric):
    row = metrics.row(by_predicate=(pl.col("metric") == metric) & (pl.col("dimension") == "all"), named=True)
    return row["numerator"], row["denominator"], row["value"], row["note"]


def test_records_are_counted_where_they_ended():
    metrics = measured()
    assert metrics.schema == pl.Schema(METRICS.schema)
    assert metrics.equals(metrics.sort("metric", "dimension", "member"))
    assert values(metrics, "input_records") == {"all": 10}
    assert values(metrics, "duplicates") == {"all": 1}
    assert values(metrics, "ended_records", "stage") == {
        "contract": 1, "duplicate": 1, "trust": 1, "eligibility": 1, "frequency-cap": 1, "score": 1, "list": 4,
    }  # fmt: skip
    assert values(metrics, "passed_records", "stage") == {
        "contract": 9, "duplicate": 8, "trust": 7, "eligibility": 6, "frequency-cap": 5, "score": 4, "list": 2,
    }  # fmt: skip
    assert values(metrics, "ended_records", "reason") == {
        "contract/KEY_MISSING": 1,
        "duplicate/DUPLICATE": 1,
        "eligibility/OPTED_OUT": 1,
        "frequency-cap/FREQUENCY_CAP": 1,
        "list/BELOW_MIN_SCORE": 1,
        "list/FREQUENCY_CAP": 1,
        "list/LISTED": 2,
        "score/NOT_SCORED": 1,
        "trust/RETURNED": 1,
    }


def test_rates_follow_their_formulas():
    metrics = measured(batch=(30.0, 10))
    assert figure(metrics, "filter_pass_rate")[:3] == (5, 10, 0.5)
    assert figure(metrics, "high_score_rate")[:3] == (3, 4, 0.75)
    assert figure(metrics, "mean_listed_score")[:3] == (1.700001, 2, 0.85)
    assert figure(metrics, "batch_duration_seconds")[2] == 30
    assert figure(metrics, "throughput_per_minute")[:3] == (10, 0.5, 20)


def test_scores_fall_into_bands_and_tenths_by_their_lower_end():
    metrics = measured()
    assert values(metrics, "scored_records", "band") == {"low": 1, "medium": 0, "high": 3}
    buckets = values(metrics, "scored_records", "bucket")
    assert len(buckets) == 10
    assert {bucket: count for bucket, count in buckets.items() if count} == {"0.3-0.4": 1, "0.7-0.8": 2, "0.9-1.0": 1}


def test_every_marketplace_and_channel_of_the_program_has_a_row():
    metrics = measured()
    assert values(metrics, "listed_records", "marketplace") == {
        "US": 1,
        "UK": 0,
        "DE": 1,
        "FR": 0,
        "JP": 0,
        "unknown": 0,
    }
    assert values(metrics, "input_records", "marketplace")["unknown"] == 1
    assert values(metrics, "listed_records", "channel") == {"email": 2}


def test_a_record_on_two_lists_counts_once_and_for_both_channels():
    metrics = measured(A_DAY.with_columns(pl.col("channels").str.replace("email", "email,in-app")))
    assert values(metrics, "listed_records") == {"all": 2}
    assert values(metrics, "listed_records", "channel") == {"email": 2, "in-app": 2}


def test_a_send_counts_with_its_latest_state_up_to_the_night():
    other_day = sends(("s-9", "sent", "2026-11-21 10:00"), campaign="product-reviews:email:2026-11-19:US")
    metrics = measured(sent=pl.concat([SENDS, other_day]))
    fates = ("sends_planned", "sent", "pending", "failed", "in_doubt", "skipped", "held_out")
    assert {fate: figure(metrics, fate)[2] for fate in fates} == {
        "sends_planned": 3, "sent": 1, "pending": 1, "failed": 0, "in_doubt": 0, "skipped": 1, "held_out": 0,
    }  # fmt: skip


def test_what_cannot_be_measured_is_null_and_says_why():
    metrics = measured(empty_frame(DECISIONS))
    unmeasured = {row["metric"]: row["note"] for row in metrics.filter(pl.col("value").is_null()).iter_rows(named=True)}
    fates = ("sends_planned", "sent", "pending", "failed", "in_doubt", "skipped", "held_out")
    counts = ("opens", "opens_raw", "clicks", "clicks_raw", "responses", "responses_unsolicited")
    rates = ("open_rate", "open_rate_raw", "click_through_rate", "click_through_rate_raw", "click_to_open_rate")
    others = ("conversion_rate", "bounce_rate", "complaint_rate", "mean_rating")
    service = ("service_requests", "service_p99_ms", "service_error_rate", "service_availability")
    costs = ("cost_per_message", "cost_per_response")
    assert unmeasured == {
        "filter_pass_rate": "no input records",
        "high_score_rate": "no record was scored",
        "mean_listed_score": "no record is listed",
        "cap_headroom": "no verdicts were read",
        **dict.fromkeys((*fates, *counts, *rates, *others), "no delivery has run"),
        "batch_duration_seconds": "no completed batch is recorded for the partition",
        "throughput_per_minute": "no completed batch is recorded for the partition",
        "score_cache_hit_rate": "scores are not kept: the deployment has no score cache",
        **dict.fromkeys(costs, "the program file has no cost section"),
        **dict.fromkeys(service, "the service measured nothing in this time"),
        "review_volume": "reviews, or the day of the first send, are not known",
        "review_volume_increase": "reviews, or the day of the first send, are not known",
    }
    assert values(metrics, "input_records") == {"all": 0}


def test_the_cost_of_a_message_comes_from_the_program_file():
    program = a_program(cost={"currency": "EUR", "perBatch": 0.5, "perMessage": 0.01})
    numerator, denominator, value, note = figure(measured(program=program, sent=SENDS), "cost_per_message")
    assert (numerator, denominator, value) == (0.51, 1, 0.51)
    assert note.startswith("EUR: ")


def test_a_filter_that_the_program_file_no_longer_names_still_counts():
    program = a_program(filterChain=[{"filterId": "eligibility", "type": "eligibility", "order": 1}])
    assert stages_of(program, A_DAY["stage"].to_list()) == [
        "contract", "duplicate", "eligibility", "frequency-cap", "trust", "score", "list",
    ]  # fmt: skip
    assert sum(values(measured(program=program), "ended_records", "stage").values()) == 10


def any_decision():
    scored = st.none() | st.integers(0, 10**6).map(lambda micros: micros / 10**6)
    stages = st.sampled_from(stages_of(PROGRAM))
    place = stages.flatmap(lambda stage: st.tuples(st.just(stage), st.sampled_from(REASONS[stage])))
    return st.tuples(place, st.sampled_from(["US", "DE", "XX", None]), scored).map(
        lambda row: (*row[0], row[1], row[2] if row[0][0] == "list" else None)
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(any_decision(), max_size=40), st.randoms())
def test_counts_close_and_the_funnel_never_widens(rows, random):
    metrics = measured(decisions(*rows))
    for metric, dimension in (
        ("ended_records", "stage"),
        ("ended_records", "reason"),
        ("input_records", "marketplace"),
    ):
        assert sum(values(metrics, metric, dimension).values()) == len(rows)
    for dimension in ("bucket", "band"):
        scored = values(metrics, "scored_records", dimension)
        assert sum(scored.values()) == values(metrics, "scored_records")["all"]
    passed = values(metrics, "passed_records", "stage")
    funnel = [len(rows), *(passed[stage] for stage in stages_of(PROGRAM))]
    assert all(before >= after for before, after in pairwise(funnel))
    assert funnel[-1] == values(metrics, "listed_records")["all"]
    shuffled = random.sample(rows, len(rows))
    assert measured(decisions(*shuffled)).equals(metrics)


def test_duckdb_gives_the_rows_of_polars():
    everything = measured(sent=SENDS, batch=(30.0, 10))
    assert measured(on=on_duckdb, sent=SENDS, batch=(30.0, 10)).equals(everything)
    assert measured(empty_frame(DECISIONS), on=on_duckdb).equals(measured(empty_frame(DECISIONS)))


@pytest.mark.spark
def test_pyspark_gives_the_rows_of_polars(spark):
    def on_spark(frame):
        return nw.from_native(spark.createDataFrame(frame.to_arrow()))

    everything = measured(sent=SENDS, batch=(30.0, 10))
    assert measured(on=on_spark, sent=SENDS, batch=(30.0, 10)).equals(everything)
