"""What operators do, and what the system tells them: stops, approvals, suppression lists, keys, alerts. All audited."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

import polars as pl
from sqlalchemy import Connection, func, insert, select, update

from engage_assets.domain.errors import EngageError
from engage_assets.domain.operations import Alert, Approval, Stop, address_hash
from engage_assets.domain.responses import ApiKey
from engage_assets.domain.tables import AUDIT_LOG, SERVICE_MINUTES
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database, lock
from engage_assets.ledger.engines import insert_new
from engage_assets.ledger.log import enter, present_states, stamp
from engage_assets.ledger.outbox import put_deliveries
from engage_assets.ledger.states import IN_DOUBT

_ROWS_AT_ONCE: Final = 5_000
_ANSWERS: Final = ("sent", "failed")


class SqlOperations:
    """Stops, approvals, suppressions, keys and alerts in the operational database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stop(self, target: str, reason: str, who: str, now: datetime) -> bool:
        """See Operations."""
        with self._database.writing() as connection:
            lock(connection, tables.stops)
            if _stops(connection, [target]):
                return False
            row = {"target": target, "reason": reason, "who": who, "at": now}
            connection.execute(insert(tables.stops), row)
            _keep(connection, now, who, "stop", target, reason)
        return True

    def resume(self, target: str, who: str, now: datetime) -> bool:
        """See Operations."""
        table = tables.stops
        with self._database.writing() as connection:
            lifted = update(table).where(table.c.target == target, table.c.lifted_at.is_(None)).values(lifted_at=now)
            found = connection.execute(lifted).rowcount > 0
            if found:
                _keep(connection, now, who, "resume", target, "")
        return found

    def stopped(self, targets: Sequence[str]) -> list[Stop]:
        """See Operations."""
        with self._database.reading() as connection:
            return _stops(connection, targets)

    def resumed_at(self, target: str) -> datetime | None:
        """See Operations."""
        table = tables.stops.c
        with self._database.reading() as connection:
            return connection.execute(select(func.max(table.lifted_at)).where(table.target == target)).scalar()

    def approve(self, approval: Approval) -> None:
        """See Operations."""
        with self._database.writing() as connection:
            connection.execute(insert(tables.approvals), vars(approval))
            said = f"audience {approval.digest[:12]}, {len(approval.members) // 8} members"
            _keep(connection, approval.at, approval.who, "approve", approval.campaign_id, said)

    def approval(self, campaign_id: str) -> Approval | None:
        """See Operations."""
        table = tables.approvals.c
        query = select(table.campaign_id, table.digest, table.members, table.who, table.at)
        latest = query.where(table.campaign_id == campaign_id).order_by(table.id.desc()).limit(1)
        with self._database.reading() as connection:
            row = connection.execute(latest).mappings().first()
        return Approval(**row) if row else None

    def suppress(self, customers: Iterable[str], addresses: Iterable[str], who: str, source: str, now: datetime) -> int:
        """See Operations."""
        rows: list[dict[str, Any]] = [{"customer_id": one, "address_hash": None} for one in sorted(set(customers))]
        rows += [{"customer_id": None, "address_hash": one} for one in sorted(set(map(address_hash, addresses)))]
        added = 0
        with self._database.writing() as connection:
            at = stamp(connection, now)
            statement = insert_new(connection, tables.suppressions).returning(tables.suppressions.c.id)
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                some = [{**row, "reason": "imported", "at": at} for row in rows[start : start + _ROWS_AT_ONCE]]
                added += len(connection.execute(statement, some).all())
            _keep(connection, at, who, "import", source, f"{len(rows)} entries, {added} new")
        return added

    def resolve(self, send_ids: Sequence[str], state: str, who: str, now: datetime) -> int:
        """See Operations."""
        if state not in _ANSWERS:
            raise EngageError(f"a send in doubt is resolved as sent or failed, not as {state!r}")
        with self._database.writing() as connection:
            present = present_states(connection, send_ids)
            missing = [one for one in send_ids if one not in present or present[one].state != IN_DOUBT]
            if missing:
                raise EngageError(
                    f"send {missing[0]} is not in doubt; none of the {len(send_ids)} was changed."
                    " `engage sends in-doubt` lists those that are"
                )
            at = stamp(connection, now)
            enter(connection, present, state, at, "RESOLVED")
            if state == "sent":
                put_deliveries(connection, present.values(), at)
            _keep(connection, at, who, "resolve", f"{len(present)} sends", f"{state}: {', '.join(sorted(present))}")
        return len(present)

    def add_key(self, key: ApiKey, who: str) -> None:
        """See Operations."""
        with self._database.writing() as connection:
            connection.execute(insert(tables.api_keys), {**vars(key), "scopes": " ".join(sorted(key.scopes))})
            _keep(
                connection, key.created_at, who, "make_key", key.key_id, f"{key.name}: {' '.join(sorted(key.scopes))}"
            )

    def revoke_key(self, key_id: str, who: str, now: datetime) -> bool:
        """See Operations."""
        table = tables.api_keys
        with self._database.writing() as connection:
            revoked = update(table).where(table.c.key_id == key_id, table.c.revoked_at.is_(None)).values(revoked_at=now)
            found = connection.execute(revoked).rowcount > 0
            if found:
                _keep(connection, now, who, "revoke_key", key_id, "")
        return found

    def api_keys(self) -> list[ApiKey]:
        """See Operations."""
        table = tables.api_keys
        with self._database.reading() as connection:
            rows = connection.execute(select(table).order_by(table.c.created_at, table.c.key_id)).mappings().all()
        return [ApiKey(**{**row, "scopes": frozenset(row["scopes"].split())}) for row in rows]

    def raise_alert(self, cause: str, text: str, now: datetime) -> bool:
        """See Operations."""
        with self._database.writing() as connection:
            statement = insert_new(connection, tables.alerts).returning(tables.alerts.c.cause)
            return bool(connection.execute(statement, {"cause": cause, "text": text, "at": now}).all())

    def untold(self) -> list[Alert]:
        """See Operations."""
        table = tables.alerts.c
        query = select(table.cause, table.text, table.at).where(table.told_at.is_(None))
        with self._database.reading() as connection:
            return [Alert(*row) for row in connection.execute(query.order_by(table.at, table.cause))]

    def told(self, causes: Sequence[str], now: datetime) -> None:
        """See Operations."""
        table = tables.alerts
        with self._database.writing() as connection:
            connection.execute(update(table).where(table.c.cause.in_(list(causes))).values(told_at=now))

    def note(self, act: str, target: str, details: str, who: str, now: datetime) -> None:
        """See Operations."""
        with self._database.writing() as connection:
            _keep(connection, now, who, act, target, details)

    def audit(self) -> pl.DataFrame:
        """See Operations."""
        table = tables.audit.c
        statement = select(*(table[name] for name in AUDIT_LOG.names)).order_by(table.id)
        return self._database.frame(statement, AUDIT_LOG)

    def service_minutes(self, since: datetime, until: datetime) -> pl.DataFrame:
        """See Operations."""
        table = tables.service_minutes.c
        query = select(*(table[name] for name in SERVICE_MINUTES.names))
        measured = query.where(table.minute >= since, table.minute < until).order_by(table.minute, table.instance)
        return self._database.frame(measured, SERVICE_MINUTES)

    def check(self) -> dict[str, str]:
        """See Operations."""
        with self._database.writing() as connection:
            version = connection.execute(select(tables.gate.c.schema_version)).scalar_one()
            server = ".".join(map(str, connection.dialect.server_version_info or ()))
        return {"database": f"{self._database.engine.dialect.name} {server}", "schema": str(version)}


def _stops(connection: Connection, targets: Sequence[str]) -> list[Stop]:
    table = tables.stops.c
    query = select(table.target, table.reason, table.who, table.at)
    holding = query.where(table.target.in_(list(targets)), table.lifted_at.is_(None)).order_by(table.id)
    return [Stop(*row) for row in connection.execute(holding)]


def _keep(connection: Connection, at: datetime, who: str, act: str, target: str, details: str) -> None:
    row = {"at": at, "who": who, "act": act, "target": target, "details": details}
    connection.execute(insert(tables.audit), row)
