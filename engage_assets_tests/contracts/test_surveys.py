"""Answers of surveys: one of each person who attended, the first stands, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from engage_assets.domain.notices import SURVEY_LOG, SurveyAnswer
from engage_assets.domain.registrations import Register, Seats
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.ledger.surveys import SqlSurveyAnswers

NOW = datetime.fromisoformat("2026-03-12 10:00")
PROGRAM = "event-invitations"
SEATS = Seats(PROGRAM, "e-1", 3, NOW)
AN_ANSWER = SurveyAnswer(PROGRAM, "e-1", "c-1", "DE", 4, NOW, "s" * 32, "canary-7a20")


@pytest.fixture
def surveys(ledger: SqlLedger) -> SqlSurveyAnswers:
    """Of an event with three seats and four people, of whom the first came, and the second did not."""
    registrations = SqlRegistrations(ledger.database)
    early = NOW - timedelta(days=9)
    registrations.take([Register(SEATS, f"c-{number}", "DE") for number in range(1, 5)], early)
    registrations.attend(PROGRAM, "e-1", {"c-1": "attended", "c-2": "no_show"}, NOW)
    return SqlSurveyAnswers(ledger.database)


def test_the_first_answer_stands(surveys):
    assert surveys.of(PROGRAM, "e-1", "c-1") is None
    assert surveys.keep(AN_ANSWER, NOW) == "new"
    assert surveys.keep(replace(AN_ANSWER, rating=1, text="other"), NOW + timedelta(minutes=1)) == "unchanged"
    assert surveys.of(PROGRAM, "e-1", "c-1") == AN_ANSWER
    assert surveys.ratings(PROGRAM, ["e-1", "e-2"]) == {"e-1": {4: 1}, "e-2": {}}


@pytest.mark.parametrize("customer", ["c-2", "c-3", "c-4", "stranger"])
def test_only_who_attended_answers(surveys, customer):
    assert surveys.keep(replace(AN_ANSWER, customer_id=customer), NOW) == "not_attended"
    assert surveys.of(PROGRAM, "e-1", customer) is None


@pytest.mark.parametrize("rating", [0, 6])
def test_a_rating_is_of_1_to_5(surveys, rating):
    with pytest.raises(ValueError, match="1 to 5"):
        surveys.keep(replace(AN_ANSWER, rating=rating), NOW)


def test_the_log_has_no_texts_and_ends_at_its_cut(surveys, ledger):
    SqlRegistrations(ledger.database).attend(PROGRAM, "e-1", {"c-3": "attended"}, NOW)
    surveys.keep(AN_ANSWER, NOW)
    later = NOW + timedelta(hours=1)
    surveys.keep(replace(AN_ANSWER, customer_id="c-3", rating=5, text=None, at=later, send_id=None), later)

    log = ledger.survey_answers(later)
    assert log.schema == SURVEY_LOG.schema
    assert log.select("customer_id", "rating", "has_text", "send_id", "at").rows() == [
        ("c-1", 4, True, "s" * 32, NOW),
        ("c-3", 5, False, None, later),
    ]
    assert "canary" not in log.write_ndjson()
    assert "canary" not in repr(AN_ANSWER)
    assert surveys.changes(NOW, later)["customer_id"].to_list() == ["c-3"]
    assert ledger.survey_answers(NOW)["customer_id"].to_list() == ["c-1"]


def test_an_answer_that_comes_after_a_cut_stands_behind_it(surveys, ledger):
    ledger.survey_answers(NOW)
    surveys.keep(AN_ANSWER, NOW)
    assert ledger.survey_answers(NOW).is_empty()
    assert ledger.survey_answers(NOW + timedelta(seconds=1)).height == 1


def test_of_many_at_once_one_is_kept(surveys):
    with ThreadPoolExecutor(4) as pool:
        said = list(pool.map(lambda rating: surveys.keep(replace(AN_ANSWER, rating=rating), NOW), (1, 2, 3, 4)))
    assert sorted(said) == ["new", "unchanged", "unchanged", "unchanged"]
