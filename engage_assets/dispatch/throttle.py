"""The rate that a transport allows, shared by all lines: a token bucket, kept as the instant of the next token."""

from typing import Final

_SLACK_SECONDS: Final = 0.05


class Throttle:
    """At most `per_second` turns a second; None: no limit. Times are seconds of any clock that never goes back.

    Turns are reserved one after the other and evenly spaced. Those that nobody took are lost, but for the last 50 ms:
    they make up for lines that wake late. So no second sees more than `per_second` × 1.05 + 1 turns.
    """

    def __init__(self, per_second: float | None) -> None:
        self._spacing = 1 / per_second if per_second else 0.0
        self._next = 0.0

    def reserve(self, now: float) -> float:
        """Take the next turn; returns the seconds until it comes."""
        if not self._spacing:
            return 0
        turn = max(self._next, now - _SLACK_SECONDS)
        self._next = turn + self._spacing
        return max(turn - now, 0)
