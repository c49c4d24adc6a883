"""Statements that are compiled once and run by the driver itself: for what is done many times a second."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from sqlalchemy import Connection, Insert

from engage_assets.ledger.compiled import AllRows, Compiled, Row, Statement


class Prepared:
    """A statement by database: what `statement` makes for the name of a dialect.

    It takes values by name and gives tuples, both of Python's types, as SQLAlchemy would; a fault is the driver's own.
    An INSERT names the columns for which it got values first. The list of an IN is not a value: see `among`.
    `is_planned_anew`: PostgreSQL plans it each time, where it would keep the plan for a small table that grows.
    """

    def __init__(self, statement: Callable[[str], Statement], *, is_planned_anew: bool = False) -> None:
        self._statement = statement
        self._is_planned_anew = is_planned_anew
        self._compiled: dict[str, tuple[Compiled, AllRows | None]] = {}

    def rows(self, connection: Connection, values: Mapping[str, Any]) -> list[Row]:
        """What the statement gives."""
        return self.ask(connection, values)()

    def ask(self, connection: Connection, values: Mapping[str, Any]) -> Callable[[], list[Row]]:
        """Run it; what it gives is waited for in the call: meanwhile others can be told, see `at_once`."""
        compiled = self._of(connection, values)
        cursor = self._execute(connection, compiled.text, compiled.bound(values))

        def answer() -> list[Row]:
            with closing(cursor):
                return compiled.read(cursor.fetchall())

        return answer

    def rows_of_each(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> list[Row]:
        """What an INSERT gives for all rows of values, in their order."""
        if not rows:
            return []
        compiled, together = self._forms(connection, rows[0])
        if together:
            with closing(self._execute(connection, together.text, together.bound_all(rows))) as cursor:
                return together.read(cursor.fetchall())
        given = [compiled.bound(row) for row in rows]
        with closing(_driver(connection).cursor()) as cursor:
            return compiled.read([one for values in given for one in cursor.execute(compiled.text, values).fetchall()])

    def run(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run it for each row of values."""
        if not rows:
            return
        compiled, together = self._forms(connection, rows[0])
        if len(rows) == 1:
            self._execute(connection, compiled.text, compiled.bound(rows[0])).close()
        elif together:
            self._execute(connection, together.text, together.bound_all(rows)).close()
        else:
            with closing(_driver(connection).cursor()) as cursor:
                cursor.executemany(compiled.text, [compiled.bound(row) for row in rows])

    def _execute(self, connection: Connection, text: str, values: Any) -> Any:
        """A cursor of the driver; PostgreSQL's plans a statement once it has run a few times, unless told not to."""
        more = {"prepare": False} if self._is_planned_anew and connection.dialect.name == "postgresql" else {}
        return _driver(connection).execute(text, values, **more)

    def _of(self, connection: Connection, values: Mapping[str, Any]) -> Compiled:
        return self._forms(connection, values)[0]

    def _forms(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Compiled, AllRows | None]:
        """The statement for one row of values, and for all of them where there is one: an INSERT on PostgreSQL."""
        dialect = connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            statement, names = self._statement(dialect.name), list(values)
            together = None
            if isinstance(statement, Insert) and dialect.name == "postgresql":
                together = AllRows(statement, dialect, names)
            found = self._compiled[dialect.name] = Compiled(statement, dialect, names), together
        return found


@contextmanager
def at_once(connection: Connection, first: str) -> Iterator[None]:
    """A transaction on PostgreSQL, begun with the statement `first`, whose statements do not wait for each other.

    The driver holds them together until an answer is asked for; so a transaction costs a few messages instead of one
    for each statement. A fault is raised by a later call. `connection` begins no transactions itself.
    """
    driver = _driver(connection)
    with driver.pipeline():
        driver.execute("BEGIN").close()
        driver.execute(first).close()
        yield
        driver.execute("COMMIT").close()


def _driver(connection: Connection) -> Any:
    """The driver's own connection: with drivers that do not wait by themselves the one that SQLAlchemy calls."""
    return connection.connection.dbapi_connection
