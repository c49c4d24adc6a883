"""Features of a customer and an event: as known at each row's instant, and what the filter's match is."""

from datetime import datetime, timedelta

import polars as pl
import pytest

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch, as_frame
from engage_assets.domain.events import CUSTOMER_PROFILES, EVENTS, PAST_REGISTRATIONS, TOPICS
from engage_assets.domain.tables import CUSTOMERS
from engage_assets.filters import interests
from engage_assets.filters.asking import Asking
from engage_assets_tests.defs.small_events import add_version, path_of
from engage_assets_tests.filters.inviting import EVENTS as PROGRAM
from engage_assets_tests.filters.inviting import MONDAY, an_event

EARLY, LATE, LATER = (MONDAY - timedelta(days=days) for days in (20, 10, 1))
PAIR = ["interest_affinity", "interest_tags"]
SUBJECT = ["event_topic", "topic", "event_type", "capacity", "speaker_popularity"]


def write(folder, table, *rows):
    pl.DataFrame(list(rows), schema=table.schema).write_parquet(path_of(folder, table))


@pytest.fixture
def batch(tmp_path) -> Batch:
    profile = {"customer_id": "c-1", "engagement_score": 0.5, "event_attendance_history": 3, "job_role": "dev"}
    write(
        tmp_path, CUSTOMER_PROFILES,
        {**profile, "interest_tags": ["devops", "Dev-Ops"], "updated_at": EARLY},
        {**profile, "interest_tags": ["devops", "Dev-Ops", "sql", "x"], "updated_at": LATE, "engagement_score": 0.9},
        {"customer_id": "c-2", "interest_tags": None, "updated_at": None},
    )  # fmt: skip
    write(
        tmp_path, TOPICS,
        {"topic": "devops", "parent": "cloud", "synonyms": ["dev-ops"]}, {"topic": "sql", "parent": "data"},
        {"topic": "cloud", "parent": None, "synonyms": None},
    )  # fmt: skip
    write(tmp_path, CUSTOMERS, {"customer_id": "c-1", "marketplace": "DE"})
    changes = {"topics": ["cloud"], "known_at": EARLY, "speakers": ["ada"], "event_type": "webinar"}
    write(tmp_path, EVENTS, vars(an_event(**changes)) | {"status": "scheduled"})
    add_version(tmp_path, "e-1", known_at=LATER, topics=["sql", "devops"], capacity=50)
    add_version(tmp_path, "e-1", event_id="e-2", known_at=EARLY)
    given = {"customer_id": "c-9", "event_id": "e-1", "registered_at": EARLY}
    write(tmp_path, PAST_REGISTRATIONS, given, given | {"event_id": "e-2", "registered_at": LATER})
    return Batch(PROGRAM, MONDAY.date(), {}, Warehouse(tmp_path))


def known(batch: Batch, names: list[str], customer: str, at: datetime, event: str = "e-1") -> tuple:
    asked = pl.LazyFrame(
        {"customer_id": [customer], "subject_id": [event], "as_of": [at]}, schema_overrides={"as_of": pl.Datetime("us")}
    )
    return batch.features.join(asked, names).select(names).collect().row(0)


def test_the_match_is_that_of_the_profile_and_the_event_as_they_were_known(batch):
    tick = timedelta(microseconds=1)
    assert known(batch, PAIR, "c-1", EARLY - tick) == (None, None)
    assert known(batch, PAIR, "c-1", EARLY) == (0.7, 2), "one step from cloud; both ways to write it"
    assert known(batch, PAIR, "c-1", LATE) == (0.7, 2)
    assert known(batch, PAIR, "c-1", LATER) == (1.0, 3)
    assert known(batch, PAIR, "c-2", LATER) == (0.0, 0), "a profile without an instant was always known"
    assert known(batch, PAIR, "nobody", LATER) == (None, None)
    assert known(batch, PAIR, "c-1", LATER, "no-event") == (None, None)


def test_a_profile_says_what_its_latest_version_said(batch):
    names = ["engagement_score", "event_attendance_history", "job_role"]
    assert known(batch, names, "c-1", LATE - timedelta(days=1)) == (0.5, 3.0, "dev")
    assert known(batch, names, "c-1", LATER) == (0.9, 3.0, "dev")


def test_an_event_is_what_its_version_says_and_its_speakers_draw(batch):
    alone, both = (pytest.approx(value) for value in (0.693147, 1.098612))
    assert known(batch, SUBJECT, "c-1", LATE) == ("cloud", "cloud", "webinar", None, alone)
    assert known(batch, SUBJECT, "c-1", LATER) == ("sql", "data", "webinar", 50.0, both)


def test_the_features_match_is_the_filters(batch):
    pairs = pl.DataFrame({"customer_id": ["c-1"], "subject_id": ["e-1"], "interest_tags": [["devops", "sql"]]})
    tables = {name: as_frame(frame) for name, frame in batch.stated(MONDAY).items()}
    found = interests.interest(as_frame(pairs.lazy()), as_frame(pairs.lazy()), tables, Asking(PROGRAM, MONDAY))
    assert found.to_native().collect()["interest_match"].to_list() == [known(batch, PAIR, "c-1", MONDAY)[0]] == [1.0]
