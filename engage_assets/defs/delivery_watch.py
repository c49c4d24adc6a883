"""Watching a running delivery: stops of people, and pauses where too much bounces or too many complain."""

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Self

from engage_assets.dispatch.pause import verdict
from engage_assets.dispatch.pump import Pump
from engage_assets.domain.keys import is_part_of
from engage_assets.domain.ports import Clock, Ledger, Operations, Sender

WATCH_SECONDS: Final = 2.0
"""How often a running delivery looks whether it was stopped."""
ITSELF: Final = "engage"
"""Who did it, where the system did."""


class Watched:
    """A pump that a stop, or a pause, halts: looked at every two seconds, and before each claim."""

    def __init__(
        self,
        ledger: Ledger,
        operations: Operations,
        sender: Sender,
        clock: Clock,
        program: str,
        campaigns: Sequence[str],
    ) -> None:
        self._ledger = ledger
        self._operations = operations
        self._clock = clock
        self._program = program
        self._campaigns = list(campaigns)
        self._targets = sorted(
            {program, *(":".join(parts) for campaign in campaigns for parts in _beginnings(campaign))}
        )
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="delivery-watch", daemon=True)
        self._paused: dict[str, str] = {}
        self.counts: Counter[str] = Counter()
        self.pump = Pump(
            ledger,
            sender,
            clock,
            random=random.random,
            sleep=time.sleep,
            monotonic=time.monotonic,
        )

    def __enter__(self) -> Self:
        self._look()
        self._watcher.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        self._over.set()
        self._watcher.join()
        if error is None:
            self.counts = self.pump.finish()
        else:
            self.pump.__exit__(kind, error, None)

    def held_campaigns(self) -> list[str]:
        """Campaigns that are paused."""
        return sorted(self._paused)

    def _watch(self) -> None:
        while not self._over.wait(WATCH_SECONDS):
            self._look()

    def _look(self) -> None:
        """Pause campaigns whose bounces or complaints are too many, then look for stops."""
        for campaign in self._campaigns:
            pause_if_bad(self._ledger, self._operations, campaign, self._clock.now())
        self.look_for_stops()

    def look_for_stops(self) -> None:
        """Halt where the program, or a campaign that runs, is held: by its id, or by how the id begins."""
        stops = self._operations.stopped(self._targets)
        whole = [stop for stop in stops if stop.target == self._program]
        held = {
            campaign: stop.reason
            for stop in stops
            for campaign in self._campaigns
            if stop.target != self._program and is_part_of(campaign, stop.target)
        }
        new = {campaign: reason for campaign, reason in held.items() if campaign not in self._paused}
        self._paused |= new
        if whole:
            self.pump.halt(f"{whole[0].target} was stopped by {whole[0].who}: {whole[0].reason}")
        elif new and self._watcher.is_alive():
            # Letters of the paused campaign may wait in the queue: all go back, the next tick sends the others.
            self.pump.halt(f"paused: {', '.join(sorted(new))}")


def _beginnings(campaign: str) -> Iterator[Sequence[str]]:
    """The program's id, and so on to the whole campaign's."""
    parts = campaign.split(":")
    return (parts[:length] for length in range(1, len(parts) + 1))


def pause_if_bad(ledger: Ledger, operations: Operations, campaign: str, now: datetime) -> None:
    """Pause a campaign whose bounce or complaint rate is too high, and say so once.

    Where a person let it go on after a pause, only what happened since then counts.
    """
    why = verdict(*ledger.health(campaign, operations.resumed_at(campaign)))
    if why and operations.stop(campaign, why, ITSELF, now):
        operations.raise_alert(f"pause:{campaign}", f"{campaign} was paused: {why}", now)
