"""Service and deliveries are killed 50 times in a week of events: nobody is invited twice, no registration is lost."""

import json
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property, partial
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from engage_assets.cli.demo_agenda import Agenda
from engage_assets.cli.demo_events import LASTS, _plan_events, events_of
from engage_assets.cli.operate import approve_quietly
from engage_assets.cli.simulate import visits_of
from engage_assets.clocks import FILE, SharedClock
from engage_assets.defs.launch import Launcher
from engage_assets.domain.registrations import SEATED
from engage_assets.ledger.ledger import LEASE
from engage_assets.sample.events_mail import NoticeBox
from engage_assets.sample.events_visits import FormVisit
from engage_assets.sample.visits import MailVisit, Outbox, Round, Visit
from engage_assets.serving.access import BANNERS, READ, make_key
from engage_assets.serving.registration_events import WarehouseFacts
from engage_assets.signing_keys import read_signer
from engage_assets_tests.defs.event_crash import SENDING, SERVING, deliver, deliver_alone, serve
from engage_assets_tests.defs.event_worlds import KEY, MONDAY, PROGRAM, SEED, batch_instant, make_event_home
from engage_assets_tests.defs.homes import at
from engage_assets_tests.defs.test_banner_delivery import BERLIN, EVENT
from engage_assets_tests.defs.test_invitations import MAILED, Invitations
from engage_assets_tests.processes import PROCESSES

KILLS = int(os.environ.get("ENGAGE_SOAK_KILLS", "50"))
SECRET = "0" * 32
REGISTERING = {"answer", "register"}


@dataclass
class Week:
    """The week, its processes and how they were killed."""

    home: Path
    launcher: Launcher
    environment: dict[str, str]
    port: int
    kills: Counter[str] = field(default_factory=Counter)
    service: Any = None
    confirmed: dict[tuple[str, str], int] = field(default_factory=dict)
    """By event and customer the change of the registration that the service confirmed to its visitor last."""

    def wants(self, fault: str) -> bool:
        """Whether a kill is still to be had there: half of them of deliveries, half of the service."""
        mine = SENDING if fault in SENDING else SERVING
        return sum(self.kills[one] for one in mine) < -(-KILLS // 2)

    def run(self, jobs: list[str], faults: Iterator[str]) -> None:
        """Run jobs: killed at three fault points where it can be, then to their end."""
        for turn in range(4):
            fault = next(faults) if turn < 3 else None
            if fault and not self.wants(fault):
                continue
            process = PROCESSES.Process(
                target=deliver, args=(self.home, self.environment, jobs, fault, 1 + turn, sum(self.kills.values()))
            )
            process.start()
            process.join(300)
            assert process.exitcode in (0, -signal.SIGKILL), f"{jobs} {fault}: {process.exitcode}"
            if process.exitcode:
                assert fault
                self.kills[fault] += 1
                # The next tick comes when what the dead process had claimed is free again.
                self.move_clock(self.launcher.clock.now() + LEASE + timedelta(minutes=1))

    def move_clock(self, instant: datetime) -> None:
        """Let time go on to an instant, where it has not gone further."""
        clock = self.launcher.clock
        clock.set(max(instant, clock.now()))

    def open_service(self, fault: str | None) -> None:
        self.close_service()
        self.service = PROCESSES.Process(
            target=serve, args=(self.environment, self.port, fault, sum(self.kills.values()))
        )
        self.service.start()
        give_up = time.monotonic() + 120
        while not self.is_ready():
            assert self.service.is_alive(), f"the service did not start: {self.service.exitcode}"
            assert time.monotonic() < give_up
            time.sleep(0.05)

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/readyz", timeout=5).is_success
        except httpx.HTTPError:
            return False

    def close_service(self) -> None:
        if self.service is not None and self.service.is_alive():
            self.service.terminate()
        if self.service is not None:
            self.service.join(60)

    def pay(self, visits: list[Visit], way: Round, faults: Iterator[str]) -> None:
        """Pay visits in order; where the service dies the person comes again, once it is back."""
        for visit in sorted(visits, key=lambda one: (one.at, one.whose)):
            for turn in range(7):
                fault = next(faults) if turn < 6 and _act(visit) in REGISTERING else None
                if fault and self.wants(fault):
                    self.open_service(fault)
                try:
                    list(replace(visit, at=max(visit.at, self.launcher.clock.now())).pay(way))  # type: ignore[type-var]
                except httpx.TransportError:
                    self.service.join(60)
                    assert self.service.exitcode == -signal.SIGKILL
                    assert fault
                    self.kills[fault] += 1
                    self.open_service(None)
                else:
                    self.note(visit)
                    break
            else:
                pytest.fail("no answer, though nothing was killed")

    def note(self, visit: Visit) -> None:
        """What the ledger knows of somebody who was answered just now."""
        if _act(visit) not in REGISTERING:
            return
        if isinstance(visit, MailVisit):
            customer, event_id = self.sends[visit.send_id]
        else:
            _, customer, event_id = visit.whose.split()[:3]
        parts, now = self.launcher.parts, self.launcher.clock.now()
        found = parts["registrations"].of_customer(PROGRAM, event_id, customer)
        if found is None:
            facts = WarehouseFacts(parts["warehouse"])
            event = facts.events(now)[event_id]
            is_closed = event.is_cancelled or now >= event.deadline(1)
            assert is_closed or customer in facts.elsewhere(event_id, now), "a registration was lost"
        else:
            self.confirmed[event_id, customer] = found.sequence

    @cached_property
    def sends(self) -> dict[str, tuple[str, str]]:
        """Customer and event of each invitation by mail."""
        rows = self.launcher.lake.scan((KEY, "email_campaigns"), str(MONDAY)).collect()
        return {one: (who, what) for one, who, what in rows.select("send_id", "customer_id", "subject_id").iter_rows()}


def _act(visit: Visit) -> str | None:
    return visit.act if isinstance(visit, MailVisit | FormVisit) else None


def free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def begin(root: Path) -> Week:
    """A home with the Monday's batch made and approved, on a clock that all processes share."""
    home = make_event_home(root / "home", weeks=2, customers=900, history_weeks=10)
    early = at(home, batch_instant(MONDAY))
    early.run_partition(early.program(PROGRAM), MONDAY, jobs=["batch"])
    approve_quietly(early, PROGRAM, MONDAY)
    SharedClock(home / "now").set(batch_instant(MONDAY))
    port = free_port()
    environment = {
        "ENGAGE_NOW": f"{FILE}{home / 'now'}",
        "ENGAGE_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "ENGAGE_WEBHOOK_SECRET_GENERIC": SECRET,
        "ENGAGE_WEBHOOK_SECRET_ATTENDANCE": SECRET,
    }
    launcher = at(home, None, **environment)
    return Week(home, launcher, {**launcher.environment}, port)


def live(week: Week) -> None:
    """The week, as the demonstration has it, with every process killed again and again."""
    launcher, program = week.launcher, week.launcher.program(PROGRAM)
    clock, until = launcher.clock, batch_instant(MONDAY) + LASTS
    sending, serving = cycle(SENDING), cycle(SERVING)
    agenda = Agenda(until)
    slots = set()
    for name in ("email_campaigns", "in_app_banners"):
        slots |= set(launcher.lake.scan((KEY, name), str(MONDAY)).collect()["slot_at"])
    for slot in sorted(slots):
        agenda.put(slot, partial(week.run, ["delivery", "notices"], sending))
    _plan_events(launcher, program, MONDAY, agenda)
    key, text = make_key("a test", [BANNERS, READ], clock.now())
    launcher.parts["operations"].add_key(key, "a test")
    box, since = NoticeBox(launcher.home.outbox), clock.now()
    week.open_service(None)
    with httpx.Client(follow_redirects=True, timeout=30) as client:
        url = f"http://127.0.0.1:{week.port}"
        way = Round(client, url, SECRET.encode(), text, Outbox(launcher.home.outbox).mail_of, clock.set)
        for instant, acts in [*agenda, (until, [])]:
            coming = visits_of(launcher, PROGRAM, MONDAY, SEED, until, notices=box)
            week.pay([one for one in coming if since < one.at <= instant], way, serving)
            week.move_clock(instant)
            since = instant
            for act in acts:
                name = act.func.__name__  # type: ignore[attr-defined]
                if name == "run":
                    act()
                else:
                    week.run(["notices"] if name == "tell" else ["attendance"], sending)
        week.run(["delivery", "notices"], iter([None] * 5))
    week.close_service()


@pytest.mark.soak
def test_killed_again_and_again_nobody_is_invited_twice_and_no_registration_is_lost(tmp_path):
    began = time.monotonic()
    week = begin(tmp_path)
    try:
        live(week)
    finally:
        week.close_service()
    figures = check(week) | {"kills": dict(week.kills), "seconds": round(time.monotonic() - began)}
    print(json.dumps(figures))  # noqa: T201 - the run is made for them
    assert sum(week.kills.values()) >= KILLS
    assert set(week.kills) == {*SENDING, *SERVING}


def check(week: Week) -> dict[str, Any]:
    """What was promised, of all that went out and all that was asked."""
    parts = week.launcher.parts
    handed = Counter((week.home / "handed-over.txt").read_text().split())
    assert set(handed.values()) == {1}, "something was handed over twice"
    events = parts["ledger"].send_events(None, datetime(2027, 1, 1))  # noqa: DTZ001
    last = {row["send_id"]: row for row in events.iter_rows(named=True)}
    invited = Counter(
        (row["customer_id"], row["subject_id"], row["channel"])
        for row in last.values()
        if row["state"] in ("sent", "in_doubt") and row["is_solicitation"]
    )
    assert max(invited.values()) == 1, "somebody was invited twice"
    settled = {"sent", "in_doubt", "skipped", "failed"}
    assert {row["state"] for row in last.values()} <= settled, "something waits for ever"
    registered = Counter()
    for event in events_of(week.launcher, week.launcher.program(PROGRAM), MONDAY):
        found = parts["registrations"].of_event(PROGRAM, event.event_id)
        registered += Counter(one.status for one in found)
        standing = {one.customer_id: one.sequence for one in found}
        for (event_id, customer), sequence in week.confirmed.items():
            assert event_id != event.event_id or standing[customer] >= sequence, "a registration was lost"
        seats = event.seats(10_000) or 10_000
        assert sum(one.status in SEATED for one in found) <= seats
        line = sorted(one.ticket for one in found if one.status == "wait_listed")
        assert len(set(line)) == len(line)
    assert week.confirmed
    return {
        "handed_over": len(handed),
        "confirmed": len(week.confirmed),
        "states": Counter(row["state"] for row in last.values()),
        "people": registered,
    }


# --- once at each point, on a Monday of six people -----------------------------------------------------------------


@pytest.fixture
def monday(tmp_path):
    """Mails and banners of a Monday, due at hours of their own, on a clock that all processes share."""
    invitations = Invitations(tmp_path / "home")
    invitations.capacity(2)
    invitations.database.close()
    home = invitations.home.root
    SharedClock(home / "now").set(MAILED)
    environment = {"ENGAGE_NOW": f"{FILE}{home / 'now'}"}
    launcher = at(home, None, **environment)
    week = Week(home, launcher, {**launcher.environment}, free_port())
    yield invitations, week
    week.close_service()


def test_killed_once_at_each_point_nothing_goes_out_twice_and_no_registration_is_lost(monday):
    invitations, week = monday
    deliver_killed(week, SENDING)
    week.move_clock(BERLIN)
    deliver_killed(week, ["after_claim"])
    mails = [one for one, (_, slot) in invitations.sends.items() if slot == MAILED]
    register_killed(week, mails)

    handed = Counter((week.home / "handed-over.txt").read_text().split())
    assert set(handed.values()) == {1}
    events = week.launcher.parts["ledger"].send_events(None, BERLIN + timedelta(days=1))
    states = {row["send_id"]: row["state"] for row in events.iter_rows(named=True)}
    due = {one for one, (_, slot) in invitations.sends.items() if slot <= BERLIN}
    assert {states[one] for one in due} <= {"sent", "in_doubt"}
    assert {one for one in mails if states[one] == "sent"} <= handed.keys()
    found = week.launcher.parts["registrations"].of_event(PROGRAM, EVENT)
    assert [one.customer_id for one in found] == [invitations.sends[one][0] for one in mails]
    assert [one.status for one in found] == ["registered"] * 2 + ["wait_listed"] * 3
    assert {one.sequence for one in found} == {0}


def deliver_killed(week: Week, faults: Sequence[str]) -> None:
    """A delivery for each fault, and one that lives."""
    for seed, fault in enumerate([*faults, None]):
        process = PROCESSES.Process(target=deliver_alone, args=(week.home, week.environment, fault, seed))
        process.start()
        process.join(60)
        assert process.exitcode == (-signal.SIGKILL if fault else 0), fault
        week.move_clock(week.launcher.clock.now() + LEASE + timedelta(minutes=1))


def register_killed(week: Week, send_ids: Sequence[str]) -> None:
    """The first asks until a service lives long enough to answer him; then the others."""
    signer = read_signer(week.launcher.home.signing_keys, week.environment)
    for fault in (*SERVING, None):
        week.open_service(fault)
        for send_id in send_ids if fault is None else send_ids[:1]:
            token = signer.sign("answer", send_id, BERLIN + timedelta(days=9))
            try:
                url = f"http://127.0.0.1:{week.port}/registration/{token}"
                assert httpx.post(url, data={"act": "register"}, timeout=30).status_code == 303
            except httpx.TransportError:
                assert fault
        if fault:
            week.service.join(60)
            assert week.service.exitcode == -signal.SIGKILL
