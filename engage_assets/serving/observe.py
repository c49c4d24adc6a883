"""What the service measures of itself: requests, errors, latency; since its start, and by the minute for the ledger.

Latency is the time until an answer's head is handed over, so that a long stream counts as what its reader waited for.
Nothing here holds a path, a query or a name: routes are counted by template.
"""

import asyncio
import logging
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engage_assets.domain.ports import Clock, Contacts
from engage_assets.domain.responses import LATENCY_BUCKETS, ServiceMinute
from engage_assets.serving.problems import log_fault

PROBES: Final = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes that are not the service's work: not in its minutes."""
FLUSH_SECONDS: Final = 60.0
BOUNDS: Final = (*(str(bound) for bound in LATENCY_BUCKETS), "inf")
"""Names of the buckets of latency."""
KEPT_MINUTES: Final = 120
"""Minutes that wait when the ledger does not take them; then the oldest are dropped."""

_MINUTE: Final = timedelta(minutes=1)
_LONGEST_GAP: Final = 10
_UNMATCHED: Final = "unmatched"
_log = logging.getLogger(__name__)


class Histogram:
    """Counts by bucket, not cumulated, and the sum of seconds."""

    def __init__(self) -> None:
        self.counts = [0] * len(BOUNDS)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self.seconds += seconds


class Minute:
    """One minute's counts."""

    def __init__(self) -> None:
        self.requests = 0
        self.errors = 0
        self.latency = Histogram()


class Measures:
    """Everything counted since the start of the process. Used on the event loop's thread alone."""

    def __init__(self, clock: Clock, instance: str) -> None:
        self._clock = clock
        self._instance = instance
        self._minutes: dict[datetime, Minute] = {}
        self._reported: datetime | None = None
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.latency: dict[str, Histogram] = {}
        self.in_flight = 0

    def add(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        self.requests[method, route, status] += 1
        self.latency.setdefault(route, Histogram()).add(seconds)
        if route in PROBES:
            return
        minute = self._minutes.setdefault(self._present(), Minute())
        minute.requests += 1
        minute.errors += status >= 500
        minute.latency.add(seconds)

    async def flush(self, contacts: Contacts) -> None:
        """Hand all minutes to the ledger; those that are over are then forgotten, the present one goes on.

        A minute without requests is handed over too: it says that the process was there.
        """
        present = self._present()
        for start in _minutes_between(self._reported, present):
            self._minutes.setdefault(start, Minute())
        self._reported = present
        rows = [self._row(start, minute) for start, minute in self._minutes.items()]
        try:
            await run_in_threadpool(contacts.measured, rows)
        except Exception as error:  # noqa: BLE001 – measuring must not end the service
            log_fault("minutes not kept", error)
            for start in sorted(self._minutes)[:-KEPT_MINUTES]:
                del self._minutes[start]
            return
        for row in rows:
            if row.minute < present:
                self._minutes.pop(row.minute, None)

    async def flush_for_ever(self, contacts: Contacts) -> None:
        """Flush now and every minute until cancelled."""
        while True:
            await self.flush(contacts)
            await asyncio.sleep(FLUSH_SECONDS)

    def _present(self) -> datetime:
        return self._clock.now().replace(second=0, microsecond=0)

    def _row(self, start: datetime, minute: Minute) -> ServiceMinute:
        buckets = dict(zip(BOUNDS, minute.latency.counts, strict=True))
        return ServiceMinute(start, self._instance, minute.requests, minute.errors, buckets)


class Observe:
    """ASGI middleware: counts each request and writes one line about it."""

    def __init__(self, app: ASGIApp, measures: Measures, seconds: Callable[[], float] = time.perf_counter) -> None:
        self.app = app
        self._measures = measures
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start = self._seconds()
        status, until_head = 500, None

        async def send_observed(message: Message) -> None:
            nonlocal status, until_head
            if message["type"] == "http.response.start":
                status, until_head = message["status"], self._seconds() - start
            await send(message)

        self._measures.in_flight += 1
        try:
            await self.app(scope, receive, send_observed)
        finally:
            self._measures.in_flight -= 1
            taken = self._seconds() - start if until_head is None else until_head
            self._count(scope, status, taken)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path_format", _UNMATCHED)
        # A method that no route has may be any text: it would make a series of its own.
        method = scope["method"] if route != _UNMATCHED and status != 405 else "any"
        self._measures.add(method, route, status, seconds)
        if _log.isEnabledFor(logging.INFO):
            line = {
                "event": "request",
                "method": method,
                "route": route,
                "status": status,
                "ms": round(seconds * 1e3, 2),
            }
            # Made by hand: `info` would look for the place in the code, which is always this one.
            text = orjson.dumps(line).decode()
            _log.handle(_log.makeRecord(_log.name, logging.INFO, __file__, 0, text, (), None))


def _minutes_between(before: datetime | None, present: datetime) -> list[datetime]:
    """The minutes after `before` up to `present`; it alone at the start, or when the clock was set to another time."""
    passed = (present - before) // _MINUTE if before else 1
    return [present - _MINUTE * back for back in range(passed if 0 < passed <= _LONGEST_GAP else 1)]
