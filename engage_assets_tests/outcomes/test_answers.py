"""Figures of answers that are thumbs, and of questions that are asked aloud beside messages."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.domain.keys import campaign_id
from engage_assets.domain.tables import INTERACTIONS_LOG
from engage_assets.outcomes.attribution import outcomes
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.outcomes.frames import NIGHT, PARTITION, on_duckdb, on_polars, outcome_rows, responses, sends
from engage_assets_tests.outcomes.listening import SCORED, measured
from engage_assets_tests.outcomes.test_contribution import members, notes, value

MAIL, ALOUD = "email", "voice-assistant"


def test_messages_are_opened_and_questions_asked_aloud_are_not():
    metrics = measured()
    expected = {
        "sent": 8, "responses": 4, "conversion_rate": 0.5,
        "open_rate": 0.75, "click_through_rate": 0.5, "bounce_rate": None,
        "voice_prompts": 4, "voice_answers": 2, "voice_answer_rate": 0.5,
    }  # fmt: skip
    assert {metric: value(metrics, metric) for metric in expected} == expected
    assert members(metrics, "open_rate", "channel") == {MAIL: 0.75, ALOUD: None}
    assert members(metrics, "conversion_rate", "channel") == {MAIL: 0.5, ALOUD: 0.5}
    assert members(metrics, "open_rate", "marketplace")["US"] == 0.75


def test_thumbs_are_shared_out_by_channel_and_by_genre():
    metrics = measured()
    assert (value(metrics, "positive_rate"), members(metrics, "responses", "thumbs")) == (0.75, {"up": 3, "down": 1})
    assert members(metrics, "positive_rate", "channel") == {MAIL: 0.5, ALOUD: 1.0}
    assert members(metrics, "positive_rate", "segment") == {"Folk": 0.5, "R&B / Soul": 1.0, "unknown": 1.0}
    assert members(metrics, "responses", "segment") == {"Folk": 2, "R&B / Soul": 1, "unknown": 1}
    assert members(metrics, "response_share", "channel") == {MAIL: 0.5, ALOUD: 0.5}
    assert "mean_rating" not in metrics["metric"]


def test_each_models_own_scores_have_their_buckets():
    buckets = members(measured(), "scored_records", "model_bucket")
    assert [buckets[f"feedback-propensity-v3/0.{tenth}-0.{tenth + 1}"] for tenth in range(9)] == [0] + [1] * 8
    assert buckets["music-affinity-v2/0.9-1.0"] == 9


def test_questions_have_their_own_price():
    program = MUSIC.model_copy(
        update={"cost": MUSIC.cost.model_copy(update={"per_batch": 2, "per_message": 1, "per_prompt": 0.5})}
    )
    metrics = measured(program=program)
    assert value(metrics, "cost_per_message") == (2 + 4 * 1 + 4 * 0.5) / 8
    assert value(metrics, "cost_per_response") == (2 + 4 * 1 + 4 * 0.5) / 4
    assert value(measured(), "cost_per_response") == 300 / 4


def test_asked_and_unanswered_is_none_and_nothing_sent_is_unknown():
    metrics = measured(outcome_rows({"channel": ALOUD}))
    assert (value(metrics, "voice_answer_rate"), value(metrics, "responses")) == (0, 0)
    assert notes(metrics)["open_rate"] == "no message was sent"
    assert notes(metrics)["positive_rate"] == "no answer is recorded"
    unsent = measured(outcome_rows({"outcome": "pending"}))
    assert notes(unsent)["voice_answer_rate"] == "nobody was asked aloud"


def test_a_spoken_question_is_a_send_of_the_partition_whose_candidate_it_asks():
    asked = {"program": MUSIC.program_id, "channel": ALOUD, "is_solicitation": True}
    states = [("s-1", state, "2026-11-23 18:00") for state in ("planned", "claimed", "handed_over", "sent")]
    named = campaign_id(MUSIC.program_id, ALOUD, PARTITION, "US")
    said = responses(("r-1", "2026-11-23 18:00:05", None), program=MUSIC.program_id, is_positive=True)
    for on in (on_polars, on_duckdb):
        came = outcomes(
            on(sends(*states, campaign=named, **asked)), on(pl.DataFrame(schema=INTERACTIONS_LOG.schema)), on(said),
            program=MUSIC, partition=PARTITION, as_of=NIGHT.replace(day=23),
        )  # fmt: skip
        (row,) = came.collect("polars").to_native().iter_rows(named=True)
        assert (row["outcome"], row["channel"], row["marketplace"]) == ("responded", ALOUD, "US")
        assert (row["is_positive"], row["rating"]) == (True, None)


def test_duckdb_gives_the_rows_of_polars():
    assert measured(on=on_duckdb).equals(measured())


SENDS = st.fixed_dictionaries(
    {
        "customer_id": st.sampled_from([f"c-{number}" for number in range(1, 12)]),
        "subject_id": st.sampled_from(["t-1", "t-2"]),
        "channel": st.sampled_from([MAIL, ALOUD]),
        "marketplace": st.sampled_from(["US", "DE", "BR", None]),
        "outcome": st.sampled_from(["responded", "responded", "sent", "pending", "failed", "skipped", "held_out"]),
    }
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(SENDS, st.booleans()), min_size=1, max_size=12))
def test_the_sums_close(drawn):
    """Fates make up the planned sends, and answers by channel, marketplace, thumb and genre the answers."""
    rows = [{**row, "is_positive": up if row["outcome"] == "responded" else None} for row, up in drawn]
    metrics = measured(outcome_rows(*rows), scored=SCORED)
    fates = ("sent", "pending", "failed", "in_doubt", "skipped", "held_out")
    assert sum(value(metrics, fate) for fate in fates) == value(metrics, "sends_planned") == len(rows)
    asked = [row for row, _ in drawn if row["outcome"] in ("sent", "responded")]
    answered = [row for row in asked if row["outcome"] == "responded"]
    for dimension in ("channel", "marketplace"):
        assert sum(members(metrics, "sent", dimension).values()) == value(metrics, "sent") == len(asked)
    if value(metrics, "responses") is None:
        assert not answered
        return
    for dimension in ("channel", "marketplace", "thumbs", "segment"):
        assert sum(members(metrics, "responses", dimension).values()) == value(metrics, "responses") == len(answered)
    aloud = members(metrics, "responses", "channel")[ALOUD]
    assert (value(metrics, "voice_answers"), value(metrics, "voice_prompts")) == (
        aloud, members(metrics, "sent", "channel")[ALOUD],
    )  # fmt: skip
    shares = members(metrics, "response_share", "channel").values()
    assert all(share is None for share in shares) if not answered else abs(sum(shares) - 1) < 1e-5
