"""A state, a root and a source belong together: with another, changes would be archived twice, or passed over."""

from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import orjson

from engage_assets.archive.ports import Root
from engage_assets.archive.state_file import StateFile
from engage_assets.domain.errors import EngageError

OWNER: Final = "_state.json"
"""The file of a root that names its state."""


@runtime_checkable
class Exclusive(Root, Protocol):
    """A root that can refuse a second file of a key."""

    def put_new(self, key: str, content: bytes) -> None:
        """Make a file durable unless one of its key is there. Raises OSError."""


class Belonging:
    """What a state knows of itself, its root and its source."""

    _file: StateFile

    @property
    def path(self) -> Path:
        """Its file."""
        return self._file.path

    def own_id(self, new: str) -> str:
        """The id of the state; `new` where it has none yet. Raises OSError."""
        with self._file.writing() as database:
            database.execute("INSERT OR IGNORE INTO own VALUES (1, ?)", (new,))
            ((known,),) = database.execute("SELECT id FROM own").fetchall()
        return str(known)

    def bind(self, root: str, *, is_moved: bool = False) -> None:
        """Note to which root the state belongs: what it knows as archived lies there and nowhere else.

        One that was moved lies there from now on. Raises EngageError where it belongs to another; OSError.
        """
        with self._file.writing() as database:
            if is_moved:
                database.execute("DELETE FROM belongs")
            database.execute("INSERT OR IGNORE INTO belongs VALUES (1, ?)", (root,))
            ((known,),) = database.execute("SELECT root FROM belongs").fetchall()
        if known != root:
            raise EngageError(
                f"{self._file.path}: it says what is archived in {known}, not in {root}; give each root a state of its"
                " own (--state FILE), or go on with the root that it knows; if that was moved, run `engage archive"
                " adopt`"
            )

    def place(self, stream: str, place: str, *, is_moved: bool = False) -> None:
        """Note where a stream lies of which only the name's end says what it is; a moved one lies there from now on.

        Raises EngageError where it lay elsewhere; OSError.
        """
        with self._file.writing() as database:
            if is_moved:
                database.execute("DELETE FROM source WHERE stream = ?", (stream,))
            database.execute("INSERT OR IGNORE INTO source VALUES (?, ?)", (stream, place))
            ((known,),) = database.execute("SELECT place FROM source WHERE stream = ?", (stream,)).fetchall()
        if known != place:
            raise EngageError(
                f"{place}: the state knows {known} as the stream {stream!r}, and would take this folder's files for"
                " that one's: give the folder another name; if it is the same and was moved, run `engage archive adopt`"
            )


def own(root: Root, text: str, state: Belonging, new: str, *, is_adopting: bool = False) -> None:
    """See that a root is archived to by one state alone, and name it in the root; `new` is the id of a new state.

    Who adopts takes the root over from the state that it knew. `text` is the root for people. Raises EngageError where
    the root has another state; OSError.
    """
    mine = state.own_id(new)
    content = orjson.dumps({"state": mine, "file": str(state.path)}) + b"\n"
    if is_adopting:
        root.put(OWNER, content)
    known = _owner(root, text) or _claim(root, text, content)
    if known.get("state") != mine:
        raise EngageError(
            f"{text}: it belongs to another state ({known.get('file')}), and two states archive each change twice: go"
            f" on with that one (--state FILE). If it is lost, stop every worker and run `engage archive adopt`:"
            f" {state.path} takes over, and what the source holds and it does not know is archived again"
        )


def _claim(root: Root, text: str, content: bytes) -> dict[str, Any]:
    """Put the file where nobody did; what it holds then, perhaps from one who was faster."""
    if isinstance(root, Exclusive):
        root.put_new(OWNER, content)
    else:
        root.put(OWNER, content)
    return _owner(root, text) or {}


def _owner(root: Root, text: str) -> dict[str, Any] | None:
    try:
        content = root.get(OWNER)
    except FileNotFoundError:
        return None
    try:
        return dict(orjson.loads(content))
    except (orjson.JSONDecodeError, TypeError, ValueError):
        raise EngageError(
            f"{text}/{OWNER}: not what an archive writes there; bring it back, or run `engage archive adopt`"
        ) from None
