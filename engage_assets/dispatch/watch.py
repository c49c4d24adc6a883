"""Time as the lines see it: deadlines that also pass on a declared clock, and waits that a stop cuts short."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from threading import Event
from typing import Final

from engage_assets.domain.ports import Clock

_GLANCE_SECONDS: Final = 0.25
"""How long a wait goes on after a stop, at most."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """An instant, and the second of the monotonic clock at which it was expected; it is over when either says so.

    A declared clock stands still, and a clock may be set back: neither may keep a letter for ever.
    """

    at: datetime
    by: float


class Watch:
    """The clocks of one pump, and its stop."""

    def __init__(self, clock: Clock, *, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._clock = clock
        self._sleep = sleep
        self._stopped = Event()
        self.monotonic = monotonic

    def now(self) -> datetime:
        """The present instant, UTC."""
        return self._clock.now()

    def deadline(self, at: datetime) -> Deadline:
        """The deadline at an instant."""
        return Deadline(at, self.monotonic() + (at - self.now()).total_seconds())

    def left(self, deadline: Deadline) -> float:
        """Seconds until a deadline; 0 or less: it is over."""
        return min(deadline.by - self.monotonic(), (deadline.at - self.now()).total_seconds())

    def pause(self, seconds: float) -> None:
        """Wait, at most until the stop."""
        end = self.monotonic() + seconds
        while not self.is_stopped and (left := end - self.monotonic()) > 0:
            self._sleep(min(left, _GLANCE_SECONDS))

    def stop(self) -> None:
        """Let every wait end."""
        self._stopped.set()

    @property
    def is_stopped(self) -> bool:
        """Whether nothing new may begin."""
        return self._stopped.is_set()
