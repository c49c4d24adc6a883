"""Whether the process lives, whether it may be asked, and its measures."""

import threading

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from engage_assets.serving import answers
from engage_assets.serving.access import METRICS, Gate
from engage_assets.serving.documents import Health, operation, problems
from engage_assets.serving.problems import Problem, ask, log_fault
from engage_assets.serving.services import Services


class Readiness:
    """Ready once the store has been read into memory, and the ledger was opened where it answers."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._is_warm = threading.Event()

    @property
    def is_ready(self) -> bool:
        """Whether the store has been read."""
        return self._is_warm.is_set()

    def begin(self) -> None:
        """Read the store, and open the ledger, in a thread of its own."""
        threading.Thread(target=self._warm, name="warm", daemon=True).start()

    def _warm(self) -> None:
        try:
            self._services.store.warm()
        except Exception as error:  # noqa: BLE001 – stays not ready, and says so
            log_fault("store not read", error)
            return
        try:
            self._open_ledger()
        except Exception as error:  # noqa: BLE001 – `readyz` asks the ledger each time
            log_fault("ledger not opened yet", error)
        self._is_warm.set()

    def _open_ledger(self) -> None:
        self._services.contacts.known_sends(())
        if self._services.events:
            self._services.events.registrations.warm(self._services.clock.now())

    async def readyz(self) -> Response:
        """Ready when the store is in memory and the ledger answers; until then 503."""
        if not self.is_ready:
            raise Problem(503, "the candidate store is still being read into memory", headers={"Retry-After": "5"})
        await ask(self._services.contacts.api_key, "readyz")
        return answers.as_json({"status": "ready"})


async def healthz() -> Response:
    """The process lives."""
    return answers.as_json({"status": "alive"})


def health_router(readiness: Readiness, gate: Gate, measures: CollectorRegistry) -> APIRouter:
    """Routes of probes and measures; the latter need the scope metrics:read."""
    router = APIRouter(tags=["operation"])

    async def metrics() -> Response:
        """Measures of this process in Prometheus' text form."""
        return Response(generate_latest(measures), media_type=CONTENT_TYPE_LATEST)

    router.add_api_route("/healthz", healthz, responses={200: {"model": Health}}, **operation("Health"))
    router.add_api_route(
        "/readyz",
        readiness.readyz,
        responses={200: {"model": Health}, **problems(of_all=(503,))},
        **operation("Readiness"),
    )
    router.add_api_route(
        "/metrics",
        metrics,
        dependencies=[gate.needs(METRICS)],
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **problems()},
        **operation("Metrics"),
    )
    return router
