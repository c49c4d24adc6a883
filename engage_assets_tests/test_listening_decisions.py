"""A day of plays from its records to its decisions, through a batch's stages, on a world with every known fault."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import stages
from engage_assets.defs.batch import Batch
from engage_assets.domain.music import FEEDBACK, PLAYS, TRACK_PLAYS, TRACKS
from engage_assets.domain.reasons import REASONS
from engage_assets.domain.tables import CUSTOMER_TRUST, CUSTOMERS
from engage_assets.sample.music_world import MUSIC_DATABASE
from engage_assets_tests.builders import a_customer, instant, rows_of
from engage_assets_tests.filters.listening import MUSIC
from engage_assets_tests.sample import music_rules
from engage_assets_tests.sample.worlds import FIRST_DAY, MUSIC_MARKETPLACES, both_worlds, tables
from engage_assets_tests.test_decisions import FakeScorer, run

EXACT = [code for stage in ("contract", "duplicate", "trust") for code in REASONS[stage]]
DAYS = [FIRST_DAY + timedelta(days=ahead) for ahead in (0, 5, 9)]


@pytest.fixture(scope="module")
def warehouse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("warehouse")
    both_worlds(root)
    return root


def a_batch(warehouse: Path, partition: date, **how: int) -> Batch:
    return Batch(MUSIC, partition, MUSIC_MARKETPLACES, Warehouse(warehouse), **how)


def test_the_reasons_are_those_of_the_documented_rules_row_by_row(warehouse):
    known, seen = tables(warehouse), Counter()
    for day in DAYS:
        made = run(a_batch(warehouse, day))
        found = made.reasons()
        assert made.closing["records"] == made.closing["decisions"] == made.closing["distinct"] > 0
        expected = music_rules.reasons(known, day)
        assert {code: found[code] for code in EXACT if found[code]} == {
            code: count for code, count in expected.items() if code in EXACT
        }, day
        seen += found
    late = {"ALREADY_ANSWERED", "SUBJECT_CLOSED", "OPTED_OUT", "ENGAGEMENT_LOW", "BELOW_MIN_SCORE", "LISTED"}
    assert late | {"BOT_ACTIVITY", "DUPLICATE", "VALUE_INVALID", "DATE_INVALID", "UNKNOWN_MARKETPLACE"} <= seen.keys()


def test_neither_ranges_nor_the_order_of_rows_change_anything(warehouse, tmp_path):
    one = run(a_batch(warehouse, DAYS[1]))
    for path in warehouse.rglob("*.parquet"):
        other = tmp_path / path.relative_to(warehouse)
        other.parent.mkdir(parents=True, exist_ok=True)
        pl.read_parquet(path).sample(fraction=1, shuffle=True, seed=3).write_parquet(other)
    again = run(a_batch(tmp_path, DAYS[1], range_rows=40))
    for name, frame in vars(one).items():
        assert getattr(again, name).equals(frame), name


def test_a_batch_about_few_subjects_is_judged_like_any(warehouse, monkeypatch):
    one = run(a_batch(warehouse, DAYS[1]))
    monkeypatch.setattr(stages, "MANY_PER_SUBJECT", 0)
    assert run(a_batch(warehouse, DAYS[1])).verdicts.equals(one.verdicts)
    assert {"ALREADY_ANSWERED"} <= {*one.verdicts["reason"]}


def test_history_that_came_later_changes_nothing(warehouse, tmp_path):
    """A rebuild reads tables that hold the future as well; a batch on its day did not have it."""
    day, then = DAYS[1], MUSIC.cadence.batch_instant(DAYS[1])
    for path in warehouse.rglob("*.parquet"):
        frame = pl.read_parquet(path)
        for column in {"arrived_at", "given_at", "known_at", "ended_at"} & set(frame.columns):
            frame = frame.filter(pl.col(column).is_null() | (pl.col(column) <= then))
        other = tmp_path / path.relative_to(warehouse)
        other.parent.mkdir(parents=True, exist_ok=True)
        frame.write_parquet(other)
    assert run(a_batch(tmp_path, day)).decisions.equals(run(a_batch(warehouse, day)).decisions)


def test_a_listener_with_forty_new_tracks_is_asked_about_the_best_two(tmp_path):
    day = date(2026, 11, 19)
    play = {"listener_id": "c-1", "play_count": 1, "completion_rate": 1.0, "engagement_score": 0.9}
    play |= {"played_at": instant("2026-11-19 12:00"), "track_release_date": day}
    trust = {"customer_id": "c-1", "known_at": instant("2026-11-01"), "account_status": "active"}
    frames = {
        "crm/customers": rows_of(CUSTOMERS, a_customer()),
        "crm/customer_trust": rows_of(CUSTOMER_TRUST, trust | {"trust_score": 1.0, "fraud_score": 0.0}),
        f"{MUSIC_DATABASE}/track_plays": rows_of(TRACK_PLAYS, *(play | {"track_id": f"t-{n}"} for n in range(40))),
    }
    frames |= {f"{MUSIC_DATABASE}/{table.name}": rows_of(table) for table in (FEEDBACK, PLAYS)}
    open_tracks = [{"track_id": f"t-{n}", "is_open_for_feedback": True} for n in range(40)]
    frames[f"{MUSIC_DATABASE}/tracks"] = rows_of(TRACKS, *(dict.fromkeys(TRACKS.names) | one for one in open_tracks))
    for name, frame in frames.items():
        path = tmp_path / f"{name}.parquet"
        path.parent.mkdir(exist_ok=True)
        frame.write_parquet(path)

    made = run(a_batch(tmp_path, day), scorer=FakeScorer(refuses=10**9))

    best = made.scored.sort("score", descending=True).head(2)["subject_id"].to_list()
    listed = made.decisions.filter(reason="LISTED")
    assert sorted(listed["subject_id"]) == sorted(best)
    below = made.scored.filter(pl.col("score") < 0.6).height
    assert made.reasons() == {"LISTED": 2, "FREQUENCY_CAP": 38 - below, "BELOW_MIN_SCORE": below}
