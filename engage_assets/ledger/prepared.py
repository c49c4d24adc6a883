"""Statements that are compiled once and run by the driver itself: for what is done many times a second."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import CompoundSelect, Connection, DateTime, Dialect, Insert, Select, Update
from sqlalchemy.types import TypeEngine

Statement = Select[Any] | CompoundSelect[Any] | Insert | Update
Row = tuple[Any, ...]
_Process = Callable[[Any], Any] | None
_INSTANTS: Final = 64
"""That are remembered as the driver takes them."""


class Prepared:
    """A statement by database: what `statement` makes for the name of a dialect.

    It takes values by name and gives tuples, both of Python's types, as SQLAlchemy would; a fault is the driver's own.
    An INSERT names the columns for which it got values first. The list of an IN is not a value: see `among`.
    """

    def __init__(self, statement: Callable[[str], Statement]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """What the statement gives."""
        compiled = self._of(connection.dialect, values)
        with closing(_driver(connection).execute(compiled.text, compiled.bound(values))) as cursor:
            return compiled.read(cursor.fetchall())

    def rows_of_each(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """What the statement gives for all rows of values, in their order."""
        if not rows:
            return []
        compiled = self._of(connection.dialect, rows[0])
        given = [compiled.bound(row) for row in rows]
        with closing(_driver(connection).cursor()) as cursor:
            if connection.dialect.name == "sqlite":
                found = [one for values in given for one in cursor.execute(compiled.text, values).fetchall()]
            else:
                cursor.executemany(compiled.text, given, returning=True)
                found = [*cursor.fetchall()]
                while cursor.nextset():
                    found += cursor.fetchall()
            return compiled.read(found)

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each row of values."""
        if not rows:
            return
        compiled = self._of(connection.dialect, rows[0])
        if len(rows) == 1:
            _driver(connection).execute(compiled.text, compiled.bound(rows[0])).close()
            return
        with closing(_driver(connection).cursor()) as cursor:
            cursor.executemany(compiled.text, [compiled.bound(row) for row in rows])

    def _of(self, dialect: Dialect, values: Mapping[str, Any]) -> "_Compiled":
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self._statement(dialect.name), dialect, list(values))
        return found


def _way(kind: TypeEngine[Any], dialect: Dialect) -> _Process:
    """How a value goes to the driver. Of instants the same come again and again."""
    found = kind.dialect_impl(dialect).bind_processor(dialect)
    return lru_cache(_INSTANTS)(found) if found and isinstance(kind, DateTime) else found


def _driver(connection: Connection) -> Any:
    """The driver's own connection."""
    return connection.connection.driver_connection


class _Compiled:
    """A statement for one database: its text, and how values go to the driver and come back."""

    def __init__(self, statement: Statement, dialect: Dialect, names: list[str]) -> None:
        columns = names if isinstance(statement, Insert) else None
        made: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.text = str(made)
        ways = {name: _way(one.type, dialect) for one, name in made.bind_names.items()}
        self._by_place = made.positiontup is not None
        self._ways: list[tuple[str, _Process]] = [(name, ways[name]) for name in made.positiontup or ways]
        # What is written in the statement itself and yet handed over as a value.
        self._fixed = {name: value for name, value in made.params.items() if name not in names}
        backs = [one.type.dialect_impl(dialect).result_processor(dialect, None) for one in statement.exported_columns]
        self._backs = [(place, back) for place, back in enumerate(backs) if back]

    def bound(self, values: Mapping[str, Any]) -> Any:
        """Values as the driver takes them."""
        given = {**self._fixed, **values} if self._fixed else values
        if self._by_place:
            return [way(given[name]) if way else given[name] for name, way in self._ways]
        return {name: way(given[name]) if way else given[name] for name, way in self._ways}

    def read(self, rows: Sequence[Row]) -> list[Row]:
        """Rows as Python has them."""
        if not self._backs:
            return list(rows)
        read = []
        for row in rows:
            cells = list(row)
            for place, back in self._backs:
                cells[place] = back(cells[place])
            read.append(tuple(cells))
        return read
