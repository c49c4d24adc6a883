"""The circuit breaker: a transport that keeps refusing is left alone for a while, then probed with one letter."""

from collections import deque


class Breaker:
    """Closed, open, or probing. Times are seconds of any clock that never goes back; not safe for threads by itself.

    It opens when `share` of the last `window` tries were refused because the transport was not there or the
    connection broke. A rate limit is an answer, not such a refusal. While it is open nothing new begins; once
    `seconds` have passed one letter may begin, and the next outcome of any line closes it or opens it again.
    """

    PROBE_SECONDS = 0.25
    """How often others ask again while a probe is on its way."""

    def __init__(self, *, window: int = 10, share: float = 0.5, seconds: float = 30) -> None:
        self._refused: deque[bool] = deque(maxlen=window)
        self._share = share
        self._seconds = seconds
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `probing`."""
        if self._opened_at is None:
            return "closed"
        return "probing" if self._is_probing else "open"

    def ask(self, now: float) -> float:
        """Seconds to wait before asking again; 0: a letter may begin, and must, as it may be the probe."""
        if self._opened_at is None:
            return 0
        if self._is_probing:
            return self.PROBE_SECONDS
        left = self._opened_at + self._seconds - now
        self._is_probing = left <= 0
        return max(left, 0)

    def note(self, now: float, *, is_refused: bool) -> None:
        """Take the outcome of a try. While open and not probing, late outcomes of earlier letters change nothing."""
        if self._opened_at is None:
            self._refused.append(is_refused)
            full = len(self._refused) == self._refused.maxlen
            if full and sum(self._refused) >= self._share * len(self._refused):
                self._open(now)
        elif self._is_probing and is_refused:
            self._open(now)
        elif self._is_probing:
            self._opened_at, self._is_probing = None, False

    def _open(self, now: float) -> None:
        self._opened_at, self._is_probing = now, False
        self._refused.clear()
