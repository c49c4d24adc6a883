"""What a notice tells, asked of the registrations that the claim's transaction holds still."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from sqlalchemy import Connection, select

from engage_assets.domain.notices import OF_ONE_CHANGE, TOLD_IN
from engage_assets.ledger import tables
from engage_assets.ledger.engines import among, as_list
from engage_assets.ledger.event_rows import registration_id

SUPERSEDED: Final = "SUPERSEDED"
_ANSWERED: Final = "ALREADY_ANSWERED"
_SURVEY: Final = "survey"
_SKIPPED: Final = "skipped"


class Told(NamedTuple):
    """A notice that is about to be claimed."""

    send_id: str
    kind: str
    sequence: int | None
    program: str
    event_id: str
    customer_id: str

    @property
    def key(self) -> str:
        """Of the registration that it is about."""
        return registration_id(self.program, self.event_id, self.customer_id)


def untrue(connection: Connection, notices: Sequence[Told]) -> dict[str, str]:
    """By send_id: why a notice must not be told any more.

    SUPERSEDED: the registration is not what it says, or another survey asks the person; ALREADY_ANSWERED: the survey
    is. Whoever wants to change registrations of these events waits until the transaction ends.
    """
    if not notices:
        return {}
    _hold(connection, sorted({(one.program, one.event_id) for one in notices}))
    keys = {"keys": as_list(sorted({one.key for one in notices}))}
    table, given = tables.registrations.c, tables.survey_answers.c
    dialect = connection.dialect.name
    rows = select(table.registration_id, table.status, table.sequence).where(among(dialect, table.registration_id))
    standing = {key: (status, sequence) for key, status, sequence in connection.execute(rows, keys)}
    query = select(given.registration_id).where(among(dialect, given.registration_id))
    surveys = [one for one in notices if one.kind == _SURVEY]
    answered = set(connection.execute(query, keys).scalars()) if surveys else set()
    reasons = {one.send_id: _reason(one, standing.get(one.key), is_answered=one.key in answered) for one in notices}
    again = dict.fromkeys(_asked_again(connection, surveys), SUPERSEDED)
    return again | {send_id: reason for send_id, reason in reasons.items() if reason}


def _reason(notice: Told, standing: tuple[str, int] | None, *, is_answered: bool) -> str | None:
    if standing is None or standing[0] not in TOLD_IN[notice.kind]:
        return SUPERSEDED
    if notice.kind in OF_ONE_CHANGE and standing[1] != notice.sequence:
        return SUPERSEDED
    return _ANSWERED if notice.kind == _SURVEY and is_answered else None


def _asked_again(connection: Connection, surveys: Sequence[Told]) -> list[str]:
    """Surveys of whom an earlier one asks, or may have asked, about the same event: only what was skipped asks not."""
    if not surveys:
        return []
    table = tables.sends.c
    theirs = among(connection.dialect.name, table.customer_id) & (table.kind == _SURVEY) & (table.state != _SKIPPED)
    columns = (table.program, table.subject_id, table.customer_id, table.send_id)
    query = select(*columns).where(theirs).order_by(table.slot_at, table.send_id)
    first: dict[tuple[str, str, str], str] = {}
    for *person, send_id in connection.execute(query, {"keys": as_list(sorted({one.customer_id for one in surveys}))}):
        first.setdefault((person[0], person[1], person[2]), send_id)
    return [one.send_id for one in surveys if first[one.program, one.event_id, one.customer_id] != one.send_id]


def _hold(connection: Connection, events: Sequence[tuple[str, str]]) -> None:
    """Who changes registrations locks their event's row first, in the order of the keys."""
    table = tables.event_seats.c
    for program, event_id in events:
        mine = (table.program == program) & (table.event_id == event_id)
        connection.execute(select(table.taken).where(mine).with_for_update(read=True))
