"""How long a line waits before it tries the same letter again."""

from collections.abc import Callable
from dataclasses import dataclass

from engage_assets.domain.sends import TransientRefusal


@dataclass(frozen=True)
class RetryPolicy:
    """Exponential back-off with jitter, in seconds."""

    delays: tuple[float, ...] = (1, 2, 4, 8, 16)
    """Before the first retry, the second, …; there are as many retries. A rate limit goes on with the last delay."""
    jitter: float = 1
    """Up to so much is added to each, so that lines do not come back in step."""


class Patience:
    """What is left of the patience with one letter. `random` gives 0–1."""

    def __init__(self, policy: RetryPolicy, random: Callable[[], float]) -> None:
        self._policy = policy
        self._random = random
        self._refusals = 0
        self._rate_limits = 0

    def delay_after(self, refusal: TransientRefusal) -> float | None:
        """Seconds to wait after a refusal; None: give the letter up. A rate limit has no end of its own."""
        delays = self._policy.delays
        if refusal.is_rate_limit:
            self._rate_limits += 1
            count = min(self._rate_limits, len(delays))
        else:
            self._refusals += 1
            count = self._refusals
        if count > len(delays):
            return None
        return delays[count - 1] + self._policy.jitter * self._random()
