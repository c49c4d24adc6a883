"""Joins and leaves of events in the operational database: facts that are kept once, however often they are told."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import delete, exists, func, insert, select

from engage_assets.domain.attendance import Mark, Stay
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list, insert_new

TOLD: Final = "told"
IMPORTED: Final = "imported"


class SqlAttendances:
    """See Attendances."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, program: str, event_id: str, marks: Sequence[Mark], now: datetime) -> set[Mark]:
        """See Attendances."""
        if not marks:
            return set()
        table = tables.attendance_marks
        columns = [table.c[name] for name in Mark.__dataclass_fields__]
        rows = [_row(program, event_id, TOLD, mark, now) for mark in sorted(set(marks))]
        with self._database.writing() as connection:
            found = connection.execute(insert_new(connection, table).returning(*columns), rows)
            return {Mark(*row) for row in found}

    def put(self, program: str, event_id: str, stays: Sequence[Stay], now: datetime) -> None:
        """See Attendances."""
        table = tables.attendance_marks
        before = (table.c.program == program) & (table.c.event_id == event_id) & (table.c.source == IMPORTED)
        marks = {mark for place, stay in enumerate(stays) for mark in _marks(stay, str(place))}
        with self._database.writing() as connection:
            connection.execute(delete(table).where(before))
            if marks:
                rows = [_row(program, event_id, IMPORTED, mark, now) for mark in sorted(marks)]
                connection.execute(insert(table), rows)

    def of(self, program: str, event_id: str, customer_ids: Collection[str] | None = None) -> list[Mark]:
        """See Attendances."""
        table = tables.attendance_marks.c
        of_event = (table.program == program) & (table.event_id == event_id)
        with self._database.reading() as connection:
            is_imported = select(exists().where(of_event, table.source == IMPORTED))
            source = IMPORTED if connection.execute(is_imported).scalar_one() else TOLD
            query = select(*(table[name] for name in Mark.__dataclass_fields__)).where(of_event, table.source == source)
            if customer_ids is not None:
                query = query.where(among(connection.dialect.name, table.customer_id))
            keys = {"keys": as_list(sorted(customer_ids))} if customer_ids is not None else {}
            return sorted(Mark(*row) for row in connection.execute(query, keys))

    def events(self) -> dict[tuple[str, str], datetime]:
        """See Attendances."""
        table = tables.attendance_marks.c
        query = select(table.program, table.event_id, func.max(table.received_at))
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(table.program, table.event_id))
            return {(program, event_id): told_at for program, event_id, told_at in rows}

    def erase(self, program: str, event_id: str) -> int:
        """See Attendances."""
        table = tables.attendance_marks
        of_event = (table.c.program == program) & (table.c.event_id == event_id)
        with self._database.writing() as connection:
            return connection.execute(delete(table).where(of_event)).rowcount


def _marks(stay: Stay, session: str) -> list[Mark]:
    joined = Mark(stay.joined_at, "joined", stay.person, session)
    return [joined] if stay.left_at is None else [joined, Mark(stay.left_at, "left", stay.person, session)]


def _row(program: str, event_id: str, source: str, mark: Mark, now: datetime) -> dict[str, Any]:
    return {"program": program, "event_id": event_id, "source": source, **vars(mark), "received_at": now}
