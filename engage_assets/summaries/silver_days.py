"""A service's days in the lake: arrivals, silver, atoms, quality and roll-ups, made where missing or outdated."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.lake import Lake, replacing
from engage_assets.summaries.atoms import (
    DAILY,
    MONTHLY,
    SESSION_REACH,
    Parts,
    build_atoms,
    build_month,
    is_month_final,
    last_of,
    parts,
    rollup_views,
)
from engage_assets.summaries.raw_logs import raw_files
from engage_assets.summaries.silver import Built, arrival_days, build_silver, days_of_arrival
from engage_assets.summaries.silver_arrivals import Names, fingerprint, fingerprint_of, read_arrivals
from engage_assets.summaries.silver_engine import bounded
from engage_assets.summaries.silver_quality import measure


@dataclass(frozen=True)
class ServiceDays:
    """The days of one service: raw logs below `logs`, everything made of them below `lake`."""

    lake: Lake
    logs: Path
    names: Names
    zone: str

    def path(self, name: str, partition: date | str) -> Path:
        """Where a day (or, for a roll-up, a month as YYYY-MM) of `name` lies: events, arrivals, session_day, …."""
        return self.lake.path(self._key(name), str(partition))

    def days(self, name: str = "session_day") -> list[date]:
        """Days of which there is `name`."""
        return [date.fromisoformat(partition) for partition in self.lake.partitions(self._key(name))]

    def months(self) -> list[date]:
        """First days of months of which there are roll-ups that no day was built after."""
        known = self.days()
        return [month for month in self.rolled_up() if not self._is_outdated(month, known)]

    def rolled_up(self) -> list[date]:
        """First days of months of which there are roll-ups."""
        return [date.fromisoformat(f"{month}-01") for month in self.lake.partitions(self._key("month_total"))]

    def _is_outdated(self, month: date, known: Sequence[date]) -> bool:
        """Whether a day was built after the roll-up, which is never made anew of fewer days than it was made of."""
        path = self.path("month_total", month.isoformat()[:7])
        if pl.read_parquet(path, columns=["days"], glob=False)["days"].sum() > sum(
            month <= one <= last_of(month) for one in known
        ):
            return False
        made = path.stat().st_mtime_ns
        around = [one for one in known if month - SESSION_REACH <= one <= last_of(month) + SESSION_REACH]
        return any(self.path(DAILY[-1], one).stat().st_mtime_ns > made for one in around)

    def read_arrivals(self, connection: duckdb.DuckDBPyConnection, day: date) -> bool:
        """Read the raw files of an arrival day where they were not read yet or have changed; says whether it did.

        Raw files may be removed once they were read, all or some. Raises EngageError where some were, and others are
        new or have changed: what the removed ones held would be lost.
        """
        files = raw_files(self.logs, self.names.service, day)
        out = self.path("arrivals", day)
        if not files or fingerprint(files, self.names) == fingerprint_of(out) or self._are_rest(files, out):
            return False
        with replacing(_register(out)) as aside:
            aside.write_text(json.dumps(self._states(files)), encoding="utf-8")
        read_arrivals(connection, files, out, self.path("set_aside", day), self.names, day)
        return True

    def _are_rest(self, files: Sequence[Path], arrivals: Path) -> bool:
        """Whether they are, unchanged, what was left of the files that the arrivals were read from."""
        if not (arrivals.is_file() and _register(arrivals).is_file()):
            return False
        known, present = json.loads(_register(arrivals).read_text(encoding="utf-8")), self._states(files)
        gone = sorted(known.keys() - present.keys())
        other = [name for name, state in present.items() if known.get(name) != state]
        if gone and other:
            raise EngageError(
                f"{self.logs / self.names.service}: of the files that {arrivals.stem} was read from {gone[0]} is gone,"
                f" and {other[0]} is new or has changed; put back what was removed, or remove {arrivals} as well to"
                " read the day from the files that are there"
            )
        return bool(gone)

    def _states(self, files: Sequence[Path]) -> dict[str, list[int]]:
        """Size and time of raw files by their place in the service's folder."""
        known = {path.relative_to(self.logs / self.names.service).as_posix(): path.stat() for path in files}
        return {name: [state.st_size, state.st_mtime_ns] for name, state in known.items()}

    def build(self, day: date, until: date | None = None) -> Built:
        """Make silver, atoms and quality of the business date `day` out of what has arrived, up to the UTC day `until`.

        Without `until`, of all that can belong to it. Raises EngageError where the service's logs begin later.
        """
        wanted = [one for one in arrival_days(day, self.zone) if until is None or one <= until]
        with bounded() as connection:
            for one in wanted:
                self.read_arrivals(connection, one)
            arrivals = [path for one in wanted if (path := self.path("arrivals", one)).is_file()]
            return self._build(connection, arrivals or [self._latest_before(connection, wanted[0])], day)

    def _latest_before(self, connection: duckdb.DuckDBPyConnection, day: date) -> Path:
        """The last arrivals before a gap in the logs. Raises EngageError where there are none."""
        service = self.names.service
        names = {path.name[:10] for path in (self.logs / service).glob("????-??-??*")}
        before = [name for name in {*names, *self.lake.partitions(self._key("arrivals"))} if name < day.isoformat()]
        if not before:
            raise EngageError(
                f"no logs of {service} can hold an event of {day} or before: put <day>.ndjson (or .parquet, or a folder"
                f" of them) into {self.logs / service}, or begin with the first day that has logs"
            )
        self.read_arrivals(connection, latest := date.fromisoformat(max(before)))
        return self.path("arrivals", latest)

    def _build(self, connection: duckdb.DuckDBPyConnection, arrivals: list[Path], day: date) -> Built:
        service, silver, set_aside = self.names.service, self.path("events", day), self.path("set_aside", day)
        built = build_silver(connection, arrivals, silver, service=service, zone=self.zone, day=day)
        build_atoms(connection, silver, {name: self.path(name, day) for name in DAILY})
        arrived = self.path("arrivals", day)
        frame = measure(connection, silver, set_aside, arrived, service=service, day=day, duplicates=built.duplicates)
        self.lake.write(self._key("quality"), str(day), frame)
        return built

    def reopened(self, arrival: date, until: date) -> list[date]:
        """Business dates up to `until` that there are and that the file of an arrival day can change."""
        known = set(self.days())
        return [day for day in days_of_arrival(arrival, self.zone) if day in known and day <= until]

    def roll_up(self, day: date) -> list[date]:
        """Make the roll-ups of months that are final at the calculation date `day`, where missing or outdated."""
        known = self.days()
        missing = sorted({one.replace(day=1) for one in known} - set(self.months()))
        made = [month for month in missing if is_month_final(month, day)]
        for month in made:
            last = last_of(month)
            own = [one for one in known if month <= one <= last]
            around = [one for one in known if month - SESSION_REACH <= one <= last + SESSION_REACH]
            out = {name: self.path(name, month.isoformat()[:7]) for name in MONTHLY}
            with bounded() as connection:
                build_month(connection, month, self._atoms(own, around), out)
        return made

    def parts(self, day: date) -> Parts:
        """What figures over all logs up to `day` are made of."""
        return parts(day, self.months(), self.days())

    def rollup_views(self, day: date) -> dict[str, str]:
        """DuckDB queries of the relations that look over all logs up to `day`; see `atoms.rollup_views`."""
        found = self.parts(day)
        monthly = {name: [self.path(name, month.isoformat()[:7]) for month in found.months] for name in MONTHLY}
        return rollup_views(monthly, self._atoms(found.days, found.session_days))

    def _atoms(self, days: Sequence[date], session_days: Sequence[date]) -> Mapping[str, Sequence[Path]]:
        chosen = dict.fromkeys(DAILY, days) | {"session_day": session_days}
        return {name: [self.path(name, one) for one in found] for name, found in chosen.items()}

    def _key(self, name: str) -> tuple[str, str, str]:
        return ("services", self.names.service, name)


def _register(arrivals: Path) -> Path:
    """Beside arrivals: which raw files they were read from. It is written before them."""
    return arrivals.with_suffix(".files.json")


def service_days(lake: Lake, logs: Path, spec: CommerceAnalytics, service: str) -> ServiceDays:
    """The days of a service that `spec` declares. Raises KeyError for another."""
    return ServiceDays(lake, logs, Names(service, spec.events, spec.attributes), spec.service(service).time_zone)
