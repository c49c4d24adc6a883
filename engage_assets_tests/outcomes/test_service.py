import json
from datetime import timedelta

import polars as pl
import pytest

from engage_assets.domain.tables import SERVICE_MINUTES
from engage_assets.outcomes.service import service_figures, service_rows
from engage_assets_tests.builders import instant

SINCE, UNTIL = instant("2026-11-21 10:00"), instant("2026-11-21 10:10")


def minutes(*rows):
    """Out of (minute after ten, instance, errors, requests by bound)."""
    made = [
        {
            "minute": SINCE + timedelta(minutes=minute),
            "instance": instance,
            "requests": sum(buckets.values()),
            "errors": errors,
            "buckets": json.dumps(buckets),
        }
        for minute, instance, errors, buckets in rows
    ]
    return pl.DataFrame(made, schema=SERVICE_MINUTES.schema)


def values(frame):
    return {row.metric: row.value for row in service_rows(service_figures(frame, SINCE, UNTIL))}


def note(frame):
    return {row.metric: row.note for row in service_rows(service_figures(frame, SINCE, UNTIL))}


def test_processes_and_minutes_are_added_up():
    frame = minutes(
        (-1, "a", 5, {"inf": 5}),
        (0, "a", 1, {"0.002": 50, "0.01": 40}),
        (0, "b", 0, {"0.002": 105}),
        (1, "a", 0, {"0.005": 5}),
        (10, "a", 5, {"inf": 5}),
    )
    # 200 requests: the 198th is the 38th of the 40 that took 5 to 10 ms.
    assert values(frame) == {
        "service_requests": 200,
        "service_p99_ms": 9.75,
        "service_error_rate": 0.005,
        "service_availability": 0.2,
    }
    assert "between 5 and 10 ms" in note(frame)["service_p99_ms"]


def test_a_minute_in_which_every_request_failed_was_not_available_and_an_idle_one_was():
    frame = minutes((0, "a", 2, {"0.002": 2}), (1, "a", 0, {}), (2, "a", 1, {"0.002": 2}), (2, "b", 1, {"0.002": 1}))
    assert values(frame)["service_availability"] == 0.2


@pytest.mark.parametrize(
    ("buckets", "milliseconds"),
    [({"0.001": 1}, 0.99), ({"0.001": 99, "0.01": 1}, 1.0), ({"0.001": 0, "0.01": 100}, 9.91)],
)
def test_the_quantile_lies_within_its_bucket(buckets, milliseconds):
    assert values(minutes((0, "a", 0, buckets)))["service_p99_ms"] == pytest.approx(milliseconds)


def test_slower_than_the_last_bound_is_not_a_number():
    frame = minutes((0, "a", 0, {"2.5": 90, "inf": 10}))
    assert values(frame)["service_p99_ms"] is None
    assert note(frame)["service_p99_ms"] == "slower than 2500 ms, the last bound of the histogram"


def test_without_a_report_nothing_is_measured():
    assert set(values(minutes()).values()) == {None}
    assert {row.value for row in service_rows(None)} == {None}
    idle = minutes((0, "a", 0, {}))
    assert values(idle) == {
        "service_requests": 0, "service_p99_ms": None, "service_error_rate": None, "service_availability": 0.1,
    }  # fmt: skip
