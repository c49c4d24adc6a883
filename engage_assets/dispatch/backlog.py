"""The letters that wait for a line: a bounded queue that can be closed (what is in it still goes) or stopped."""

from collections import deque
from dataclasses import dataclass
from threading import Condition, Lock

from engage_assets.dispatch.watch import Deadline
from engage_assets.domain.sends import Letter


@dataclass(frozen=True, slots=True)
class Job:
    """A claimed letter and the end of its send window."""

    letter: Letter
    deadline: Deadline


class Backlog:
    """First in, first out, for many threads. `put` blocks while `capacity` letters wait."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._jobs: deque[Job] = deque()
        self._is_closed = False
        self._lock = Lock()
        self._filled = Condition(self._lock)
        self._drained = Condition(self._lock)

    def put(self, job: Job) -> bool:
        """Add a letter, once there is room; False when the queue is closed, and the letter not taken."""
        with self._lock:
            while len(self._jobs) >= self._capacity and not self._is_closed:
                self._drained.wait()
            if self._is_closed:
                return False
            self._jobs.append(job)
            self._filled.notify()
            return True

    def take_now(self) -> Job | None:
        """The next letter, if one is there."""
        with self._lock:
            return self._pop()

    def take(self) -> Job | None:
        """The next letter, once there is one; None when the queue is closed and empty."""
        with self._lock:
            while not self._jobs and not self._is_closed:
                self._filled.wait()
            return self._pop()

    def close(self) -> None:
        """Take no more letters; those that wait still go."""
        with self._lock:
            self._close()

    def stop(self) -> list[str]:
        """Close, and empty the queue; returns the sends that were in it."""
        with self._lock:
            self._close()
            left = [job.letter.send_id for job in self._jobs]
            self._jobs.clear()
            return left

    def waiting(self) -> list[str]:
        """The sends in the queue."""
        with self._lock:
            return [job.letter.send_id for job in self._jobs]

    def _close(self) -> None:
        self._is_closed = True
        self._filled.notify_all()
        self._drained.notify_all()

    def _pop(self) -> Job | None:
        if not self._jobs:
            return None
        job = self._jobs.popleft()
        # The feeder is woken when half of the room is free, not once per letter.
        if len(self._jobs) == self._capacity // 2:
            self._drained.notify_all()
        return job
