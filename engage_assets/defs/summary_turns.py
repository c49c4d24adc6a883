"""Turns: who makes days and tables of a service waits for others who do, whichever process they are in."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Final

_AGAIN: Final = 0.1
"""Seconds until a place for queries is asked for again."""


@contextmanager
def alone(services: Path, service: str, places: int) -> Iterator[None]:
    """One at a time works on a service, and so many as `places` ask queries of all; others wait.

    `services` is the lake's folder of all services. A process that ends gives its turn back.
    """
    folder = services / service
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with _one_of(services / ".queries", places):
            yield


@contextmanager
def _one_of(folder: Path, places: int) -> Iterator[None]:
    """Hold one of so many places, waiting until one is free."""
    folder.mkdir(exist_ok=True)
    with ExitStack() as files:
        locks = [files.enter_context((folder / str(number)).open("w")) for number in range(places)]
        while not any(_is_taken(lock) for lock in locks):
            time.sleep(_AGAIN)
        yield


def _is_taken(lock: IO[str]) -> bool:
    """Whether the lock was free and is ours now."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
