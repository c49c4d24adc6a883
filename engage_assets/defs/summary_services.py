"""The desks of a deployment's services."""

from collections.abc import Mapping
from pathlib import Path

from engage_assets.defs.summary_desk import ServiceDesk
from engage_assets.domain.errors import EngageError
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.home import Home
from engage_assets.programs import read_summaries


def desks(spec: CommerceAnalytics, home: Home) -> list[ServiceDesk]:
    """A desk for each service, in the file's order."""
    return [ServiceDesk(spec, service, home) for service in spec.services]


def read_spec(environment: Mapping[str, str]) -> CommerceAnalytics:
    """The summaries that the program folder declares. Raises EngageError where it declares none."""
    folder = Path(environment.get("ENGAGE_PROGRAMS") or "programs")
    spec = read_summaries(folder)
    if spec is None:
        raise EngageError(
            f"no file of {folder} has the key commerceAnalytics; docs/program-files.md says what it holds"
        )
    return spec


def desk_of(spec: CommerceAnalytics, home: Home, name: str) -> ServiceDesk:
    """The desk of the service called `name`. Raises EngageError with the known ones."""
    try:
        return ServiceDesk(spec, spec.service(name), home)
    except KeyError as error:
        raise EngageError(str(error.args[0])) from None
