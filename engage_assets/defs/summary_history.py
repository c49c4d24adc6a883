"""How far a service's days can be made: not where logs that they live on were read once and removed."""

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from engage_assets.lake import replacing
from engage_assets.summaries.atoms import last_of
from engage_assets.summaries.silver import arrival_days, days_of_arrival
from engage_assets.summaries.silver_days import ServiceDays

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class History:
    """What is known of a service's logs that are gone; the oldest arrival day ever read stands in the file `oldest`."""

    days: ServiceDays
    oldest: Path

    def note(self, arrival: date) -> None:
        """Keep in mind that the logs of a UTC day were read."""
        known = self._oldest_arrival()
        if known is None or arrival < known:
            with replacing(self.oldest) as aside:
                aside.write_text(str(arrival), encoding="utf-8")

    def first_day(self, first: date) -> date:
        """The first business date that can be made where logs begin with the UTC day `first`."""
        day = self._earliest(first)
        if self._was_cut(first):
            while arrival_days(day, self.days.zone)[0] < first:
                day += _DAY
        return day

    def why_not(self, day: date, known: date, first: date) -> str:
        """Why `day` cannot be made, where logs begin with the UTC day `known`, and days with `first`."""
        if self._was_cut(known):
            return f"{day} cannot be made any more: logs before {known} were removed; begin with {first}"
        return f"the logs of {self.days.names.service} begin with {known}: none is of {day}"

    def _was_cut(self, first: date) -> bool:
        """Whether logs before `first` were read once and removed: days, roll-ups or the oldest arrival say so."""
        oldest = self._oldest_arrival()
        made = [*self.days.days()[:1], *map(last_of, self.days.rolled_up()[:1])]
        return any(day < self._earliest(first) for day in made) or (oldest is not None and oldest < first)

    def _earliest(self, first: date) -> date:
        return days_of_arrival(first, self.days.zone)[0]

    def _oldest_arrival(self) -> date | None:
        return date.fromisoformat(self.oldest.read_text(encoding="utf-8")) if self.oldest.is_file() else None
