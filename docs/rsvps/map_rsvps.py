"""Maps a stream of RSVPs to changes of demands, one line a change, so that the archive can take them.

usage: python docs/rsvps/map_rsvps.py RSVPS.parquet FOLDER

An RSVP is a request for a place: its member is the fan, its event the event, its group stands for the sale. The first
state that the stream shows of an RSVP is an INSERT, a further one a MODIFY, and an answer "no" a REMOVE, as if the
request had been taken back. A row's change time is its `mtime`; a row without content becomes an empty line.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl


def main(rsvps: Path, folder: Path) -> None:
    """Write `FOLDER/rsvps.ndjson`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = pl.read_parquet(rsvps).sort("row_no")
    (folder / "rsvps.ndjson").write_text("".join(f"{line}\n" for line in lines(rows)), encoding="utf-8")


def lines(rows: pl.DataFrame) -> Iterator[str]:
    """A line for each row, in the order of the stream."""
    shown: dict[int, str] = {}
    for row in rows.drop("row_no").iter_rows(named=True):
        if row["rsvp_no"] is None:
            yield ""
            continue
        mark = _mark(row)
        is_first = shown.setdefault(row["rsvp_no"], mark) == mark
        yield json.dumps(_change(row, mark, is_first=is_first), ensure_ascii=False)


def _mark(row: dict[str, Any]) -> str:
    """The id of a state: repeated rows of the stream are copies of one change."""
    return hashlib.sha256(json.dumps(row, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _change(row: dict[str, Any], mark: str, *, is_first: bool) -> dict[str, Any]:
    name = "REMOVE" if row["response"] == "no" else "INSERT" if is_first else "MODIFY"
    at = datetime.fromtimestamp(row["mtime"] / 1000, UTC).isoformat()
    image = {
        "type": {"S": "demand"},
        "fanId": {"S": row["member"]},
        "eventId": {"S": row["event_id"]},
        "saleId": {"S": str(row["group_id"])},
        "demandType": {"S": "invite"},
        "requestedDateTime": {"S": at},
        "date": {"M": {"requested": {"S": at}}},
    }
    which = "OldImage" if name == "REMOVE" else "NewImage"
    return {
        "eventID": mark,
        "eventName": name,
        "eventSource": "aws:dynamodb",
        "dynamodb": {
            "ApproximateCreationDateTime": row["mtime"],
            "ApproximateCreationDateTimePrecision": "MILLISECOND",
            "Keys": {"rsvp": {"N": str(row["rsvp_no"])}},
            which: image,
        },
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
