"""How memory is kept: what a frame leaves behind is reused by the next, and cycles are seldom looked for.

By itself jemalloc has four arenas a core, each with its own spare memory, gives it back after half a second, and large
columns at once; each page that comes again costs the system microseconds, a seventh of a batch's CPU time. Python looks
for cycles at every 700th container that is made, which is a tenth of what loading Dagster and this package costs.
"""

import gc
import os
from collections.abc import MutableMapping
from typing import Final

VARIABLE: Final = "_RJEM_MALLOC_CONF"
"""Read by the allocator when Polars is loaded. Whoever sets it himself is left alone."""
KEPT_MILLISECONDS: Final = 5_000
"""For so long unused memory stays with the process."""

CONTAINERS: Final = 50_000
"""After so many more containers cycles are looked for, unless whoever loads us has set more."""
PYTHONS_OWN: Final = gc.get_threshold()
"""The thresholds as they were found; a service takes them again, whose answers wait for each search."""


def keep_memory(environ: MutableMapping[str, str], cores: int) -> None:
    """Have fewer arenas than cores keep memory for a while: the batch is faster, and its peak lower.

    Counts for this process if Polars is not loaded yet, and for those that it starts.
    """
    arenas = max(1, cores // 2)
    conf = f"narenas:{arenas},oversize_threshold:0,dirty_decay_ms:{KEPT_MILLISECONDS},muzzy_decay_ms:0"
    environ.setdefault(VARIABLE, conf)


def collect_seldom() -> None:
    """Look for cycles at every CONTAINERS-th container."""
    first, *rest = gc.get_threshold()
    if 0 < first < CONTAINERS:  # 0: the collector is off
        gc.set_threshold(CONTAINERS, *rest)


keep_memory(os.environ, os.cpu_count() or 1)
collect_seldom()
