"""Who came, and for how long, out of the exports of event platforms."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.attendance import Mark, Stay
from engage_assets.domain.errors import EngageError
from engage_assets.domain.events import Event
from engage_assets.events.attendance import read_export, stays_of, watched

at = datetime.fromisoformat
START = at("2026-03-10 09:00")
EVENT = Event("e-1", at("2026-01-01"), "n", ("t",), START, "Europe/Berlin", 60)
MINUTE = timedelta(minutes=1)


def test_several_stays_of_a_person_are_merged_and_cut_to_the_event():
    stays = [
        Stay("c-1", START - 5 * MINUTE, START + 10 * MINUTE),
        Stay("c-1", START + 5 * MINUTE, START + 20 * MINUTE),  # on a second device meanwhile
        Stay("c-1", START + 50 * MINUTE, None),  # never left
        Stay("c-2", START - 20 * MINUTE, START),  # only before
        Stay("c-3", START + 59.5 * MINUTE, START + 90 * MINUTE),
    ]
    assert watched(stays, EVENT) == {"c-1": 30.0, "c-2": 0.0, "c-3": 0.5}


@given(st.lists(st.tuples(st.integers(-30, 90), st.integers(0, 60)), max_size=8), st.randoms(use_true_random=False))
def test_minutes_are_those_of_a_naive_count(spans, random):
    stays = [Stay("c", START + first * MINUTE, START + (first + length) * MINUTE) for first, length in spans]
    minutes = {minute for first, length in spans for minute in range(first, first + length) if 0 <= minute < 60}
    shuffled = random.sample(stays, len(stays))
    assert watched(shuffled, EVENT).get("c", 0.0) == len(minutes)


ZOOM = """Attendee Report
Topic,Webinar ID,Actual Start Time
Serverless,1,03/10/2026 10:00:00 AM
Attended,User Name (Original Name),Email,Join Time,Leave Time,Time in Session (minutes)
Yes,canary-name,canary-1@example.org,03/10/2026 10:00:00 AM,03/10/2026 10:30:00 AM,30
Yes,canary-name,canary-2@example.org,03/10/2026 10:05:00 AM,,
"""
TEAMS = (
    "\ufeff1. Summary\nMeeting title\tServerless\n\n2. Participants\nName\tFirst Join\tLast Leave\tEmail\n"
    "canary-name\t3/10/26, 10:00:00 AM\t3/10/26, 10:30:00 AM\tcanary-1@example.org\n"
    "canary-name\t3/10/26, 10:05:00 AM\t\tcanary-2@example.org\n"
)
WEBEX = """Attendee Email,Join time,Leave time
canary-1@example.org,2026-03-10 10:00:00,2026-03-10 10:30:00
canary-2@example.org,2026-03-10T09:05:00Z,
"""
OWN = """customer_id,joined_at,left_at
canary-1@example.org,2026-03-10T10:00:00+01:00,2026-03-10T09:30:00Z
canary-2@example.org,2026-03-10 10:05,
"""


@pytest.mark.parametrize(("platform", "text"), [("zoom", ZOOM), ("teams", TEAMS), ("webex", WEBEX), ("engage", OWN)])
def test_the_exports_of_the_platforms(platform, text):
    sheet = read_export(text, platform, "Europe/Berlin")
    assert not sheet.refused
    assert watched(sheet.joins, EVENT) == {"canary-1@example.org": 30.0, "canary-2@example.org": 55.0}
    assert "canary" not in repr(sheet)


def test_lines_that_say_nothing_are_named_without_the_person():
    sheet = read_export(
        "customer_id,joined_at,left_at\n,2026-03-10 09:00,\ncanary,soon,\ncanary,2026-03-10 09:00,later\n"
        "canary,2026-03-10 09:00,2026-03-10 08:00\n\ncanary,2026-03-10 09:00\nc-1,2026-03-10 09:00,\n",
        "engage",
    )
    assert [(one.line, one.reason) for one in sheet.refused] == [
        (2, "nobody is named"),
        (3, "the time of joining cannot be read"),
        (4, "the time of leaving cannot be read"),
        (5, "the person left before joining"),
        (7, "the line has too few columns"),
    ]
    assert [one.person for one in sheet.joins] == ["c-1"]


def test_what_is_no_export():
    with pytest.raises(EngageError, match="platform 'skype' is not known; known: engage, zoom, teams, webex"):
        read_export("", "skype")
    with pytest.raises(EngageError, match="no line has the columns of an export of zoom: Custom Field customer_id or"):
        read_export("a,b\n1,2\n", "zoom")


def test_joins_and_leaves_become_stays_in_whatever_order_they_come():
    def mark(minute, kind, customer="c-1", session=""):
        return Mark(START + minute * MINUTE, kind, customer, session)

    marks = [
        *(
            mark(0, "joined"),
            mark(10, "joined"),
            mark(30, "left"),
            mark(40, "left"),
        ),  # two devices, one after the other
        *(mark(5, "left", "c-2"), mark(50, "joined", "c-2")),  # a leave whose join was lost; and still there
        *(mark(0, "joined", "c-3", "a"), mark(20, "joined", "c-3", "b"), mark(25, "left", "c-3", "b")),
        mark(-60, "joined", "c-4"),  # has been looking at an empty room since an hour before
    ]
    for told in (marks, marks[::-1]):
        assert watched(stays_of(told, START + 55 * MINUTE), EVENT) == {"c-1": 40, "c-2": 5, "c-3": 55, "c-4": 55}
    assert watched(stays_of(marks, START + 90 * MINUTE), EVENT) == {"c-1": 40, "c-2": 10, "c-3": 60, "c-4": 60}
    assert watched(stays_of(marks[-1:], START - MINUTE), EVENT) == {"c-4": 0}


@given(st.lists(st.tuples(st.integers(-30, 90), st.integers(1, 60)), max_size=6), st.randoms(use_true_random=False))
def test_complete_stays_survive_as_joins_and_leaves(spans, random):
    pairs = [
        (Mark(START + first * MINUTE, "joined", "c"), Mark(START + (first + length) * MINUTE, "left", "c"))
        for first, length in spans
    ]
    stays = [Stay("c", joined.at, left.at) for joined, left in pairs]
    marks = [mark for pair in pairs for mark in pair]
    found = stays_of(random.sample(marks, len(marks)), START + 300 * MINUTE)
    assert watched(found, EVENT).get("c", 0) == watched(stays, EVENT).get("c", 0)
