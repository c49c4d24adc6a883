"""Answers in the operational database, version by version: the last one stands, the first one counts."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, insert, select, update

from engage_assets.domain.responses import Response, Said
from engage_assets.ledger import tables
from engage_assets.ledger.engines import insert_new, insert_new_on
from engage_assets.ledger.outbox import put_each
from engage_assets.ledger.prepared import Prepared

_SAID: Final = ("rating", "is_positive", "tags", "body", "photos")
"""What makes two versions different."""
_FIRST: Final = Prepared(
    lambda dialect: insert_new_on(dialect, tables.responses).returning(tables.responses.c.response_id)
)


def response_id(program: str, customer_id: str, subject_type: str, subject_id: str) -> str:
    """What makes two answers the same: 32 hex digits of SHA-256 over their key."""
    parts = f"{program}\x1f{customer_id}\x1f{subject_type}\x1f{subject_id}"
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def keep(
    connection: Connection, response: Response, at: datetime, *, may_edit: bool, is_thumb_only: bool = False
) -> Said:
    """Write an answer, or a new version of it; `at` is when it is recorded. See Contacts.respond.

    `is_thumb_only`: it was given where nothing but yes or no can be said, so whatever else was said before stays.
    """
    row = _row(response, at)
    if _FIRST.rows(connection, {**row, "version": 1}):
        _rate(connection, row, None)
        _tell(connection, response, at)
        return "new"
    if not may_edit:
        return "unchanged"
    return _edit(connection, row, [name for name in _SAID if name != "is_positive"] if is_thumb_only else [])


def add(connection: Connection, responses: Sequence[Response], at: datetime) -> list[dict[str, str]]:
    """Write first answers that no form gave, such as registrations; those that are known already are left.

    Returns what is to be left behind of each new one, as an outbox entry `response`.
    """
    if not responses:
        return []
    rows = {row["response_id"]: {**row, "version": 1} for row in (_row(one, at) for one in responses)}
    new = {key for (key,) in _FIRST.rows_of_each(connection, [rows[key] for key in sorted(rows)])}
    place = ("program", "marketplace", "subject_type", "subject_id")
    return [{**{name: row[name] for name in place}, "at": at.isoformat()} for key, row in rows.items() if key in new]


def standing(connection: Connection, key: str) -> Response | None:
    """The answer with this response_id as it stands; `at` is when it was changed last."""
    row = _last(connection, key)
    if row is None:
        return None
    kept = {name: row[name] for name in Response.__dataclass_fields__ if name in row}
    lists = {name: tuple(json.loads(row[name])) for name in ("photos", "tags")}
    return Response(**{**kept, **lists, "text": row["body"], "at": row["changed_at"]})


def _edit(connection: Connection, row: dict[str, Any], unsaid: Sequence[str]) -> Said:
    """Add a version where it says something else, and was submitted no earlier than the one that stands.

    Columns in `unsaid` stay as they are.
    """
    table = tables.responses
    mine = table.c.response_id == row["response_id"]
    # Who edits the same answer meets here: a lock on the last version would not see the one that comes after it.
    connection.execute(select(table.c.version).where(mine, table.c.version == 1).with_for_update())
    before = _last(connection, row["response_id"])
    assert before is not None
    row |= {name: before[name] for name in unsaid} | ({"has_text": before["has_text"]} if "body" in unsaid else {})
    if row["changed_at"] < before["changed_at"] or all(row[name] == before[name] for name in _SAID):
        return "unchanged"
    connection.execute(insert(table), {**row, "version": before["version"] + 1, "at": before["at"]})
    connection.execute(update(table).where(mine, table.c.version == before["version"]).values(body=None))
    _rate(connection, row, before["rating"])
    return "edited"


def _last(connection: Connection, key: str) -> RowMapping | None:
    """The last version of an answer."""
    table = tables.responses
    query = select(table).where(table.c.response_id == key).order_by(table.c.version.desc()).limit(1)
    return connection.execute(query).mappings().first()


def _row(response: Response, at: datetime) -> dict[str, Any]:
    row = {name: value for name, value in vars(response).items() if name not in ("text", "photos", "tags")}
    lists = {name: json.dumps(list(getattr(response, name))) for name in ("photos", "tags")}
    text = response.text or None
    key = response_id(response.program, response.customer_id, response.subject_type, response.subject_id)
    made = {"response_id": key, "body": text, "has_text": text is not None, "changed_at": response.at}
    return {**row, **lists, **made, "received_at": at}


def _rate(connection: Connection, row: Mapping[str, Any], was: int | None) -> None:
    """Let the subject's rating follow; an answer without one leaves it as it is."""
    is_now = row["rating"]
    answers, total = (is_now is not None) - (was is not None), (is_now or 0) - (was or 0)
    if not answers and not total:
        return
    table = tables.ratings
    subject = {"subject_type": row["subject_type"], "subject_id": row["subject_id"]}
    connection.execute(insert_new(connection, table), {**subject, "answers": 0, "total": 0})
    mine = (table.c.subject_type == row["subject_type"]) & (table.c.subject_id == row["subject_id"])
    counted = {"answers": table.c.answers + answers, "total": table.c.total + total}
    connection.execute(update(table).where(mine).values(**counted))


def _tell(connection: Connection, response: Response, at: datetime) -> None:
    """Leave behind what follows from a first answer."""
    subject = {"subject_type": response.subject_type, "subject_id": response.subject_id}
    place = {"program": response.program, "marketplace": response.marketplace, **subject}
    status = {"customer_id": response.customer_id, **place, "status": "consumed", "at": at.isoformat()}
    put_each(connection, [("candidate_status", status), ("response", {**place, "at": status["at"]})], at)
