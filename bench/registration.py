"""Registration under load: everybody wants a seat at once. Real processes on loopback, the real ledger, nothing faked.

    python bench/registration.py sqlite|postgresql|URL [HOME] [--people 20000] [--seats 10000] [--seconds 60]

Prints one JSON object, milliseconds. Requests are due at times drawn beforehand (open loop), one of each person: the
form of the registration page, posted by the link of his own message. Latency is counted from when a request was due;
it is answered once the registration is on disk. Meanwhile the service carries its outbox to the store, as
`engage serve` does. Afterwards the ledger is read: who has a seat, who waits, and whether a request that was sent
after another's answer ever stands before it. `cpu` is what the service used for a request.

`postgresql` starts a server of its own, as durable as it is by default. HOME (default .bench) holds the run's files.
"""

import argparse
import hashlib
import json
import os
import random
import select
import shutil
import socket
import subprocess
import sys
import time
from collections import deque
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import serving
from voice import cpu_seconds, figures_of, free_port

CONNECTIONS = 64
PROGRAM, EVENT = "event-invitations", "e-bench"
ROOT = Path(__file__).parent.parent
EXPIRES = timedelta(days=90)


def main() -> None:
    """Make a ledger with everybody's invitation, then measure and judge."""
    parser = argparse.ArgumentParser()
    parser.add_argument("database")
    parser.add_argument("home", nargs="?", default=".bench", type=Path)
    parser.add_argument("--people", type=int, default=20_000)
    parser.add_argument("--seats", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60)
    asked = parser.parse_args()
    folder = asked.home / f"registration-{asked.database.partition(':')[0]}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    with ExitStack() as stack:
        url = asked.database
        if url == "postgresql":
            sys.path.insert(0, str(ROOT))
            from engage_assets_tests.postgres import find_binaries, running_server

            binaries = find_binaries()
            assert binaries, "PostgreSQL is missing: make parts"
            server = stack.enter_context(running_server(binaries))
            url = server.url(server.create())
        url = f"sqlite:///{folder.absolute()}/ledger.db" if url == "sqlite" else url
        print(json.dumps(measure(url, folder, asked.people, asked.seats, asked.seconds)))


def send_of(person: int) -> str:
    """The send of a person's invitation."""
    return hashlib.sha256(f"bench {person}".encode()).hexdigest()[:32]


def invite(url: str, folder: Path, people: int, seats: int) -> None:
    """The event, and an invitation for each person, sent an hour ago."""
    from sqlalchemy import insert

    from engage_assets.domain.events import Event
    from engage_assets.events.writing import append
    from engage_assets.ledger import tables
    from engage_assets.ledger.database import Database

    now = datetime.now(UTC).replace(tzinfo=None, microsecond=0)
    event = Event(
        event_id=EVENT, known_at=now - timedelta(days=9), name="Bench", topics=("load",), capacity=seats,
        starts_at=now + timedelta(days=9), time_zone="Europe/Berlin", duration_minutes=60,
    )  # fmt: skip
    append(folder / "warehouse", event)
    row = {
        "program": PROGRAM, "campaign_id": f"{PROGRAM}:email:2026-01-05:DE", "subject_id": EVENT, "channel": "email",
        "slot_at": now - timedelta(hours=1), "cap_scope": PROGRAM, "is_solicitation": True, "state": "sent",
        "planned_at": now, "updated_at": now, "step": 3, "priority": 100, "marketplace": "DE", "subject_type": "event",
    }  # fmt: skip
    database = Database(url)
    with database.writing() as connection:
        sends = [{**row, "send_id": send_of(one), "customer_id": f"c-{one:06d}"} for one in range(people)]
        connection.execute(insert(tables.sends), sends)
    database.close()


def measure(url: str, folder: Path, people: int, seats: int, seconds: float) -> dict[str, Any]:
    """All figures."""
    invite(url, folder, people, seats)
    found: dict[str, Any] = {"people": people, "seats": seats, "seconds": seconds, "load_average": os.getloadavg()[0]}
    port = free_port()
    with (
        serving.process("serve", url, folder, port, script=__file__, stderr=subprocess.DEVNULL) as service,
        serving.relaying(url, folder / "candidates.db"),
    ):
        while not serving.is_ready(port):
            assert service.poll() is None, "the service has ended"
            time.sleep(0.02)
        before = cpu_seconds(service.pid)
        command = [sys.executable, __file__, "load", str(port), str(people), str(seconds)]
        said = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        found["cpu"] = round(1e3 * (cpu_seconds(service.pid) - before) / people, 2)
    found |= figures_of([1e3 * (answered - due) for due, _, answered in said])
    return found | judge(url, people, seats, said)


def judge(url: str, people: int, seats: int, said: list[tuple[float, float, float]]) -> dict[str, Any]:
    """What the ledger holds; `said`: due, sent and answered of each person."""
    from engage_assets.ledger.database import Database
    from engage_assets.ledger.registrations import SqlRegistrations

    found = SqlRegistrations(Database(url)).of_event(PROGRAM, EVENT)
    seated = sum(one.status == "registered" for one in found)
    tickets = [one.ticket for one in found if one.status == "wait_listed"]
    place = {int(one.customer_id.removeprefix("c-")): one.ticket or 0 for one in found}
    return {
        "registered": seated,
        "wait_listed": len(tickets),
        "lost": people - len(found),
        "without_gaps": tickets == list(range(1, len(tickets) + 1)),
        "overtaken": overtaken(place, said),
        "exact": (seated, len(tickets)) == (min(seats, people), max(people - seats, 0)),
    }


def overtaken(place: dict[int, int], said: list[tuple[float, float, float]]) -> int:
    """How many stand before somebody, or have a seat while he has none, who was answered before they even asked."""
    by_sent = sorted(range(len(said)), key=lambda one: said[one][1])
    by_answer = deque(sorted(range(len(said)), key=lambda one: said[one][2]))
    last, count = 0, 0
    for one in by_sent:
        while said[by_answer[0]][2] < said[one][1]:
            last = max(last, place[by_answer.popleft()])
        count += place[one] < last or (last > 0 and place[one] == 0)
    return count


# --- what runs in the processes -------------------------------------------------------------------


def services(url: str, folder: str) -> Any:
    """The service; its program is the documented one."""
    import yaml

    from engage_assets.clocks import RealClock
    from engage_assets.connectors.warehouse import Warehouse
    from engage_assets.domain.program import Program
    from engage_assets.domain.tokens import Signer
    from engage_assets.ledger.contacts import SqlContacts
    from engage_assets.ledger.database import Database
    from engage_assets.ledger.dietary import SqlDietaryPreferences
    from engage_assets.ledger.prompts import LATE_CHECKPOINT
    from engage_assets.ledger.registrations import SqlRegistrations
    from engage_assets.programs import read_marketplaces
    from engage_assets.serving.registration_events import EventServices, WarehouseFacts
    from engage_assets.serving.services import Services
    from engage_assets.stores.sqlite import SqliteCandidateStore

    block = (ROOT / "engage_assets_tests" / "documented" / f"{PROGRAM}.yaml").read_text(encoding="utf-8")
    store = SqliteCandidateStore(Path(folder) / "candidates.db")
    late = Database(url, checkpoint_pages=LATE_CHECKPOINT)
    facts = WarehouseFacts(Warehouse(Path(folder) / "warehouse"))
    return Services(
        programs={PROGRAM: Program.model_validate(yaml.safe_load(block))},
        marketplaces=read_marketplaces(ROOT / "programs" / "marketplaces.yaml"),
        store=store,
        writer=store,
        contacts=SqlContacts(Database(url)),
        signer=Signer({1: b"k" * 32}, 1),
        clock=RealClock(),
        photos=Path(folder) / "photos",
        events=EventServices(SqlRegistrations(late), SqlDietaryPreferences(late), facts),
    )


def serve(url: str, folder: str, port: str) -> None:
    """The real service."""
    from functools import partial

    from engage_assets.serving.run import serve as run

    run(partial(services, url, folder), "127.0.0.1", int(port))


def requests_of(people: int) -> list[bytes]:
    """The request of each person."""
    from engage_assets.domain.tokens import Signer

    signer, expires = Signer({1: b"k" * 32}, 1), datetime.now(UTC).replace(tzinfo=None) + EXPIRES
    body = "act=register&dietary="
    head = (
        f"Host: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    )
    tokens = (signer.sign("answer", send_of(one), expires) for one in range(people))
    return [f"POST /registration/{token} HTTP/1.1\r\n{head}".encode() for token in tokens]


def generate(port: str, people: str, seconds: str) -> None:
    """Send each person's request when it is due; print when each was due, sent and answered."""
    from engage_assets.serving.scheduling import be_prompt

    be_prompt()  # people have machines of their own
    count, drawn, clock = int(people), random.Random(7), time.perf_counter
    asked = requests_of(count)
    connections = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(CONNECTIONS)]
    for one in connections:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = clock() + 0.1
    due = [start + at for at in sorted(drawn.uniform(0, float(seconds)) for _ in range(count))]
    sent, answered = [0.0] * count, [0.0] * count
    free, busy, late, following = connections, {}, deque(), 0
    while following < count or busy or late:
        now = clock()
        while following < count and due[following] <= now:
            late.append(following)
            following += 1
        while late and free:
            connection, person = free.pop(), late.popleft()
            sent[person] = clock()
            connection.sendall(asked[person])
            busy[connection] = (person, [0.0, b"", None])
        pause = max(0.0, (due[following] if following < count else clock() + 0.05) - clock())
        for connection in select.select(list(busy), [], [], pause)[0]:
            person, answer = busy[connection]
            if is_whole(connection, answer):
                answered[person] = clock()
                del busy[connection]
                free.append(connection)
    print(json.dumps(list(zip(due, sent, answered, strict=True))))


def is_whole(connection: socket.socket, answer: list[Any]) -> bool:
    """Take what has come of an answer, which leads on to the page; whether it is all there."""
    answer[1] += connection.recv(1 << 16)
    if b"\r\n\r\n" not in answer[1]:
        return False
    head = answer[1].lower()
    assert b" 303 " in head[:16], head[:200]
    assert b"content-length: 0" in head, head[:400]
    return True


PARTS = {"serve": serve, "load": generate}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
