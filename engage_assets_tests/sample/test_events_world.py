"""The world's events: what its tables say of guests, its catalogue, and who came."""

from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import stages
from engage_assets.defs.batch import Batch
from engage_assets.domain.attendance import Stay
from engage_assets.domain.events import TABLES, Event
from engage_assets.domain.reasons import REASONS
from engage_assets.domain.tables import POLARS_TYPES
from engage_assets.events.attendance import watched
from engage_assets.events.catalogue import Catalogue, change_between, invited_by
from engage_assets.filters.interests import explained, match_of
from engage_assets.programs import load_folder
from engage_assets.sample.events_catalogue import event_of, mondays, topics_frame
from engage_assets.sample.events_guests import matches
from engage_assets.sample.events_people import Guests, all_guests, answer_by_mail, stays, survey_form
from engage_assets.sample.events_world import EVENTS_DATABASE, generate_all
from engage_assets.sample.music_world import generate_both
from engage_assets.sample.world import WorldSummary
from engage_assets_tests.sample.worlds import FIRST_DAY, SMALL, tables

EXACT = {code for stage in ("contract", "duplicate", "trust") for code in REASONS[stage]}
MONDAYS = mondays(FIRST_DAY, FIRST_DAY + timedelta(days=13))
SIZES = {**SMALL, "music_history_days": 14, "tracks": 90, "event_history_weeks": 8}
SLOT = datetime.fromisoformat("2026-10-20T09:00")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    warehouse = tmp_path_factory.mktemp("warehouse")
    markets = load_folder(Path("programs")).marketplaces
    return warehouse, generate_all(warehouse, **SIZES, marketplaces=markets)[2]


def table(warehouse: Path, name: str) -> pl.DataFrame:
    place = EVENTS_DATABASE if name == "customer_profiles" else "events"
    return pl.read_parquet(warehouse / place / f"{name}.parquet")


@pytest.fixture(scope="module")
def catalogue(made: tuple[Path, WorldSummary]) -> Catalogue:
    return Catalogue.of(table(made[0], "events"))


@pytest.fixture(scope="module")
def guests(catalogue: Catalogue) -> Guests:
    return Guests(all_guests(7, 400), catalogue.known(datetime.max), 7)  # noqa: DTZ901


def files(warehouse: Path) -> dict[str, bytes]:
    return {str(path.relative_to(warehouse)): path.read_bytes() for path in warehouse.rglob("*.parquet")}


def test_same_seed_same_bytes_and_declared_columns(made, tmp_path):
    generate_all(tmp_path, **SIZES, marketplaces=load_folder(Path("programs")).marketplaces)
    assert files(tmp_path) == files(made[0])
    for one in TABLES:
        expected = {column.name: POLARS_TYPES[column.kind] for column in one.columns}
        assert dict(table(made[0], one.name).schema) == expected, one.name


def test_the_other_programs_tables_are_those_of_the_world_without_events(made, tmp_path):
    sizes = {name: value for name, value in SIZES.items() if name != "event_history_weeks"}
    generate_both(tmp_path, **sizes, marketplaces=load_folder(Path("programs")).marketplaces)
    mine = tables(made[0])
    for name, frame in tables(tmp_path).items():
        own = {"customers", "customer_trust", "opt_outs"}
        found = mine[name].filter(~pl.col("customer_id").str.starts_with("g-")) if name in own else mine[name]
        assert found.equals(frame), name


def test_each_batch_finds_what_the_world_says_to_the_record(made):
    folder = load_folder(Path("programs"))
    for monday in MONDAYS:
        batch = Batch(folder.programs["event-invitations"], monday, folder.marketplaces, Warehouse(made[0]))
        parts = DuckDBConnector(batch.warehouse).read(batch.program, monday, batch.asked)
        raw = pl.concat([pl.DataFrame(pl.from_arrow(part)) for part in parts]).lazy()
        checked = pl.concat(stages.check_records(batch, raw))
        judged = pl.concat(stages.judge_candidates(batch, stages.candidates_of(batch, checked).lazy(), None, None))
        reasons = pl.concat([stages.set_aside_of(checked)["reason"], judged["reason"]]).value_counts()
        found = {code: rows for code, rows in reasons.iter_rows() if code in EXACT}
        assert found == {code: rows for code, rows in made[1].refusals(monday).items() if code in EXACT}, monday
        assert judged["reason"].null_count() > 0


def test_a_week_has_a_small_event_and_every_fourth_one_that_moves_and_one_that_is_called_off(catalogue):
    changes: dict[str, set[str | None]] = {}
    for week, monday in enumerate(MONDAYS):
        events = invited_by(catalogue.known(datetime.combine(monday, datetime.min.time())), monday, (7, 13))
        assert len(events) == 4
        assert len({event.time_zone for event in events}) == 4
        assert sum(event.capacity is not None for event in events) == 1
        later = catalogue.known(datetime.combine(monday, datetime.min.time()) + timedelta(days=6))
        changes[str(week)] = {change_between(event, later[event.event_id]) for event in events}
    assert changes["0"] == {None, "moved", "cancelled"}
    assert changes["1"] == {None}


def test_the_match_that_people_go_by_is_the_documented_one(guests):
    from engage_assets.domain.topics import Topics

    topics = Topics.of(topics_frame().iter_rows(named=True))
    events = sorted(guests.events.values(), key=lambda one: one.event_id)[:6]
    found = matches(guests.guests, events)
    assert found.max() == 1.0
    for row in range(0, guests.guests.height, 9):
        tags = list(guests.guests["tags"][row])
        for at, event in enumerate(events):
            assert found[row, at] == pytest.approx(match_of(explained(tags, event.topics, topics)), abs=1e-6)


def test_whom_an_event_fits_registers_more_and_most_come(made, catalogue, guests):
    past, known = table(made[0], "past_registrations"), catalogue.known(datetime.max)  # noqa: DTZ901
    held = [event for event in known.values() if event.local_date < FIRST_DAY and not event.is_cancelled]
    fits = matches(guests.guests, held) >= 0.7
    came = past.join(pl.DataFrame({"event_id": [one.event_id for one in held]}), on="event_id", how="semi")
    places = {customer: row for row, customer in enumerate(guests.guests["customer_id"])}
    columns = {event.event_id: at for at, event in enumerate(held)}
    fitting = sum(fits[places[who], columns[what]] for who, what in came.select("customer_id", "event_id").iter_rows())
    assert fitting / fits.sum() > 4 * (came.height - fitting) / (~fits).sum()
    assert 0.75 < past["attended"].mean() < 0.95
    assert past["registered_at"].null_count() < past.height * 0.02


def test_the_other_system_leaves_seats_where_they_are_few_and_gives_none_once_we_invite(made, catalogue):
    past, known = table(made[0], "past_registrations"), catalogue.known(datetime.max)  # noqa: DTZ901
    scarce = {one.event_id: one for one in known.values() if one.capacity and one.local_date >= FIRST_DAY}
    given = past.filter(pl.col("event_id").is_in(list(scarce)))
    assert given.height, "there are some"
    for event_id, rows in given.group_by("event_id"):
        event = scarce[str(event_id[0])]
        monday = event.local_date - timedelta(days=7 + event.local_date.weekday())
        assert rows.height <= event.capacity // 2
        assert rows.drop_nulls()["registered_at"].max() is None or rows["registered_at"].max() < datetime.combine(
            monday, datetime.min.time()
        )


def test_an_answer_follows_from_the_send_alone_and_its_steps_from_each_other(guests):
    who, what = guests.guests["customer_id"], sorted(guests.events)
    ids = [f"{number:032x}" for number in range(4_000)]
    sends = pl.DataFrame(
        {
            "send_id": ids,
            "customer_id": [who[number % len(who)] for number in range(4_000)],
            "subject_id": [what[number * 7 % len(what)] for number in range(4_000)],
            "slot_at": [SLOT] * 4_000,
        },
        schema_overrides={"slot_at": pl.Datetime("us")},
    )
    answers = answer_by_mail(guests, sends)
    shown = {name: 1 - answers[name].null_count() / answers.height for name in answers.columns}
    assert 1 > shown["opened_at"] > shown["clicked_at"] > shown["answered_at"] > shown["cancelled_at"] > 0
    steps = ["opened_at", "clicked_at", "answered_at", "cancelled_at"]
    for first, then in pairwise(steps):
        both = answers.drop_nulls(then)
        assert (both[first] <= both[then]).all()
    assert answer_by_mail(guests, sends[40:41]).equals(answers[40:41])
    strangers = sends.with_columns(customer_id=pl.lit("x-1"))
    assert answer_by_mail(guests, strangers)["answered_at"].null_count() == 4_000
    ratings = [int(form[0][1]) for one in ids if (form := survey_form(one, 7))]
    assert 4.4 < sum(ratings) / len(ratings) < 4.8


@given(number=st.integers(0, 10**6), minutes=st.sampled_from([45, 60, 90]))
def test_stays_are_stays(number, minutes):
    """Whatever the event: nobody is there twice at once, and who came is found by the import."""
    event = Event(f"e-{number}", SLOT, "One", ("sql",), SLOT + timedelta(days=number % 90), "UTC", minutes)
    people = all_guests(1, 200)["customer_id"].to_list()[: 40 + number % 30]
    found = stays(Guests(all_guests(1, 200), {event.event_id: event}, 1), event, people)
    assert len({who for who, _, _ in found}) > len(people) / 3
    for customer in people:
        mine = [(first, last) for who, first, last in found if who == customer]
        assert all(first < last for first, last in mine)
        assert all(before[1] < after[0] for before, after in pairwise(mine))
    there = watched([Stay(who, first, last) for who, first, last in found], event)
    assert all(0 < time <= minutes for time in there.values())


def test_an_events_row_is_read_back_whole(catalogue):
    for one in catalogue.versions[:20]:
        row = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(one).items()}
        assert event_of(row) == one
