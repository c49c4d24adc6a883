"""Runs the service: uvicorn on uvloop and httptools. Each process is one service; many stand behind a balancer."""

import gc
import logging
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Final

import orjson
import uvicorn
from fastapi import FastAPI
from uvicorn.supervisors import Multiprocess

from engage_assets.allocation import PYTHONS_OWN
from engage_assets.serving.app import create_app
from engage_assets.serving.gathered import GatheredHttp
from engage_assets.serving.scheduling import be_first, be_prompt
from engage_assets.serving.services import Services

KEEP_ALIVE_SECONDS: Final = 75
"""Longer than a balancer keeps idle connections, so that it never writes into a closed one."""
SHUTDOWN_SECONDS: Final = 20
"""Requests that are being answered when the process is told to end get so long."""
_GRANT: Final = (
    "the system does not grant it: give the process the capability SYS_NICE (Docker: --cap-add SYS_NICE; systemd:"
    " AmbientCapabilities=CAP_SYS_NICE) or the limit RTPRIO 1 (systemd: LimitRTPRIO=1), on Linux; it runs without"
)
_log = logging.getLogger(__name__)


def serve(services: Callable[[], Services], host: str, port: int, workers: int = 1, *, real_time: bool = False) -> None:
    """Serve until told to end (SIGTERM, SIGINT); requests under way are answered first. For a main thread.

    `services` is called once in each process; with several `workers` it must be a function of a module, or a partial
    of one. `real_time`: before all else on the machine, where the system grants it; see scheduling. Log lines go to
    standard error, one JSON object each; no addresses of requests.
    """
    config = uvicorn.Config(
        partial(_application, services, real_time),
        factory=True,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=GatheredHttp,
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    if workers == 1:
        # Once requests are answered uvicorn raises the signal again: so this function returns instead.
        for told_to_end in (signal.SIGINT, signal.SIGTERM):
            signal.signal(told_to_end, lambda *_: None)
        uvicorn.Server(config).run()
    else:
        Multiprocess(config, sockets=[config.bind_socket()]).run()


def _application(services: Callable[[], Services], real_time: bool) -> FastAPI:  # noqa: FBT001 – of a partial
    be_prompt()
    # No line names a thread or a process, so none need be looked up for each.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    app = create_app(services())
    app.openapi()
    # What is there now stays: the collector need not walk through it again and again.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*PYTHONS_OWN)
    if real_time and not be_first():
        _log.warning(orjson.dumps({"event": "no real-time scheduling", "do": _GRANT}).decode())
    return app
