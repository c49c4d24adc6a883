"""What people and providers answer, kept in the operational database: each call is one transaction."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BindParameter, ColumnElement, Connection, Select, bindparam, delete, insert, select, update

from engage_assets.domain.errors import EngageError
from engage_assets.domain.responses import (
    INTERACTION_KINDS,
    ApiKey,
    Interaction,
    KnownSend,
    Preferences,
    Response,
    Said,
    ServiceMinute,
)
from engage_assets.ledger import answers, tables
from engage_assets.ledger.answers import response_id
from engage_assets.ledger.database import Database, lock
from engage_assets.ledger.engines import among, as_list, insert_new
from engage_assets.ledger.log import enter, present_states, stamp
from engage_assets.ledger.outbox import put, put_deliveries
from engage_assets.ledger.prepared import Prepared
from engage_assets.ledger.states import HANDED_OVER, IN_DOUBT

_PROOF: Final = ("delivered", "bounce", "complaint")
"""Interactions that only a message which went out can have."""


KNOWN: Final = ("send_id", *(name for name in KnownSend.__dataclass_fields__ if name != "send_id"))
"""What pages know of a send, in the order of `known_columns`."""


def known_columns() -> list[ColumnElement[Any]]:
    """Columns of `sends`, and when it was handed over."""
    table, states = tables.sends.c, tables.send_states.c
    state: BindParameter[str] = bindparam("handed_over", HANDED_OVER)
    handed = select(states.at).where(states.send_id == table.send_id, states.state == state)
    handed_at = handed.correlate(tables.sends).scalar_subquery().label("handed_over_at")
    return [handed_at if name == "handed_over_at" else table[name] for name in KNOWN]


def _sends(dialect: str) -> Select[Any]:
    return select(*known_columns()).where(among(dialect, tables.sends.c.send_id))


_SENDS: Final = Prepared(_sends)


class SqlContacts:
    """Interactions, responses and preferences in the operational database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def send(self, send_id: str) -> KnownSend | None:
        """See Contacts."""
        with self._database.reading() as connection:
            return _known(connection, [send_id])[0]

    def known_sends(self, send_ids: Sequence[str]) -> list[KnownSend | None]:
        """See Contacts."""
        with self._database.reading_often() as connection:
            return _known(connection, send_ids)

    def record(self, interactions: Sequence[Interaction], now: datetime) -> int:
        """See Contacts. Raises EngageError for a kind or an event id that is none."""
        for one in interactions:
            if one.kind not in INTERACTION_KINDS or not 1 <= len(one.event_id) <= 200:
                raise EngageError(
                    f"interaction of send {one.send_id}: kind {one.kind!r} must be one of"
                    f" {', '.join(INTERACTION_KINDS)}, and the event id 1 to 200 characters long"
                )
        if not interactions:
            return 0
        with self._database.writing() as connection:
            at = stamp(connection, now)
            customers = _customers(connection, [one.send_id for one in interactions])
            known = {one.event_id: one for one in interactions if one.send_id in customers}
            rows = [_interaction_row(known[event_id], at) for event_id in sorted(known)]
            if not rows:
                return 0
            statement = insert_new(connection, tables.interactions).returning(tables.interactions.c.event_id)
            new = [known[event_id] for event_id in connection.execute(statement, rows).scalars()]
            _suppress(connection, new, customers, at)
            _resolve(connection, [one.send_id for one in known.values() if one.kind in _PROOF], at)
        return len(new)

    def respond(self, response: Response, now: datetime, *, may_edit: bool = False) -> Said:
        """See Contacts. Raises EngageError for a rating outside 1 to 5."""
        if response.rating is not None and not 1 <= response.rating <= 5:
            raise EngageError(f"response about {response.subject_type} {response.subject_id}: rating must be 1 to 5")
        with self._database.writing() as connection:
            return answers.keep(connection, response, stamp(connection, now), may_edit=may_edit)

    def answer(self, program: str, customer_id: str, subject_type: str, subject_id: str) -> Response | None:
        """See Contacts."""
        with self._database.reading() as connection:
            return answers.standing(connection, response_id(program, customer_id, subject_type, subject_id))

    def answered(self, program: str, customer_id: str, subject_type: str, subject_id: str) -> bool:
        """See Contacts."""
        key = response_id(program, customer_id, subject_type, subject_id)
        query = select(tables.responses.c.response_id).where(tables.responses.c.response_id == key)
        with self._database.reading() as connection:
            return connection.execute(query).first() is not None

    def preferences(self, customer_id: str) -> Preferences:
        """See Contacts. Opt-outs of one channel of one program are no preference of these pages, and stay."""
        with self._database.reading() as connection:
            return _preferences(connection.execute(_in_force(customer_id)).all())

    def set_preferences(self, customer_id: str, wanted: Preferences, now: datetime) -> None:
        """See Contacts."""
        with self._database.writing() as connection:
            lock(connection, tables.opt_outs)
            at = stamp(connection, now)
            rows = connection.execute(_in_force(customer_id)).all()
            goals = _goals(wanted)
            kept = {(row.program, row.channel) for row in rows}
            for program, channel in sorted(goals - kept, key=str):
                opt_out(connection, customer_id, at, program, channel)
            gone = [row.id for row in rows if (row.program, row.channel) in kept - goals and not _is_narrow(row)]
            table = tables.opt_outs
            connection.execute(update(table).where(table.c.id.in_(gone)).values(revoked_at=at))

    def rating(self, subject_type: str, subject_id: str) -> tuple[int, int]:
        """See Contacts."""
        table = tables.ratings.c
        of_subject = (table.subject_type == subject_type) & (table.subject_id == subject_id)
        with self._database.reading() as connection:
            found = connection.execute(select(table.answers, table.total).where(of_subject)).first()
        return (found.answers, found.total) if found else (0, 0)

    def api_key(self, key_id: str) -> ApiKey | None:
        """See Contacts."""
        table = tables.api_keys
        with self._database.reading() as connection:
            row = connection.execute(select(table).where(table.c.key_id == key_id)).mappings().first()
        return ApiKey(**{**row, "scopes": frozenset(row["scopes"].split())}) if row else None

    def measured(self, minutes: Sequence[ServiceMinute]) -> None:
        """See Contacts."""
        table = tables.service_minutes
        with self._database.writing() as connection:
            for one in minutes:
                mine = (table.c.minute == one.minute) & (table.c.instance == one.instance)
                connection.execute(delete(table).where(mine))
                connection.execute(insert(table), {**vars(one), "buckets": json.dumps(dict(one.buckets))})


def _known(connection: Connection, send_ids: Sequence[str]) -> list[KnownSend | None]:
    rows = _SENDS.rows(connection, {"keys": as_list(send_ids)})
    found = {row[0]: KnownSend(**dict(zip(KNOWN, row, strict=True))) for row in rows}
    return [found.get(send_id) for send_id in send_ids]


def opt_out(connection: Connection, customer_id: str, at: datetime, program: str | None, channel: str | None) -> None:
    """Record an opt-out, and that the customer's waiting candidates must go."""
    row = {"customer_id": customer_id, "at": at, "program": program, "channel": channel}
    connection.execute(insert(tables.opt_outs), row)
    said = {name: value for name, value in row.items() if isinstance(value, str)}
    put(connection, "customer_opted_out", [{**said, "at": at.isoformat()}], at)


def _customers(connection: Connection, send_ids: Iterable[str]) -> dict[str, str]:
    """The customer of each known send."""
    table = tables.sends.c
    query = select(table.send_id, table.customer_id).where(among(connection.dialect.name, table.send_id))
    rows = connection.execute(query, {"keys": as_list(sorted(set(send_ids)))})
    return {row.send_id: row.customer_id for row in rows}


def _interaction_row(one: Interaction, at: datetime) -> dict[str, Any]:
    return {**vars(one), "received_at": at}


def _suppress(connection: Connection, new: Sequence[Interaction], customers: dict[str, str], at: datetime) -> None:
    """Nobody is written to again after a permanent bounce or a complaint."""
    reasons = {
        (customers[one.send_id], "complaint" if one.kind == "complaint" else "hard_bounce")
        for one in new
        if one.kind == "complaint" or (one.kind == "bounce" and one.is_permanent)
    }
    rows = [{"customer_id": customer, "reason": reason, "at": at} for customer, reason in sorted(reasons)]
    if rows:
        connection.execute(insert_new(connection, tables.suppressions), rows)


def _resolve(connection: Connection, send_ids: Sequence[str], at: datetime) -> None:
    """Sends of which an event shows that they went out are sent: those in doubt, and those whose answer is awaited.

    The event comes but once, and may be here before the owner's answer, or before anyone knows that the owner is lost.
    """
    present = present_states(connection, send_ids)
    doubtful = [send_id for send_id, one in present.items() if one.state in (HANDED_OVER, IN_DOUBT)]
    enter(connection, doubtful, "sent", at, "PROVIDER_EVENT")
    if doubtful:
        put_deliveries(connection, [present[send_id] for send_id in doubtful], at)


def _in_force(customer_id: str) -> Select[Any]:
    table = tables.opt_outs.c
    return select(table.id, table.program, table.channel).where(
        table.customer_id == customer_id, table.revoked_at.is_(None)
    )


def _is_narrow(row: Any) -> bool:
    """Whether an opt-out is of one channel of one program."""
    return row.program is not None and row.channel is not None


def _preferences(rows: Sequence[Any]) -> Preferences:
    return Preferences(
        everything=any(row.program is None and row.channel is None for row in rows),
        programs=frozenset(row.program for row in rows if row.program is not None and row.channel is None),
        channels=frozenset(row.channel for row in rows if row.channel is not None and row.program is None),
    )


def _goals(wanted: Preferences) -> set[tuple[str | None, str | None]]:
    """The opt-outs that preferences mean."""
    return {
        *([(None, None)] if wanted.everything else []),
        *((program, None) for program in wanted.programs),
        *((None, channel) for channel in wanted.channels),
    }
