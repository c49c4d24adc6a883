"""Notices among the sends of the operational database: which wait, which ended how, and what people were told last."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import func, select

from engage_assets.domain.notices import Waiting
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list
from engage_assets.ledger.states import ASKING, PLANNED

_OF_THE_EVENT: Final = ("moved", "called_off")
"""Kinds whose sequence is the event's version."""
_SAID: Final = sorted({*ASKING, "failed"} - {PLANNED})
"""States of a notice that the person knows, or may know; what failed is not said again."""

_SKIPPED: Final = "skipped"


class SqlNotices:
    """See Notices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def told(self, program: str, event_id: str, customer_ids: Sequence[str]) -> dict[str, int]:
        """See Notices."""
        table = tables.sends.c
        said = table.kind.in_(_OF_THE_EVENT) & table.state.in_(_SAID)
        with self._database.reading() as connection:
            theirs = among(connection.dialect.name, table.customer_id) & (table.subject_id == event_id)
            query = select(table.customer_id, func.max(table.sequence)).where(theirs, table.program == program, said)
            rows = connection.execute(query.group_by(table.customer_id), {"keys": as_list(sorted(customer_ids))})
            return {row[0]: row[1] for row in rows}

    def asked(self, program: str, event_id: str, customer_ids: Sequence[str]) -> set[str]:
        """See Notices."""
        table = tables.sends.c
        surveys = (table.program == program) & (table.subject_id == event_id) & (table.kind == "survey")
        with self._database.reading() as connection:
            theirs = among(connection.dialect.name, table.customer_id) & surveys & (table.state != _SKIPPED)
            query = select(table.customer_id).where(theirs)
            return set(connection.execute(query, {"keys": as_list(sorted(customer_ids))}).scalars())

    def waiting(self, program: str, until: datetime) -> list[Waiting]:
        """See Notices."""
        table = tables.sends.c
        columns = [table[name] for name in Waiting.__dataclass_fields__]
        due = (table.program == program) & (table.state == PLANNED) & (table.slot_at <= until)
        query = select(*columns).where(due, table.kind.is_not(None)).order_by(table.slot_at, table.send_id)
        with self._database.reading() as connection:
            return [Waiting(*row) for row in connection.execute(query)]

    def ends(self, send_ids: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        """See Notices."""
        table, states = tables.sends.c, tables.send_states.c
        present = (states.send_id == table.send_id) & (states.step == table.step)
        with self._database.reading() as connection:
            query = select(table.send_id, table.state, states.reason).join_from(
                tables.sends, tables.send_states, present
            )
            wanted = query.where(among(connection.dialect.name, table.send_id))
            rows = connection.execute(wanted, {"keys": as_list(sorted(set(send_ids)))})
            return {row[0]: (row[1], row[2]) for row in rows}
