"""The summaries of a deployment: what of a service's days is missing or outdated is made, then tables of it.

Knows nothing of Dagster.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from engage_assets.defs.summary_families import batches_of
from engage_assets.defs.summary_history import History
from engage_assets.defs.summary_turns import alone
from engage_assets.domain.errors import EngageError
from engage_assets.domain.summary_spec import (
    LATE_DAYS,
    CommerceAnalytics,
    Family,
    Service,
    day_begins,
    table_names,
)
from engage_assets.home import Home
from engage_assets.lake import Lake, replacing
from engage_assets.summaries.atoms import DAILY
from engage_assets.summaries.dialect import Value
from engage_assets.summaries.engine import Engine, Inputs
from engage_assets.summaries.silver import Built, arrival_days, final_arrival
from engage_assets.summaries.silver_arrivals import fingerprint_of
from engage_assets.summaries.silver_days import ServiceDays, service_days
from engage_assets.summaries.silver_engine import bounded, sql_text
from engage_assets.summaries.tables import TABLES, values

DAILY_INPUTS: Final = ("events", *DAILY)
"""What tables read of each day."""
FOLDER: Final = "summaries"
"""The lake's folder of tables: one folder below it for each table of the catalogue."""
_EDITION: Final = "1"
"""Another one makes all days again; raise it where code, not SQL, changes what silver or atoms hold."""
_SOURCES: Final = ("silver/near", "silver/events", *(f"atoms/{name}" for name in DAILY))
_DAY: Final = timedelta(days=1)


class Made(NamedTuple):
    """A table that was published, and how long it took."""

    table: str
    path: Path
    rows: int
    seconds: float


class NotMade(NamedTuple):
    """A table that could not be made; what was published before is still there."""

    table: str
    why: str
    seconds: float


class Prepared(NamedTuple):
    """Business dates whose silver and atoms were made, in their order, and months whose roll-ups were."""

    days: Mapping[date, Built]
    months: Sequence[date]


@dataclass(frozen=True)
class ServiceDesk:
    """One service's days and tables in a home."""

    spec: CommerceAnalytics
    service: Service
    home: Home

    @cached_property
    def lake(self) -> Lake:
        """The lake of the home."""
        return Lake(self.home.lake)

    @cached_property
    def days(self) -> ServiceDays:
        """Silver, atoms and roll-ups."""
        return service_days(self.lake, self.home.logs, self.spec, self.service.service)

    def table_name(self, table: str) -> str:
        """The table's name in the catalogue."""
        return table_names(self.service, TABLES[table].family)[table]

    def path(self, table: str, day: date) -> Path:
        """Where a table of a calculation date lies."""
        return self.lake.path((FOLDER, self.table_name(table)), str(day))

    def dates(self, table: str) -> list[date]:
        """Calculation dates of which there is a table, in their order."""
        return [date.fromisoformat(name) for name in self.lake.partitions((FOLDER, self.table_name(table)))]

    def has_begun(self, day: date, now: datetime) -> bool:
        """Whether the clocks of the service's zone have come to `day` at `now` (UTC)."""
        return day_begins(day, self.service.time_zone) <= now

    def prepare(self, day: date, *, anew: bool = False) -> Prepared:
        """Make silver, atoms and quality up to the business date `day` where they are missing or their logs changed.

        A late event re-opens its own day so; a figure that looks back finds every day of the logs. `anew`: make `day`
        whether it changed or not. Days of which logs were removed stay as they are. Raises EngageError where the
        service has no logs of `day` or before, OSError.
        """
        with self._alone():
            wanted = self._days_with_logs(day)
            self._read_arrivals(wanted)
            made = {one: self._build(one) for one in wanted if not self.is_current(one) or (anew and one == day)}
            return Prepared(made, self.days.roll_up(day))

    def make(self, family: Family, day: date, tables: Collection[str] | None = None) -> Iterator[Made | NotMade]:
        """Make the family's tables of a calculation date, batch by batch; one that fails does not stop the others.

        `tables`: only those. Silver and atoms must be there: see `prepare`.
        """
        with self._alone(), Engine(self._inputs(day)) as engine:
            windows = {name: self.spec.window(name) for name in TABLES}
            for name in (name for batch, _ in batches_of(self.spec, family) for name in batch):
                if tables is None or name in tables:
                    bound = values(TABLES[name], self.service.service, day, windows)
                    began = time.monotonic()
                    try:
                        rows = self._publish(engine, name, bound, day)
                    except (EngageError, OSError) as error:
                        yield NotMade(name, _words(error), time.monotonic() - began)
                    else:
                        yield Made(name, self.path(name, day), rows, time.monotonic() - began)

    def _publish(self, engine: Engine, table: str, bound: Mapping[str, Value], day: date) -> int:
        """Put a table in the place of an older one; where both are the same, those who read it stay undisturbed."""
        path = self.path(table, day)
        aside = path.with_name(f".{path.name}.made")
        try:
            rows = engine.run(TABLES[table], bound, aside)
            if path.is_file() and path.read_bytes() == aside.read_bytes():
                path.touch()
            else:
                aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)
        return rows

    def is_current(self, day: date) -> bool:
        """Whether silver, atoms and quality of a day are there, made of the arrivals as they are."""
        marker, names = self._marker(day), (*DAILY_INPUTS, "quality")
        is_whole = all(self.days.path(name, day).is_file() for name in names)
        return is_whole and marker.is_file() and marker.read_text(encoding="utf-8") == self.made_of(day)

    def made_of(self, day: date) -> str:
        """Changes when anything does that silver and atoms of a day are made of."""
        digest = sha256("\0".join((_EDITION, self.service.time_zone, *map(sql_text, _SOURCES))).encode())
        for one in arrival_days(day, self.service.time_zone):
            digest.update(f"{one} {fingerprint_of(self.days.path('arrivals', one))}\n".encode())
        return digest.hexdigest()

    def arrivals(self) -> list[date]:
        """UTC days of which there are logs, raw or read."""
        raw = (path.name[:10] for path in (self.home.logs / self.service.service).glob("????-??-??*"))
        names = {*raw, *self.lake.partitions(("services", self.service.service, "arrivals"))}
        return sorted(day for name in names if (day := _date(name)))

    def lacking(self, day: date) -> list[date]:
        """UTC days that `day` lies on and of which there is no log."""
        zone, known = self.service.time_zone, set(self.arrivals())
        first, last = day_begins(day, zone).date(), final_arrival(day, zone) - LATE_DAYS * _DAY
        own = (first + number * _DAY for number in range((last - first).days + 1))
        return [one for one in own if one not in known]

    def _days_with_logs(self, day: date) -> list[date]:
        """`day`, and the days before it that logs can hold events of; none whose own logs were removed in part."""
        zone, known = self.service.time_zone, set(self.arrivals())
        if not known:
            folder = self.home.logs / self.service.service
            raise EngageError(f"{folder}: there are no logs; put <day>.ndjson (.json, .parquet, or a folder) there")
        first = self._history.first_day(min(known))
        if day < first:
            if day in self.days.days():
                return []
            raise EngageError(self._history.why_not(day, min(known), first))
        before = (first + number * _DAY for number in range((day - first).days))
        return [*(one for one in before if known.intersection(arrival_days(one, zone))), day]

    @property
    def _history(self) -> History:
        return History(self.days, self.home.lake / "services" / self.service.service / "oldest_arrival.txt")

    def _read_arrivals(self, days: Iterable[date]) -> None:
        wanted = {one for day in days for one in arrival_days(day, self.service.time_zone)}
        found = sorted(wanted.intersection(self.arrivals()))
        with bounded() as connection:
            for one in found:
                self.days.read_arrivals(connection, one)
        if found:
            self._history.note(found[0])

    def _build(self, day: date) -> Built:
        """The marker comes last: a day that was not finished is made again."""
        self._marker(day).unlink(missing_ok=True)
        built = self.days.build(day)
        with replacing(self._marker(day)) as aside:
            aside.write_text(self.made_of(day), encoding="utf-8")
        return built

    def _marker(self, day: date) -> Path:
        return self.days.path("made_of", day).with_suffix(".txt")

    def _inputs(self, day: date) -> Inputs:
        known = [one for one in self.days.days() if one <= day]
        return {
            **{name: [self.days.path(name, one) for one in known] for name in DAILY_INPUTS},
            **self.days.rollup_views(day),
        }

    def _alone(self) -> AbstractContextManager[None]:
        return alone(self.home.lake / "services", self.service.service, self.spec.max_concurrent_queries)


def _date(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: could not be read or written ({error.strerror or type(error).__name__})"
    return "; ".join(map(str, error.args))
