"""Instants as ISO 8601 writes them, and what is none."""

import pytest

from engage_assets.archive.refusals import Refused
from engage_assets.archive.times import LATEST, iso, read_time


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-20T09:00:00.000001-05:00", "2026-11-20T14:00:00.000001Z"),
        ("20261120T090000+0530", "2026-11-20T03:30:00.000000Z"),
        ("2026-11-20T09:00:00-05", "2026-11-20T14:00:00.000000Z"),
        ("2026-11-20T09:00:00z", "2026-11-20T09:00:00.000000Z"),
        ("2026-12-31T24:00:00Z", "2027-01-01T00:00:00.000000Z"),
        ("2026-12-31T24:00:00.000+01:00", "2026-12-31T23:00:00.000000Z"),
        ("20261231T2400z", "2027-01-01T00:00:00.000000Z"),
    ],
)
def test_a_time_is_read(text, instant):
    assert iso(read_time(text, "date", LATEST)) == instant


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T09:00:00+00:00:30",
        "20261120T090000-000030",
        "2026-11-20T09:00:00+05:00:00.5",
        "2026-11-20T24:00:01Z",
        "2026-11-20T24:00:00",
        "2026-11-20 24:00:00Z",
        "2026-11-20t09:00:00z",
        "2026-11-20T09:00:00zz",
        "2026-11-20T09:00:00.Z",
        "2026-11-20T09:00xZ",
        "z",
    ],
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(Refused, match="date: not an ISO 8601 time"):
        read_time(text, "date", LATEST)
