"""The demand archive as `programs/demand-archive.yaml` states it: where changes come from, where files go, limits."""

from typing import Annotated

from pydantic import Field

from engage_assets.domain.spec import Spec

Days = Annotated[int, Field(ge=1)]
Place = Annotated[str, Field(min_length=1)]


class RetentionDays(Spec):
    """Days for which files are kept, counted from their partition date; absent: for ever."""

    demand: Days | None = None
    notification: Days | None = None
    event: Days | None = None
    sale: Days | None = None
    errors: Days | None = None
    """Counted from the error's own time."""


class Drain(Spec):
    """How much one run of Dagster archives where no worker is alive."""

    batches: int = Field(default=200, ge=1)
    seconds: int = Field(default=120, ge=1)


class ErrorSpike(Spec):
    """When the share of refused records is out of its usual band: median + deviations x 1.4826 x MAD."""

    records: int = Field(default=1000, ge=100)
    """Records of a window."""
    deviations: float = Field(default=4.0, gt=0)
    floor: float = Field(default=0.01, gt=0, lt=1)
    """A share up to here never warns."""


class DemandArchive(Spec):
    """The section `demandArchive`. Folders that are not absolute lie in ENGAGE_HOME."""

    source: Place = "changes"
    """DIR, kinesis:STREAM or dynamodb:TABLE."""
    root: Place = "archive"
    """DIR or s3://bucket/prefix."""
    errors_root: Place | None = None
    """Default: `errors` below the root."""
    state: Place = "archive.db"
    workers: int = Field(default=4, ge=1, le=64)
    """Shards that are read and written at the same time."""
    batch: int = Field(default=1000, ge=1, le=10_000)
    linger_seconds: float = Field(default=4.2, ge=0, le=60)
    """How long a worker collects the records of a batch."""
    lag_warn_seconds: int = Field(default=120, ge=1)
    horizon_days: int = Field(default=8, ge=1)
    """For how long a copy of a change is known again: longer than the stream keeps it."""
    quiet_days: int = Field(default=7, ge=1)
    retention_days: RetentionDays = RetentionDays()
    drain: Drain = Drain()
    error_spike: ErrorSpike = ErrorSpike()
    owners: tuple[str, ...] = ()
    """Who is asked about the assets: `team:NAME` or an e-mail address."""
