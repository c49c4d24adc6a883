"""Which candidate store a URL means."""

from pathlib import Path
from typing import Protocol

from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import CandidateReader, CandidateStore, CandidateWriter
from engage_assets.stores.sqlite import SqliteCandidateStore

_SQLITE = "sqlite:///"
_POSTGRES = ("postgresql://", "postgresql+psycopg://", "postgres://")


class Store(CandidateStore, CandidateReader, CandidateWriter, Protocol):
    """A candidate store with all that is asked of one."""


def open_store(url_or_path: str | Path) -> Store:
    """The store of a path, of `sqlite:///path` (absolute: four slashes), or of `postgresql://user:password@host/name`.

    Nothing is opened before it is used. Raises EngageError for any other URL.
    """
    text = str(url_or_path)
    if text.startswith(_POSTGRES):
        from engage_assets.stores.postgres import PostgresCandidateStore  # noqa: PLC0415  its driver, where it is used

        return PostgresCandidateStore("postgresql://" + text.split("://", maxsplit=1)[1])
    if text.startswith(_SQLITE):
        return SqliteCandidateStore(Path(text.removeprefix(_SQLITE)))
    if "://" in text:
        scheme = text.split("://", maxsplit=1)[0]
        raise EngageError(f"no candidate store for {scheme}://…: give a path, sqlite:///path or postgresql://…")
    return SqliteCandidateStore(Path(text))
