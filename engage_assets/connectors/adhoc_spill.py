"""Where questions put what does not fit into memory: a private folder for each, that no process leaves behind.

It goes with the question. Where the process was killed, the next question or erasure takes it away: a lock on it tells
that nobody has it any more.
"""

import fcntl
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_LOCK = "lock"


@contextmanager
def spill_folder(parent: Path) -> Iterator[Path]:
    """A folder that DuckDB may make below `parent`, and that is gone afterwards; folders of the dead go first."""
    sweep_spills(parent)
    own = parent / uuid.uuid4().hex
    with _alone(parent):
        own.mkdir(mode=0o700)
        lock = (own / _LOCK).open("w")
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield own / "files"
    finally:
        shutil.rmtree(own, ignore_errors=True)
        lock.close()


def sweep_spills(parent: Path) -> int:
    """Take away the folders of processes that are dead; how many belong to living ones."""
    parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    parent.chmod(0o700)
    with _alone(parent):
        return sum(_is_used(folder) for folder in sorted(parent.iterdir()) if folder.is_dir())


def _is_used(folder: Path) -> bool:
    """Whether a process has the folder; if not it goes."""
    try:
        with (folder / _LOCK).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
    return False


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Among the processes of this machine."""
    with (parent / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
