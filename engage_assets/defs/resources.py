"""Which implementation stands behind each port, by deployment: one table."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from engage_assets.channels.dry_run import DryRunSender
from engage_assets.clocks import read_clock
from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.domain.errors import EngageError
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.stores.sqlite import SqliteCandidateStore


def _local(home: Home, environment: Mapping[str, str]) -> dict[str, Any]:
    """Everything in one folder."""
    warehouse = Warehouse(home.warehouse)
    return {
        "home": home,
        "clock": read_clock(environment),
        "warehouse": warehouse,
        "connector": DuckDBConnector(warehouse),
        "lake": Lake(home.lake),
        "models": home.models,
        "store": SqliteCandidateStore(home.candidates),
        "ledger": SqlLedger(home.ledger_url),
        "sender": DryRunSender(home.outbox),
    }


DEPLOYMENTS: Final[Mapping[str, Callable[[Home, Mapping[str, str]], dict[str, Any]]]] = {"local": _local}
"""Resources by the name of the deployment, `ENGAGE_DEPLOYMENT`."""


def resources(environment: Mapping[str, str]) -> dict[str, Any]:
    """The resources of the deployment that `environment` names. Raises EngageError for an unknown one."""
    name = environment.get("ENGAGE_DEPLOYMENT") or "local"
    if name not in DEPLOYMENTS:
        raise EngageError(f"ENGAGE_DEPLOYMENT={name!r} is not known; known: {', '.join(DEPLOYMENTS)}")
    return DEPLOYMENTS[name](home_of(environment), environment)


def home_of(environment: Mapping[str, str]) -> Home:
    """The folder `ENGAGE_HOME`, default `.engage` in the working directory."""
    return Home(Path(environment.get("ENGAGE_HOME") or ".engage").absolute())
