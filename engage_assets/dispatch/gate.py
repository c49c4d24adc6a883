"""What all lines ask before a hand-over: the throttle and the breaker, behind one lock."""

from collections.abc import Callable
from threading import Lock

from engage_assets.dispatch.breaker import Breaker
from engage_assets.dispatch.throttle import Throttle


class Gate:
    """Throttle and breaker for several threads. Seconds are those of `monotonic`."""

    def __init__(self, throttle: Throttle, breaker: Breaker, monotonic: Callable[[], float]) -> None:
        self._throttle = throttle
        self._breaker = breaker
        self._monotonic = monotonic
        self._lock = Lock()

    def turn(self) -> float:
        """Reserve the next turn of the throttle; seconds until it comes."""
        with self._lock:
            return self._throttle.reserve(self._monotonic())

    def ask(self) -> float:
        """See Breaker.ask."""
        with self._lock:
            return self._breaker.ask(self._monotonic())

    def note(self, *, is_refused: bool) -> None:
        """See Breaker.note."""
        with self._lock:
            self._breaker.note(self._monotonic(), is_refused=is_refused)
