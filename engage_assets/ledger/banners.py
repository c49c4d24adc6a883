"""Banners in the operational database: opened in one transaction, and asked again at each look."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Select, bindparam, select
from sqlalchemy.types import DateTime

from engage_assets.domain.keys import is_part_of
from engage_assets.domain.responses import KnownSend
from engage_assets.domain.sends import ClaimRules, Claims
from engage_assets.ledger import tables
from engage_assets.ledger.claims import Known, judge
from engage_assets.ledger.contacts import KNOWN, known_columns
from engage_assets.ledger.database import Database
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
