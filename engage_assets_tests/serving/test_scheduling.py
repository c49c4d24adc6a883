"""The service takes short turns, at the niceness that it was started with; or it goes first, where that is granted."""

import os
import subprocess
import sys

import pytest

CHECK = """
import os, sys, threading
from engage_assets.serving.scheduling import SLICE_NANOSECONDS, SWITCH_SECONDS, be_prompt

os.nice(3)
print(be_prompt(), os.getpriority(os.PRIO_PROCESS, 0), sys.getswitchinterval() == SWITCH_SECONDS)
tell = lambda: print(be_prompt(), os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
thread = threading.Thread(target=tell)
thread.start()
thread.join()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such turns")
def test_turns_get_short_and_niceness_stays():
    done = subprocess.run([sys.executable, "-c", CHECK], check=True, capture_output=True, text=True)

    granted = str(tuple(map(int, os.uname().release.split(".")[:2])) >= (6, 12))
    assert done.stdout.split() == [granted, "3", "True", granted, "3"]


FIRST = """
import asyncio, os, threading
from engage_assets.serving.rounds import Rounds
from engage_assets.serving.scheduling import be_first

def is_first(_=None):
    return os.sched_getscheduler(0) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR

async def in_rounds():
    settled = []
    rounds = Rounds(lambda acts: [is_first() for _ in acts], "ledger", settle=lambda: settled.append(is_first()))
    return [await rounds.take(1), *settled]

print(asyncio.run(in_rounds()), be_first(), is_first(), asyncio.run(in_rounds()))
other = []
thread = threading.Thread(target=lambda: other.append(is_first()))
thread.start()
thread.join()
print(other)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such scheduling")
def test_who_goes_first_takes_its_rounds_along_and_nobody_else():
    done = subprocess.run([sys.executable, "-c", FIRST], check=True, capture_output=True, text=True)

    if done.stdout.startswith("[False, False] False False"):
        pytest.skip("the system does not grant real-time scheduling to this user")
    assert done.stdout.splitlines() == ["[False, False] True True [True, True]", "[False]"]


UNGRANTED = """
import os, resource
from engage_assets.serving.scheduling import as_here, be_first

if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_RTPRIO, (0, 0))
before = os.sched_getscheduler(0)
print(be_first(), as_here()(), os.sched_getscheduler(0) == before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such scheduling")
def test_who_may_not_go_first_stays_as_he_is():
    done = subprocess.run([sys.executable, "-c", UNGRANTED], check=True, capture_output=True, text=True)

    assert done.stdout.split() == ["False", "None", "True"]
