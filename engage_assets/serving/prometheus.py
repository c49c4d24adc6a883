"""The measures in the form that Prometheus reads."""

from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from engage_assets.serving.observe import BOUNDS, Histogram, Measures


class Collector:
    """Families of what was measured, made when they are read."""

    def __init__(self, measures: Measures, is_ready: Callable[[], bool]) -> None:
        self._measures = measures
        self._is_ready = is_ready

    def collect(self) -> Iterator[Metric]:
        """One family after the other."""
        ready = GaugeMetricFamily("engage_ready", "1 when the store has been read into memory.")
        ready.add_metric([], float(self._is_ready()))
        yield ready
        in_flight = GaugeMetricFamily("engage_requests_in_flight", "Requests that are being answered.")
        in_flight.add_metric([], self._measures.in_flight)
        yield in_flight
        requests = CounterMetricFamily("engage_requests", "Answered requests.", labels=["method", "route", "status"])
        for (method, route, status), number in self._measures.requests.items():
            requests.add_metric([method, route, str(status)], number)
        yield requests
        latency = HistogramMetricFamily("engage_request_seconds", "Seconds until the head.", labels=["route"])
        for route, histogram in self._measures.latency.items():
            latency.add_metric([route], _cumulated(histogram), histogram.seconds)
        yield latency


def registry(measures: Measures, is_ready: Callable[[], bool]) -> CollectorRegistry:
    """A registry of one application's measures and its process's."""
    made = CollectorRegistry()
    made.register(Collector(measures, is_ready))
    ProcessCollector(registry=made)
    return made


def _cumulated(histogram: Histogram) -> list[tuple[str, float]]:
    total = 0
    found: list[tuple[str, float]] = []
    for bound, number in zip(BOUNDS, histogram.counts, strict=True):
        total += number
        found.append(("+Inf" if bound == "inf" else bound, total))
    return found
