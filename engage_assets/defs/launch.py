"""Running the jobs from this process: what the command line and the demonstration call."""

import gc
import os
import shutil
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from engage_assets.clocks import read_clock
from engage_assets.defs.abilities import load_programs
from engage_assets.defs.build import definitions_of, with_resources
from engage_assets.defs.instance_storage import instance_in
from engage_assets.defs.partitions import WEEKLY
from engage_assets.deployment import home_of, resources
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock
from engage_assets.domain.program import Program
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.programs import ProgramFolder


@dataclass(frozen=True)
class Launcher:
    """Programs, deployment and Dagster's instance, as an environment names them."""

    environment: Mapping[str, str]
    like: "Launcher | None" = field(default=None, repr=False)
    """Another one of the same programs, which are then neither read nor assembled again."""

    def changed(self, **variables: str) -> "Launcher":
        """The same programs in an environment some of whose variables are changed."""
        return replace(self, environment={**self.environment, **variables}, like=self)

    @property
    def folder_path(self) -> Path:
        """The program folder: `ENGAGE_PROGRAMS`, default `programs`."""
        return Path(self.environment.get("ENGAGE_PROGRAMS") or "programs")

    @cached_property
    def folder(self) -> ProgramFolder:
        """The programs. Raises ProgramFileError."""
        return self.like.folder if self.like else load_programs(self.folder_path)

    @cached_property
    def assembled(self) -> dg.Definitions:
        """The definitions of the programs, without what stands behind their ports."""
        return self.like.assembled if self.like else definitions_of(self.folder)

    @cached_property
    def home(self) -> Home:
        """The home of the deployment."""
        return home_of(self.environment)

    @cached_property
    def parts(self) -> Mapping[str, Any]:
        """What stands behind each port: store, ledger, contacts, operations, outbox, sender and the like."""
        return resources(self.environment)

    @property
    def clock(self) -> Clock:
        """The clock of the deployment."""
        return read_clock(self.environment)

    @property
    def lake(self) -> Lake:
        """The lake of the deployment."""
        return Lake(self.home.lake)

    def program(self, program_id: str) -> Program:
        """A program by its id. Raises EngageError naming those that exist."""
        found = self.folder.programs.get(program_id)
        if found is None:
            known = ", ".join(self.folder.programs) or "none"
            raise EngageError(f"there is no program {program_id!r} in {self.folder_path}; known: {known}")
        return found

    @cached_property
    def _definitions(self) -> dg.Definitions:
        built = with_resources(self.assembled, self.parts)
        gc.freeze()  # what is loaded by now stays: looking through it again and again slows every stage
        return built

    @property
    def dagster_home(self) -> Path:
        """Where Dagster's instance lies: `DAGSTER_HOME`, default `dagster` in the home."""
        return Path(self.environment.get("DAGSTER_HOME") or self.home.dagster).absolute()

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        """Dagster's instance in the home, the one that `make ui` shows."""
        dagster_home = self.dagster_home
        if self.like and self.like.dagster_home == dagster_home:
            return self.like.instance
        dagster_home.mkdir(parents=True, exist_ok=True)
        settings = dagster_home / "dagster.yaml"
        if not settings.exists() and Path("dagster.yaml").is_file():
            shutil.copyfile("dagster.yaml", settings)
        os.environ["DAGSTER_HOME"] = str(dagster_home)
        return instance_in(dagster_home)

    def run(
        self,
        job: str,
        partition: date | None = None,
        *,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """Run a job to its end. Raises EngageError with the message of the step that failed."""
        found = self._definitions.resolve_job_def(job)
        there = found.partitions_def
        if partition and there and not there.has_partition_key(partition.isoformat()):
            days = "Mondays" if there == WEEKLY else "whole UTC days"
            raise EngageError(
                f"{partition} is no partition: they are {days} from {there.get_first_partition_key()} to"
                f" {there.get_last_partition_key()}, by this machine's clock"
            )
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        result = found.execute_in_process(
            instance=self.instance,
            partition_key=partition.isoformat() if partition else None,
            run_config={**(config or {}), **quiet},
            tags=dict(tags or {}),
            raise_on_error=False,
        )
        if not result.success:
            raise EngageError(f"{job}{f' of {partition}' if partition else ''} failed: {_failure(result)}")
        return result

    def run_partition(
        self, program: Program, partition: date, *, jobs: Sequence[str], tags: Mapping[str, str] | None = None
    ) -> None:
        """Run some of a program's jobs (`batch`, `metrics`, `export`) for one partition, in that order."""
        for job in jobs:
            self.run(f"{program.key}_{job}", partition, tags=tags)


def _failure(result: dg.ExecuteInProcessResult) -> str:
    """What the failed step said, else the check that blocked."""
    for event in result.all_node_events:
        if event.is_step_failure:
            data = event.step_failure_data
            described = data.user_failure_data.description if data.user_failure_data else None
            return described or (data.error.cause.message if data.error and data.error.cause else str(data.error))
    return "no step says why; open the run in the UI"


@contextmanager
def progress(label: str) -> Iterator[None]:
    """Say on standard error that something goes on, and at the end how long it took."""
    start, done = time.monotonic(), threading.Event()
    is_terminal = sys.stderr.isatty()

    def tick() -> None:
        while not done.wait(0.5):
            sys.stderr.write(f"\r{label} … {time.monotonic() - start:.0f} s")
            sys.stderr.flush()

    if is_terminal:
        threading.Thread(target=tick, daemon=True).start()
    else:
        sys.stderr.write(f"{label} …\n")
    try:
        yield
    finally:
        done.set()
    sys.stderr.write(f"{chr(13) if is_terminal else ''}{label}: {time.monotonic() - start:.1f} s\n")
