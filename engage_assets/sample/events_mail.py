"""What lies in the outbox beside campaigns: notices to single people, by mail and on their devices."""

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from engage_assets.domain.notices import KINDS

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_KINDS: Final = re.compile(rf"_\d{{4}}-\d{{2}}-\d{{2}}_[A-Z]+_({'|'.join(KINDS)})_")
_NOON: Final = time(12)


@dataclass(frozen=True)
class Received:
    """A notice as it lies in a mailbox or on a device."""

    send_id: str
    kind: str
    customer_id: str | None
    """None: on a device."""
    at: datetime
    """When it was seen first, UTC."""
    content: bytes = field(default=b"", repr=False)
    """Of a notification."""


@dataclass
class NoticeBox:
    """The notices below a folder; each keeps the instant at which it was seen first."""

    root: Path
    _known: dict[str, Received] = field(default_factory=dict, repr=False)

    def received(self, program: str, now: datetime | None = None) -> list[Received]:
        """The program's notices, by send; what is new came at `now`, by default when its message says."""
        for path in sorted((self.root / program).rglob("*")):
            if path.suffix in (".eml", ".json") and path.stem not in self._known:
                kind = _kind_of(path)
                if kind:
                    self._known[path.stem] = _read(path, kind, now)
        return [self._known[one] for one in sorted(self._known)]


def _kind_of(path: Path) -> str | None:
    """The kind that the folder's name states, which is the campaign's; None: the message belongs to a batch."""
    found = _KINDS.search(path.parent.name)
    return found[1] if found else None


def _read(path: Path, kind: str, now: datetime | None) -> Received:
    content = path.read_bytes()
    if path.suffix == ".json":
        (day,) = _DAY.findall(path.parent.name)[:1]
        own = datetime.combine(date.fromisoformat(day), _NOON)
        return Received(path.stem, kind, None, now or own, content)
    mail = message_from_bytes(content, policy=policy.default)
    own = parsedate_to_datetime(mail["Date"]).astimezone(UTC).replace(tzinfo=None)
    return Received(path.stem, kind, str(mail["To"]).partition("@")[0], now or own)
