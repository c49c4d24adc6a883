"""What a process used: the last line that a benchmark script prints, read by bench/run.py."""

import json
import resource
import time
from contextlib import suppress
from typing import Any

with suppress(ModuleNotFoundError):  # a rival has an environment of its own
    import engage_assets  # noqa: F401 – before Polars, as in every process of ours

_START = time.perf_counter()


def report(**facts: Any) -> None:
    """Print CPU seconds (user and system, children too), wall seconds since import, peak memory, and `facts`."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(
        json.dumps(
            {
                "cpu_seconds": round(sum(one.ru_utime + one.ru_stime for one in used), 2),
                "wall_seconds": round(time.perf_counter() - _START, 2),
                "max_rss_mib": round(max(one.ru_maxrss for one in used) / 1024),
                **facts,
            }
        )
    )
