"""What an erasure did and what a scan found afterwards, as a document that can be shown."""

from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, NamedTuple

import orjson

from engage_assets.archive.erasures import certificate_key, fan_hash
from engage_assets.archive.ports import Root
from engage_assets.archive.times import iso
from engage_assets.domain.errors import EngageError

_FORMAT: Final = 1


class Rewritten(NamedTuple):
    """What was changed in one place."""

    files: int = 0
    records: int = 0
    replaced: int = 0
    """Of the records: of which only the position is left."""


class Scanned(NamedTuple):
    """What was decoded in one place, and how many records of it still hold something personal of the fan."""

    files: int = 0
    records: int = 0
    left: int = 0


@dataclass(frozen=True)
class Certificate:
    """An erasure. It names the fan by a hash: who knows the id can compare, who does not learns none."""

    fan: str
    erased_at: int
    """In µs; what was made until then is redacted also where it comes later."""
    finished_at: int
    rewritten: dict[str, Rewritten]
    """By place: data, errors, mirror, exports, source."""
    scanned: dict[str, Scanned]
    """By place, and `watched`: files that are only looked through."""
    kept_of_others: int
    """Personal fields of other fans that show the same value: they stay."""
    in_flight: int = 0
    """Ranges that a worker had begun and not finished in time."""
    unreadable: list[str] = field(default_factory=list)
    """Paths of exports that could not be read."""
    postponed: list[str] = field(default_factory=list)
    """Places that were left as they are, for they hold what has to be looked for in those that are not clean yet."""
    not_covered: list[str] = field(default_factory=list)
    """What no erasure reaches, in words."""
    tool: str = field(default_factory=lambda: f"engage-assets {version('engage-assets')}")

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left; if not, run the erasure again."""
        return not (
            self.in_flight or self.unreadable or self.postponed or any(one.left for one in self.scanned.values())
        )

    def stated(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "fan": self.fan,
            "isComplete": self.is_complete,
            "erasedAt": iso(self.erased_at),
            "finishedAt": iso(self.finished_at),
            "tool": self.tool,
            "rewritten": {place: one._asdict() for place, one in self.rewritten.items()},
            "scan": {place: one._asdict() for place, one in self.scanned.items()},
            "keptOfOthers": self.kept_of_others,
            "inFlight": self.in_flight,
            "unreadable": self.unreadable,
            "postponed": self.postponed,
            "notCovered": self.not_covered,
        }

    def json(self) -> str:
        """To be printed."""
        return orjson.dumps(self.stated(), option=orjson.OPT_INDENT_2).decode()


def put_certificate(root: Root, fan_id: str, certificate: Certificate) -> str:
    """Add a run to the fan's certificate, which keeps the earlier ones; its key. Raises OSError, EngageError."""
    key = certificate_key(fan_id)
    runs = [*read_runs(root, fan_id), certificate.stated()]
    content = {"format": _FORMAT, "fan": fan_hash(fan_id), "runs": runs}
    root.put(key, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return key


def read_runs(root: Root, fan_id: str) -> list[dict[str, Any]]:
    """The runs of a fan's erasure so far, the first one first. Raises OSError, EngageError."""
    key = certificate_key(fan_id)
    try:
        return list(orjson.loads(root.get(key))["runs"])
    except FileNotFoundError:
        return []
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise EngageError(f"{key}: not a certificate; bring back the one that was there") from None
