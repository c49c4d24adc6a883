"""Whether somebody has a file open for writing: what he appends after the file was replaced would be lost."""

import fcntl
import signal
from pathlib import Path
from typing import BinaryIO, Final

from engage_assets.domain.errors import EngageError

_CAN_ASK: Final = hasattr(fcntl, "F_SETLEASE")


def refuse_writers(file: BinaryIO, path: Path) -> None:
    """Raise EngageError where a process has the file open for writing; `file` is open for reading.

    Linux refuses a read lease on such a file. Where it cannot be asked (another system, a network's file, a file of
    another user) nothing is said.
    """
    if not _CAN_ASK:
        return
    try:
        fcntl.fcntl(file, fcntl.F_SETSIG, signal.SIGURG)  # a break of the lease must not end this process
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        raise EngageError(
            f"{path}: a process has it open to write in it, and what it writes after an erasure would be lost; stop it,"
            " or let it close the file, and erase again"
        ) from None
    except OSError:
        return
    fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
