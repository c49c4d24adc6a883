"""How many are expected, on the command line."""

from datetime import date

import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets_tests.defs.homes import PROGRAMS
from engage_assets_tests.defs.small_events import make_events


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ("2026-11-22T12:00", ["registration has not opened; no batch has invited for it"]),
        ("2026-11-24T12:00", ["mean attendance of past events: nobody is registered yet", "2026-11-23 02:00 ", "  0 "]),
    ],
    ids=["before", "after"],
)
def test_a_forecast_is_there_from_the_moment_that_registration_opens(tmp_path, now, said):
    make_events(tmp_path / "warehouse", last_monday=date(2026, 11, 23))
    environment = {"ENGAGE_HOME": str(tmp_path), "ENGAGE_PROGRAMS": str(PROGRAMS), "ENGAGE_NOW": now}
    told = CliRunner().invoke(main, ["events", "forecast", "e26-1"], env=environment)
    assert told.exit_code == 0, told.output
    assert [words for words in said if words not in told.output] == []
