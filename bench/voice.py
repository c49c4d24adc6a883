"""Asking by voice under load: real processes on loopback, the real SQLite store and ledger, a writer on the candidates.

    python bench/voice.py [HOME] [--rows 200000] [--sends 1000000] [--seconds 60] [--real-time]

Prints one JSON object, milliseconds. Requests are due at times drawn beforehand (open loop, 200 a second): a next
prompt for a new session of a random customer and, as soon as a prompt waits for it, its answer. Latency is counted from
when a request was due. Each answer is only given once the ledger has it on disk. Its outbox is
carried to the store meanwhile, as `engage serve` has it done. `cpu` and `cpu_of_relay` are what the two processes used
for a request, which other work on the machine hardly changes. `disk` and `disk_beside_writer` are what as many bytes
take to reach the disk without the service. `real_time`: whether the service runs before all else, as asked by
--real-time where the system grants it.

HOME (default .bench) keeps the store and the ledger's history, made once; each run works on copies.
"""

import argparse
import json
import os
import random
import select
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections import deque
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import serving

RATE = 200
CONNECTIONS = 32
COMMIT_BYTES = 64 << 10
"""That a prompt or an answer adds to the ledger's log, or a little less."""
PROGRAM = serving.PROGRAMS[1]
PROMPT = {"prompt": "Did you enjoy {subjectName}?", "responseOptions": ["yes", "no"]}
KINDS = ("prompt", "answer")


def main() -> None:
    """Make the store and the ledger, then measure."""
    parser = argparse.ArgumentParser()
    parser.add_argument("home", nargs="?", default=".bench", type=Path)
    parser.add_argument("--rows", type=int, default=200_000)
    parser.add_argument("--sends", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--real-time", action="store_true")
    asked = parser.parse_args()
    asked.home.mkdir(exist_ok=True)
    from engage_assets.ledger.tables import SCHEMA_VERSION

    customers = asked.rows // serving.PER_CUSTOMER
    store = copied(asked.home / f"voice-{asked.rows}.db", lambda path: build_store(path, asked.rows))
    ledger = copied(
        asked.home / f"voice-ledger-{SCHEMA_VERSION}-{asked.sends}-{customers}.db",
        lambda path: build_ledger(path, asked.sends, customers),
    )
    print(json.dumps(measure(store, ledger, customers, asked.seconds, real_time=asked.real_time)))


def copied(path: Path, build: Any) -> Path:
    """A copy of a file that is made once; it is on disk, or the first commit would wait until it is."""
    if not path.exists():
        build(path)
    copy = path.with_name(f"running-{path.name}")
    for old in path.parent.glob(f"{copy.name}*"):
        old.unlink()
    shutil.copyfile(path, copy)
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return copy


def build_store(path: Path, rows: int) -> None:
    """The store of bench/serving.py; all of it may be asked by voice."""
    serving.build(path, rows)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE candidates SET voice_eligible = 1, status = 'active', time_zone = NULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def build_ledger(path: Path, sends: int, customers: int) -> None:
    """A ledger with a history of mails that were sent: to each customer one in 15 days, the last a week ago or more.

    So most have room for a question within the program's cap.
    """
    from engage_assets.ledger.database import Database

    database = Database(f"sqlite:///{path}")
    assert database.engine
    database.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        values = {"sends": sends, "customers": customers, "program": PROGRAM}
        age = "10080 + n / :customers * 21600 + n % :customers * 7919 % 21600"
        when = f"strftime('%Y-%m-%d %H:%M:%S.000000', 'now', printf('-%d minutes', {age}))"
        connection.execute(
            f"""
            WITH RECURSIVE place (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n + 1 < :sends)
            INSERT INTO sends (send_id, program, campaign_id, customer_id, subject_id, channel, slot_at, cap_scope,
                is_solicitation, state, planned_at, updated_at, step, priority, marketplace, subject_type)
            SELECT lower(hex(randomblob(16))), :program, :program || ':email:2026-01-01:DE',
                printf('c-%09d', n % :customers), printf('p-8%09d', n), 'email', {when}, :program, 1, 'sent', {when},
                {when}, 3, 100, 'DE', 'product' FROM place
            """,
            values,
        )
        connection.execute(
            "INSERT INTO send_states (send_id, step, state, at) SELECT send_id, 3, 'sent', slot_at FROM sends"
        )
        connection.execute("COMMIT")
        connection.execute("ANALYZE")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def measure(store: Path, ledger: Path, customers: int, seconds: float, *, real_time: bool) -> dict[str, Any]:
    """All figures."""
    from engage_assets.ledger.database import Database
    from engage_assets.ledger.operations import SqlOperations
    from engage_assets.serving.access import VOICE, make_key

    database = Database(f"sqlite:///{ledger}")
    now = datetime.now(UTC).replace(tzinfo=None)
    key, text = make_key("bench", [VOICE], now, per_minute=10**9)
    SqlOperations(database).add_key(key, "bench")
    found: dict[str, Any] = {"rate": RATE, "seconds": seconds, "load_average": os.getloadavg()[0]}
    found["disk"] = disk(store.parent)
    port = free_port()
    with (
        serving.process(
            "serve", store, ledger, port, int(real_time), script=__file__, stderr=subprocess.DEVNULL
        ) as service,
        serving.relaying(f"sqlite:///{ledger}", store) as relay,
    ):
        while not serving.is_ready(port):
            assert service.poll() is None, "the service has ended"
            time.sleep(0.02)
        found["real_time"] = is_real_time(service.pid)
        load(port, text, customers, 3)
        with writing(store, customers):
            found["disk_beside_writer"] = disk(store.parent)
            processes = {"cpu": service.pid, "cpu_of_relay": relay.pid}
            before = {name: cpu_seconds(pid) for name, pid in processes.items()}
            found |= load(port, text, customers, seconds)
            for name, pid in processes.items():
                found[name] = round(1e3 * (cpu_seconds(pid) - before[name]) / found["all"]["requests"], 2)
    with closing(sqlite3.connect(ledger)) as connection:
        found["prompts"] = connection.execute("SELECT count(*) FROM prompts").fetchone()[0]
        found["answers"] = connection.execute("SELECT count(*) FROM responses").fetchone()[0]
    return found


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def cpu_seconds(pid: int) -> float:
    """What a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_real_time(pid: int) -> bool:
    """Whether a process runs before all that share the machine."""
    return sys.platform == "linux" and os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR


def disk(folder: Path, seconds: float = 4) -> dict[str, float]:
    """Milliseconds in which the disk takes what a commit writes, in place and at the service's rate: the floor."""
    taken, path, commit = [], folder / "disk.bin", b"x" * COMMIT_BYTES
    with path.open("wb", buffering=0) as file:
        file.write(b"0" * (200 * COMMIT_BYTES))
        os.fsync(file.fileno())
        for turn in range(int(seconds * RATE)):
            start = time.perf_counter()
            os.pwrite(file.fileno(), commit, turn % 200 * COMMIT_BYTES)
            os.fdatasync(file.fileno())
            taken.append(1e3 * (time.perf_counter() - start))
            time.sleep(1 / RATE)
    path.unlink()
    return figures_of(taken)


def writing(store: Path, customers: int) -> Any:
    """The writer of bench/serving.py."""
    one_thread = {**os.environ, "POLARS_MAX_THREADS": "1"}
    return serving.process("write", store, customers, niceness=serving.YIELDING, env=one_thread)


def load(port: int, key: str, customers: int, seconds: float) -> dict[str, Any]:
    """What a generator in a process of its own measured."""
    command = [sys.executable, __file__, "load", str(port), key, str(customers), str(seconds)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


# --- what runs in the processes -------------------------------------------------------------------


def services(store: str, ledger: str) -> Any:
    """The service over a store and a ledger; its program asks by voice."""
    from dataclasses import replace

    from engage_assets.domain.channel_specs import VoiceChannel
    from engage_assets.ledger.database import Database
    from engage_assets.ledger.prompts import SETTLED, SqlPrompts

    plain = serving.services(store, ledger)
    channel = VoiceChannel.model_validate({"channelId": "voice-assistant", "type": "voice", "config": PROMPT})
    program = plain.programs[PROGRAM]
    speaking = program.model_copy(update={"channels": (*program.channels, channel)})
    prompts = SqlPrompts(Database(f"sqlite:///{ledger}", **SETTLED))
    names = {"subject_name": lambda _program, subject: f"Track {subject}"}
    return replace(plain, programs={PROGRAM: speaking}, prompts=prompts, **names)


def serve(store: str, ledger: str, port: str, real_time: str) -> None:
    """The real service."""
    from functools import partial

    from engage_assets.serving.run import serve as run

    run(partial(services, store, ledger), "127.0.0.1", int(port), real_time=bool(int(real_time)))


class Load:
    """What is asked next: a prompt, or the answer to one that waits."""

    def __init__(self, customers: int) -> None:
        self.random = random.Random()
        self.customers = customers
        self.waiting: deque[tuple[str, str]] = deque()
        self.asked = 0
        self.refused = 0
        self.turn = 0

    def next(self) -> tuple[str, str, str]:
        """Kind, customer and body of a request."""
        self.turn += 1
        if self.turn % 2 and self.waiting:
            customer, prompt = self.waiting.popleft()
            said = self.random.choice(["yes", "Nein!", "ja, sehr", "no"])
            body = {"promptId": prompt, "customer": customer, "answer": said, "locale": "de-DE"}
            return "answer", customer, json.dumps(body)
        customer = f"c-{self.random.randrange(self.customers):09d}"
        session = f"s-{self.random.getrandbits(64):x}"
        return "prompt", customer, json.dumps({"customer": customer, "sessionId": session, "program": PROGRAM})

    def heard(self, kind: str, customer: str, body: bytes) -> None:
        """What came back."""
        answer = json.loads(body)
        if kind == "prompt" and answer["prompt"]:
            self.waiting.append((customer, answer["prompt"]["promptId"]))
        elif kind == "prompt":
            self.refused += 1
        else:
            assert answer["result"] == "recorded", answer


def generate(port: str, key: str, customers: str, seconds: str) -> None:
    """Send requests when they are due, and print what they took. Callers have machines of their own: so be prompt."""
    from engage_assets.serving.scheduling import be_prompt

    be_prompt()
    connections = [socket.create_connection(("127.0.0.1", int(port))) for _ in range(CONNECTIONS)]
    for one in connections:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    free, busy, late = connections, {}, deque()
    asked, clock = Load(int(customers)), time.perf_counter
    taken: dict[str, list[float]] = {kind: [] for kind in KINDS}
    due = clock() + 0.05
    end = due + float(seconds)
    paths = {"prompt": "/v1/voice/next-prompt", "answer": "/v1/voice/answer"}
    while due < end or busy or late:
        now = clock()
        while due <= now and due < end:
            late.append(due)
            due += asked.random.expovariate(RATE)
        while late and free:
            connection = free.pop()
            kind, customer, body = asked.next()
            head = f"POST {paths[kind]} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            busy[connection] = (kind, customer, [late.popleft(), b"", None])
        pause = max(0.0, (due if due < end else clock() + 0.05) - clock())
        for connection in select.select(list(busy), [], [], pause)[0]:
            kind, customer, answer = busy[connection]
            if serving.is_whole(connection, answer):
                taken[kind].append(1e3 * (clock() - answer[0]))
                asked.heard(kind, customer, answer[1].partition(b"\r\n\r\n")[2])
                del busy[connection]
                free.append(connection)
    figures = {kind: figures_of(times) for kind, times in taken.items()}
    print(json.dumps({"all": figures_of([*taken["prompt"], *taken["answer"]]), **figures, "refused": asked.refused}))


def figures_of(times: list[float]) -> dict[str, float]:
    """Count, median, and the slowest."""
    times.sort()
    places = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    found = {name: round(times[min(len(times) - 1, int(len(times) * at))], 2) for name, at in places.items()}
    return {"requests": len(times), **found}


PARTS = {"serve": serve, "load": generate}

if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
