"""A statement compiled for one database: its text, how values go to the driver, and how they come back."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    JSON,
    CompoundSelect,
    DateTime,
    Dialect,
    Insert,
    Integer,
    Select,
    String,
    Update,
    bindparam,
    cast,
    column,
    func,
    select,
)
from sqlalchemy.types import TypeEngine

Statement = Select[Any] | CompoundSelect[Any] | Insert | Update
Row = tuple[Any, ...]
_Process = Callable[[Any], Any] | None
_INSTANTS: Final = 64
"""That are remembered as the driver takes them."""
_remembering: Final[dict[tuple[str, bool], Callable[[Any], Any]]] = {}
_ROWS, _PLACE = "rows", "place_among_rows"


class Compiled:
    """A statement for one database; an INSERT names the columns in `names`."""

    def __init__(self, statement: Statement, dialect: Dialect, names: Sequence[str]) -> None:
        columns = list(names) if isinstance(statement, Insert) else None
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


class AllRows(Compiled):
    """An INSERT of any number of rows that PostgreSQL is handed in one value, a tenth of the work of a value each."""

    def __init__(self, statement: Insert, dialect: Dialect, names: Sequence[str]) -> None:
        self._names = tuple(names)
        super().__init__(_of_one_value(statement, names), dialect, [*names, _ROWS])

    def bound_all(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Rows as the driver takes them; they are written in their order."""
        names = self._names
        given = [{_PLACE: place, **{name: row[name] for name in names}} for place, row in enumerate(rows)]
        return self.bound({_ROWS: _as_json(given)})


def _of_one_value(statement: Insert, names: Sequence[str]) -> Insert:
    given = cast(bindparam(_ROWS, type_=String), JSON(none_as_null=True))
    fields = [column(name, statement.table.c[name].type) for name in names]
    rows = func.json_to_recordset(given).table_valued(*fields, column(_PLACE, Integer), name="given")
    each = rows.render_derived(name="given", with_types=True)
    ordered = select(*(each.c[name] for name in names)).order_by(each.c[_PLACE])
    return statement.from_select(list(names), ordered, include_defaults=False)


def _way(kind: TypeEngine[Any], dialect: Dialect) -> _Process:
    """How a value goes to the driver. Of instants the same come again and again, to one statement after the other."""
    found = kind.dialect_impl(dialect).bind_processor(dialect)
    if found is None or not isinstance(kind, DateTime):
        return found
    return _remembering.setdefault((dialect.name, kind.timezone), lru_cache(_INSTANTS)(found))


def _instant(value: object) -> str:
    """What JSON has no form for and a column does."""
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"a value of a row is a {type(value).__name__}: give text, a number, a truth value or an instant")


_as_json: Final = json.JSONEncoder(default=_instant, allow_nan=False).encode
