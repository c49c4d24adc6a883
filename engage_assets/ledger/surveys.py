"""Answers of surveys in the operational database: one of each person who attended, and the first stands."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, Literal

import polars as pl
from sqlalchemy import func, select

from engage_assets.domain.notices import SURVEY_LOG, SurveyAnswer
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.engines import among, as_list, insert_new
from engage_assets.ledger.event_rows import registration_id
from engage_assets.ledger.log import stamp

_RATINGS: Final = range(1, 6)


class SqlSurveyAnswers:
    """See SurveyAnswers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, answer: SurveyAnswer, now: datetime) -> Literal["new", "unchanged", "not_attended"]:
        """See SurveyAnswers. Raises ValueError for a rating outside 1 to 5."""
        if answer.rating not in _RATINGS:
            raise ValueError("rating: 1 to 5")
        table, present = tables.survey_answers, tables.registrations.c
        row = _row(answer)
        status = select(present.status).where(present.registration_id == row["registration_id"])
        with self._database.writing() as connection:
            # Who attended never becomes one who did not, so that this holds until the end of the transaction.
            if connection.execute(status).scalar_one_or_none() != "attended":
                return "not_attended"
            statement = insert_new(connection, table).returning(table.c.registration_id)
            written = connection.execute(statement, {**row, "received_at": stamp(connection, now)}).first()
        return "new" if written else "unchanged"

    def of(self, program: str, event_id: str, customer_id: str) -> SurveyAnswer | None:
        """See SurveyAnswers."""
        table = tables.survey_answers.c
        columns = [table.body if name == "text" else table[name] for name in SurveyAnswer.__dataclass_fields__]
        query = select(*columns).where(table.registration_id == registration_id(program, event_id, customer_id))
        with self._database.reading() as connection:
            found = connection.execute(query).first()
        return SurveyAnswer(*found) if found else None

    def ratings(self, program: str, event_ids: Sequence[str]) -> dict[str, dict[int, int]]:
        """See SurveyAnswers."""
        table = tables.survey_answers.c
        with self._database.reading() as connection:
            theirs = (table.program == program) & among(connection.dialect.name, table.event_id)
            query = select(table.event_id, table.rating, func.count()).where(theirs)
            rows = connection.execute(query.group_by(table.event_id, table.rating), {"keys": as_list(event_ids)}).all()
        return {event: {rating: count for of, rating, count in sorted(rows) if of == event} for event in event_ids}

    def changes(self, after: datetime | None, until: datetime) -> pl.DataFrame:
        """See SurveyAnswers. Sorted by received_at, program, event and customer."""
        table = tables.survey_answers.c
        has_text = table.body.is_not(None).label("has_text")
        columns = [has_text if name == "has_text" else table[name] for name in SURVEY_LOG.names]
        query = select(*columns).where(table.received_at <= until)
        if after is not None:
            query = query.where(table.received_at > after)
        found = self._database.cut(until, query, SURVEY_LOG)
        return found.sort("received_at", "program", "event_id", "customer_id")


def _row(answer: SurveyAnswer) -> dict[str, Any]:
    said = {name: value for name, value in vars(answer).items() if name != "text"}
    key = registration_id(answer.program, answer.event_id, answer.customer_id)
    return {**said, "registration_id": key, "body": answer.text or None}
