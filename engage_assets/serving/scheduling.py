"""Asks the system to let the service run as soon as it has work: what it does is short, and somebody waits for it."""

import ctypes
import os
import platform
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

SLICE_NANOSECONDS: Final = 100_000
"""The shortest turn that Linux grants: whoever asks for less at a time is let in at once, and gets no more in all."""
SWITCH_SECONDS: Final = 0.0005
"""After so long a thread of this process makes room for another, instead of Python's 5 ms."""
_CALLS: Final = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of sched_setattr and sched_getattr by machine; Python's library has no names for them."""
_SHARING: Final = (0, 3)
"""SCHED_OTHER and SCHED_BATCH, whose processes share the machine by turns."""


class _Attributes(ctypes.Structure):
    """See sched_setattr(2)."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def be_prompt() -> bool:
    """Let this thread, those that it starts, and Python's threads among each other take short turns.

    Returns whether the system grants it (Linux 6.12 or newer, without privileges). Elsewhere whoever wakes up on a
    busy machine may wait for the present turn of another process: some milliseconds, again and again in a request.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    if sys.platform != "linux" or platform.machine() not in _CALLS:
        return False
    give, read = _CALLS[platform.machine()]
    system = ctypes.CDLL(None)
    found = _Attributes()
    if system.syscall(read, 0, ctypes.byref(found), ctypes.sizeof(found), 0) or found.policy not in _SHARING:
        return False
    found.flags, found.runtime = 0, SLICE_NANOSECONDS
    system.syscall(give, 0, ctypes.byref(found), 0)
    system.syscall(read, 0, ctypes.byref(found), ctypes.sizeof(found), 0)
    return bool(found.runtime == SLICE_NANOSECONDS)


def be_first() -> bool:
    """Let this thread run before all that only share the machine: real-time scheduling, in turns among its like.

    Threads and processes that it starts do not, unless they take it over: see `as_here`. Returns whether the system
    grants it (Linux, with the capability SYS_NICE or a limit of RTPRIO).
    """
    if sys.platform != "linux":
        return False
    policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    with suppress(PermissionError):
        os.sched_setscheduler(0, policy, os.sched_param(os.sched_get_priority_min(os.SCHED_RR)))
        return True
    return False


def as_here() -> Callable[[], object]:
    """What a thread calls first that is to be scheduled as the present one, where that does not come by itself."""
    if sys.platform == "linux" and (policy := os.sched_getscheduler(0)) & os.SCHED_RESET_ON_FORK:
        return partial(os.sched_setscheduler, 0, policy, os.sched_getparam(0))
    return lambda: None
