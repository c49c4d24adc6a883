"""Clocks: the machine's, and one whose time a demonstration declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock

VARIABLE: Final = "ENGAGE_NOW"


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


def read_clock(environment: Mapping[str, str]) -> Clock:
    """The declared clock where `ENGAGE_NOW` is set, else the machine's.

    Raises EngageError where the variable holds no ISO instant.
    """
    text = environment.get(VARIABLE, "").strip()
    if not text:
        return RealClock()
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise EngageError(f"{VARIABLE}={text!r} is no ISO instant; write for example 2026-10-31T02:00:00Z") from None
    return DeclaredClock(instant.astimezone(UTC).replace(tzinfo=None) if instant.tzinfo else instant)
