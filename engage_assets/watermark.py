"""How far the ledger had come when this home last delivered: a ledger that lies behind was restored from a backup.

A restored ledger has forgotten what was sent after the backup, and must not send it again. So a delivery is refused
until a person says that the restore is known; from then on, only slots after that moment are sent.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from engage_assets.domain.errors import DeliveryRefused
from engage_assets.domain.ports import Ledger
from engage_assets.lake import replacing

_LONG_AGO: Final = datetime.min  # noqa: DTZ901 – UTC without a zone attached, as everywhere


@dataclass(frozen=True)
class Watermark:
    """The mark, in one small file of the home."""

    path: Path

    def check(self, ledger: Ledger) -> datetime:
        """The instant from which on slots may be sent. Raises DeliveryRefused where the ledger lies behind the mark."""
        mark, known_since = self._read()
        last = ledger.last_event_at() or _LONG_AGO
        if last < mark:
            had = f"{last:%Y-%m-%d %H:%M:%S}" if last > _LONG_AGO else "nothing at all"
            raise DeliveryRefused(
                f"the ledger went back in time: this home has seen events up to {mark:%Y-%m-%d %H:%M:%S} UTC, the"
                f" ledger knows {had}. It was restored from a backup, or it is another one; what was sent since then"
                " is unknown. If that is meant, say `engage ledger accept-restore`: sends due up to now are then"
                " skipped, later ones go out"
            )
        return known_since

    def raise_to(self, last: datetime | None) -> None:
        """Remember how far the ledger has come."""
        mark, known_since = self._read()
        if last is not None and last > mark:
            self._write(last, known_since)

    def accept(self, ledger: Ledger, now: datetime) -> None:
        """Take the ledger as it is; nothing that was due up to `now` will be sent."""
        self._write(ledger.last_event_at() or _LONG_AGO, now)

    def _read(self) -> tuple[datetime, datetime]:
        if not self.path.is_file():
            return _LONG_AGO, _LONG_AGO
        said = json.loads(self.path.read_text(encoding="utf-8"))
        return datetime.fromisoformat(said["ledger_seen_until"]), datetime.fromisoformat(said["sends_after"])

    def _write(self, mark: datetime, known_since: datetime) -> None:
        with replacing(self.path) as aside:
            said = {"ledger_seen_until": mark.isoformat(), "sends_after": known_since.isoformat()}
            aside.write_text(json.dumps(said), encoding="utf-8")
