"""What the serving service measured of itself: latency, errors, availability."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from engage_assets.outcomes.rows import Figure, count, missing, ratio

QUANTILE: Final = 0.99
_MINUTE: Final = timedelta(minutes=1)
_NO_SERVICE: Final = "the service measured nothing in this time"


@dataclass(frozen=True)
class ServiceFigures:
    """All processes of the service over some time."""

    requests: int
    errors: int
    """Answers with status 500 and above."""
    p99_seconds: float | None
    """Interpolated within the bucket that holds it; None: no requests, or beyond the last bound."""
    p99_bounds: tuple[float, float] | None
    """The bounds of that bucket: the true value lies between them. The last bucket has no upper one (inf)."""
    minutes_answered: int
    """Minutes in which a process reported and not every request failed."""
    minutes_expected: int


def service_figures(minutes: pl.DataFrame, since: datetime, until: datetime) -> ServiceFigures:
    """Figures of [since, until), in whole minutes.

    `minutes`: SERVICE_MINUTES rows. Each request is in one bucket; `inf` holds what is slower than the last bound. A
    row without requests says that the process was there.
    """
    within = minutes.filter(pl.col("minute") >= since, pl.col("minute") < until)
    by_minute = within.group_by("minute").agg(pl.col("requests").sum(), pl.col("errors").sum())
    is_down = (pl.col("requests") > 0) & (pl.col("errors") >= pl.col("requests"))
    bounds, place = _quantile(_added(within["buckets"].to_list()))
    return ServiceFigures(
        requests=int(within["requests"].sum()),
        errors=int(within["errors"].sum()),
        p99_seconds=place,
        p99_bounds=bounds,
        minutes_answered=by_minute.filter(~is_down).height,
        minutes_expected=(until - since) // _MINUTE,
    )


def _added(histograms: list[str]) -> dict[float, int]:
    """One histogram out of many, by upper bound, lowest first."""
    total: dict[float, int] = {}
    for histogram in histograms:
        for bound, requests in json.loads(histogram).items():
            total[float(bound)] = total.get(float(bound), 0) + int(requests)
    return dict(sorted(total.items()))


def _quantile(histogram: dict[float, int]) -> tuple[tuple[float, float] | None, float | None]:
    """The bounds of the quantile's bucket and the place between them, as if its requests were spread evenly."""
    wanted, seen, low = QUANTILE * sum(histogram.values()), 0, 0.0
    for bound, requests in histogram.items():
        if requests and seen + requests >= wanted:
            place = None if bound == float("inf") else low + (bound - low) * (wanted - seen) / requests
            return (low, bound), place
        seen, low = seen + requests, bound
    return None, None


def service_rows(service: ServiceFigures | None) -> Iterator[Figure]:
    """The service's figures as metrics; None, or no report of any process: not measured."""
    names = ("service_requests", "service_p99_ms", "service_error_rate", "service_availability")
    if service is None or not (service.requests or service.minutes_answered):
        yield from (missing(metric, _NO_SERVICE) for metric in names)
        return
    nothing = "the service had no requests"
    yield count("service_requests", service.requests, "requests that the service answered")
    yield _latency(service, nothing)
    note = "answers with status 500 and above ÷ requests"
    yield ratio("service_error_rate", service.errors, service.requests, note, nothing)
    note = "minutes in which the service reported and not every request failed ÷ minutes expected"
    answered, expected = service.minutes_answered, service.minutes_expected
    yield ratio("service_availability", answered, expected, note, "no minutes were expected")


def _latency(service: ServiceFigures, nothing: str) -> Figure:
    if service.p99_bounds is None:
        return missing("service_p99_ms", nothing)
    low, high = (1000 * bound for bound in service.p99_bounds)
    if service.p99_seconds is None:
        return missing("service_p99_ms", f"slower than {low:g} ms, the last bound of the histogram")
    place = round(1000 * service.p99_seconds, 3)
    note = f"99 of 100 requests took less: an estimate between {low:g} and {high:g} ms, the bounds of its bucket"
    return Figure("service_p99_ms", place, note, numerator=place)
