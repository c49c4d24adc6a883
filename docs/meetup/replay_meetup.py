"""Replay real answers, with their changes of mind, through the seats and the line of this project.

    .venv/bin/python docs/meetup/replay_meetup.py MONTANA_FOLDER STREAM_FOLDER

MONTANA_FOLDER holds `events` and `rsvps` as .parquet (see map_meetup.py), STREAM_FOLDER `rsvps` of Meetup's stream of
December 2017. Prints counts as JSON, no rows. What is taken for what:

- A yes asks for a seat, a no gives back whatever the person has. They come in the order of their instants; who answers
  at or after the start comes too late.
- Of Montana only the first instant, the last and the last answer are known. A no that was changed was a yes at first;
  a yes that was changed was one already (it may have been about guests) and asks again.
- The stream tells each state. A repeated row is the same state; a state without the event's time is never late.
- Each event has CAPACITY seats: in Montana 10, in the stream 2, so that lines form. Guests are not counted.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.domain.errors import WarehouseError
from engage_assets.domain.registrations import Applied, Register, Registrations, Seats, Withdraw
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.registrations import SqlRegistrations

PROGRAM, MARKETPLACE = "meetup-invitations", "MONTANA"
CAPACITY = {"montana": 10, "stream": 2}
AT_ONCE = 64
"""Answers that one transaction takes, as the service takes what waits together."""
_OPEN = timedelta(days=1)


@dataclass(frozen=True)
class Answer:
    """What a person says about an event."""

    at: datetime
    event_id: str
    customer_id: str
    is_yes: bool
    is_late: bool


def montana(folder: Path) -> list[Answer]:
    """The answers of Montana, each with the change of mind that its two instants tell of."""
    rsvps, events = (_read(folder / f"{name}.parquet") for name in ("rsvps", "events"))
    given = rsvps.join(events.select(event_id="id", starts="time"), on="event_id")
    changed = pl.col("mtime") > pl.col("created")
    is_yes = pl.col("response") == "yes"
    first = given.filter(is_yes | changed).with_columns(at="created", is_yes=pl.lit(value=True))
    last = given.filter(changed | ~is_yes).with_columns(at="mtime", is_yes=is_yes)
    return _answers(pl.concat([first, last]).sort("at", "rsvp_no"))


def stream(folder: Path) -> list[Answer]:
    """The states that the stream tells of each answer."""
    rows = _read(folder / "rsvps.parquet").filter(pl.col("rsvp_no").is_not_null())
    states = rows.sort("row_no").unique(pl.exclude("row_no"), keep="first", maintain_order=True)
    told = states.with_columns(at="mtime", starts="event_time", is_yes=pl.col("response") == "yes")
    return _answers(told.sort("at", "row_no"))


def _read(path: Path) -> pl.DataFrame:
    if not path.is_file():
        raise WarehouseError(f"{path} is not there; give the folder that has it")
    return pl.read_parquet(path)


def _answers(rows: pl.DataFrame) -> list[Answer]:
    at = pl.from_epoch("at", time_unit="ms").cast(pl.Datetime("us"))
    is_late = (pl.col("at") >= pl.col("starts")).fill_null(value=False)
    told = rows.select(at, "event_id", "member", "is_yes", is_late.alias("is_late"))
    return [Answer(*row) for row in told.iter_rows()]


def replay(
    registrations: Registrations, answers: Sequence[Answer], capacity: int, *, at_once: int = AT_ONCE
) -> Iterator[tuple[Answer, Applied]]:
    """Ask for what each answer says, so many in one transaction, and tell what it came to."""
    for begin in range(0, len(answers), at_once):
        together = answers[begin : begin + at_once]
        now = together[-1].at
        acts = [_act(one, capacity, now) for one in together]
        yield from zip(together, registrations.take(acts, now), strict=True)


def _act(one: Answer, capacity: int, now: datetime) -> Register | Withdraw:
    # Answers that are taken together share one instant, so a deadline says who of them was late.
    seats = Seats(PROGRAM, one.event_id, capacity, now if one.is_late else now + _OPEN)
    return Register(seats, one.customer_id, MARKETPLACE) if one.is_yes else Withdraw(seats, one.customer_id)


def counted(told: Sequence[tuple[Answer, Applied]], registrations: Registrations) -> dict[str, Any]:
    """What answers came to: verdicts of yes and of no, promotions, and how events stand in the end."""
    verdicts = Counter(f"{'yes' if answer.is_yes else 'no'}, {applied.verdict}" for answer, applied in told)
    events = sorted({answer.event_id for answer, _ in told})
    stands = registrations.counts(PROGRAM, events).values()
    return {
        "answers": len(told),
        "events": len(events),
        **dict(sorted(verdicts.items())),
        "promoted": sum(len(applied.promoted) for _, applied in told),
        "events with a line": len({answer.event_id for answer, applied in told if applied.verdict == "wait_listed"}),
        "most seats taken": max(one.get("registered", 0) for one in stands),
        "registered in the end": sum(one.get("registered", 0) for one in stands),
        "in line in the end": sum(one.get("wait_listed", 0) for one in stands),
    }


def main(montana_folder: Path, stream_folder: Path) -> dict[str, dict[str, Any]]:
    """Replay both sets, each on a ledger of its own."""
    given = {"montana": montana(montana_folder), "stream": stream(stream_folder)}
    found = {}
    for name, answers in given.items():
        with tempfile.TemporaryDirectory() as folder:
            ledger = SqlLedger(f"sqlite:///{folder}/ledger.db")
            registrations = SqlRegistrations(ledger.database)
            found[name] = counted(list(replay(registrations, answers, CAPACITY[name])), registrations)
            ledger.close()
    return found


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: replay_meetup.py MONTANA_FOLDER STREAM_FOLDER")
    try:
        print(json.dumps(main(Path(sys.argv[1]), Path(sys.argv[2])), indent=1))
    except WarehouseError as error:
        sys.exit(f"replay_meetup.py: {error}")
