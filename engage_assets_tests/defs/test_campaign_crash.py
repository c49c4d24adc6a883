"""A campaign to a real SMTP server, its sender killed again and again: nobody gets it twice, nobody is forgotten."""

import json
import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from engage_assets_tests.campaigns import FAULTS, LEASE, LINES, deliver, make_campaign, outcome
from engage_assets_tests.mailbox import mailbox, received
from engage_assets_tests.processes import PROCESSES


def run_until_done(root: Path, recipients: int, kills: int, lease: timedelta = LEASE) -> dict[str, object]:
    """Deliver, killed `kills` times at the fault points in turn, then once more to the end; returns what was found."""
    chance, done = random.Random(7), Counter()
    began = time.monotonic()
    make_campaign(root, recipients)
    with mailbox(root / "inbox.txt") as port:
        share = recipients // (kills + 1)
        for number in range(kills):
            fault = FAULTS[number % len(FAULTS)]
            after = chance.randint(1, max(share, 1))
            process = PROCESSES.Process(target=deliver, args=(root, port, lease, fault, after, number))
            process.start()
            process.join(300)
            assert process.exitcode in (-signal.SIGKILL, 0), f"{fault}: {process.exitcode}"
            done[fault] += process.exitcode == -signal.SIGKILL
            time.sleep(lease.total_seconds())
        for _ in range(2):
            last = PROCESSES.Process(target=deliver, args=(root, port, lease))
            last.start()
            last.join(1200)
            assert last.exitcode == 0
            time.sleep(lease.total_seconds() + 0.1)
        inbox = received(root / "inbox.txt")
    states, entered = outcome(root)
    return {
        "kills": dict(done),
        "inbox": inbox,
        "sent": states.get("sent", set()),
        "in_doubt": states.get("in_doubt", set()),
        "others": {state: len(ids) for state, ids in states.items() if state not in ("sent", "in_doubt")},
        "hand_overs": entered["handed_over"],
        "seconds": time.monotonic() - began,
    }


def check(found: dict[str, object], recipients: int) -> dict[str, object]:
    """The promise: at most once, and every one that may have been lost is counted and shown."""
    inbox, sent, in_doubt = set(found["inbox"]), found["sent"], found["in_doubt"]
    kills = sum(found["kills"].values())
    assert len(inbox) == len(found["inbox"]), "a recipient got it twice"
    assert sent <= inbox
    assert inbox <= sent | in_doubt
    assert len(in_doubt) <= kills * LINES
    assert len(sent) + len(in_doubt) == recipients
    assert not found["others"]
    return {
        "recipients": recipients,
        "kills": found["kills"],
        "inbox": len(inbox),
        "sent": len(sent),
        "in_doubt": len(in_doubt),
        "in_doubt_arrived": len(in_doubt & inbox),
        "seconds": round(found["seconds"]),
    }


def test_killed_at_every_fault_point_nobody_is_written_to_twice(tmp_path):
    found = run_until_done(tmp_path, recipients=400, kills=len(FAULTS), lease=timedelta(seconds=0.4))

    check(found, 400)
    assert found["kills"] == dict.fromkeys(FAULTS, 1)


@pytest.mark.soak
def test_a_campaign_of_50000_killed_200_times(tmp_path):
    found = run_until_done(tmp_path, recipients=50_000, kills=200)

    figures = check(found, 50_000)
    assert sum(found["kills"].values()) >= 190
    print(json.dumps(figures))  # noqa: T201 - the run is made for them
    if path := os.environ.get("ENGAGE_SOAK_FIGURES"):
        Path(path).write_text(json.dumps(figures), encoding="utf-8")
