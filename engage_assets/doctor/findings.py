"""What the doctor finds, and how it is said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Level = Literal["ok", "warn", "fail"]
LEVELS: Final[tuple[Level, ...]] = ("ok", "warn", "fail")
"""Best first."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    check: str
    level: Level
    what: str
    """What was found; no secret, no address of a person."""
    remedy: str = ""
    """What to do, where something is to be done."""


def lines(findings: Sequence[Finding]) -> list[str]:
    """The findings as text: level, check and what; the remedy below; a count at the end."""
    width = max((len(finding.check) for finding in findings), default=0)
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    total = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    return [line for finding in findings for line in _lines(finding, width)] + [total or "nothing was looked at"]


def exit_status(findings: Sequence[Finding]) -> int:
    """0 where the worst is ok or a warning, 1 where something failed."""
    return int(any(finding.level == "fail" for finding in findings))


def _lines(finding: Finding, width: int) -> Iterator[str]:
    first, *more = finding.what.splitlines() or [""]
    indent = " " * (width + 8)
    yield f"{finding.level:<4}  {finding.check:<{width}}  {first}".rstrip()
    yield from (indent + line for line in more)
    if finding.remedy:
        yield f"{indent}→ {finding.remedy}"
