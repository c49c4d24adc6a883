"""The outbox: what must happen outside the ledger, written in the transaction that causes it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Integer, Update, bindparam, cast, delete, insert, select, update

from engage_assets.domain.responses import OutboxEntry
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import rows_on
from engage_assets.ledger.log import CANDIDATE, Present
from engage_assets.ledger.prepared import Prepared

RELAYED: Final[dict[str, Any]] = {"checkpoint_pages": 40_000, "durably": False}
"""How a database is opened whose outbox is carried: a mark that a power cut takes has its entry applied again."""
_CARRIED: Final = 200
"""After so many entries the log is carried over: some 15 MiB, which stay and are written again and again."""
_NEW: Final = Prepared(lambda _: insert(tables.outbox).inline())


def _marking(dialect: str) -> Update:
    """One statement for all entries: others wait for their turn to write meanwhile."""
    table = tables.outbox
    given = rows_on(dialect, "entries", 1).subquery("given")
    entries = select(cast(given.c.c0, Integer))
    return (
        update(table).where(table.c.entry_id.in_(entries), table.c.done_at.is_(None)).values(done_at=bindparam("now"))
    )


_DONE: Final = Prepared(_marking, is_planned_anew=True)


class SqlOutbox:
    """The outbox in the operational database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._done = 0

    def waiting(self, topics: Sequence[str], limit: int, after: int = 0) -> list[OutboxEntry]:
        """See Outbox."""
        table = tables.outbox.c
        open_ones = table.topic.in_(list(topics)) & table.done_at.is_(None) & (table.entry_id > after)
        query = select(table.entry_id, table.topic, table.payload, table.created_at).where(open_ones)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(table.entry_id).limit(limit))
            return [OutboxEntry(row.entry_id, row.topic, json.loads(row.payload), row.created_at) for row in rows]

    def done(self, entry_ids: Sequence[int], now: datetime) -> None:
        """See Outbox."""
        if not entry_ids:
            return
        with self._database.writing() as connection:
            _DONE.run(connection, [{"entries": json.dumps([[entry_id] for entry_id in entry_ids]), "now": now}])
        self._done += len(entry_ids)
        if self._done >= _CARRIED:
            self._done = 0
            self._database.carry_over()

    def purge(self, before: datetime) -> int:
        """See Outbox."""
        table = tables.outbox
        with self._database.writing() as connection:
            return connection.execute(delete(table).where(table.c.done_at < before)).rowcount


def put(connection: Connection, topic: str, payloads: Sequence[Mapping[str, str]], at: datetime) -> None:
    """Leave entries behind, to be applied in this order."""
    put_each(connection, [(topic, one) for one in payloads], at)


def put_each(connection: Connection, entries: Sequence[tuple[str, Mapping[str, str]]], at: datetime) -> None:
    """As `put`, each with its topic."""
    rows = [{"topic": topic, "payload": json.dumps(dict(said)), "created_at": at} for topic, said in entries]
    _NEW.run(connection, rows)


def put_deliveries(connection: Connection, sent: Iterable[Present], at: datetime) -> None:
    """The candidates of solicitations that were sent become `delivered`."""
    keys = [dict(zip(CANDIDATE, one.candidate, strict=True)) for one in sent if one.candidate]
    put(connection, "candidate_status", [{**key, "status": "delivered", "at": at.isoformat()} for key in keys], at)
