"""What the doctor looks at: an environment, and the parts that it names, each made when it is asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from engage_assets.clocks import RealClock
from engage_assets.defs.abilities import load_programs
from engage_assets.deployment import home_of, resources
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import CandidateReader, Clock, Operations, Sender
from engage_assets.home import Home
from engage_assets.programs import ProgramFolder

_EACH_BY_ITSELF = (
    "ENGAGE_NOW",
    "ENGAGE_PUBLIC_URL",
    "ENGAGE_LEDGER_URL",
    "ENGAGE_STORE_URL",
    "ENGAGE_TRANSPORT",
    "ENGAGE_SMTP_URL",
    "ENGAGE_ALERT_WEBHOOK",
    "ENGAGE_ALERT_EMAIL",
)
"""What is wrong with one of these must not hide what the others name."""


class Resolver(Protocol):
    """What answers DNS questions, as dnspython's Resolver does."""

    def resolve(self, name: str, kind: str, /, *, lifetime: float, search: bool) -> Any:
        """Records of `kind`, each with `strings`; raises what dnspython raises."""


@dataclass(frozen=True)
class Case:
    """One examination."""

    environment: Mapping[str, str]
    resolver: Resolver | None = None
    """None: the machine's."""
    clock: Clock = RealClock()  # noqa: RUF009 – it has no state
    """The clock that is held against those of database and file system."""

    def value(self, name: str) -> str:
        """A variable, trimmed; empty where it is not set."""
        return self.environment.get(name, "").strip()

    @property
    def home(self) -> Home:
        """The home."""
        return home_of(self.environment)

    @property
    def folder_path(self) -> Path:
        """The program folder."""
        return Path(self.value("ENGAGE_PROGRAMS") or "programs")

    @cached_property
    def folder(self) -> ProgramFolder:
        """The programs. Raises ProgramFileError."""
        return load_programs(self.folder_path)

    @property
    def marketplaces(self) -> Mapping[str, Marketplace]:
        """Marketplaces that enabled programs use, by code. Raises ProgramFileError."""
        used = {code for program in self.folder.programs.values() if program.enabled for code in program.marketplaces}
        return {code: self.folder.marketplaces[code] for code in sorted(used)}

    @cached_property
    def operations(self) -> Operations:
        """The operators' part of the ledger. Raises EngageError."""
        operations: Operations = self._part("operations", "ENGAGE_LEDGER_URL")
        return operations

    @cached_property
    def store(self) -> CandidateReader:
        """The candidate store. Raises EngageError."""
        store: CandidateReader = self._part("store", "ENGAGE_STORE_URL")
        return store

    @cached_property
    def sender(self) -> Sender:
        """The transport. Raises EngageError."""
        sender: Sender = self._part("sender", "ENGAGE_TRANSPORT", "ENGAGE_SMTP_URL")
        return sender

    def _part(self, name: str, *needed: str) -> Any:
        """One resource of the deployment, made of what it needs alone."""
        left_out = set(_EACH_BY_ITSELF) - set(needed)
        return resources({key: value for key, value in self.environment.items() if key not in left_out})[name]

    @property
    def is_for_real(self) -> bool:
        """Whether messages are to leave this machine, as far as the settings say."""
        return self.value("ENGAGE_TRANSPORT") not in {"", "dry_run"}
