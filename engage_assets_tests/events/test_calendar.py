"""Calendar files, read again by icalendar and by ical.js."""

import json
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from icalendar import Calendar

from engage_assets.domain.events import Event
from engage_assets.events.calendar import Organizer, Wording, calendar_file, entry_uid, mime_type, sequence_of

HERE = Path(__file__).parent
PARTS = HERE.parent.parent / ".parts" / "calendar"
at = datetime.fromisoformat
ORGANIZER = Organizer("The Shop, Inc.", "events@shop.example")
STAMP = at("2026-01-05 12:30")


def an_event(starts_at: datetime, zone: str, name: str = "Serverless", **more) -> Event:
    return Event("e-1", STAMP, name, ("cloud",), starts_at, zone, 90, **more)


def a_file(event: Event, method="REQUEST", sequence=0, wording=None) -> bytes:
    return calendar_file(
        event,
        method=method,
        uid=entry_uid(event.event_id, "c-1", ORGANIZER),
        sequence=sequence,
        stamp=STAMP,
        organizer=ORGANIZER,
        wording=wording or Wording("Join us."),
        attendee=None if method == "PUBLISH" else "canary-guest@example.org",
    )


def by_ical_js(content: bytes) -> dict:
    if not shutil.which("node") or not (PARTS / "node_modules" / "ical.js").is_dir():
        pytest.skip("ical.js is not installed; `make parts` installs it")
    command = ["node", str(HERE / "read_calendar.mjs"), str(PARTS)]
    done = subprocess.run(command, input=content, capture_output=True, check=True)
    return json.loads(done.stdout)


# The weeks in which only one of both sides has changed its clocks, half-hour zones, and Brazil with and without summer
# time. Around a change is where a wrong VTIMEZONE shows; the hour that comes twice has no local time of its own.
ZONES = [
    (at("2026-03-16 14:00"), "America/New_York"),
    (at("2026-03-16 14:00"), "Europe/Berlin"),
    (at("2026-10-28 14:00"), "America/New_York"),
    (at("2026-03-29 01:00"), "Europe/Berlin"),
    (at("2026-03-29 00:59:59"), "Europe/Berlin"),
    (at("2026-10-25 01:00"), "Europe/Berlin"),
    (at("2026-04-04 16:00"), "Australia/Sydney"),
    (at("2026-10-03 16:00"), "Australia/Sydney"),
    (at("2026-06-01 04:30"), "Asia/Kolkata"),
    (at("2018-11-04 03:00"), "America/Sao_Paulo"),
    (at("2018-11-03 22:00"), "America/Sao_Paulo"),
    (at("2020-11-04 03:00"), "America/Sao_Paulo"),
]


@pytest.mark.parametrize(("starts_at", "zone"), ZONES)
def test_two_parsers_read_the_same_instants(starts_at, zone):
    event = an_event(starts_at, zone)
    content = a_file(event)
    entry = Calendar.from_ical(content).events[0]
    assert entry.start.astimezone(UTC).replace(tzinfo=None) == starts_at
    assert entry.end.astimezone(UTC).replace(tzinfo=None) == event.ends_at
    said = by_ical_js(content)
    assert said["start"] == starts_at.isoformat() + ".000Z"
    assert said["end"] == event.ends_at.isoformat() + ".000Z"


def test_a_moved_then_cancelled_event():
    first = an_event(at("2026-05-04 08:00"), "Europe/Berlin")
    moved = an_event(at("2026-05-05 08:00"), "Europe/Berlin")
    steps = [
        by_ical_js(a_file(first, "REQUEST", sequence_of(1, 0))),
        by_ical_js(a_file(moved, "REQUEST", sequence_of(2, 0))),
        by_ical_js(a_file(moved, "CANCEL", sequence_of(3, 0))),
    ]
    assert [(one["method"], one["sequence"], one["status"]) for one in steps] == [
        ("REQUEST", 0, "CONFIRMED"),
        ("REQUEST", 1, "CONFIRMED"),
        ("CANCEL", 2, "CANCELLED"),
    ]
    assert len({one["uid"] for one in steps}) == 1
    assert [one["attendees"] for one in steps] == [1, 1, 1]


def test_texts_survive_folding_and_signs():
    name = "Für alle; ein, zwei \\ drei — 無料のオンライン講座 " * 3
    wording = Wording("first line\nsecond; line, with signs", url="https://shop.example/e/1?a=b&c=d")
    content = a_file(an_event(at("2026-05-04 08:00"), "Asia/Tokyo", name.strip()), wording=wording)
    lines = content.split(b"\r\n")
    assert content.endswith(b"\r\n")
    assert b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, lines)) <= 75
    said = by_ical_js(content)
    assert said["summary"] == name.strip()
    assert said["description"] == wording.description


def test_a_file_to_download_names_nobody():
    content = a_file(an_event(at("2026-05-04 08:00"), "Europe/Berlin"), "PUBLISH")
    assert b"ATTENDEE" not in content
    assert b"canary" not in content
    with pytest.raises(ValueError, match="names no attendee"):
        calendar_file(
            an_event(at("2026-05-04 08:00"), "Europe/Berlin"),
            method="REQUEST", uid="u", sequence=0, stamp=STAMP, organizer=ORGANIZER, wording=Wording("x"),
        )  # fmt: skip


def test_equal_input_gives_equal_bytes():
    event = an_event(at("2026-05-04 08:00"), "Europe/Berlin")
    assert a_file(event) == a_file(event)
    assert mime_type("CANCEL") == 'text/calendar; charset="utf-8"; method=CANCEL; component=VEVENT'
