"""Connections that stay open, one a thread: opening one costs more than most queries."""

from collections.abc import Callable
from threading import local
from typing import Generic, Protocol, TypeVar


class _Closable(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closable)


class _Held(Generic[C]):
    """Closes its connection when its thread ends or lets go of it."""

    def __init__(self, connection: C) -> None:
        self.connection = connection

    def __del__(self) -> None:
        self.connection.close()


class PerThread(Generic[C]):
    """The calling thread's own connection, made by `opened` at its first use. Not to be taken through a fork."""

    def __init__(self, opened: Callable[[], C]) -> None:
        self._opened = opened
        self._local = local()

    def get(self) -> C:
        """This thread's connection."""
        held: _Held[C] | None = getattr(self._local, "held", None)
        if held is None:
            held = self._local.held = _Held(self._opened())
        return held.connection

    def let_go(self) -> None:
        """Close this thread's connection; the next `get` opens another."""
        self._local.held = None
