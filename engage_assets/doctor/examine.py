"""The examination: every check, each by itself, so that one that breaks hides none of the others."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from engage_assets.clocks import RealClock
from engage_assets.doctor import databases, machine, mail, records, service
from engage_assets.doctor.case import Case, Resolver
from engage_assets.doctor.findings import Finding
from engage_assets.domain.errors import EngageError
from engage_assets.domain.ports import Clock

Check = Callable[[Case], Iterator[Finding]]
CHECKS: Final[tuple[tuple[str, Check], ...]] = (
    ("programs", machine.programs),
    ("home", machine.home),
    ("disk", machine.disk),
    ("clock", machine.clock),
    ("ledger", databases.ledger),
    ("store", databases.store),
    ("transport", mail.transport),
    ("dns", records.sender_records),
    ("service", service.public_url),
    ("signing keys", service.signing_keys),
    ("events", service.event_secrets),
    ("api keys", service.api_keys),
    ("alerts", service.alert_destinations),
)
"""What is looked at, in the order of the report."""


def examine(
    environment: Mapping[str, str], resolver: Resolver | None = None, clock: Clock | None = None
) -> list[Finding]:
    """Look at everything that a first send needs. Writes nothing but what first use makes: home and empty databases.

    `resolver` answers DNS questions (None: the machine's); `clock` is held against the others (None: the real one).
    """
    case = Case(environment, resolver, clock or RealClock())
    return [finding for name, check in CHECKS for finding in _isolated(name, check, case)]


def _isolated(name: str, check: Check, case: Case) -> Iterator[Finding]:
    """The findings of a check, and what broke it off. Of an unforeseen error only the class: its text may be secret."""
    try:
        yield from check(case)
    except EngageError as error:
        yield Finding(name, "fail", "\n".join(map(str, error.args)))
    except Exception as error:  # noqa: BLE001 – one crash is one finding
        yield Finding(name, "fail", f"could not be looked at: {type(error).__name__}")
