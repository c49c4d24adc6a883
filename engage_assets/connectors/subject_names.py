"""Names of what programs ask about, out of the warehouse, in memory: a spoken question waits for no table."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from threading import Lock, Thread
from typing import Final

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import EngageError
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES

FRESH_SECONDS: Final = 300.0
"""Names that are older are read again, in a thread of their own; until then the old ones are given."""
_log = logging.getLogger(__name__)


class SubjectNames:
    """Names by program and subject. `seconds` is a clock that never goes back."""

    def __init__(
        self, warehouse: Warehouse, programs: Iterable[Program], seconds: Callable[[], float] = time.monotonic
    ) -> None:
        self._warehouse = warehouse
        self._programs = {one.program_id: one for one in programs}
        self._seconds = seconds
        self._names: Mapping[str, Mapping[str, str]] = {}
        self._read_at: float | None = None
        self._reading = Lock()

    def __call__(self, program_id: str, subject_id: str) -> str | None:
        """The name of a program's subject; None where the warehouse has none. The first call reads at once."""
        if program_id not in self._programs:
            return None
        if self._read_at is None:
            self._read()
        elif self._seconds() - self._read_at > FRESH_SECONDS and not self._reading.locked():
            Thread(target=self._read, name="subject-names", daemon=True).start()
        return self._names.get(program_id, {}).get(subject_id)

    def _read(self) -> None:
        with self._reading:
            names = dict(self._names)
            for program_id, program in self._programs.items():
                try:
                    names[program_id] = self._of(program)
                except EngageError as error:
                    _log.warning("names of %s are not read: %s", program_id, type(error).__name__)
            self._names, self._read_at = names, self._seconds()

    def _of(self, program: Program) -> dict[str, str]:
        """Names by subject; none where the deployment has no such table or column."""
        subjects = SOURCES[program.source_table].subjects
        table = self._warehouse.scan(subjects.table, program.connector.config.place)
        if table is None or not {subjects.key, subjects.name} <= set(table.collect_schema().names()):
            return {}
        found = table.select(subjects.key, subjects.name).drop_nulls().collect()
        return dict(found.iter_rows())
