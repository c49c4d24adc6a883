"""Dietary preferences in the operational database: a table of their own, which nothing else reads."""

from datetime import datetime

from sqlalchemy import delete, func, insert, select

from engage_assets.domain.registrations import Registration
from engage_assets.ledger import tables
from engage_assets.ledger.database import Database
from engage_assets.ledger.event_rows import registration_id


class SqlDietaryPreferences:
    """See DietaryPreferences."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, registration: Registration, words: str, erase_at: datetime, now: datetime) -> None:
        """See DietaryPreferences."""
        table, key = tables.dietary_preferences, _key(registration)
        place = {"program": registration.program, "event_id": registration.event_id}
        with self._database.writing() as connection:
            connection.execute(delete(table).where(table.c.registration_id == key))
            if words:
                row = {"registration_id": key, **place, "words": words, "erase_at": erase_at, "kept_at": now}
                connection.execute(insert(table), row)

    def of(self, registration: Registration) -> str | None:
        """See DietaryPreferences."""
        table = tables.dietary_preferences.c
        query = select(table.words).where(table.registration_id == _key(registration))
        with self._database.reading() as connection:
            return connection.execute(query).scalar_one_or_none()

    def events(self) -> dict[tuple[str, str], datetime]:
        """See DietaryPreferences."""
        table = tables.dietary_preferences.c
        query = select(table.program, table.event_id, func.max(table.erase_at)).group_by(table.program, table.event_id)
        with self._database.reading() as connection:
            return {(program, event): at for program, event, at in connection.execute(query)}

    def erase(self, program: str, event_id: str, customer_id: str | None = None) -> int:
        """See DietaryPreferences."""
        table = tables.dietary_preferences
        where = (table.c.program == program) & (table.c.event_id == event_id)
        if customer_id is not None:
            where &= table.c.registration_id == registration_id(program, event_id, customer_id)
        with self._database.writing() as connection:
            return connection.execute(delete(table).where(where)).rowcount


def _key(one: Registration) -> str:
    return registration_id(one.program, one.event_id, one.customer_id)
