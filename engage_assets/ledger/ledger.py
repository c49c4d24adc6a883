"""The operational record in a relational database: SQLite by default, another one by its URL."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property
from random import Random
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, Engine, Select, case, func, insert, inspect, select

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Send
from engage_assets.domain.tables import OPT_OUT_LOG, SENDS_LOG, Table, empty_frame
from engage_assets.ledger import tables
from engage_assets.ledger.engines import WRITES, insert_new, open_engine
from engage_assets.ledger.log import asked_already, enter, planned_row, present_states, stamp
from engage_assets.ledger.states import CLAIMED, ORDER, PLANNED, refuse_illegal

_ROWS_AT_ONCE: Final = 50_000


class SqlLedger:
    """The ledger at a database `url`, whose tables are made on first use. Threads and processes may share it.

    **Time.** Callers state the time, and may wait for the lock after having read their clock. So whoever
    reads the log up to an instant leaves that cut behind, and a write stamped at or before a cut is
    stamped just after it: the same cut gives the same rows for ever. This holds for writers up to
    SEND_WINDOW behind; a cut further ahead of a writer's clock was taken of the future and settles nothing.
    A state never begins before the one that it follows.
    """

    def __init__(self, url: str, random: Random | None = None) -> None:
        self.url = url
        self._random = random or Random()  # noqa: S311 – spreads retries, guards nothing

    def plan(self, sends: Sequence[Send], now: datetime) -> int:
        """See Ledger. All of them in one transaction. A plan for another slot is `skipped` as `REPLANNED`."""
        rows = {send.send_id: planned_row(send) for send in sends}
        if not rows:
            return 0
        with self._writing() as connection:
            at = stamp(connection, now)
            solicitations = [row for row in rows.values() if row["is_solicitation"]]
            others = asked_already(connection, solicitations)
            for send_id in [send_id for send_id, (_, state, _) in others.items() if state != PLANNED]:
                del rows[send_id]
            moved = {other: began for other, state, began in others.values() if state == PLANNED}
            enter(connection, moved, "skipped", at, "REPLANNED")
            stamps = {"state": PLANNED, "planned_at": at, "updated_at": at}
            statement = insert_new(connection, tables.sends).returning(tables.sends.c.send_id)
            given = [rows[send_id] | stamps for send_id in sorted(rows)]
            new = sorted(connection.execute(statement, given).scalars()) if given else []
            if new:
                states = [{"send_id": send_id, "state": PLANNED, "at": at, "reason": None} for send_id in new]
                connection.execute(insert(tables.send_states), states)
        return len(new)

    def claim(self, send_ids: Sequence[str], now: datetime) -> list[str]:
        """See Ledger. In the order given; sends that are unknown or no longer planned are left out."""
        with self._writing() as connection:
            present = present_states(connection, send_ids)
            won = {send_id: began for send_id, (state, began) in present.items() if state == PLANNED}
            enter(connection, won, CLAIMED, stamp(connection, now), None)
        return [send_id for send_id in dict.fromkeys(send_ids) if send_id in won]

    def move(self, send_ids: Sequence[str], state: str, now: datetime, reason: str | None = None) -> None:
        """See Ledger; planned sends may be moved to `skipped` and `held_out`. All of them or none.

        Raises EngageError, naming send and states, when a move is illegal, and when `skipped` has no reason.
        """
        with self._writing() as connection:
            present = present_states(connection, send_ids)
            states = {send_id: state for send_id, (state, _) in present.items()}
            refuse_illegal(list(dict.fromkeys(send_ids)), states, state, reason)
            began = {send_id: began for send_id, (_, began) in present.items()}
            enter(connection, began, state, stamp(connection, now), reason)

    def overdue(self, program: str, before: datetime) -> list[str]:
        """See Ledger. Sorted."""
        table = tables.sends.c
        late = (table.program == program) & (table.state == PLANNED) & (table.slot_at < before)
        with self._reading() as connection:
            return list(connection.execute(select(table.send_id).where(late).order_by(table.send_id)).scalars())

    def states(self, campaign_id: str) -> dict[str, int]:
        """See Ledger. In the order of the states; those without sends are left out."""
        statement = (
            select(tables.sends.c.state, func.count())
            .where(tables.sends.c.campaign_id == campaign_id)
            .group_by(tables.sends.c.state)
        )
        with self._reading() as connection:
            counts = {row[0]: row[1] for row in connection.execute(statement)}
        return {state: counts[state] for state in ORDER if state in counts}

    def opt_out(self, customer_id: str, now: datetime, program: str | None = None, channel: str | None = None) -> None:
        """See Ledger."""
        with self._writing() as connection:
            row = {"customer_id": customer_id, "at": stamp(connection, now), "program": program, "channel": channel}
            connection.execute(insert(tables.opt_outs), row)

    def send_events(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """See Ledger. Sorted by at, send and order of the states; `after` None means from the beginning."""
        both = {**tables.sends.c, **tables.send_states.c}
        statement = (
            select(*(both[name] for name in SENDS_LOG.names))
            .join_from(tables.send_states, tables.sends, tables.send_states.c.send_id == tables.sends.c.send_id)
            .where(tables.send_states.c.at <= until)
        )
        if after is not None:
            statement = statement.where(tables.send_states.c.at > after)
        place = pl.col("state").replace_strict(ORDER, return_dtype=pl.Int64)
        return self._cut(until, statement, SENDS_LOG).sort("at", "send_id", place)

    def opt_outs(self, until: datetime) -> pl.DataFrame:
        """See Ledger. Sorted by at, customer, program, channel, nulls first; later revocations are not seen."""
        table = tables.opt_outs.c
        revoked_at = case((table.revoked_at <= until, table.revoked_at)).label("revoked_at")
        columns = [revoked_at if name == "revoked_at" else table[name] for name in OPT_OUT_LOG.names]
        opt_outs = self._cut(until, select(*columns).where(table.at <= until), OPT_OUT_LOG)
        return opt_outs.sort("at", "customer_id", "program", "channel", "revoked_at")

    def first_event_at(self) -> datetime | None:
        """The instant of the oldest event of any send; None when there is none."""
        with self._reading() as connection:
            return connection.execute(select(func.min(tables.send_states.c.at))).scalar()

    def record_batch(self, program: str, partition: date, seconds: float, records: int, at: datetime) -> None:
        """See Ledger."""
        row = {"program": program, "partition_date": partition, "seconds": seconds, "records": records, "at": at}
        with self._writing() as connection:
            connection.execute(insert_new(connection, tables.batches), row)

    def batch(self, program: str, partition: date) -> tuple[float, int] | None:
        """See Ledger."""
        table = tables.batches.c
        of_partition = (table.program == program) & (table.partition_date == partition)
        with self._reading() as connection:
            found = connection.execute(select(table.seconds, table.records).where(of_partition)).first()
        return (found.seconds, found.records) if found else None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        engine = open_engine(self.url, self._random)
        with engine.connect() as connection:
            is_new = not inspect(connection).has_table(tables.gate.name)
        if is_new:
            with engine.connect().execution_options(**WRITES) as connection, connection.begin():
                tables.metadata.create_all(connection)
                connection.execute(
                    insert_new(connection, tables.gate), {"id": 1, "schema_version": tables.SCHEMA_VERSION}
                )
        with engine.connect() as connection:
            version = connection.execute(select(tables.gate.c.schema_version)).scalar_one()
        if version != tables.SCHEMA_VERSION:
            raise EngageError(
                f"{engine.url.render_as_string()}: ledger of schema {version}, this version of engage_assets reads"
                f" {tables.SCHEMA_VERSION}; use the version that wrote it"
            )
        return engine

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def _writing(self, *, alone: bool = False) -> Iterator[Connection]:
        """A transaction past the gate. Writers pass together where the database can; a cut waits for all of them."""
        with self._engine.connect().execution_options(**WRITES) as connection, connection.begin():
            connection.execute(select(tables.gate.c.id).with_for_update(read=not alone))
            yield connection

    def _cut(self, until: datetime, statement: Select[Any], table: Table) -> pl.DataFrame:
        """Rows of `statement` once every writer that stamped its time up to `until` has committed."""
        with self._writing(alone=True) as connection:
            connection.execute(insert_new(connection, tables.cuts), {"until": until})
        with self._reading() as connection:
            parts = connection.execute(statement).partitions(_ROWS_AT_ONCE)
            frames = [pl.DataFrame(list(map(tuple, rows)), schema=table.schema, orient="row") for rows in parts]
        return pl.concat([empty_frame(table), *frames])
