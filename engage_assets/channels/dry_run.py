"""The transport that sends nothing: each message becomes a file that any mail program opens."""

import os
import re
from email.message import EmailMessage
from pathlib import Path

from engage_assets.domain.errors import EngageError

_SEND_ID = re.compile(r"[0-9a-f]{32}")


class DryRunSender:
    """Writes messages below `outbox`, as `<program>/<rest of the campaign>/<send id>.eml`."""

    transport = "dry_run"
    leaves_machine = False

    def __init__(self, outbox: Path) -> None:
        self._outbox = outbox

    def hand_over(self, send_id: str, campaign_id: str, message: EmailMessage) -> str:
        """Write the message, whole or not at all; returns its path below the outbox, with `/`.

        A send that lies there already is left as it is. Paths hold keys of programs, campaigns and
        sends only. Raises EngageError for a send id that is none.
        """
        if not _SEND_ID.fullmatch(send_id):
            raise EngageError(f"campaign {campaign_id}: {send_id!r} is no send id (32 hex digits)")
        program, _, rest = campaign_id.partition(":")
        where = Path(_file_safe(program), _file_safe(rest), f"{send_id}.eml")
        path = self._outbox / where
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, message.as_bytes())
        return where.as_posix()


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
