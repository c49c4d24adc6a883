"""What a worker, and everything else that changes an archive, works with."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from engage_assets.archive.ports import Root, Source
from engage_assets.archive.state import HORIZON_SECONDS, State

BATCH: Final = 1000
LINGER_SECONDS: Final = 4.2
WORKERS: Final = 4


@dataclass(frozen=True)
class Archive:
    """An archive: where changes come from, where files go, and how far it is.

    `clock` gives s since 1970: for leases and forgetting, never for what is archived. `timer` never goes back: for
    pauses and lingering.
    """

    source: Source
    root: Root
    errors: Root
    state: State
    owner: str
    """Another for every process; the same after a restart only where the former one is surely dead."""
    clock: Callable[[], float]
    sleep: Callable[[float], None]
    batch: int = BATCH
    """Records of a range at most."""
    linger: float = LINGER_SECONDS
    """Seconds for which a worker that runs on collects the records of a range."""
    workers: int = WORKERS
    """Shards that are read and written at the same time."""
    horizon: float = HORIZON_SECONDS
    """Seconds for which a change is known again: not less than the stream keeps it."""
    timer: Callable[[], float] = time.monotonic
