"""The relay: carries what the ledger's outbox holds to the candidate store, at least once and idempotently."""

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from threading import Event, Thread
from typing import Final, Self

from engage_assets.domain.ports import CandidateKey, CandidateWriter, Clock, Outbox, StatusChange
from engage_assets.domain.responses import OutboxEntry

TOPICS: Final = ("candidate_status", "customer_opted_out")
AT_ONCE: Final = 1_000
REST_SECONDS: Final = 5.0
"""After a failure."""
PAUSE_SECONDS: Final = 0.25
"""A status follows within a second: twice this, and the time that a batch takes."""


def relay(outbox: Outbox, store: CandidateWriter, now: datetime) -> int:
    """Apply what waits, in its order; returns how many entries were done. What comes meanwhile is the next call's.

    An entry is marked after it was applied: a relay that breaks off in between applies it again, which changes
    nothing. Several relays may run at once.
    """
    done = 0
    while entries := outbox.waiting(TOPICS, AT_ONCE):
        for topic, group in groupby(entries, key=lambda entry: entry.topic):
            some = list(group)
            _APPLY[topic](store, some, now)
            outbox.done([entry.entry_id for entry in some], now)
            done += len(some)
        if len(entries) < AT_ONCE:
            break
    return done


def _advance(store: CandidateWriter, entries: Sequence[OutboxEntry], _now: datetime) -> None:
    store.advance([_change(entry) for entry in entries])


def _change(entry: OutboxEntry) -> StatusChange:
    said = entry.payload
    key = CandidateKey(
        said["customer_id"], said["program"], said["marketplace"], said["subject_type"], said["subject_id"]
    )
    return StatusChange(key, said["status"], datetime.fromisoformat(said["at"]), said.get("channel"))


def _suppress(store: CandidateWriter, entries: Sequence[OutboxEntry], now: datetime) -> None:
    for (program, channel), customers in _by_scope(entries):
        store.suppress(customers, now, program=program, channel=channel)


def _by_scope(entries: Sequence[OutboxEntry]) -> Iterator[tuple[tuple[str | None, str | None], list[str]]]:
    scopes: dict[tuple[str | None, str | None], list[str]] = {}
    for entry in entries:
        scope = (entry.payload.get("program"), entry.payload.get("channel"))
        scopes.setdefault(scope, []).append(entry.payload["customer_id"])
    yield from scopes.items()


_APPLY: Final = {"candidate_status": _advance, "customer_opted_out": _suppress}


class Relay:
    """A relay in a thread of its own, as long as a `with` block lasts; what waits at its end is still carried."""

    def __init__(self, outbox: Outbox, store: CandidateWriter, clock: Clock) -> None:
        self._outbox = outbox
        self._store = store
        self._clock = clock
        self._over = Event()
        self._thread = Thread(target=self._run, name="relay", daemon=True)
        self._error: Exception | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        if self._error:
            raise self._error

    def _run(self) -> None:
        pause = PAUSE_SECONDS
        while not self._over.wait(pause):
            pause = PAUSE_SECONDS if self._carry() else REST_SECONDS
        self._carry()

    def _carry(self) -> bool:
        """Whether all was carried; a database that fails is asked again later, and says so in the log."""
        try:
            relay(self._outbox, self._store, self._clock.now())
        except Exception as error:  # noqa: BLE001 – the last one is raised where the block ends
            logging.getLogger(__name__).warning("the relay rests for %s s: %s", REST_SECONDS, type(error).__name__)
            self._error = error
        else:
            self._error = None
        return self._error is None
