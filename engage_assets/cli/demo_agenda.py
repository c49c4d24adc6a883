"""What the demonstration does at which instant: acts in the order of time, and further ones that follow from them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

Act = Callable[[], str | None]
"""Does something, and says what; None: nothing is to be said."""


@dataclass
class Agenda:
    """Acts by instant. While it is worked through acts may put further ones, at later instants."""

    until: datetime
    """Nothing is done later."""
    _acts: dict[datetime, list[Act]] = field(default_factory=dict)

    def put(self, at: datetime, act: Act) -> None:
        """Do this then, after what was put before for the same instant."""
        self._acts.setdefault(at, []).append(act)

    def __iter__(self) -> Iterator[tuple[datetime, list[Act]]]:
        """The acts of each instant, in the order of time."""
        while self._acts and (at := min(self._acts)) <= self.until:
            yield at, self._acts.pop(at)
