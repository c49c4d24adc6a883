"""Banners in the operational database: opened in one transaction, and asked again at each look."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, case, select, update
from sqlalchemy.types import DateTime

from engage_assets.domain.keys import is_part_of
from engage_assets.domain.responses import KnownSend
from engage_assets.domain.sends import ClaimRules, Claims
from engage_assets.ledger import tables
from engage_assets.ledger.claims import Known, judge
from engage_assets.ledger.contacts import KNOWN, known_columns
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list, insert_new
from engage_assets.ledger.log import enter, present_states, skip, stamp
from engage_assets.ledger.outbox import put_deliveries
from engage_assets.ledger.prepared import Prepared
from engage_assets.ledger.states import CLAIMED, HANDED_OVER

SENT: Final = "sent"
_NO_RULES: Final = ClaimRules()


class SqlBanners:
    """See Banners."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, send_ids: Sequence[str], now: datetime, rules: ClaimRules) -> Claims:
        """See Banners. In the order given; sends that are unknown or no longer planned are left out."""
        if not send_ids:
            return Claims([], {})
        with self._database.writing() as connection:
            at = stamp(connection, now)
            verdicts = judge(connection, send_ids, now, rules)
            for state in (CLAIMED, HANDED_OVER, SENT):
                enter(connection, verdicts.won, state, at, None)
            skip(connection, verdicts.refused, at)
            opened = present_states(connection, verdicts.won)
            put_deliveries(connection, [opened[send_id] for send_id in verdicts.won], at)
        return Claims(verdicts.won, verdicts.refused)

    def shown(self, program: str, channel: str, kind: str, customer_id: str, since: datetime) -> list[KnownSend]:
        """See Banners."""
        mine = {"program": program, "channel": channel, "customer": customer_id, "since": since}
        with self._database.reading() as connection:
            found = [KnownSend(**dict(zip(KNOWN, row, strict=True))) for row in _OPEN.rows(connection, mine)]
            if not found:
                return []
            known = Known.read(connection, {customer_id}, _NO_RULES)
            stops = _STOPS.rows(connection, {})
        wanted = {(None, None), (program, None), (None, channel), (None, kind), (program, channel), (program, kind)}
        if customer_id in known.suppressed or wanted & set(known.opted_out.get(customer_id, ())):
            return []
        return [
            send
            for send in found
            if (program, customer_id, send.subject_type, send.subject_id) not in known.answered
            and not any(is_part_of(send.campaign_id, target) for (target,) in stops)
        ]

    def displayed(self, send_id: str, day: date) -> int:
        """See Banners."""
        table = tables.banner_displays
        again = case((table.c.day < day, 1), else_=table.c.displays + 1)
        latest = case((table.c.day < day, day), else_=table.c.day)
        counted = update(table).where(table.c.send_id == send_id).values(displays=again, day=latest)
        with self._database.writing() as connection:
            connection.execute(insert_new(connection, table), {"send_id": send_id, "day": day, "displays": 0})
            return int(connection.execute(counted.returning(table.c.displays)).scalar_one())

    def displays(self, send_ids: Sequence[str]) -> dict[str, tuple[date, int]]:
        """See Banners."""
        table = tables.banner_displays.c
        with self._database.reading() as connection:
            query = select(table.send_id, table.day, table.displays).where(
                among(connection.dialect.name, table.send_id)
            )
            rows = connection.execute(query, {"keys": as_list(sorted(send_ids))})
            return {send_id: (day, number) for send_id, day, number in rows}


def _open(_: str) -> Select[Any]:
    table = tables.sends.c
    mine = (table.customer_id == bindparam("customer")) & (table.program == bindparam("program"))
    is_open = (table.channel == bindparam("channel")) & (table.state == SENT) & table.is_solicitation
    recent = table.slot_at > bindparam("since", type_=DateTime)
    wanted = select(*known_columns()).where(mine, is_open, recent)
    return wanted.order_by(table.slot_at.desc(), table.subject_id)


def _stops(_: str) -> Select[Any]:
    return select(tables.stops.c.target).where(tables.stops.c.lifted_at.is_(None))


_OPEN: Final = Prepared(_open)
_STOPS: Final = Prepared(_stops)
