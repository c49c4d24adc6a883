"""Memory of the archive's worker over backlogs of several sizes: it must not grow with them.

usage: python bench/archive_memory.py [RECORDS ...]
For each size (50,000 and 200,000) four files of changes of 2 kB are made, and `engage archive run` drains them.
"""

import random
import sys
import tempfile
import uuid
from contextlib import closing
from pathlib import Path
from typing import Any

import archive as changes
import measure
import orjson
from archive_surge import work

from engage_assets.archive.batches import Counts
from engage_assets.archive.state import State

SIZES = (50_000, 200_000)
SHARDS = 4
BYTES = 2048


def line(number: int) -> bytes:
    """A change of 2 kB: what it lacks is the event's long name."""
    chance = random.Random(number)
    body = changes.change(chance, number)
    body["eventID"] = str(uuid.UUID(int=number))
    images = [image for name, image in body["dynamodb"].items() if name.endswith("Image")]
    missing = (BYTES - len(orjson.dumps(body))) // len(images)
    images[0]["eventName"]["S"] += chance.randbytes(max(0, missing // 2)).hex()
    return orjson.dumps(body) + b"\n"


def drained(records: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "changes").mkdir()
        for shard in range(SHARDS):
            with (home / "changes" / f"{shard}.ndjson").open("wb") as file:
                file.writelines(line(number) for number in range(shard, records, SHARDS))
        size = sum(path.stat().st_size for path in (home / "changes").iterdir())
        worker = work(home, str(home / "changes"), "--until-idle")
        worker.wait()
        with closing(State(home / "state.db")) as state:
            counts = sum((day.counts for day in state.days()), Counts())
    assert counts.archived == counts.read == records, counts
    return {"seconds": round(worker.seconds, 1), "backlog_mib": round(size / 2**20), **worker.facts}


def main() -> None:
    sizes = [int(one) for one in sys.argv[1:]] or SIZES
    found = {f"of_{records}": drained(records) for records in sizes}
    measure.report(**found)


if __name__ == "__main__":
    main()
