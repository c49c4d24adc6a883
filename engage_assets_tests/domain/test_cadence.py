"""AWS cron, batch instants and partitions."""

from datetime import date, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.cadence import Cadence, read_aws_cron
from engage_assets_tests.builders import instant

DAILY, WEEKLY = Cadence("daily", time(2)), Cadence("weekly", time(2))


@pytest.mark.parametrize(
    ("expression", "cadence", "cron"),
    [
        ("cron(0 2 * * ? *)", DAILY, "0 2 * * *"),
        ("cron(0 2 ? * * *)", DAILY, "0 2 * * *"),
        (" cron(05  23 * * ? *) ", Cadence("daily", time(23, 5)), "5 23 * * *"),
        ("cron(0 2 ? * MON *)", WEEKLY, "0 2 * * MON"),
        ("cron(0 2 ? * mon *)", WEEKLY, "0 2 * * MON"),
        ("cron(0 2 ? * 2 *)", WEEKLY, "0 2 * * MON"),  # AWS counts Sunday as 1
    ],
)
def test_aws_cron(expression, cadence, cron):
    found = read_aws_cron(expression)
    assert found == cadence
    assert found.cron == cron


def test_daily_partition_is_filled_on_the_next_day():
    assert DAILY.batch_instant(date(2026, 11, 19)) == instant("2026-11-20 02:00")


def test_weekly_partition_is_keyed_by_the_monday_of_its_batch():
    monday = date(2026, 11, 16)
    assert monday.weekday() == 0
    assert WEEKLY.batch_instant(monday) == instant("2026-11-16 02:00")


@pytest.mark.parametrize(
    ("cadence", "now", "partition"),
    [
        (DAILY, "2026-11-20 02:00", date(2026, 11, 19)),
        (DAILY, "2026-11-20 01:59:59.999999", date(2026, 11, 18)),
        (WEEKLY, "2026-11-16 02:00", date(2026, 11, 16)),
        (WEEKLY, "2026-11-16 01:59", date(2026, 11, 9)),
        (WEEKLY, "2026-11-22 23:59", date(2026, 11, 16)),
    ],
)
def test_newest_partition_whose_batch_has_come(cadence, now, partition):
    assert cadence.partition_of(instant(now)) == partition


@given(
    st.builds(
        Cadence, st.sampled_from(["daily", "weekly"]), st.times().map(lambda at: at.replace(second=0, microsecond=0))
    ),
    st.datetimes(min_value=datetime(2001, 1, 1), max_value=datetime(2100, 1, 1)),  # noqa: DTZ001 - UTC, as everywhere
)
def test_partition_and_batch_instant_fit_each_other(cadence, now):
    partition = cadence.partition_of(now)
    begun = cadence.batch_instant(partition)
    assert begun <= now < begun + cadence.step
    assert cadence.partition_of(begun) == partition
    assert cadence.step == timedelta(days={"daily": 1, "weekly": 7}[cadence.period])
    assert cadence.period == "daily" or partition.weekday() == 0
