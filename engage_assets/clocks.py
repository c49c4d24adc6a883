"""Clocks: the machine's, and one whose time a demonstration declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock

VARIABLE: Final = "ENGAGE_NOW"
FILE: Final = "file:"
"""Before the path of a file that holds the instant: processes of one demonstration share it."""


class RealClock:
    """The machine's clock."""

    is_declared = False

    def now(self) -> datetime:
        """The present instant, UTC without a zone attached."""
        return datetime.now(UTC).replace(tzinfo=None)


@dataclass(frozen=True)
class DeclaredClock:
    """A clock that stands at the instant which a demonstration declared."""

    instant: datetime
    is_declared = True

    def now(self) -> datetime:
        """The declared instant, UTC without a zone attached."""
        return self.instant


@dataclass(frozen=True)
class SharedClock:
    """A clock that a demonstration sets, by writing an instant into a file that all its processes read."""

    path: Path
    is_declared = True

    def now(self) -> datetime:
        """The instant that stands in the file, UTC without a zone attached. Raises EngageError where none does."""
        return _instant(self.path.read_text(encoding="utf-8").strip(), str(self.path))

    def set(self, instant: datetime) -> None:
        """Let it be `instant`, for all processes at once."""
        unfinished = self.path.with_name(f".{self.path.name}.unfinished")
        unfinished.write_text(instant.isoformat(), encoding="utf-8")
        unfinished.replace(self.path)


def read_clock(environment: Mapping[str, str]) -> Clock:
    """The declared clock where `ENGAGE_NOW` is set (an instant, or `file:` and a path), else the machine's.

    Raises EngageError where the variable holds no ISO instant.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return RealClock()
    if text.startswith(FILE):
        return SharedClock(Path(text.removeprefix(FILE)))
    return DeclaredClock(_instant(text, VARIABLE))


def _instant(text: str, where: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise EngageError(f"{where}={text!r} is no ISO instant; write for example 2026-10-31T02:00:00Z") from None
    return instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant
