"""Telling people: every alert to every destination, each at least once, and marked when all have it."""

import logging
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Final, Protocol

from engage_assets.domain.operations import Alert
from engage_assets.domain.ports import Operations

AT_ONCE: Final = 50
"""Alerts that a destination is given at a time."""
UNCONFIGURED: Final = (
    "alerts are kept, but nobody is told: set ENGAGE_ALERT_WEBHOOK (an https URL) or ENGAGE_ALERT_EMAIL (addresses)"
)

_LOG: Final = logging.getLogger(__name__)


class NotTaken(Exception):
    """A destination did not take alerts; the text holds codes and classes only."""


class Way(Protocol):
    """A way to people."""

    @property
    def name(self) -> str:
        """Kind and host; no path, no address, no secret."""

    def give(self, alerts: Sequence[Alert], now: datetime) -> None:
        """Hand all of `alerts` over, or raise: then none counts as handed over."""


class Destination:
    """A way to people, and what it took already: while another destination fails, this one hears nothing twice."""

    def __init__(self, way: Way) -> None:
        self.name = way.name
        self._way = way
        self._taken: set[str] = set()

    def offer(self, alerts: Sequence[Alert], now: datetime) -> None:
        """Hand over those of `alerts` that it lacks, as many as go at a time. A failure is logged by its class."""
        lacking = [alert for alert in alerts if alert.cause not in self._taken][:AT_ONCE]
        if not lacking:
            return
        try:
            self._way.give(lacking, now)
        except Exception as error:  # noqa: BLE001 – one broken destination must not silence the others
            why = str(error) if isinstance(error, NotTaken) else type(error).__name__
            _LOG.warning("%s did not take %s alerts: %s; tried again at the next tick", self.name, len(lacking), why)
        else:
            self._taken.update(alert.cause for alert in lacking)

    def has(self, alert: Alert) -> bool:
        """Whether it took the alert."""
        return alert.cause in self._taken

    def forget(self, alerts: Sequence[Alert]) -> None:
        """Alerts that everybody has need not be remembered."""
        self._taken.difference_update(alert.cause for alert in alerts)


def tell(operations: Operations, destinations: Sequence[Destination], now: datetime) -> int:
    """Tell what nobody was told yet, oldest first; returns how many alerts every destination has now.

    After a failure, or an end of the process, a destination may hear an alert again; it never misses one.
    """
    alerts = operations.untold()
    if alerts and not destinations:
        _say_once(UNCONFIGURED)
    if not alerts or not destinations:
        return 0
    for destination in destinations:
        destination.offer(alerts, now)
    told = [alert for alert in alerts if all(destination.has(alert) for destination in destinations)]
    if told:
        operations.told([alert.cause for alert in told], now)
    for destination in destinations:
        destination.forget(told)
    return len(told)


@cache
def _say_once(text: str) -> None:
    _LOG.warning(text)
