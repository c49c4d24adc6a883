"""The serving service under load: real processes on loopback, the real SQLite store and ledger, a writer beside.

    python bench/serving.py [HOME] [--rows 10000000] [--seconds 6] [--minute]

Prints one JSON object. Load is open-loop: requests are due at times drawn beforehand (Poisson), and latency is counted
from when a request was due, so that a service that stalls cannot hide it. The generator is a process of its own and
waits in `select`, since timers of asyncio round to a millisecond. `--minute` makes the first run after the start a
whole minute long; its file is dropped from memory before, as far as the system does so.

HOME (default .bench) keeps the store of each size, made once.
"""

import argparse
import contextlib
import http.client
import json
import os
import random
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

RATE = 200
PER_CUSTOMER = 5
PROGRAMS = ("other-reviews", "product-reviews")
CONNECTIONS = 32
STREAMED = 50_000
STREAMS = {"ndjson": "application/x-ndjson", "arrow": "application/vnd.apache.arrow.stream"}
CHANNEL = "/v1/programs/product-reviews/channels/email/candidates?minScore=0&limit="
YIELDING = 10
"""Niceness of the writer and of the service that streams, as docs/serving.md advises for one machine."""


def main() -> None:
    """Make the store, then measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", nargs="?", default=".bench", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--minute", action="store_true")
    asked = parser.parse_args()
    asked.home.mkdir(exist_ok=True)
    store = asked.home / f"serving-{asked.rows}.db"
    if not store.exists():
        build(store, asked.rows)
    print(json.dumps(measure(store, asked.rows // PER_CUSTOMER, asked.seconds, 60 if asked.minute else asked.seconds)))


def measure(store: Path, customers: int, seconds: float, first_seconds: float) -> dict[str, Any]:
    """All figures. Milliseconds of `load` results, seconds of streams."""
    from engage_assets.ledger.database import Database
    from engage_assets.ledger.operations import SqlOperations
    from engage_assets.serving.access import READ, make_key

    ledger = store.with_name(f"{store.stem}-ledger.db")
    ledger.unlink(missing_ok=True)
    now = datetime.now(UTC).replace(tzinfo=None)
    key, text = make_key("bench", [READ], now, per_minute=10**9)
    SqlOperations(Database(f"sqlite:///{ledger}")).add_key(replace(key), "bench")
    customer, page = "/v1/customers/c-%09d/candidates?channel=email", CHANNEL + "100"
    anew = page.replace("minScore=0", "minScore=0.%09d")
    found: dict[str, Any] = {"rows": customers * PER_CUSTOMER, "rate": RATE, "load_average": os.getloadavg()[0]}
    forget(store)
    with writing(store, customers), serving(store, ledger) as (port, ready_seconds):
        ask = partial(load, port, text, customers)
        found["ready_seconds"] = round(ready_seconds, 2)
        found["first_customer_query"] = ask(customer, first_seconds)
        found["customer_query"] = ask(customer, seconds)
        found["channel_first_page"] = ask(page, seconds)
        found["channel_first_page_of_another_question_each_time"] = ask(anew, seconds)
        with serving(store, ledger, YIELDING) as (other, _):
            for name, media_type in STREAMS.items():
                found[f"stream_{name}"] = [stream(other, text, media_type) for _ in range(3)]
            for name, media_type in STREAMS.items():
                with streaming(other, text, media_type):
                    found[f"customer_query_during_{name}"] = ask(customer, seconds)
    return found


# --- the store ------------------------------------------------------------------------------------


def build(path: Path, rows: int) -> None:
    """A store of customers with PER_CUSTOMER candidates each in two programs, filled in key order, then indexed."""
    from engage_assets.stores import sqlite_tables as tables

    table, *others = tables.CREATE
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in (
        "journal_mode = OFF",
        "synchronous = OFF",
        "cache_size = -1000000",
        f"page_size = {tables.PAGE_BYTES}",
    ):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute(table)
    now = int(datetime.now(UTC).timestamp()) * 1_000_000
    connection.execute("BEGIN")
    connection.execute(
        f"""
        WITH RECURSIVE place (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n + 1 < :rows)
        INSERT INTO candidates (customer_id, program, marketplace, subject_type, subject_id, record_id, event_at,
            time_zone, locale, connector_id, created_at, expires_at, email_eligible, in_app_eligible, push_eligible,
            voice_eligible, probability, score, band, model_version, partition_date, status, version, updated_at)
        SELECT printf('c-%09d', n / {PER_CUSTOMER}), CASE WHEN n % {PER_CUSTOMER} < 2 THEN '{PROGRAMS[0]}'
            ELSE '{PROGRAMS[1]}' END, 'DE', 'product', printf('p-%d%06d', n % {PER_CUSTOMER}, abs(random()) % 1000000),
            printf('d-%010d', n), :now - (abs(random()) % 864000) * 1000000, 'Europe/Berlin', 'de-DE',
            'athena-deliveries', :now, :now + 2592000000000, abs(random()) % 10 > 0, abs(random()) % 2, 0, 0,
            (abs(random()) % 200000) / 1e6, (abs(random()) % 1000001) / 1e6, 'medium', 'review-propensity-v2-1',
            date('now', '-2 days'), CASE abs(random()) % 20 WHEN 0 THEN 'consumed' WHEN 1 THEN 'delivered'
            ELSE 'active' END, 1, :now FROM place
        """,
        {"rows": rows, "now": now},
    )
    connection.execute("COMMIT")
    for statement in others:
        connection.execute(statement)
    connection.execute("ANALYZE")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()


def forget(path: Path) -> None:
    """Ask the system to drop the file from memory."""
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# --- processes ------------------------------------------------------------------------------------


@contextlib.contextmanager
def process(
    *arguments: object, niceness: int = 0, script: str = __file__, **more: Any
) -> Iterator[subprocess.Popen[str]]:
    """A script (this one) in a process of its own, ended at the end."""
    command = ["nice", "-n", str(niceness), sys.executable, script, *map(str, arguments)]
    started = subprocess.Popen(command, text=True, **more)
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        started.wait(30)


@contextlib.contextmanager
def serving(store: Path, ledger: Path, niceness: int = 0) -> Iterator[tuple[int, float]]:
    """A service that is ready: its port, and the seconds until it was."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    start = time.perf_counter()
    with process("serve", store, ledger, port, niceness=niceness, stderr=subprocess.DEVNULL) as service:
        while not is_ready(port):
            assert service.poll() is None, "the service has ended"
            time.sleep(0.02)
        yield port, time.perf_counter() - start


def relaying(ledger: str, store: Path) -> contextlib.AbstractContextManager[Any]:
    """What carries the outbox to the store beside the service, as `engage serve` has it done."""
    return process("relay", ledger, store)


def is_ready(port: int) -> bool:
    """Whether the service on `port` says that it is ready."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def writing(store: Path, customers: int) -> contextlib.AbstractContextManager[Any]:
    """A writer beside, which leaves one core to the others."""
    one_thread = {**os.environ, "POLARS_MAX_THREADS": "1"}
    return process("write", store, customers, niceness=YIELDING, env=one_thread)


def load(port: int, key: str, customers: int, path: str, seconds: float) -> dict[str, float]:
    """What a generator in a process of its own measured."""
    done = subprocess.run(
        [sys.executable, __file__, "load", str(port), key, str(customers), path, str(seconds)],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@contextlib.contextmanager
def streaming(port: int, key: str, media_type: str) -> Iterator[None]:
    """A reader that takes one stream after the other."""
    with process("stream", port, key, media_type, stdout=subprocess.DEVNULL):
        yield


# --- what runs in them ----------------------------------------------------------------------------


def services(store: str, ledger: str) -> Any:
    """The service over a store and a ledger."""
    from engage_assets.clocks import RealClock
    from engage_assets.domain.tokens import Signer
    from engage_assets.ledger.contacts import SqlContacts
    from engage_assets.ledger.database import Database
    from engage_assets.programs import load_folder
    from engage_assets.serving.services import Services
    from engage_assets.stores.sqlite import SqliteCandidateStore

    loaded = load_folder(Path(__file__).parent.parent / "programs")
    program = loaded.programs[PROGRAMS[1]]
    opened = SqliteCandidateStore(Path(store))
    return Services(
        programs={one: program.model_copy(update={"program_id": one}) for one in PROGRAMS},
        marketplaces=loaded.marketplaces,
        store=opened,
        writer=opened,
        contacts=SqlContacts(Database(f"sqlite:///{ledger}")),
        signer=Signer({1: b"k" * 32}, 1),
        clock=RealClock(),
        photos=Path(store).parent / "photos",
    )


def serve(store: str, ledger: str, port: str) -> None:
    """The real service."""
    from engage_assets.serving.run import serve as run

    run(partial(services, store, ledger), "127.0.0.1", int(port))


def write(store: str, customers: str) -> None:
    """Without pause: 1,000 upserts as a batch makes them, then 200 statuses as the relay sets them."""
    import engage_assets  # noqa: F401 – before Polars, as in every process of ours
    import polars as pl  # isort: skip

    from engage_assets.domain.ports import CandidateKey, StatusChange
    from engage_assets.stores.sqlite import SqliteCandidateStore
    from engage_assets_tests.builders import a_candidate, a_program, candidates

    opened, program = SqliteCandidateStore(Path(store)), a_program(programId=PROGRAMS[1])
    drawn = random.Random(7)
    now = datetime.now(UTC).replace(tzinfo=None)
    template = candidates(a_candidate(created_at=now, expires_at=now + timedelta(days=30)))
    day = now.date()
    while True:
        chosen = [f"c-{one:09d}" for one in drawn.sample(range(int(customers)), 1_000)]
        subjects = [f"p-9{drawn.randrange(50):06d}" for _ in chosen]
        frame = pl.concat([template] * len(chosen)).with_columns(
            pl.Series("customer_id", chosen),
            pl.Series("subject_id", subjects),
            pl.Series("record_id", chosen),
            pl.Series("score", [drawn.randrange(10**6) / 1e6 for _ in chosen]),
        )
        # Each put is of a day of its own: a build of the same day again would remove what the last one stored.
        opened.put(program, day, [frame], now)
        day += timedelta(days=1)
        keys = [
            CandidateKey(one, PROGRAMS[1], "DE", "product", subject)
            for one, subject in zip(chosen, subjects, strict=True)
        ]
        opened.advance([StatusChange(key, "delivered", now) for key in keys[:200]])


def relay(ledger: str, store: str) -> None:
    """Carry the outbox until told to end."""
    from engage_assets.clocks import RealClock
    from engage_assets.dispatch.relay import Relay
    from engage_assets.ledger.database import Database
    from engage_assets.ledger.outbox import RELAYED, SqlOutbox
    from engage_assets.stores.sqlite import SqliteCandidateStore

    ends = {signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with Relay(SqlOutbox(Database(ledger, **RELAYED)), SqliteCandidateStore(Path(store)), RealClock()):
        signal.sigwait(ends)


def generate(port: str, key: str, customers: str, path: str, seconds: str) -> None:
    """Send requests when they are due, and print what they took in milliseconds."""
    connections = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(CONNECTIONS)]
    for one in connections:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    free, busy, waiting = connections, {}, deque()
    clock, drawn = time.perf_counter, random.Random(1)
    taken: list[float] = []
    due = clock() + 0.05
    end = due + float(seconds)
    while due < end or busy or waiting:
        now = clock()
        while due <= now and due < end:
            waiting.append(due)
            due += drawn.expovariate(RATE)
        while waiting and free:
            connection = free.pop()
            place = path % drawn.randrange(int(customers)) if "%" in path else path
            request = f"GET {place} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n\r\n"
            connection.sendall(request.encode())
            busy[connection] = [waiting.popleft(), b"", None]
        pause = max(0.0, (due if due < end else clock() + 0.05) - clock())
        for connection in select.select(list(busy), [], [], pause)[0]:
            if is_whole(connection, busy[connection]):
                taken.append(1e3 * (clock() - busy.pop(connection)[0]))
                free.append(connection)
    taken.sort()
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    figures = {name: round(taken[min(len(taken) - 1, int(len(taken) * at))], 2) for name, at in places.items()}
    print(json.dumps({"requests": len(taken), **figures}))


def is_whole(connection: socket.socket, answer: list[Any]) -> bool:
    """Take what has come of an answer; whether it is all there. `answer`: due, bytes so far, length of the whole."""
    answer[1] += connection.recv(1 << 20)
    if answer[2] is None and (place := answer[1].find(b"\r\n\r\n")) > 0:
        head = answer[1][:place].lower()
        assert b" 200 " in head[:16], head[:200]
        answer[2] = place + 4 + int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return answer[2] is not None and len(answer[1]) >= answer[2]


def stream(port: int, key: str, media_type: str) -> float:
    """Seconds in which the best STREAMED rows of a channel came."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    start = time.perf_counter()
    connection.request("GET", f"{CHANNEL}{STREAMED}", headers={"Accept": media_type, "Authorization": f"Bearer {key}"})
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    while answer.read(1 << 20):
        pass
    connection.close()
    return round(time.perf_counter() - start, 3)


def read_streams(port: str, key: str, media_type: str) -> None:
    """One stream after the other."""
    while True:
        stream(int(port), key, media_type)


PARTS = {"serve": serve, "write": write, "load": generate, "stream": read_streams, "relay": relay}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
