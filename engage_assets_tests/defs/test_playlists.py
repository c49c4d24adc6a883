"""Playlists through Dagster: days in any order, files, checks, the schedule, the command."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets.clocks import SharedClock
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.playlist_assets import playlist_assets
from engage_assets.defs.playlist_jobs import playlist_jobs
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.ledger.ledger import SqlLedger
from engage_assets_tests.defs.homes import PROGRAMS
from engage_assets_tests.playlists.catalogues import DAY, UPDATE, World, a_music_program, a_track, an_answer, known

NAMES = ("track_scores", "brigades", "playlists", "playlist_changes")
DATABASES = {"customers": "crm", "customer_trust": "crm"}


def a_world() -> World:
    """Three days of answers about eight tracks; on the last one a crowd of newcomers."""
    given = [
        an_answer(f"l-{one}", f"t-{track}", UPDATE - timedelta(hours=1 + (one * 7 + track * 5) % 70), up=one >= track)
        for track in range(8)
        for one in range(12 - track)
    ]
    crowd = {f"n-{one}": known(f"n-{one}", UPDATE - timedelta(hours=3)) for one in range(25)}
    given += [an_answer(name, "t-7", UPDATE - timedelta(hours=2)) for name in crowd]
    return World([a_track(f"t-{one}") for one in range(8)], given, people=crowd)


class Station:
    """A home with a small warehouse, and the assets of playlists over it."""

    def __init__(self, root: Path) -> None:
        self.home, self.program = Home(root), a_music_program()
        for name, frame in a_world().tables.items():
            path = self.home.warehouse / DATABASES.get(name, "streaming") / f"{name}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            frame.collect().write_parquet(path)
        self.clock = SharedClock(root / "now")
        self.clock.set(UPDATE)
        self.lake = Lake(self.home.lake)

    def make(self, day: date) -> dg.ExecuteInProcessResult:
        return dg.materialize(
            playlist_assets(self.program, {}),
            partition_key=day.isoformat(),
            resources={
                "lake": self.lake, "home": self.home, "clock": self.clock, "warehouse": Warehouse(self.home.warehouse),
                "ledger": SqlLedger(self.home.ledger_url),
            },
            raise_on_error=False,
        )  # fmt: skip

    def files(self, day: date) -> dict[str, bytes]:
        """Everything that was made of a partition, by place."""
        found = [self.lake.path((self.program.key, name), day.isoformat()) for name in NAMES]
        found += (self.home.export / self.program.key / "playlist_files" / day.isoformat()).glob("*")
        return {str(path.relative_to(self.home.root)): path.read_bytes() for path in found}


@pytest.fixture
def two_stations(tmp_path: Path) -> tuple[Station, Station]:
    return Station(tmp_path / "one"), Station(tmp_path / "other")


def test_days_in_any_order_give_the_same_bytes(two_stations):
    forward, backward = two_stations
    before = DAY - timedelta(days=1)
    for station, days in ((forward, (before, DAY)), (backward, (DAY, before))):
        assert all(station.make(day).success for day in days)

    assert forward.files(DAY) == backward.files(DAY)
    assert forward.files(before) == backward.files(before)
    assert len(forward.files(DAY)) == 6


def test_a_run_reports_brigades_without_stopping_and_says_what_changed(two_stations):
    made = two_stations[0].make(DAY)

    checks = {one.check_name: (one.passed, one.severity) for one in made.get_asset_check_evaluations()}
    assert checks["no_brigade"] == (False, dg.AssetCheckSeverity.WARN)
    assert checks["rules_are_kept"][0]
    assert checks["changes_close"][0]
    told = {
        event.asset_key.path[-1]: event.materialization.metadata for event in made.get_asset_materialization_events()
    }
    assert told["track_scores"]["of_them_counted"].value == told["track_scores"]["answers_of_the_day"].value - 25
    assert "n-1" not in str(told)
    assert "data:image/svg+xml" in told["playlist_changes"]["most_changed"].value


def test_a_day_that_is_not_over_is_refused(two_stations):
    station = two_stations[0]
    station.clock.set(UPDATE - timedelta(microseconds=1))
    made = station.make(DAY)

    assert not made.success
    failures = [event.step_failure_data.user_failure_data for event in made.all_node_events if event.is_step_failure]
    assert "lies ahead" in failures[0].description
    assert station.lake.partitions((station.program.key, "track_scores")) == []


def test_the_schedule_asks_at_six_for_the_day_before():
    program = a_music_program()
    jobs, schedules = playlist_jobs(program)
    nothing = dict.fromkeys(("lake", "home", "clock", "warehouse", "ledger"), object())
    found = dg.Definitions(assets=playlist_assets(program, {}), jobs=jobs, schedules=schedules, resources=nothing)
    schedule = found.resolve_schedule_def("new_tracks_playlists_schedule")
    tick = datetime(2026, 11, 21, 18, tzinfo=UTC)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_schedule_context(
            instance, scheduled_execution_time=tick, repository_def=found.get_repository_def()
        )
        (request,) = schedule.evaluate_tick(context).run_requests

    assert schedule.cron_schedule == "0 18 * * *"
    assert request.partition_key == DAY.isoformat()
    assert playlist_jobs(program.model_copy(update={"enabled": False}))[1] == []
    assert playlist_jobs(program.model_copy(update={"playlists": None})) == ([], [])


def test_the_command_shows_playlists_and_says_what_is_missing(tmp_path, monkeypatch):
    station = Station(tmp_path)
    monkeypatch.setenv("ENGAGE_HOME", str(tmp_path))
    monkeypatch.setenv("ENGAGE_PROGRAMS", str(PROGRAMS))
    folder = tmp_path / "lake" / "music_feedback"
    run = CliRunner()

    none = run.invoke(main, ["playlists", "music-feedback"])
    assert "no playlists of music-feedback were made yet" in none.output
    assert "fills no playlists" in run.invoke(main, ["playlists", "product-reviews"]).output
    assert station.make(DAY).success
    (tmp_path / "lake" / station.program.key).rename(folder)
    shown = run.invoke(main, ["playlists", "music-feedback"])
    assert "US:indie" in shown.output
    one = run.invoke(main, ["playlists", "music-feedback", "--playlist", "US:indie"])
    assert "US:indie of 2026-11-20, version" in one.output
    assert "t-0" in one.output
    wrong = run.invoke(main, ["playlists", "music-feedback", "--playlist", "US:polka"])
    assert "there are: US:indie" in wrong.output
    assert wrong.exit_code == 1
