"""Banners of an app: whoever has answered sees none, none outlives its end, and each display counts once."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engage_assets.domain.registrations import Register, Withdraw
from engage_assets.domain.responses import Preferences
from engage_assets.events.openings import seats_of
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.serving.access import BANNERS, READ
from engage_assets.serving.app import create_app
from engage_assets.serving.banners import BannerDesk
from engage_assets_tests.serving.app_banners import PROGRAM, RememberedFacts, a_banner_of, an_app_service, open_banners
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.gatherings import START, a_ledger, know_the_source
from engage_assets_tests.serving.visits import a_visitor

PATH = f"/v1/programs/{PROGRAM}/banners"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DEADLINE = START - DAY
FAR = START + timedelta(days=90)
LIVE = START - timedelta(days=9)
"""A Monday's slot: the week ends before the deadline."""


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def app(tmp_path, database, monkeypatch):
    know_the_source(monkeypatch)
    gathering = an_app_service(tmp_path, database)
    gathering.services.clock.time = LIVE
    return gathering


def client(gathering, scopes=(BANNERS,), **changes):
    key, show = a_key(scopes)
    SqlOperations(gathering.services.contacts._database).add_key(key, "ada")
    return Client(create_app(replace(gathering.services, **changes)), show)


def shown(caller, customer="c-1"):
    answer = caller.get(PATH, params={"customerId": customer})
    assert answer.status_code == 200
    return answer.json()["items"]


def test_an_app_gets_shows_and_reports_a_banner_and_it_leads_to_the_registration_page(app, database):
    banner = a_banner_of(app, "c-1", LIVE)
    open_banners(database, banner, a_banner_of(app, "c-2", LIVE))
    caller = client(app, public_url="https://events.example")
    (item,) = shown(caller)
    assert item == {
        "bannerId": banner.send_id,
        "program": PROGRAM,
        "marketplace": "DE",
        "subjectType": "event",
        "subjectId": app.event_id,
        "bannerType": "event-invitation",
        "placement": "home-screen",
        "frequency": {"perDay": 3},
        "language": "en",
        "title": "Join Kubernetes in practice",
        "call": {"label": "Learn More", "url": item["call"]["url"]},
        "startsAt": "2026-11-30T17:00:00Z",
        "endsAt": "2026-12-07T17:00:00Z",
    }
    for path in ("displayed", "clicked"):
        told = [caller.post(f"{PATH}/{banner.send_id}/{path}").json()["isNew"] for _ in range(3)]
        assert told == [True, False, False]
    log = SqlLedger(database).interactions(None, FAR).filter(send_id=banner.send_id)
    assert sorted(log["kind"]) == ["click", "displayed"]

    visitor = a_visitor(app.services, user_agent="Mozilla/5.0 (Linux; Android 15) Chrome/140")
    assert item["call"]["url"].startswith("https://events.example/c/")
    page = (
        visitor.get(item["call"]["url"].removeprefix("https://events.example")).headers["location"].removeprefix("..")
    )
    assert "Join us: Kubernetes in practice" in visitor.get(page).text
    assert visitor.post(page, data={"act": "register"}).status_code == 303
    standing = app.events.registrations.of_customer(PROGRAM, app.event_id, "c-1")
    assert (standing.status, standing.channel, standing.send_id) == ("registered", "in-app", banner.send_id)
    assert shown(caller) == []
    assert len(shown(caller, "c-2")) == 1


def test_it_is_shown_from_its_slot_up_to_its_end(app, database):
    open_banners(database, a_banner_of(app, "c-1", LIVE))
    caller, clock = client(app), app.services.clock
    clock.time = LIVE - timedelta(seconds=1)
    assert shown(caller) == []
    for time, count in ((LIVE, 1), (LIVE + 7 * DAY - timedelta(seconds=1), 1), (LIVE + 7 * DAY, 0)):
        clock.time = time
        assert len(shown(caller)) == count


@pytest.mark.parametrize(
    ("changes", "count"),
    [
        ({"status": "cancelled"}, 0),
        ({"capacity": 0}, 0),
        ({"starts_at": LIVE + DAY}, 0),
        ({"starts_at": LIVE + DAY + timedelta(minutes=1)}, 1),
        ({"name": "Renamed"}, 1),
    ],
)
def test_what_became_of_the_event_counts_at_each_look(app, database, changes, count):
    open_banners(database, a_banner_of(app, "c-1", LIVE))
    app.version(**changes)
    found = shown(client(app))
    assert len(found) == count
    if "name" in changes:
        assert found[0]["title"] == "Join Renamed"
    if "starts_at" in changes and count:
        assert found[0]["endsAt"] == "2026-11-30T17:01:00Z"


def test_a_seat_elsewhere_is_a_seat_and_a_full_event_invites_nobody(app, database):
    open_banners(database, *(a_banner_of(app, customer, LIVE) for customer in ("c-1", "c-2")))
    caller = client(app)
    past = {"customer_id": ["c-1"], "event_id": [app.event_id], "registered_at": [LIVE - DAY]}
    pl.DataFrame(past).write_parquet(app.warehouse / "events" / "past_registrations.parquet")
    assert (shown(caller), len(shown(caller, "c-2"))) == ([], 1)
    app.take("c-9")
    assert shown(caller, "c-2") == []


def test_what_the_sweep_of_opt_outs_took_is_shown_no_more(app, database):
    open_banners(database, *(a_banner_of(app, customer, LIVE) for customer in ("c-1", "c-2", "c-3")))
    store, caller = app.services.store, client(app)
    store.gone.add("c-1")
    store.closed.add("c-2")
    assert [len(shown(caller, customer)) for customer in ("c-1", "c-2", "c-3")] == [0, 0, 1]
    store.status = "registered"
    assert shown(caller, "c-3") == []


@pytest.mark.parametrize(
    ("zone", "midnight"),
    [(None, "2026-11-30 23:00"), ("Asia/Tokyo", "2026-12-01 15:00"), ("America/New_York", "2026-12-01 05:00")],
)
def test_what_was_displayed_often_enough_today_comes_again_tomorrow(app, database, zone, midnight):
    banner = a_banner_of(app, "c-1", LIVE)
    open_banners(database, banner, a_banner_of(app, "c-2", LIVE))
    app.services.store.zones = {"c-1": zone}
    caller, clock, morning = client(app), app.services.clock, datetime.fromisoformat(midnight)
    report = f"{PATH}/{banner.send_id}/displayed"
    for time in (LIVE, LIVE, morning - MINUTE):  # in Tokyo it is the first of December from 15:00 of LIVE's day on
        clock.time = time
        assert len(shown(caller)) == 1
        caller.post(report)
    assert (shown(caller), len(shown(caller, "c-2"))) == ([], 1)
    clock.time = morning
    assert len(shown(caller)) == 1
    assert caller.post(report).json()["isNew"] is False


def test_only_whoever_has_the_right_key_gets_banners_and_errors_name_what_there_is(app, database):
    banner = a_banner_of(app, "c-1", LIVE)
    open_banners(database, banner)
    assert client(app, (READ,)).get(PATH, params={"customerId": "c-1"}).status_code == 403
    assert Client(create_app(app.services)).get(PATH, params={"customerId": "c-1"}).status_code == 401
    caller = client(app)
    assert caller.get(PATH).status_code == 422
    assert caller.get("/v1/programs/none/banners", params={"customerId": "c-1"}).json()["known"] == [PROGRAM]
    for path in (f"/{'0' * 32}/displayed", f"/{banner.send_id}/opened"):
        assert caller.post(PATH + path).status_code == 404
    planned = a_banner_of(app, "c-2", LIVE)
    SqlLedger(database).plan([planned], LIVE)
    mail = a_banner_of(app, "c-3", LIVE, channel="email")
    SqlLedger(database).plan([mail], LIVE)
    for send in (planned, mail):
        assert caller.post(f"{PATH}/{send.send_id}/displayed").status_code == 404, "not open, or no banner"


def test_the_app_screen_is_there_under_a_declared_clock_alone_and_reports_what_it_shows(app, database):
    banner = a_banner_of(app, "c-1", LIVE, locale="de")
    open_banners(database, banner)
    page = f"/app/{PROGRAM}/c-1"
    real = Client(create_app(app.services)).get(page)
    assert (real.status_code, "Kubernetes" in real.text) == (404, False)
    app.services.clock.is_declared = True
    visitor = Client(create_app(app.services))
    texts = [visitor.get(page).text for _ in range(2)]
    assert all("Jetzt dabei sein: Kubernetes in practice" in text and "Mehr erfahren" in text for text in texts)
    log = SqlLedger(database).interactions(None, FAR).filter(send_id=banner.send_id)
    assert log["kind"].to_list() == ["displayed"]
    assert "Nothing new at the moment." in visitor.get(f"/app/{PROGRAM}/nobody").text
    assert visitor.get("/app/none/c-1").status_code == 404


PEOPLE = st.integers(0, 3)
ACTS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([HOUR, 6 * HOUR, 2 * DAY])),
    st.tuples(st.just("register"), PEOPLE),
    st.tuples(st.just("cancel"), PEOPLE),
    st.tuples(st.just("opt_out"), PEOPLE),
    st.tuples(st.just("open"), st.none()),
    st.tuples(st.just("move"), st.sampled_from([-8 * DAY, -5 * DAY, DAY])),
    st.tuples(st.just("seats"), st.integers(0, 4)),
    st.tuples(st.just("call_off"), st.none()),
)


class Histories:
    """What happened, kept beside the system in the simplest way, and what must hold at each look."""

    def __init__(self, app, database) -> None:
        self.app, self.database, self.clock = app, database, app.services.clock
        self.facts = RememberedFacts(app.events.facts.versions(app.event_id, self.clock.time)[-1])
        services = replace(app.services, events=replace(app.events, facts=self.facts))
        self.program, self.desk = app.services.programs[PROGRAM], BannerDesk(services)
        self.people = [f"{app.event_id}-{number}" for number in range(4)]
        self.ever, self.out, self.displayed, self.days = set(), set(), set(), Counter()
        self.zones = dict(zip(self.people, ("Asia/Tokyo", "Europe/Berlin", "Pacific/Honolulu", "UTC"), strict=True))
        app.services.store.zones = self.zones
        self.banners = [a_banner_of(app, one, LIVE + HOUR) for one in self.people]
        SqlLedger(database).plan(self.banners, LIVE)

    @property
    def event(self):
        return self.facts.known[-1]

    def act(self, name, value):
        registrations, now = self.app.events.registrations, self.clock.time
        seats, person = seats_of(self.program, self.event, frozenset()), self.people[value if name in PERSONAL else 0]
        if name == "wait":
            self.clock.time += value
        elif name == "register":
            (done,) = registrations.take([Register(seats, person, "DE")], now)
            self.ever |= {person} if done.registration else set()
        elif name == "cancel":
            registrations.take([Withdraw(seats, person)], now)
        elif name == "opt_out":
            SqlContacts(self.database).set_preferences(person, Preferences(channels=frozenset({"in-app"})), now)
            self.out.add(person)
        elif name == "open":
            if now >= LIVE + HOUR:
                open_banners(self.database, *self.banners, now=now)
        else:
            self.clock.time += timedelta(seconds=1)
            moved = {"starts_at": self.event.starts_at + value} if name == "move" else {"capacity": value}
            changed = {"status": "cancelled"} if name == "call_off" else moved
            self.facts.change(known_at=self.clock.time, **changed)
        for one in self.people:
            self.look(one)

    def look(self, person):
        for banner in self.desk.shown(self.program, person):
            now, event = self.clock.time, self.event
            assert person not in self.ever, "a banner to who registered, waits or cancelled"
            assert person not in self.out
            assert LIVE + HOUR <= now < min(LIVE + HOUR + 7 * DAY, event.deadline(1))
            assert not event.is_cancelled
            taken = [one for one in self.people if self.app.status(one) == "registered"]
            assert len(taken) < event.seats(10_000)
            is_new = self.desk.happened(self.program, banner.send.send_id, "displayed")
            assert is_new == (person not in self.displayed)
            day = now.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zones[person])).date()
            self.days[person, day] += 1
            assert self.days[person, day] <= 3, "shown more often than displaysPerDay"
            self.displayed.add(person)


PERSONAL = {"register", "cancel", "opt_out"}


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(acts=st.lists(ACTS, min_size=4, max_size=12))
def test_no_banner_to_who_answered_none_after_its_end_and_each_display_counts_once(
    tmp_path, database, monkeypatch, acts
):
    know_the_source(monkeypatch)
    app = an_app_service(tmp_path, database, capacity=2)
    app.services.clock.time = LIVE
    histories = Histories(app, database)
    for act in [("wait", HOUR), ("open", None), *acts]:
        histories.act(*act)
    counted = SqlLedger(database).interactions(None, FAR)
    mine = {one.send_id for one in histories.banners}
    assert counted.filter(pl.col("send_id").is_in(sorted(mine))).height == len(histories.displayed)
