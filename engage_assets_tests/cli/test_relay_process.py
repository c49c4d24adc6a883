"""The relay beside the service: it carries what waits, is begun anew where it ends early, and ends with its owner."""

import os
import signal
import subprocess
import time
from datetime import UTC, datetime

import pytest

from engage_assets.cli import relay_process
from engage_assets.deployment import resources
from engage_assets.ledger.outbox import put

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC).replace(tzinfo=None)
TOPICS = ("customer_opted_out",)


@pytest.fixture
def environment(tmp_path):
    return {**os.environ, "ENGAGE_HOME": str(tmp_path), "ENGAGE_PROGRAMS": "programs"}


def until(question) -> None:
    """Wait until something is so."""
    give_up = time.monotonic() + 30
    while not question():
        assert time.monotonic() < give_up, "it did not come true"
        time.sleep(0.05)


def test_it_carries_what_waits_also_after_it_was_killed_and_at_the_end(environment, monkeypatch):
    monkeypatch.setattr(relay_process, "REST_SECONDS", 0.05)
    started: list[subprocess.Popen[bytes]] = []
    begin = relay_process.RelayProcess._started
    monkeypatch.setattr(relay_process.RelayProcess, "_started", lambda self: started.append(begin(self)) or started[-1])
    outbox = resources(environment)["outbox"]

    def leave(customer: str) -> None:
        with outbox._database.writing() as connection:
            put(connection, *TOPICS, [{"customer_id": customer}], NOW)

    def is_carried() -> bool:
        return not outbox.waiting(TOPICS, 10)

    leave("c-1")
    with relay_process.RelayProcess(environment):
        until(is_carried)
        started[0].send_signal(signal.SIGTERM)  # as a group of processes is told to end: it stays for the last requests
        started[0].send_signal(signal.SIGKILL)
        until(lambda: len(started) == 2)
        leave("c-2")
        until(is_carried)
        leave("c-3")

    assert is_carried()
    assert [one.poll() for one in started] == [-signal.SIGKILL, 0]
