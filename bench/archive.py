"""The demand archive: JSON bytes of changes → grouped, redacted, validated Avro bytes, on one core.

usage: python bench/archive.py CHANGES.ndjson [RECORDS]
The file is made where it is not there: 40,000 changes of demands (70 % new, 25 % changed, 5 % removed, with both
images), five days, about 1.2 kB each. Prints records and MB of input per CPU second in ranges of 1,000.
"""

import gc
import itertools
import json
import random
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import measure

RECORDS = 40_000
RANGE = 1000
ROUNDS = 3
START = datetime(2026, 11, 20, 9, tzinfo=UTC)


def demand(chance: random.Random, at: datetime) -> dict[str, Any]:
    """The item of a demand as DynamoDB writes it."""
    fan = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    event, requested = f"evt-{chance.randrange(4000)}", f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
    texts = {
        "type": "demand",
        "fanId": fan,
        "eventId": event,
        "saleId": f"{event}-{chance.choice(['presale', 'public'])}",
        "requestedDateTime": requested,
        "artistId": f"art-{chance.randrange(900)}",
        "eventName": f"Open Air am See {chance.randrange(4000)}",
        "saleName": "Vorverkauf für Mitglieder",
        "artistName": f"Das Ensemble {chance.randrange(900)}",
        "phoneNumber": f"+1 555 01{chance.randrange(100):02}",
        "email": f"fan{chance.randrange(10**6)}@example.org",
        "contactMethod": chance.choice(["sms", "email"]),
        "demandType": chance.choice(["remind", "invite"]),
        "systemUserId": f"{chance.randrange(10**9)}-db{chance.randrange(9)}.{chance.randrange(10**6)}",
        "locale": "de-AT",
        "source": chance.choice(["web", "app"]),
    }
    item: dict[str, Any] = {name: {"S": text} for name, text in texts.items()}
    item["date"] = {"M": {"requested": {"S": requested}, "triggered": {"S": requested}}}
    item["quantity"] = {"N": str(chance.randrange(1, 7))}
    return item


def change(chance: random.Random, number: int) -> dict[str, Any]:
    """A change as the Kinesis destination writes it."""
    at = START + timedelta(days=chance.randrange(5), milliseconds=number * 6)
    item, name = demand(chance, at), chance.choices(["INSERT", "MODIFY", "REMOVE"], [70, 25, 5])[0]
    images = {
        "INSERT": {"NewImage": item},
        "MODIFY": {"NewImage": item, "OldImage": item},
        "REMOVE": {"OldImage": item},
    }
    return {
        "awsRegion": "us-east-1",
        "eventID": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
        "eventName": name,
        "userIdentity": None,
        "recordFormat": "application/json",
        "tableName": "demand",
        "dynamodb": {
            "ApproximateCreationDateTime": int((START + timedelta(days=6, milliseconds=number)).timestamp() * 1000),
            "Keys": {"fanId": item["fanId"], "eventId": item["eventId"]},
            **images[name],
            "SizeBytes": 1400,
        },
        "eventSource": "aws:dynamodb",
    }


def generate(path: Path, records: int = RECORDS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = random.Random(7)
    lines = (json.dumps(change(chance, number), separators=(",", ":")).encode() for number in range(records))
    path.write_bytes(b"\n".join(lines) + b"\n")


def ranges(path: Path, records: int) -> Iterator[list[bytes]]:
    """The lines of a file, a thousand at a time."""
    with path.open("rb") as file:
        lines = (line.rstrip(b"\n") for line in itertools.islice(file, records))
        while some := list(itertools.islice(lines, RANGE)):
            yield some


def measured(path: Path, records: int, convert: Callable[[list[bytes]], tuple[int, int, int]]) -> dict[str, Any]:
    """Best of some rounds, collections paused; `convert` gives records archived, files and bytes of a range."""
    found = []
    for _ in range(ROUNDS):
        spent, seen, read, totals = 0.0, 0, 0, [0, 0, 0]
        for some in ranges(path, records):
            gc.disable()
            start = time.process_time()
            result = convert(some)
            spent += time.process_time() - start
            gc.enable()
            totals = [one + more for one, more in zip(totals, result, strict=True)]
            seen, read = seen + len(some), read + sum(map(len, some))
        found.append((seen / spent, read / spent / 2**20, seen, totals))
    rate, megabytes, seen, (archived, files, size) = max(found)
    return {
        "records_per_cpu_second": round(rate),
        "input_mib_per_cpu_second": round(megabytes),
        "records": seen,
        "archived": archived,
        "files": files,
        "bytes": size,
    }


def our_files() -> Callable[[list[bytes]], Any]:
    """Lines → the files of their range."""
    from engage_assets.archive.batches import Range, read_range, write_files
    from engage_assets.archive.ports import Record

    def convert(lines: list[bytes]) -> Any:
        records = [Record(str(number), line) for number, line in enumerate(lines)]
        return write_files(read_range(Range("bench", "0", "0", str(len(lines) - 1)), records))

    return convert


def ours() -> Callable[[list[bytes]], tuple[int, int, int]]:
    convert = our_files()

    def count(lines: list[bytes]) -> tuple[int, int, int]:
        files = convert(lines)
        return files.counts.archived, len(files.data), sum(len(file.content) for file in files.data)

    return count


def main() -> None:
    path, records = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else RECORDS
    if not path.exists():
        generate(path)
    measure.report(**measured(path, records, ours()))


if __name__ == "__main__":
    main()
