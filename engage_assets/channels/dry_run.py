"""The transport that sends nothing: each message becomes a file that any mail program opens."""

import os
import re
from pathlib import Path

from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Answer, Letter

_SEND_ID = re.compile(r"[0-9a-f]{32}")


class DryRunSender:
    """Writes messages below `outbox`, as `<program>/<rest of the campaign>/<send id>.eml`."""

    transport = "dry_run"
    leaves_machine = False
    lines = 1
    per_second: float | None = None

    def __init__(self, outbox: Path, suffix: str = ".eml") -> None:
        self._outbox = outbox
        self._suffix = suffix

    def open(self) -> "OutboxLine":
        """A line into the outbox."""
        return OutboxLine(self._outbox, self._suffix)


class OutboxLine:
    """Writes one message at a time."""

    def __init__(self, outbox: Path, suffix: str = ".eml") -> None:
        self._outbox = outbox
        self._suffix = suffix

    def hand_over(self, letter: Letter) -> Answer:
        """Write the message, whole or not at all; the receipt is its path below the outbox, with `/`.

        A send that lies there already is left as it is. Paths hold keys of programs, campaigns and
        sends only. Raises EngageError for a send id that is none, OSError where nothing could be written.
        """
        if not _SEND_ID.fullmatch(letter.send_id):
            raise EngageError(f"campaign {letter.campaign_id}: {letter.send_id!r} is no send id (32 hex digits)")
        program, _, rest = letter.campaign_id.partition(":")
        where = Path(_file_safe(program), _file_safe(rest), f"{letter.send_id}{self._suffix}")
        path = self._outbox / where
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, letter.content)
        return Answer("sent", receipt=where.as_posix())

    def close(self) -> None:
        """Nothing is open."""


def _file_safe(part: str) -> str:
    """`part` with all that a file name might not take as `_`."""
    return re.sub(r"[^A-Za-z0-9-]", "_", part) or "_"


def _write_whole(path: Path, content: bytes) -> None:
    """Write under a name that nobody reads, then rename: a killed run leaves no half message."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
