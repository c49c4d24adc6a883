"""What files owe the disk, written in portions: whoever commits meanwhile waits for one of them instead of for all."""

import ctypes
import errno
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

PORTION_BYTES: Final = 1 << 20
_WAIT_WRITE_WAIT: Final = 7
"""Flags of sync_file_range(2): earlier writing of the range is over, what changed is written, and that is over."""
_LOST: Final = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})


def write_back(path: Path, changed_bytes: int) -> None:
    """Have the system write what was changed in a file that this process has open, PORTION_BYTES or so at a time.

    The disk has it ahead of a sync, which then finds little left; it makes nothing durable itself. Changes should be
    spread over the file. Does nothing where the system cannot (other than Linux), or for a file that nobody has open.
    Raises OSError where the disk does not take it: who syncs later would not be told again.
    """
    descriptor = _descriptor(path) if sys.platform == "linux" else None
    if descriptor is None:
        return
    sync = ctypes.CDLL(None, use_errno=True).sync_file_range
    sync.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    places = portions(path.stat().st_size, changed_bytes)
    for start in places:
        if sync(descriptor, start, places.step, _WAIT_WRITE_WAIT) and ctypes.get_errno() in _LOST:
            raise OSError(ctypes.get_errno(), "the disk did not take what was written", str(path))


def portions(size: int, changed_bytes: int) -> range:
    """Where parts of a file begin that hold about PORTION_BYTES of its changes each; the step is their length."""
    return range(0, size, max(size * PORTION_BYTES // max(changed_bytes, 1), PORTION_BYTES))


def _descriptor(path: Path) -> int | None:
    """One that is open already. Not a new one: to close it would end the locks that SQLite has on the file."""
    with suppress(OSError):
        wanted = path.stat()
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):
                found = os.fstat(int(entry.name))
                if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                    return int(entry.name)
    return None
