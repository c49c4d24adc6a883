"""The demand archive of a deployment, opened: spec and home → source, roots, state. Knows nothing of Dagster."""

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engage_assets.archive.belonging import own
from engage_assets.archive.erasures import read_erasures
from engage_assets.archive.handle import Archive
from engage_assets.archive.opening import has_scheme, open_root, open_source
from engage_assets.archive.ports import Retained, Root, Source
from engage_assets.archive.state import State
from engage_assets.domain.archive_spec import DemandArchive
from engage_assets.home import Home
from engage_assets.programs import read_archive

if TYPE_CHECKING:
    from engage_assets.archive.mirror import Mirror

DAY_SECONDS: Final = 86_400


@dataclass(frozen=True)
class ArchiveDesk:
    """Everything that works on one archive, each part opened when it is asked for."""

    spec: DemandArchive
    home: Home

    @property
    def source_text(self) -> str:
        """Where changes come from: DIR, kinesis:STREAM or dynamodb:TABLE."""
        return self._place(self.spec.source)

    @property
    def root_text(self) -> str:
        """Where files go: DIR or s3://bucket/prefix."""
        return self._place(self.spec.root)

    @property
    def errors_text(self) -> str:
        """Where refused records go."""
        return self._place(self.spec.errors_root) if self.spec.errors_root else f"{self.root_text.rstrip('/')}/errors"

    @property
    def state_path(self) -> Path:
        """The file of the state."""
        return Path(self._place(self.spec.state))

    @property
    def has_source(self) -> bool:
        """Whether there is something to read from; of a stream nothing is asked."""
        return has_scheme(self.source_text) or Path(self.source_text).is_dir()

    @property
    def has_state(self) -> bool:
        """Whether anything was ever archived."""
        return self.state_path.is_file()

    @cached_property
    def source(self) -> Source:
        """The source. Raises EngageError where it cannot be opened."""
        return open_source(self.source_text)

    @cached_property
    def root(self) -> Root:
        """The root for data, which only its owner may read: it holds phone numbers and addresses."""
        return open_root(self.root_text, is_private=True)

    @cached_property
    def errors(self) -> Root:
        """The root for errors."""
        return open_root(self.errors_text, is_private=True)

    @contextmanager
    def opened(self, owner: str, *, is_adopting: bool = False) -> Iterator[Archive]:
        """The archive as worker and upkeep want it; `owner` is another for every process. Raises EngageError, OSError.

        A state that is new, or was brought back, learns from the root who was erased. State, root and source must
        belong together, unless this state adopts the others: then they do from now on.
        """
        if not self.has_source and self.source_text == str(self.home.changes):
            Path(self.source_text).mkdir(parents=True)
        source = self.source
        with closing(self.open_state()) as state:
            state.bind(self.root_text, is_moved=is_adopting)
            own(self.root, self.root_text, state, uuid.uuid4().hex, is_adopting=is_adopting)
            if isinstance(source, Retained):
                state.place(source.stream, source.place, is_moved=is_adopting)
            state.learn(read_erasures(self.root))
            yield Archive(
                source=source,
                root=self.root,
                errors=self.errors,
                state=state,
                owner=owner,
                clock=time.time,
                sleep=time.sleep,
                batch=self.spec.batch,
                linger=self.spec.linger_seconds,
                workers=self.spec.workers,
                horizon=self.spec.horizon_days * DAY_SECONDS,
            )

    @property
    def mirror(self) -> "Mirror | None":
        """The mirror, where SQL was asked on this machine."""
        from engage_assets.archive.mirror import Mirror  # noqa: PLC0415 - slow to load, and a worker needs none

        return Mirror(self.mirror_path) if self.mirror_path.is_dir() else None

    @property
    def mirror_path(self) -> Path:
        """The folder of the root's mirror: another root than the home's has another."""
        if self.root_text == str(self.home.archive):
            return self.home.archive_mirror
        mark = blake2b(self.root_text.encode(), digest_size=6).hexdigest()
        return self.home.archive_mirror.with_name(f"{self.home.archive_mirror.name}-{mark}")

    def watched(self) -> list[Path]:
        """Files and folders that an erasure looks through and does not change: the state, and Dagster's records."""
        files = [self.state_path.with_name(f"{self.state_path.name}{end}") for end in ("", "-wal", "-shm")]
        return [path for path in (*files, self.home.dagster) if path.exists()]

    def open_state(self) -> State:
        """The state; whoever opens it closes it."""
        return State(self.state_path)

    def _place(self, text: str) -> str:
        """A folder is the home's unless it is absolute; what has a scheme stays as it is."""
        return text if has_scheme(text) else str(self.home.root / text)


def read_desk(environment: Mapping[str, str], **changes: str | int | None) -> ArchiveDesk:
    """The archive that the program folder states, else the default one; `changes` are what a command line says.

    Folders among `changes` lie in the working directory, not in ENGAGE_HOME. Raises ProgramFileError where the
    archive's own file has faults.
    """
    folder = Path(environment.get("ENGAGE_PROGRAMS") or "programs")
    spec = read_archive(folder) or DemandArchive()
    said = {
        name: str(Path(value).absolute()) if isinstance(value, str) and not has_scheme(value) else value
        for name, value in changes.items()
        if value is not None
    }
    return ArchiveDesk(spec.model_copy(update=said), Home.read(environment))
