"""Which query results were saved to files, so that an erasure finds them: one path a line, as JSON."""

import json
from pathlib import Path

from engage_assets.domain.errors import EngageError


def note_export(register: Path, export: Path) -> None:
    """Remember a file before it is written; one that is known is no news. Raises OSError, EngageError."""
    path = export.resolve()
    if path not in noted_exports(register):
        register.parent.mkdir(parents=True, exist_ok=True)
        with register.open("a", encoding="utf-8") as file:  # one write, so that of two processes none is lost
            file.write(json.dumps(str(path)) + "\n")


def noted_exports(register: Path) -> list[Path]:
    """Files that were saved, the first one first; also those that are gone by now. Raises OSError, EngageError."""
    if not register.exists():
        return []
    try:
        return [Path(json.loads(line)) for line in register.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError):
        raise EngageError(
            f"{register}: not a list of exports (one JSON text a line); mend it, or take it away"
        ) from None
