"""The service takes short turns, at the niceness that it was started with."""

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
