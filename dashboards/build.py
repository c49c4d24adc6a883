"""Writes the dashboards and their provisioning: `python -m dashboards.build`, from the repository's top level."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards import behaviour, commerce, pipelines, provisioning
from engage_assets.domain.summary_spec import CommerceAnalytics
from engage_assets.programs import load_folder

HERE: Final = Path(__file__).parent
PROGRAMS: Final = HERE.parent / "programs"


def files(spec: CommerceAnalytics) -> Mapping[str, str]:
    """The text of every file, by its path in this folder."""
    dashboards = {
        commerce.UID: commerce.commerce_dashboard(spec),
        behaviour.UID: behaviour.behaviour_dashboard(spec),
        pipelines.UID: pipelines.pipelines_dashboard(spec),
    }
    return {
        **{f"{uid}.json": encode(dashboard) for uid, dashboard in dashboards.items()},
        "provisioning/datasources/athena.yaml": provisioning.data_source(),
        "provisioning/dashboards/summaries.yaml": provisioning.folder(),
    }


def encode(dashboard: Dashboard) -> str:
    """The dashboard as JSON, its panels numbered."""
    built = dashboard.build()
    for number, panel in enumerate(built.panels or [], start=1):
        panel.id_val = number
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built) + "\n"


def shipped() -> CommerceAnalytics:
    """What the program folder says. Raises LookupError where no file has the key `commerceAnalytics`."""
    spec = load_folder(PROGRAMS).summaries
    if spec is None:
        raise LookupError(f"no file in {PROGRAMS} has the key commerceAnalytics: add programs/commerce-analytics.yaml")
    return spec


def main() -> None:
    """Write the files."""
    for name, content in files(shipped()).items():
        path = HERE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
