"""The demand archive's definitions: assets, checks, jobs and the sensor."""

import warnings

import dagster as dg

from engage_assets.defs.archive_assets import COMPACTED, archive_specs
from engage_assets.defs.archive_checks import archive_checks
from engage_assets.defs.archive_jobs import compacted_asset, drain_job, redact_job
from engage_assets.defs.archive_sensor import DAY_CLOSE, archive_sensor
from engage_assets.domain.archive_spec import DemandArchive


def archive_definitions(spec: DemandArchive) -> dg.Definitions:
    """Everything of one archive. Resources: home, operations, clock."""
    # Where a sensor has an asset job among its targets, Dagster itself passes a parameter of its own that is beta.
    warnings.filterwarnings("ignore", r"Parameter `owners` of initializer `SensorDefinition", dg.BetaWarning)
    drain, redact = drain_job(spec), redact_job(spec)
    day_close = dg.define_asset_job(
        DAY_CLOSE,
        selection=dg.AssetSelection.assets(COMPACTED),
        description="After midnight UTC: redaction, compaction, retention, and then the checks of the day.",
        executor_def=dg.in_process_executor,
    )
    return dg.Definitions(
        assets=[*archive_specs(spec), compacted_asset(spec)],
        asset_checks=archive_checks(spec),
        jobs=[drain, redact, day_close],
        sensors=[archive_sensor(spec, [drain, redact, day_close])],
    )
