"""Banners in the operational database: opened once and in one transaction, and asked again at each look."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from engage_assets.domain.responses import Interaction, Preferences, Response
from engage_assets.domain.sends import Cap, ClaimRules, Send
from engage_assets.ledger.banners import SqlBanners
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets_tests.contracts.sends import a_send, ids

PROGRAM = "event-invitations"
SLOT = datetime.fromisoformat("2026-11-23 13:00")
HOUR = timedelta(hours=1)
LONG_AGO = SLOT - timedelta(days=7)
RULES = ClaimRules(types={"banners": "in-app"})


def a_banner(customer: str = "c-1", event: str = "e-1", **more: Any) -> Send:
    about = {"subject_type": "event", "subject_id": event, "subject_name": "Kubernetes", "cap_scope": PROGRAM}
    campaign = f"{PROGRAM}:banners:2026-11-23:DE:{event}"
    return a_send(
        customer,
        **{"program": PROGRAM, "campaign_id": campaign, "channel": "banners", "slot_at": SLOT, **about, **more},
    )


def opened(ledger: SqlLedger, *banners: Send, now: datetime = SLOT, rules: ClaimRules = RULES) -> Any:
    ledger.plan(banners, SLOT - HOUR)
    return SqlBanners(ledger.database).open(ids(banners), now, rules)


def shown(ledger: SqlLedger, customer: str = "c-1", since: datetime = LONG_AGO) -> list[str]:
    found = SqlBanners(ledger.database).shown(PROGRAM, "banners", "in-app", customer, since)
    return [one.subject_id for one in found]


def test_a_banner_is_opened_through_all_states_at_once_and_its_candidate_is_delivered(ledger):
    banner = a_banner()
    assert opened(ledger, banner).won == [banner.send_id]
    log = ledger.send_events(None, SLOT + HOUR)
    assert log["state"].to_list() == ["planned", "claimed", "handed_over", "sent"]
    (entry,) = SqlOutbox(ledger.database).waiting(["candidate_status"], 9)
    assert (entry.payload["status"], entry.payload["channel"]) == ("delivered", "banners")
    assert SqlBanners(ledger.database).open([banner.send_id], SLOT, RULES).won == []
    (known,) = SqlBanners(ledger.database).shown(PROGRAM, "banners", "in-app", "c-1", LONG_AGO)
    assert (known.send_id, known.handed_over_at, known.subject_name) == (banner.send_id, SLOT, "Kubernetes")


def test_whoever_must_not_see_it_is_refused_when_it_opens(ledger):
    people = ["answered", "out", "barred", "capped", "fine"]
    mail = [a_banner("capped", f"m-{n}", channel="email", campaign_id=f"{PROGRAM}:email:2026-11-23:DE") for n in (1, 2)]
    ledger.plan(mail, SLOT - HOUR)
    ledger.claim(ids(mail), SLOT, ClaimRules())
    SqlContacts(ledger.database).respond(Response(PROGRAM, "answered", "DE", "event", "e-1", None, SLOT), SLOT)
    ledger.opt_out("out", SLOT, None, "in-app")
    banners = {name: a_banner(name) for name in people}
    rules = ClaimRules(
        cap=Cap(2, timedelta(days=30)),
        barred={banners["barred"].send_id: "SUBJECT_CLOSED"},
        types={"banners": "in-app"},
    )
    claims = opened(ledger, *banners.values(), rules=rules)
    names = {banner.send_id: name for name, banner in banners.items()}
    assert [names[one] for one in claims.won] == ["fine"]
    assert {names[one]: reason for one, reason in claims.refused.items()} == {
        "answered": "ALREADY_ANSWERED",
        "out": "OPTED_OUT",
        "barred": "SUBJECT_CLOSED",
        "capped": "FREQUENCY_CAP",
    }
    assert {name: shown(ledger, name) for name in people if shown(ledger, name)} == {"fine": ["e-1"]}


def test_the_mail_about_the_same_event_counts_once_with_its_banner(ledger):
    mail = a_banner(channel="email", campaign_id=f"{PROGRAM}:email:2026-11-23:DE")
    ledger.plan([mail], SLOT - HOUR)
    ledger.claim([mail.send_id], SLOT, ClaimRules())
    banner = a_banner()
    assert opened(ledger, banner, rules=ClaimRules(cap=Cap(1, timedelta(days=30)))).won == [banner.send_id]


def test_one_that_is_too_late_is_missed(ledger):
    late = a_banner()
    claims = opened(ledger, late, now=SLOT + 2 * HOUR + timedelta(seconds=1))
    assert claims.refused == {late.send_id: "SEND_WINDOW_MISSED"}


@pytest.mark.parametrize(
    ("wanted", "is_shown"),
    [
        (Preferences(everything=True), False),
        (Preferences(programs=frozenset({PROGRAM})), False),
        (Preferences(channels=frozenset({"in-app"})), False),
        (Preferences(channels=frozenset({"banners"})), False),
        (Preferences(programs=frozenset({"product-reviews"}), channels=frozenset({"email"})), True),
    ],
)
def test_who_wants_no_more_of_it_sees_it_no_more(ledger, wanted, is_shown):
    opened(ledger, a_banner())
    contacts = SqlContacts(ledger.database)
    contacts.set_preferences("c-1", wanted, SLOT)
    assert shown(ledger) == (["e-1"] if is_shown else [])
    contacts.set_preferences("c-1", Preferences(), SLOT)
    assert shown(ledger) == ["e-1"]


def test_who_answered_complained_or_is_of_another_program_sees_nothing(ledger):
    banners = [a_banner(), a_banner(event="e-2", slot_at=SLOT + HOUR), a_banner("c-2"), a_banner("c-3", "e-2")]
    opened(ledger, *banners, now=SLOT + HOUR)
    other = a_banner(event="e-3", program="product-reviews", campaign_id="product-reviews:banners:2026-11-23:DE")
    opened(ledger, other)
    assert shown(ledger) == ["e-2", "e-1"]
    assert shown(ledger, since=SLOT) == ["e-2"]
    contacts = SqlContacts(ledger.database)
    contacts.respond(Response(PROGRAM, "c-1", "DE", "event", "e-2", None, SLOT), SLOT)
    contacts.record([Interaction("x-1", banners[3].send_id, "complaint", SLOT, "ses")], SLOT)
    assert (shown(ledger), shown(ledger, "c-2"), shown(ledger, "c-3")) == (["e-1"], ["e-1"], [])


@pytest.mark.parametrize("target", [PROGRAM, f"{PROGRAM}:banners:2026-11-23:DE:e-1", f"{PROGRAM}:banners:2026-11-23"])
def test_a_stop_hides_what_is_open_and_its_end_shows_it_again(ledger, target):
    opened(ledger, a_banner(), a_banner(event="e-2"))
    operations = SqlOperations(ledger.database)
    operations.stop(target, "why", "ada", SLOT)
    assert shown(ledger) == (["e-2"] if target.endswith("e-1") else [])
    operations.resume(target, "ada", SLOT)
    assert shown(ledger) == ["e-1", "e-2"]


def test_displays_of_the_latest_day_are_counted_whoever_reports_them(new_pair):
    pair, day = [SqlBanners(database) for database in new_pair()], SLOT.date()
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda place: pair[place % 2].displayed("s-1", day), range(20)))
    assert sorted(told) == list(range(1, 21))
    assert pair[0].displays(["s-1", "s-2"]) == {"s-1": (day, 20)}
    tomorrow = day + timedelta(days=1)
    assert [pair[1].displayed("s-1", one) for one in (tomorrow, day)] == [1, 2]
    assert pair[0].displays(["s-1"]) == {"s-1": (tomorrow, 2)}


def test_two_deliveries_at_once_open_each_banner_once(new_pair):
    pair = new_pair()
    banners = [a_banner(f"c-{number}") for number in range(40)]
    SqlLedger(pair[0]).plan(banners, SLOT - HOUR)
    with ThreadPoolExecutor(2) as pool:
        claims = list(pool.map(lambda database: SqlBanners(database).open(ids(banners), SLOT, RULES), pair))
    won = [one for claim in claims for one in claim.won]
    assert sorted(won) == sorted(ids(banners))
    log = SqlLedger(pair[0]).send_events(None, SLOT + HOUR)
    assert log.filter(state="handed_over").height == 40
