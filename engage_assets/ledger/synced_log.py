"""SQLite's log on the disk: one sync for what several transactions committed without waiting for it."""

import os
from io import FileIO
from pathlib import Path
from threading import Lock
from typing import Final

from engage_assets.domain.errors import EngageError

_SYNC: Final = getattr(os, "fdatasync", os.fsync)


class SyncedLog:
    """The log of one database. It holds no locks of SQLite, which are on other files, so it may be opened and closed.

    A log that is gone, or was begun anew, was carried over to the database, which SQLite syncs before.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._file: FileIO | None = None
        self._fault: OSError | None = None

    def sync(self, path: Path) -> None:
        """Wait until the disk has what was written before.

        Raises EngageError where it does not take it; from then on always, since the system tells of lost pages once.
        """
        with self._lock:
            if self._fault is None:
                try:
                    self._file = self._opened(path)
                    if self._file:
                        _SYNC(self._file.fileno())
                except OSError as error:
                    self._fault = error
            if self._fault:
                raise EngageError(
                    f"{path}: the disk did not take what was written ({self._fault.strerror}); mend the disk, then"
                    " start this process again: what it did since is in doubt"
                ) from self._fault

    def close(self) -> None:
        """Close the file; the next call opens it again."""
        with self._lock:
            if self._file:
                self._file.close()
            self._file = None

    def _opened(self, path: Path) -> FileIO | None:
        """The log as it stands in its folder now; None without one."""
        try:
            there = path.stat()
        except FileNotFoundError:
            return None
        if self._file:
            here = os.fstat(self._file.fileno())
            if (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino):
                return self._file
            self._file.close()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # or a log that was just made could lose its name
        finally:
            os.close(folder)
        return FileIO(path)
