"""What people are told of an event beside invitations: when, through what, and when no more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from engage_assets.defs.event_letters import Case, Stationery
from engage_assets.defs.event_people import Guest
from engage_assets.domain.notices import SurveyAnswer, Waiting
from engage_assets.domain.registrations import Register
from engage_assets.domain.sends import Answer
from engage_assets.events.calendar import Organizer, entry_uid
from engage_assets.ledger.surveys import SqlSurveyAnswers
from engage_assets_tests.defs.small_notices import (
    NOW,
    PEOPLE,
    PROGRAM,
    START,
    Town,
    emptied,
    entry_of,
    event_program,
    read,
)
from engage_assets_tests.serving.gatherings import a_ledger

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
ADDRESS = '{"endpoint": "https://push.example/1"}'
EVE = "2026-12-08 09:00"
"""10:00 in Berlin on the day before."""


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def town(tmp_path, database):
    return Town(tmp_path, emptied(database))


def test_each_change_of_a_registration_is_told_once(town):
    town.event(capacity=1)
    town.register("ada")
    town.register("bob")
    assert town.tick().said() == "1 confirmation sent, 1 wait_listed sent"
    town.clock.time += HOUR
    town.withdraw("ada")
    town.tick()
    assert town.told() == [("ada", "confirmation"), ("bob", "wait_listed"), ("ada", "withdrawn"), ("bob", "promoted")]
    assert town.tick().said() == "nothing was due"


def test_only_the_last_of_several_changes_is_told(town):
    town.event()
    for act in (town.register, town.withdraw, town.register):
        act("ada")
        town.clock.time += MINUTE
    town.tick()
    assert town.told() == [("ada", "confirmation")]
    assert town.ends() == {
        ("ada", "confirmation", "skipped", "SUPERSEDED"),
        ("ada", "withdrawn", "skipped", "SUPERSEDED"),
        ("ada", "confirmation", "sent", None),
    }


@pytest.mark.parametrize(
    ("customer", "push_at", "mail_at"),
    [
        ("ada", "2026-12-08 09:00", "2026-12-09 08:00"),
        ("bob", "2026-12-08 15:00", "2026-12-09 14:00"),
        ("dan", "2026-12-08 04:30", "2026-12-09 03:30"),
        # In Tokyo it starts at 02:00 of the tenth: 09:00 would be too late.
        ("cho", "2026-12-09 01:00", "2026-12-09 16:00"),
    ],
)
def test_reminders_come_where_the_person_lives(town, customer, push_at, mail_at):
    town.event()
    town.register(customer)
    town.addresses.keep(customer, ADDRESS, NOW)
    town.tick()
    assert town.told() == [(customer, "confirmation")]
    for at, told in ((push_at, "reminder!"), (mail_at, "reminder")):
        town.tick(datetime.fromisoformat(at) - MINUTE)
        assert town.told() == []
        town.tick(at)
        town.tick(datetime.fromisoformat(at) + MINUTE)
        assert town.told() == [(customer, told)]


def test_who_takes_notifications_nowhere_gets_a_mail(town):
    town.event()
    town.register("ada")
    town.tick()
    town.told()
    assert town.tick(EVE).said() == "1 reminder sent, 1 reminder skipped"
    assert town.told() == [("ada", "reminder")]
    assert ("ada", "reminder", "skipped", "NO_PUSH_ADDRESS") in town.ends()


def test_each_device_is_told_by_one_send_and_one_that_is_gone_is_forgotten(town):
    town.event()
    town.register("ada")
    for number in (1, 2, 3):
        town.addresses.keep("ada", f'{{"endpoint": "https://push.example/{number}"}}', NOW + number * MINUTE)
    town.push.answer = lambda one: Answer("failed", "PUSH_GONE") if "/2" in one.recipient else Answer("sent")
    town.tick(EVE)
    assert [one.recipient[-3:-2] for one in town.push.letters] == ["3", "2", "1"]
    assert len({(one.send_id, one.content) for one in town.push.letters}) == 1
    assert [one[-3:-2] for one in town.addresses.of(["ada"])["ada"]] == ["3", "1"]
    town.told()
    assert town.tick(datetime.fromisoformat(EVE) + MINUTE).said() == "nothing was due"
    assert {("ada", "reminder", "sent", None)} == {one for one in town.ends() if one[1] == "reminder"}


def test_where_all_devices_are_gone_a_mail_comes_in_the_same_tick(town):
    town.event()
    town.register("ada")
    town.addresses.keep("ada", ADDRESS, NOW)
    town.push.answer = lambda _: Answer("failed", "PUSH_GONE")
    town.tick()
    town.told()
    town.tick(EVE)
    assert town.told() == [("ada", "reminder!"), ("ada", "reminder")]
    assert town.addresses.of(["ada"]) == {}


def test_without_a_fallback_nothing_comes(tmp_path, database):
    town = Town(tmp_path, emptied(database), event_program(fallback=None))
    town.event()
    town.register("ada")
    town.tick()
    town.told()
    town.tick(EVE)
    assert town.told() == []


@pytest.mark.parametrize(
    "meanwhile",
    [
        lambda town: town.withdraw("ada"),
        lambda town: town.event(status="cancelled"),
        lambda town: town.event(starts_at=START + 7 * 24 * HOUR),
    ],
    ids=["cancelled", "called off", "moved"],
)
def test_who_is_no_more_to_be_reminded_is_not(town, meanwhile):
    town.event()
    town.register("ada")
    town.tick()
    town.clock.time = datetime.fromisoformat(EVE) - MINUTE
    meanwhile(town)
    town.tick()
    town.told()
    town.tick(EVE)
    assert town.told() == []


def test_who_cancels_between_plan_and_claim_is_not_reminded(town):
    town.event()
    town.register("ada")
    town.addresses.keep("ada", ADDRESS, NOW)
    town.tick()
    town.told()
    town.clock.time = datetime.fromisoformat(EVE)
    lookout = town.bureau.lookout
    town.ledger.plan([lookout.send(one) for one in lookout.due(town.clock.time)], town.clock.time)
    town.withdraw("ada")
    town.tick()
    assert town.told() == [("ada", "withdrawn")]
    assert ("ada", "reminder", "skipped", "SUPERSEDED") in town.ends()


def test_who_registers_after_the_reminder_was_due_is_not_reminded_of_it(town):
    town.event()
    town.clock.time = datetime.fromisoformat(EVE) + MINUTE
    town.register("ada")
    town.tick()
    assert town.told() == [("ada", "confirmation")]


@pytest.mark.parametrize(("late", "told"), [(2 * HOUR - MINUTE, ["reminder"]), (2 * HOUR + MINUTE, [])])
def test_a_reminder_waits_two_hours(town, late, told):
    town.event()
    town.register("ada")
    town.tick()
    town.told()
    town.tick(datetime.fromisoformat(EVE) + late)
    assert [kind for _, kind in town.told()] == told
    if not told:
        assert ("ada", "reminder", "skipped", "SEND_WINDOW_MISSED") in town.ends()
        assert [one.cause for one in town.operations.untold()] == [f"missed_notices:{PROGRAM}:2026-12-08"]


@pytest.mark.parametrize(("late", "told"), [(24 * HOUR - MINUTE, ["confirmation"]), (24 * HOUR + MINUTE, [])])
def test_a_confirmation_waits_a_day(town, late, told):
    town.event()
    town.register("ada")
    town.tick(NOW + late)
    assert [kind for _, kind in town.told()] == told


def test_no_reminder_after_the_start(town):
    town.event(starts_at=datetime.fromisoformat("2026-12-09 08:30"))
    town.register("ada")
    town.tick()
    town.told()
    town.tick("2026-12-09 08:30")  # the reminder of 07:30 is one hour late
    assert town.told() == []


def test_who_came_is_asked_on_the_next_morning(town):
    town.event()
    for customer in ("ada", "bob", "dan"):
        town.register(customer)
    town.tick("2026-12-09 19:00")
    town.attend("attended", "ada", "bob")
    town.attend("no_show", "dan")
    town.told()
    town.tick("2026-12-10 09:00")  # 10:00 in Berlin
    assert town.told() == [("ada", "survey")]
    kept = SqlSurveyAnswers(town.database).keep(SurveyAnswer(PROGRAM, "e-1", "bob", "US", 5, town.clock.time), NOW)
    assert kept == "new"
    town.tick("2026-12-10 15:00")  # 10:00 in New York
    assert town.told() == []
    assert ("bob", "survey", "skipped", "ALREADY_ANSWERED") in town.ends()


def test_of_whom_it_is_known_only_later_that_he_came_is_asked_at_the_next_such_hour_and_once(town):
    town.event()
    for customer in ("ada", "bob"):
        town.register(customer)
    town.tick("2026-12-09 19:00")
    town.told()
    town.clock.time = datetime.fromisoformat("2026-12-13 12:00")  # 13:00 in Berlin, 07:00 in New York
    town.attend("attended", "ada", "bob")
    for at, told in (("2026-12-13 12:01", []), ("2026-12-13 15:00", ["bob"]), ("2026-12-14 09:00", ["ada"])):
        town.tick(at)
        assert town.told() == [(one, "survey") for one in told]
    seen = dict.fromkeys(("ada", "bob"), "attended")
    town.registrations.attend(PROGRAM, "e-1", seen, town.clock.time + HOUR, {"ada": 5.0, "bob": 7.0})
    for at in ("2026-12-14 15:00", "2026-12-15 09:00", "2026-12-15 15:00", "2026-12-16 09:00"):
        assert town.tick(at).said() == "nothing was due"


def test_nobody_is_asked_more_than_two_weeks_after_the_end(town):
    town.event()
    for customer in ("ada", "cho"):
        town.register(customer)
    town.tick("2026-12-09 19:00")
    town.told()
    town.clock.time = datetime.fromisoformat("2026-12-23 08:59")  # it ended on the ninth at 18:30
    town.attend("attended", "ada", "cho")  # in Tokyo the next morning is too late
    for at in ("2026-12-23 09:00", "2026-12-24 01:00", "2026-12-24 09:00"):
        town.tick(at)
    assert town.told() == [("ada", "survey")]


def test_a_move_is_told_once_to_whom_it_concerns(town):
    town.event(capacity=1)
    for customer in ("ada", "bob", "dan"):
        town.register(customer)
    town.clock.time += MINUTE
    town.withdraw("dan")
    town.tick()
    town.told()
    town.clock.time += HOUR
    town.event(starts_at=START + HOUR)
    town.tick()
    assert town.told() == [("ada", "moved"), ("bob", "moved")]
    town.clock.time += MINUTE
    town.event(join_link="https://meet.example/other")
    town.tick()
    assert town.told() == []


def test_what_changes_and_changes_back_before_the_next_look_is_no_news(town):
    town.event()
    town.register("ada")
    town.tick()
    town.told()
    for start in (START + HOUR, START):
        town.clock.time += MINUTE
        town.event(starts_at=start)
    town.tick()
    assert town.told() == []


def test_who_registered_knowing_it_is_not_told(town):
    town.event()
    town.register("ada")
    town.clock.time += MINUTE
    town.event(starts_at=START + HOUR)
    town.register("bob")
    town.tick()
    assert sorted(town.told()) == [("ada", "confirmation"), ("ada", "moved"), ("bob", "confirmation")]


def test_called_off_then_on_again(town):
    town.event()
    town.register("ada")
    town.tick()
    for status in ("cancelled", "scheduled"):
        town.clock.time += HOUR
        town.event(status=status)
        town.tick()
    mails = [read(one) for one in town.mail.letters]
    assert town.told() == [("ada", "confirmation"), ("ada", "called_off"), ("ada", "moved")]
    assert mails[-1]["Subject"] == "Findet doch statt: Kubernetes in practice"


def test_a_cancellation_after_the_end_is_no_news(town):
    town.event()
    town.register("ada")
    town.tick()
    town.told()
    town.clock.time = START + 3 * HOUR
    town.event(status="cancelled")
    town.tick()
    assert town.told() == []


@pytest.mark.parametrize("customer", ["ada", "bob"])
def test_a_move_that_a_newer_one_overtakes_is_not_told(town, customer):
    town.event()
    town.register(customer)
    town.tick()
    town.told()
    town.clock.time += HOUR
    town.event(starts_at=START + HOUR)
    lookout = town.bureau.lookout
    town.ledger.plan([lookout.send(one) for one in lookout.due(town.clock.time)], town.clock.time)
    town.clock.time += MINUTE
    town.event(starts_at=START + 2 * HOUR)
    town.tick()
    assert [town.row(one)["sequence"] for one in town.mail.letters] == [3]
    assert town.told() == [(customer, "moved")]


def test_a_move_that_was_taken_back_before_it_was_told_is_not_told(town):
    town.event()
    town.register("ada")
    town.tick()
    town.told()
    town.clock.time += HOUR
    town.event(starts_at=START + HOUR)
    lookout = town.bureau.lookout
    town.ledger.plan([lookout.send(one) for one in lookout.due(town.clock.time)], town.clock.time)
    town.clock.time += MINUTE
    town.event(starts_at=START)
    town.tick()
    assert town.told() == []


@pytest.mark.parametrize(
    ("silence", "reason"),
    [
        (lambda town: town.operations.suppress(["ada"], [], "a test", "list", NOW), "SUPPRESSED"),
        (lambda town: town.operations.suppress([], ["ada@canary.example"], "a test", "list", NOW), "SUPPRESSED"),
        (lambda town: town.ledger.opt_out("ada", NOW), "OPTED_OUT"),
        (lambda town: town.ledger.opt_out("ada", NOW, channel="email"), "OPTED_OUT"),
        (lambda town: opt_outs(town, program=None), "OPTED_OUT"),
        # To want no more invitations is not to forgo what one registered for.
        (lambda town: town.ledger.opt_out("ada", NOW, program=PROGRAM), None),
        (lambda town: opt_outs(town, program=PROGRAM), None),
    ],
)
def test_nothing_goes_to_who_wants_nothing(town, silence, reason):
    town.event()
    town.register("ada")
    silence(town)
    town.tick()
    assert town.ends() == {("ada", "confirmation", "skipped" if reason else "sent", reason)}


def opt_outs(town, program):
    rows = {"customer_id": ["ada"], "at": [NOW - HOUR], "program": [program], "channel": [None]}
    schema = {"customer_id": pl.String(), "at": pl.Datetime("us"), "program": pl.String(), "channel": pl.String()}
    pl.DataFrame(rows, schema=schema).write_parquet(town.root / "crm" / "opt_outs.parquet")


def test_the_calendar_entry_is_the_pages(town):
    town.event()
    town.register("ada")
    town.tick()
    town.clock.time += HOUR
    town.event(starts_at=START + HOUR)
    town.tick()
    town.clock.time += HOUR
    town.withdraw("ada")
    town.tick()
    entries = [entry_of(one) for one in town.mail.letters]
    assert [method for method, _ in entries] == ["REQUEST", "REQUEST", "CANCEL"]
    assert [int(entry["SEQUENCE"]) for _, entry in entries] == [0, 1, 2]
    market = town.bureau.lookout.marketplaces["DE"]
    assert {str(entry["UID"]) for _, entry in entries} == {entry_uid("e-1", "ada", Organizer.of(market))}
    assert entries[1][1].start.astimezone(UTC).replace(tzinfo=None) == START + HOUR
    assert [str(entry["ATTENDEE"]) for _, entry in entries] == ["mailto:ada@canary.example"] * 3
    assert (entries[0][1]["LOCATION"], "LOCATION" in entries[2][1]) == ("https://meet.example/k8s", False)


def test_a_confirmation_bears_the_number_of_its_own_change_though_it_was_given_back_meanwhile(town):
    town.event()
    town.register("ada")
    town.clock.time += HOUR
    town.withdraw("ada")
    standing = town.registrations.of_customer(PROGRAM, "e-1", "ada")
    notice = Waiting("a" * 32, "p:email:2026-12-01:DE", "ada", "DE", "event", "e-1", "email", NOW, "confirmation", 0)
    guest = Guest("Ada", "ada@canary.example", is_test=False, time_zone=None, locale="de")
    versions = town.bureau.lookout.histories(town.clock.time)["e-1"]
    stationery = Stationery(town.program, town.bureau.lookout.marketplaces, town.bureau.links)
    method, entry = entry_of(stationery.letter(Case(notice, guest, versions, standing)))
    assert (method, entry["SEQUENCE"], standing.sequence) == ("REQUEST", 0, 1)


def test_who_waits_in_line_learns_no_place(town):
    town.event(capacity=0)
    town.register("ada")
    town.tick()
    town.clock.time += HOUR
    town.event(starts_at=START + HOUR)
    town.tick()
    assert town.mail.letters
    assert all(b"meet.example" not in part for one in town.mail.letters for part in parts(one))
    method, entry = entry_of(town.mail.letters[-1])
    assert (method, entry["STATUS"]) == ("REQUEST", "TENTATIVE")


def parts(letter):
    return [one.get_payload(decode=True) for one in read(letter).walk() if not one.is_multipart()]


def test_mails_are_in_the_persons_language_and_offer_no_one_click_stop(town):
    town.event()
    for customer in ("ada", "bob", "cho", "dan"):
        town.register(customer)
    town.tick()
    mails = {town.row(one)["customer_id"]: read(one) for one in town.mail.letters}
    assert {customer: mail["Content-Language"] for customer, mail in mails.items()} == {
        "ada": "de", "bob": "en", "cho": "ja", "dan": "en",
    }  # fmt: skip
    assert all(mail["List-Unsubscribe"] is None for mail in mails.values())
    text = mails["ada"].get_body(("plain",)).get_content()
    assert "9. Dezember 2026, 18:00 Uhr (Europe/Berlin)" in text
    assert "Guten Tag Ada Canary," in text
    assert "https://shop.example/c/" in text


def test_a_stop_holds_and_what_waited_goes_later(town):
    town.event()
    town.register("ada")
    town.operations.stop(PROGRAM, "a look", "ada", NOW)
    assert town.tick().halted == f"{PROGRAM} was stopped by ada: a look"
    assert town.told() == []
    town.operations.resume(PROGRAM, "ada", NOW)
    town.tick(NOW + 3 * HOUR)
    assert town.told() == [("ada", "confirmation")]


def test_an_address_that_is_none_fails_alone(town):
    town.event()
    town.people(PEOPLE, address="no address of {0}")
    town.register("ada")
    town.people({"bob": PEOPLE["bob"]}, keep=True)
    town.register("bob")
    town.tick()
    assert town.ends() == {("ada", "confirmation", "failed", "MESSAGE_INVALID"), ("bob", "confirmation", "sent", None)}


def test_in_shadow_mode_nothing_leaves(tmp_path, database):
    program = event_program(fallback="email")
    channels = tuple(one.model_copy(update={"shadow": True}) for one in program.channels)
    town = Town(tmp_path, emptied(database), program.model_copy(update={"channels": channels}))
    town.event()
    town.register("ada")
    town.tick()
    assert town.ends() == {("ada", "confirmation", "skipped", "SHADOW")}
    assert town.told() == []


def test_after_a_restore_only_what_is_due_from_then_on_is_told(town):
    town.event()
    town.register("ada")
    town.clock.time += MINUTE
    town.bureau.watermark.accept(town.ledger, town.clock.time)
    town.clock.time += MINUTE
    town.register("bob")
    town.tick()
    assert town.told() == [("bob", "confirmation")]
    assert ("ada", "confirmation", "skipped", "SEND_WINDOW_MISSED") in town.ends()


class Killed(Exception):
    """The process ends here."""


@pytest.mark.parametrize(("where", "is_written"), [("plan", False), ("plan", True), ("claim", True)])
def test_after_a_crash_it_is_told_once(town, monkeypatch, where, is_written):
    town.event()
    town.register("ada")
    with monkeypatch.context() as broken:
        broken.setattr(town.ledger, where, dies(getattr(town.ledger, where), is_written=is_written))
        with pytest.raises(Killed):
            town.tick()
    assert town.told() == []
    town.tick(NOW + 11 * MINUTE)  # the lease is over
    town.tick(NOW + 30 * MINUTE)
    assert town.told() == [("ada", "confirmation")]


def dies(method, *, is_written):
    def dying(*args, **kwargs):
        if is_written:
            method(*args, **kwargs)
        raise Killed

    return dying


def test_what_may_have_gone_out_is_in_doubt_and_not_said_again(town):
    town.event()
    town.register("ada")
    town.mail.answer = lambda _: Answer("in_doubt", "NO_ANSWER")
    town.tick()
    town.told()
    town.tick(NOW + HOUR)
    assert town.told() == []
    assert town.ledger.in_doubt(PROGRAM)["reason"].to_list() == ["NO_ANSWER"]


def test_entries_of_other_programs_are_passed_over(town, monkeypatch):
    town.event()
    monkeypatch.setattr("engage_assets.defs.event_due.AT_ONCE", 2)
    seats = town.seats()
    for number in range(5):
        town.act(Register(replace(seats, program="other-events"), f"c-{number}", "DE"))
    town.register("ada")
    town.tick()
    assert town.told() == [("ada", "confirmation")]
    assert len(town.outbox.waiting(["notice"], 100)) == 5
