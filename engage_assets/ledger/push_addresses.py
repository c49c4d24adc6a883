"""Push subscriptions in the operational database: addresses of browsers and apps, read at a send alone."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, delete, select, update

from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list, insert_new

MOST: Final = 10
"""Addresses that are kept of one customer: the newest."""


class SqlPushSubscriptions:
    """See PushSubscriptions. Two addresses are the same where their endpoint is."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, customer_id: str, address: str, now: datetime) -> None:
        """See PushSubscriptions. Of one customer the newest MOST are kept."""
        table, key = tables.push_subscriptions, subscription_id(address)
        row = {"customer_id": customer_id, "address": address, "kept_at": now, "gone_at": None}
        with self._database.writing() as connection:
            connection.execute(insert_new(connection, table), {"subscription_id": key, **row})
            connection.execute(update(table).where(table.c.subscription_id == key).values(**row))
            _drop_oldest(connection, customer_id)

    def of(self, customer_ids: Sequence[str]) -> dict[str, list[str]]:
        """See PushSubscriptions."""
        table = tables.push_subscriptions.c
        newest = (table.customer_id, table.kept_at.desc(), table.subscription_id)
        found: dict[str, list[str]] = defaultdict(list)
        with self._database.reading() as connection:
            theirs = among(connection.dialect.name, table.customer_id) & table.gone_at.is_(None)
            query = select(table.customer_id, table.address).where(theirs).order_by(*newest)
            for customer, address in connection.execute(query, {"keys": as_list(sorted(set(customer_ids)))}):
                found[customer].append(address)
        return dict(found)

    def gone(self, address: str, now: datetime) -> None:
        """See PushSubscriptions. Nothing is kept of it but that it was there."""
        table = tables.push_subscriptions
        same = (table.c.subscription_id == subscription_id(address)) & table.c.gone_at.is_(None)
        with self._database.writing() as connection:
            connection.execute(update(table).where(same).values(gone_at=now, address=""))


def subscription_id(address: str) -> str:
    """What makes two addresses the same: 32 hex digits of SHA-256 over the endpoint, else over the whole text."""
    try:
        endpoint = json.loads(address)["endpoint"]
    except (ValueError, KeyError, TypeError):
        endpoint = address
    return hashlib.sha256(str(endpoint).encode()).hexdigest()[:32]


def _drop_oldest(connection: Connection, customer_id: str) -> None:
    table = tables.push_subscriptions
    mine = table.c.customer_id == customer_id
    newest = select(table.c.subscription_id).where(mine).order_by(table.c.kept_at.desc(), table.c.subscription_id)
    kept = set(connection.execute(newest.limit(MOST)).scalars())
    gone = sorted(set(connection.execute(newest).scalars()) - kept)
    if gone:
        connection.execute(
            delete(table).where(among(connection.dialect.name, table.c.subscription_id)), {"keys": as_list(gone)}
        )
