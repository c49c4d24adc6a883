"""The operational record of sends in a relational database: SQLite by default, PostgreSQL by its URL."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, DateTime, Select, bindparam, case, delete, func, insert, select, update

from engage_assets.domain.ports import NO_RULES
from engage_assets.domain.sends import ClaimRules, Claims, Move, Send
from engage_assets.domain.tables import INTERACTIONS_LOG, OPT_OUT_LOG, RESPONSES_LOG, SENDS_LOG, Table
from engage_assets.ledger import tables
from engage_assets.ledger.claims import judge
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list, insert_new
from engage_assets.ledger.log import Present, asked_already, enter, enter_each, planned_row, present_states, skip, stamp
from engage_assets.ledger.outbox import put_deliveries
from engage_assets.ledger.registrations import SqlRegistrations
from engage_assets.ledger.states import CLAIMED, HANDED_OVER, IN_DOUBT, ORDER, PLANNED, refuse_illegal
from engage_assets.ledger.surveys import SqlSurveyAnswers

_NO_SUCH_ADDRESS: Final = re.compile(r"TRANSPORT_REFUSED 5\d\d 5\.1\.")
_LONG_AGO: Final = datetime(1, 1, 1)  # noqa: DTZ001 – UTC without a zone attached, as everywhere
_TAGS_WRITTEN: Final = Table(
    RESPONSES_LOG.name,
    RESPONSES_LOG.grain,
    tuple(replace(one, kind="text") if one.name == "tags" else one for one in RESPONSES_LOG.columns),
)
"""The log of responses as the database holds it: lists as JSON."""
LEASE: Final = timedelta(minutes=10)
"""A send that its owner neither moves on nor gives back within this belongs to nobody any more."""


class SqlLedger:
    """Sends in the database at a URL, whose tables are made on first use. Threads and processes may share it.

    A state never begins before the one that it follows.
    """

    def __init__(self, database: Database | str, random: Random | None = None, *, lease: timedelta = LEASE) -> None:
        self._lease = lease
        self.database = database if isinstance(database, Database) else Database(database, random)
        self.url = self.database.url

    def plan(self, sends: Sequence[Send], now: datetime) -> int:
        """See Ledger. All of them in one transaction. A plan for another slot is `skipped` as `REPLANNED`."""
        rows = {send.send_id: planned_row(send) for send in sends}
        if not rows:
            return 0
        with self.database.writing() as connection:
            at = stamp(connection, now)
            others = asked_already(connection, [row for row in rows.values() if row["is_solicitation"]])
            # What it stands on is read again once it is locked: another process may have claimed it meanwhile.
            locked = present_states(connection, [other for other, _ in others.values()])
            for send_id, (other, _) in others.items():
                if locked[other].state != PLANNED:
                    del rows[send_id]
            moved = [other for other, present in locked.items() if present.state == PLANNED]
            enter(connection, moved, "skipped", at, "REPLANNED")
            return len(_plan_new(connection, [rows[send_id] for send_id in sorted(rows)], at))

    def is_planned(self, campaign_id: str, digest: str) -> bool:
        """Whether the list with this digest is what was planned last for a campaign."""
        table = tables.plans.c
        with self.database.reading() as connection:
            query = select(table.digest).where(table.campaign_id == campaign_id)
            return connection.execute(query).scalar() == digest

    def mark_planned(self, campaign_id: str, digest: str, now: datetime) -> None:
        """Remember which list was planned last for a campaign."""
        table = tables.plans
        with self.database.writing() as connection:
            connection.execute(delete(table).where(table.c.campaign_id == campaign_id))
            row = {"campaign_id": campaign_id, "digest": digest, "at": stamp(connection, now)}
            connection.execute(insert_new(connection, table), row)

    def claim(self, send_ids: Sequence[str], now: datetime, rules: ClaimRules = NO_RULES) -> Claims:
        """See Ledger. In the order given; sends that are unknown or no longer planned are left out."""
        if not send_ids:
            return Claims([], {})
        with self.database.writing() as connection:
            at = stamp(connection, now)
            verdicts = judge(connection, send_ids, now, rules)
            enter(connection, verdicts.won, CLAIMED, at, None, now + self._lease)
            skip(connection, verdicts.refused, at)
        return Claims(verdicts.won, verdicts.refused)

    def release(self, send_ids: Sequence[str], now: datetime) -> None:
        """See Ledger."""
        with self.database.writing() as connection:
            present = present_states(connection, send_ids)
            mine = [send_id for send_id in present if present[send_id].state == CLAIMED]
            enter(connection, mine, PLANNED, stamp(connection, now), None)

    def renew(self, send_ids: Sequence[str], now: datetime) -> None:
        """Extend the lease of sends that are claimed or handed over."""
        table = tables.sends
        with self.database.writing() as connection:
            present_states(connection, send_ids)
            open_ones = among(connection.dialect.name, table.c.send_id) & table.c.state.in_([CLAIMED, HANDED_OVER])
            renewed = update(table).where(open_ones).values(lease_until=now + self._lease)
            connection.execute(renewed, {"keys": as_list(sorted(set(send_ids)))})

    def settle(self, moves: Sequence[Move], now: datetime) -> frozenset[str]:
        """See Ledger. Sorted by key, so that processes cannot deadlock."""
        if not moves:
            return frozenset()
        with self.database.writing() as connection:
            present = present_states(connection, [move.send_id for move in moves])
            lost = _lost(moves, present)
            kept = [move for move in moves if not (move.state == HANDED_OVER and move.send_id in lost)]
            # An owner who was given up for lost may still bring the answer; a person's word before it stands.
            kept = [move for move in kept if not _said_already(move, present)]
            refuse_illegal(kept, {send_id: one.state for send_id, one in present.items()})
            at = stamp(connection, now)
            enter_each(connection, kept, at, now + self._lease)
            put_deliveries(connection, [present[move.send_id] for move in kept if move.state == "sent"], at)
            _suppress_unknown(connection, [move for move in kept if _is_unknown_address(move)], at)
        return lost

    def move(self, send_ids: Sequence[str], state: str, now: datetime, reason: str | None = None) -> None:
        """See Ledger; planned sends may be moved to `skipped` and `held_out`. All of them or none.

        Raises EngageError, naming send and states, when a move is illegal, and when `skipped` has no reason.
        """
        moves = [Move(send_id, state, reason) for send_id in dict.fromkeys(send_ids)]
        with self.database.reading() as connection:
            states = _states_of(connection, send_ids)
        refuse_illegal(moves, states)
        lost = self.settle(moves, now)
        if lost:
            raise_lost = dict.fromkeys(lost, "no longer claimed")
            refuse_illegal([move for move in moves if move.send_id in lost], raise_lost)

    def recover(self, program: str, now: datetime) -> tuple[int, list[str]]:
        """See Ledger."""
        table = tables.sends.c
        with self.database.writing() as connection:
            over = (table.program == program) & (table.lease_until < now)
            query = select(table.send_id, table.state).where(over, table.state.in_([CLAIMED, HANDED_OVER]))
            locked = query.order_by(table.send_id).with_for_update()
            found = [(row.send_id, row.state) for row in connection.execute(locked)]
            at = stamp(connection, now)
            claimed = [send_id for send_id, state in found if state == CLAIMED]
            enter(connection, claimed, PLANNED, at, "LEASE_OVER")
            lost = [send_id for send_id, state in found if state == HANDED_OVER]
            enter(connection, lost, IN_DOUBT, at, "OWNER_LOST")
        return len(claimed), lost

    def due(self, program: str, channel: str, since: datetime, until: datetime) -> list[str]:
        """Planned sends of a channel whose slot lies in [since, until], by slot and key."""
        table = tables.sends.c
        waiting = (table.program == program) & (table.state == PLANNED) & (table.channel == channel)
        query = select(table.send_id).where(waiting, table.slot_at.between(since, until))
        with self.database.reading() as connection:
            return list(connection.execute(query.order_by(table.slot_at, table.send_id)).scalars())

    def overdue(self, program: str, before: datetime) -> list[str]:
        """See Ledger. Sorted."""
        table = tables.sends.c
        late = (table.program == program) & (table.state == PLANNED) & (table.slot_at < before) & table.kind.is_(None)
        with self.database.reading() as connection:
            return list(connection.execute(select(table.send_id).where(late).order_by(table.send_id)).scalars())

    def in_doubt(self, program: str | None = None) -> pl.DataFrame:
        """See Ledger."""
        table = tables.sends.c
        doubtful = (tables.send_states.c.step == table.step) & (table.state == IN_DOUBT)
        statement = _events().where(doubtful)
        if program is not None:
            statement = statement.where(table.program == program)
        return self.database.frame(statement, SENDS_LOG).sort("at", "send_id")

    def states(self, campaign_id: str) -> dict[str, int]:
        """See Ledger. In the order of the states; those without sends are left out."""
        table = tables.sends.c
        statement = select(table.state, func.count()).where(table.campaign_id == campaign_id).group_by(table.state)
        with self.database.reading() as connection:
            counts = {row[0]: row[1] for row in connection.execute(statement)}
        return {state: counts[state] for state in ORDER if state in counts}

    def opt_out(self, customer_id: str, now: datetime, program: str | None = None, channel: str | None = None) -> None:
        """See Ledger."""
        from engage_assets.ledger.contacts import opt_out  # noqa: PLC0415 – contacts build on the ledger's words

        with self.database.writing() as connection:
            opt_out(connection, customer_id, stamp(connection, now), program, channel)

    def send_events(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """See Ledger. Sorted by at, send and order of the states; `after` None means from the beginning."""
        statement = _events().where(tables.send_states.c.at <= until)
        if after is not None:
            statement = statement.where(tables.send_states.c.at > after)
        place = pl.col("state").replace_strict(ORDER, return_dtype=pl.Int64)
        return self.database.cut(until, statement, SENDS_LOG).sort("at", "send_id", place)

    def opt_outs(self, until: datetime) -> pl.DataFrame:
        """See Ledger. Sorted by at, customer, program, channel, nulls first; later revocations are not seen."""
        table = tables.opt_outs.c
        revoked_at = case((table.revoked_at <= until, table.revoked_at)).label("revoked_at")
        columns = [revoked_at if name == "revoked_at" else table[name] for name in OPT_OUT_LOG.names]
        opt_outs = self.database.cut(until, select(*columns).where(table.at <= until), OPT_OUT_LOG)
        return opt_outs.sort("at", "customer_id", "program", "channel", "revoked_at")

    def interactions(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """See Ledger. Sorted by received_at and event."""
        table = tables.interactions.c
        statement = select(*(table[name] for name in INTERACTIONS_LOG.names)).where(table.received_at <= until)
        if after is not None:
            statement = statement.where(table.received_at > after)
        return self.database.cut(until, statement, INTERACTIONS_LOG).sort("received_at", "event_id")

    def responses(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """See Ledger. Sorted by received_at, response and version."""
        table = tables.responses.c
        # A JSON list of plain file names: as many names as commas, and one more where it is not empty.
        commas = func.length(table.photos) - func.length(func.replace(table.photos, ",", ""))
        photos = case((table.photos == "[]", 0), else_=commas + 1).label("photos")
        columns = [photos if name == "photos" else table[name] for name in RESPONSES_LOG.names]
        statement = select(*columns).where(table.received_at <= until)
        if after is not None:
            statement = statement.where(table.received_at > after)
        found = self.database.cut(until, statement, _TAGS_WRITTEN)
        lists = found.with_columns(pl.col("tags").str.json_decode(RESPONSES_LOG.schema["tags"]))
        return lists.sort("received_at", "response_id", "version")

    def registrations(self, until: datetime, after: datetime | None = None) -> pl.DataFrame:
        """See Ledger."""
        return SqlRegistrations(self.database).changes(after, until)

    def survey_answers(self, until: datetime) -> pl.DataFrame:
        """See Ledger."""
        return SqlSurveyAnswers(self.database).changes(None, until)

    def health(self, campaign_id: str, since: datetime | None = None) -> tuple[int, int, int]:
        """See Ledger."""
        table, events, states = tables.sends.c, tables.interactions.c, tables.send_states.c
        of_campaign, after = table.campaign_id == campaign_id, bindparam("since", type_=DateTime)
        sent = select(func.count()).where(of_campaign, table.state == "sent", table.updated_at > after)
        refused = (
            select(func.count())
            .join_from(tables.sends, tables.send_states, states.send_id == table.send_id)
            .where(of_campaign, table.state == "failed", states.step == table.step, states.at > after)
            .where(states.reason.startswith("TRANSPORT_REFUSED"))
        )
        bad = (
            select(events.kind, func.count(events.send_id.distinct()))
            .join_from(tables.interactions, tables.sends, events.send_id == table.send_id)
            .where(events.kind.in_(["bounce", "complaint"]), of_campaign, events.received_at > after)
            .group_by(events.kind)
        )
        values = {"since": since or _LONG_AGO}
        with self.database.reading() as connection:
            counts = {row[0]: row[1] for row in connection.execute(bad, values)}
            failed = connection.execute(refused, values).scalar_one()
            # Asked every two seconds of a running campaign: the whole of it is counted where something went wrong.
            taken = connection.execute(sent, values).scalar_one() if counts or failed else 0
        return taken + failed, counts.get("bounce", 0) + failed, counts.get("complaint", 0)

    def first_sent_on(self, program: str) -> date | None:
        """See Ledger."""
        table = tables.sends.c
        sent = (table.program == program) & (table.state == "sent")
        with self.database.reading() as connection:
            first = connection.execute(select(func.min(table.slot_at)).where(sent)).scalar()
        return first.date() if first else None

    def last_event_at(self) -> datetime | None:
        """See Ledger."""
        with self.database.reading() as connection:
            return connection.execute(select(func.max(tables.send_states.c.at))).scalar()

    def first_event_at(self) -> datetime | None:
        """The instant of the oldest event of any send; None when there is none."""
        with self.database.reading() as connection:
            return connection.execute(select(func.min(tables.send_states.c.at))).scalar()

    def record_batch(self, program: str, partition: date, seconds: float, records: int, at: datetime) -> None:
        """See Ledger."""
        row = {"program": program, "partition_date": partition, "seconds": seconds, "records": records, "at": at}
        with self.database.writing() as connection:
            connection.execute(insert_new(connection, tables.batches), row)

    def batch(self, program: str, partition: date) -> tuple[float, int] | None:
        """See Ledger."""
        table = tables.batches.c
        of_partition = (table.program == program) & (table.partition_date == partition)
        with self.database.reading() as connection:
            found = connection.execute(select(table.seconds, table.records).where(of_partition)).first()
        return (found.seconds, found.records) if found else None

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        self.database.close()


def _plan_new(connection: Connection, rows: Sequence[dict[str, Any]], at: datetime) -> list[str]:
    """Write the rows that are not there yet as planned; returns their keys."""
    if not rows:
        return []
    stamps = {"state": PLANNED, "planned_at": at, "updated_at": at, "step": 0}
    statement = insert_new(connection, tables.sends).returning(tables.sends.c.send_id)
    new = sorted(connection.execute(statement, [row | stamps for row in rows]).scalars())
    if new:
        states = [{"send_id": send_id, "step": 0, "state": PLANNED, "at": at, "reason": None} for send_id in new]
        connection.execute(insert(tables.send_states), states)
    return new


def _is_unknown_address(move: Move) -> bool:
    """Whether the transport refused a message because there is no such address (RFC 3463: 5.1.x)."""
    return move.state == "failed" and bool(_NO_SUCH_ADDRESS.match(move.reason or ""))


def _suppress_unknown(connection: Connection, moves: Sequence[Move], at: datetime) -> None:
    """Nobody is written to again whose address the transport says does not exist."""
    if not moves:
        return
    table = tables.sends.c
    query = select(table.customer_id).where(among(connection.dialect.name, table.send_id))
    customers = connection.execute(query, {"keys": as_list(sorted(move.send_id for move in moves))}).scalars()
    rows = [{"customer_id": one, "reason": "hard_bounce", "at": at} for one in sorted(set(customers))]
    if rows:
        connection.execute(insert_new(connection, tables.suppressions), rows)


def _events() -> Select[Any]:
    both = {**tables.sends.c, **tables.send_states.c}
    return select(*(both[name] for name in SENDS_LOG.names)).join_from(
        tables.send_states, tables.sends, tables.send_states.c.send_id == tables.sends.c.send_id
    )


def _states_of(connection: Connection, send_ids: Iterable[str]) -> dict[str, str]:
    table = tables.sends.c
    query = select(table.send_id, table.state).where(among(connection.dialect.name, table.send_id))
    found = connection.execute(query, {"keys": as_list(sorted(set(send_ids)))})
    return {row.send_id: row.state for row in found}


def _lost(moves: Sequence[Move], present: dict[str, Present]) -> frozenset[str]:
    """Hand-overs whose claim is no longer there, as another process may have made them, and those asked for twice."""
    asked = Counter(move.send_id for move in moves if move.state == HANDED_OVER)
    return frozenset(
        send_id
        for send_id, times in asked.items()
        if times > 1 or send_id not in present or present[send_id].state != CLAIMED
    )


def _said_already(move: Move, present: dict[str, Present]) -> bool:
    """Whether an answer comes after a person or the provider's event already said what became of the send.

    Likewise an owner who was given up for lost may skip too late what another has taken.
    """
    ended = ("sent", "failed")
    if move.send_id not in present:
        return False
    state = present[move.send_id].state
    if move.state == "skipped":
        return state not in (PLANNED, CLAIMED)
    return (move.state in (*ended, IN_DOUBT) and state in ended) or move.state == state == IN_DOUBT
