"""What a transaction of the ledger reads and writes of sends and their log."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, bindparam, func, insert, select, update

from engage_assets.domain.ports import Send
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.ledger import tables
from engage_assets.ledger.states import ASKING

_IDS_AT_ONCE: Final = 500
_TICK: Final = timedelta(microseconds=1)


def planned_row(send: Send) -> dict[str, Any]:
    """The columns of `sends` that a plan states."""
    return {
        "send_id": send.send_id,
        "program": send.program,
        "campaign_id": send.campaign_id,
        "customer_id": send.customer_id,
        "subject_id": send.subject_id,
        "channel": send.channel,
        "slot_at": send.slot_at,
        "cap_scope": send.cap_scope,
        "is_solicitation": send.is_solicitation,
    }


def stamp(connection: Connection, now: datetime) -> datetime:
    """The time of a write: `now`, or just after a cut that was taken while the writer was on its way."""
    until = tables.cuts.c.until
    passed = select(func.max(until)).where(until >= now, until <= now + SEND_WINDOW)
    cut: datetime | None = connection.execute(passed).scalar()
    return now if cut is None else cut + _TICK


def present_states(connection: Connection, send_ids: Sequence[str]) -> dict[str, tuple[str, datetime]]:
    """Present state of each known send and when it began, locked in the order of the keys."""
    keys = sorted(set(send_ids))
    table = tables.sends.c
    present = {}
    for start in range(0, len(keys), _IDS_AT_ONCE):
        some = table.send_id.in_(keys[start : start + _IDS_AT_ONCE])
        statement = select(table.send_id, table.state, table.updated_at).where(some)
        for row in connection.execute(statement.order_by(table.send_id).with_for_update()):
            present[row.send_id] = (row.state, row.updated_at)
    return present


def asked_already(connection: Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, str, datetime]]:
    """By send_id of `rows`: another send by which the same program asks the same thing on the same channel.

    Gives its send_id, its state and when that began. Sends that were not made (failed, skipped, held out) ask nobody.
    """
    wanted = {(row["program"], row["channel"], row["customer_id"], row["subject_id"]): row["send_id"] for row in rows}
    customers = sorted({row["customer_id"] for row in rows})
    table = tables.sends.c
    key = (table.program, table.channel, table.customer_id, table.subject_id)
    found = {}
    for start in range(0, len(customers), _IDS_AT_ONCE):
        theirs = table.customer_id.in_(customers[start : start + _IDS_AT_ONCE])
        asking = table.state.in_(ASKING) & table.is_solicitation
        statement = select(*key, table.send_id, table.state, table.updated_at).where(theirs, asking)
        for *parts, send_id, state, began in connection.execute(statement):
            own = wanted.get((parts[0], parts[1], parts[2], parts[3]))
            if own is not None and own != send_id:
                found[own] = (send_id, state, began)
    return found


def enter(connection: Connection, began: dict[str, datetime], state: str, at: datetime, reason: str | None) -> None:
    """Let sends enter `state`, at `at` or when their present state began, whichever is later."""
    if not began:
        return
    moves = [{"key": send_id, "began": max(at, began[send_id])} for send_id in sorted(began)]
    changed = update(tables.sends).where(tables.sends.c.send_id == bindparam("key"))
    connection.execute(changed.values(state=state, updated_at=bindparam("began")), moves)
    events = [{"send_id": move["key"], "state": state, "at": move["began"], "reason": reason} for move in moves]
    connection.execute(insert(tables.send_states), events)
