"""When notices are due where people live, and what makes them untrue."""

from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from engage_assets.domain.events import Event
from engage_assets.domain.program import ReminderRule
from engage_assets.domain.registrations import Registration
from engage_assets.events.notices import (
    Registrant,
    Versions,
    changes,
    of_change,
    outdated,
    reminder_at,
    reminders,
    survey_at,
    surveys,
)

at = datetime.fromisoformat
PUSH, MAIL = ReminderRule(daysBefore=1, channel="push"), ReminderRule(daysBefore=0, channel="email", time="09:00")
RULES = (PUSH, MAIL)
START = at("2026-12-09 17:00")
EVENT = Event("e-1", at("2026-11-01"), "n", ("t",), START, "Europe/Berlin", 90)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def a_registrant(status="registered", zone="Europe/Berlin", **more) -> Registrant:
    asked = at("2026-11-20")
    return Registrant(Registration("p", "e-1", "c-1", "DE", status, None, asked, asked, 0, **more), zone)


@pytest.mark.parametrize(
    ("starts_at", "zone", "push_at", "mail_at"),
    [
        ("2026-12-09 17:00", "Europe/Berlin", "2026-12-08 09:00", "2026-12-09 08:00"),
        ("2026-12-09 08:30", "Europe/Berlin", "2026-12-08 09:00", "2026-12-09 07:30"),  # an hour before it starts
        ("2026-12-09 23:30", "Europe/Berlin", "2026-12-09 09:00", "2026-12-09 22:30"),  # there it is the tenth already
        ("2026-12-09 17:00", "Australia/Sydney", "2026-12-08 23:00", "2026-12-09 16:00"),
        ("2026-12-09 17:00", "Asia/Kolkata", "2026-12-08 04:30", "2026-12-09 03:30"),
        # Clocks go forward on the eighth of March in New York, on the 29th in Berlin.
        ("2026-03-08 15:00", "America/New_York", "2026-03-07 15:00", "2026-03-08 13:00"),
        ("2026-03-29 15:00", "Europe/Berlin", "2026-03-28 09:00", "2026-03-29 07:00"),
        ("2026-11-01 18:00", "America/New_York", "2026-10-31 14:00", "2026-11-01 14:00"),
    ],
)
def test_reminders_are_due_on_the_persons_clock(starts_at, zone, push_at, mail_at):
    event = replace(EVENT, starts_at=at(starts_at))
    assert [reminder_at(event, rule, zone) for rule in RULES] == [at(push_at), at(mail_at)]


def test_a_rule_may_name_another_time_and_days():
    rule = ReminderRule(daysBefore=3, channel="email", time="18:30")
    assert reminder_at(EVENT, rule, "Europe/Berlin") == at("2026-12-06 17:30")
    assert rule.time == time(18, 30)


@pytest.mark.parametrize(
    ("starts_at", "zone", "due_at"),
    [
        ("2026-12-09 17:00", "Europe/Berlin", "2026-12-10 09:00"),
        ("2026-12-09 22:00", "Europe/Berlin", "2026-12-11 09:00"),  # it ends after midnight there
        ("2026-12-09 17:00", "Asia/Tokyo", "2026-12-11 01:00"),
        ("2026-03-07 18:00", "America/New_York", "2026-03-08 14:00"),
    ],
)
def test_surveys_are_due_on_the_morning_after_the_end(starts_at, zone, due_at):
    assert survey_at(replace(EVENT, starts_at=at(starts_at)), zone) == at(due_at)


@pytest.mark.parametrize("status", ["wait_listed", "cancelled", "attended", "no_show"])
def test_only_who_is_registered_is_reminded(status):
    now = at("2026-12-08 09:00")
    assert list(reminders(Versions((EVENT,)), [a_registrant(status)], RULES, now)) == []
    assert len(list(reminders(Versions((EVENT,)), [a_registrant()], RULES, now))) == 1


@pytest.mark.parametrize("status", ["registered", "wait_listed", "cancelled", "no_show"])
def test_only_who_attended_is_asked(status):
    now = at("2026-12-10 09:00")
    assert list(surveys(Versions((EVENT,)), [a_registrant(status)], "email", now)) == []
    assert len(list(surveys(Versions((EVENT,)), [a_registrant("attended")], "email", now))) == 1
    assert list(surveys(Versions((EVENT,)), [a_registrant("attended")], "email", now - MINUTE)) == []


def versions(*steps) -> Versions:
    """An event that changed hour by hour from the first of December on."""
    history = [EVENT]
    for hours, step in enumerate(steps, start=1):
        history.append(replace(history[-1], known_at=at("2026-12-01") + hours * HOUR, **step))
    return Versions(tuple(history))


MOVED, BACK, OFF, ON = (
    {"starts_at": START + HOUR},
    {"starts_at": START},
    {"status": "cancelled"},
    {"status": "scheduled"},
)
SEATS = {"capacity": 7}


@pytest.mark.parametrize(
    ("steps", "told", "expected"),
    [
        ([MOVED], 0, ("moved", 2)),
        ([MOVED], 2, None),
        ([SEATS], 0, None),
        ([MOVED, SEATS, SEATS], 0, ("moved", 2)),  # of the version that moved it
        ([MOVED, BACK], 0, None),
        ([MOVED, BACK], 2, ("moved", 3)),
        ([OFF], 0, ("called_off", 2)),
        ([MOVED, OFF], 2, ("called_off", 3)),
        ([OFF, MOVED], 0, ("called_off", 2)),  # that it moved, too, is no news of what does not take place
        ([OFF, ON], 0, None),
        ([OFF, ON], 2, ("moved", 3)),
        ([OFF, ON | MOVED], 2, ("moved", 3)),
    ],
)
def test_a_change_is_told_to_who_was_told_otherwise(steps, told, expected):
    history = versions(*steps)
    found = list(changes(history, [a_registrant()], {"c-1": told}, "email", at("2026-12-01 12:00")))
    assert [(one.kind, one.sequence) for one in found] == ([expected] if expected else [])
    assert all(one.due_at == history.since for one in found)


def test_a_change_of_old_is_no_news():
    people = [a_registrant()]
    assert list(changes(versions(MOVED), people, {}, "email", at("2026-12-03 01:00"))) == []


def entry(status, was="") -> dict[str, str]:
    return {"customer_id": "c-1", "marketplace": "DE", "subject_id": "e-1", "status": status, "was": was,
            "at": "2026-12-01T10:00:00", "sequence": "4"}  # fmt: skip


@pytest.mark.parametrize(
    ("status", "was", "kind"),
    [
        ("registered", "", "confirmation"),
        ("registered", "cancelled", "confirmation"),
        ("registered", "wait_listed", "promoted"),
        ("wait_listed", "", "wait_listed"),
        ("cancelled", "wait_listed", "withdrawn"),
    ],
)
def test_what_a_change_of_a_registration_tells(status, was, kind):
    notice = of_change(entry(status, was), "email")
    assert (notice.kind, notice.sequence, notice.due_at) == (kind, 4, at("2026-12-01 10:00"))
    assert notice.campaign("p") == f"p:email:2026-12-01:DE:{kind}:e-1"


@pytest.mark.parametrize(
    ("kind", "steps", "now", "is_outdated"),
    [
        ("confirmation", [], "2026-12-02", False),
        ("confirmation", [OFF], "2026-12-02", True),
        ("confirmation", [], "2026-12-09 18:30", True),  # it is over
        ("withdrawn", [OFF], "2026-12-11", False),
        ("moved", [MOVED], "2026-12-02", False),
        ("moved", [MOVED, MOVED | {"duration_minutes": 30}], "2026-12-02", True),
        ("called_off", [OFF], "2026-12-02", False),
        ("called_off", [OFF, ON], "2026-12-02", True),
        ("called_off", [OFF, ON, OFF], "2026-12-02", True),  # the fourth version says it
        ("survey", [], "2026-12-09 18:29", True),
        ("survey", [], "2026-12-10 09:00", False),
    ],
)
def test_what_the_catalogue_makes_untrue(kind, steps, now, is_outdated):
    notice = replace(of_change(entry("registered"), "email"), kind=kind, sequence=2)
    found = outdated(notice, versions(*steps), "Europe/Berlin", RULES, at(now))
    assert found == ("SUPERSEDED" if is_outdated else None)


def test_a_reminder_holds_while_the_rule_says_the_same():
    (notice,) = reminders(Versions((EVENT,)), [a_registrant()], RULES, at("2026-12-08 09:00"))
    for history, zone, rules, now, reason in (
        (versions(), "Europe/Berlin", RULES, "2026-12-08 09:00", None),
        (versions(MOVED), "Europe/Berlin", RULES, "2026-12-08 09:00", None),  # the same morning
        (versions({"starts_at": START + 24 * HOUR}), "Europe/Berlin", RULES, "2026-12-08 09:00", "SUPERSEDED"),
        (versions(), "Asia/Tokyo", RULES, "2026-12-08 09:00", "SUPERSEDED"),
        (versions(), "Europe/Berlin", (), "2026-12-08 09:00", "SUPERSEDED"),
        (versions(), "Europe/Berlin", RULES, "2026-12-09 17:00", "SUPERSEDED"),  # it began
        (versions(OFF), "Europe/Berlin", RULES, "2026-12-08 09:00", "SUPERSEDED"),
    ):
        assert outdated(notice, history, zone, rules, at(now)) == reason
    assert outdated(notice, None, "Europe/Berlin", RULES, at("2026-12-08 09:00")) == "SUPERSEDED"
