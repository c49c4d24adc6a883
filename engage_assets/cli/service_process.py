"""The service as a process of its own, on a clock that other processes share: what a demonstration visits."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    import httpx

    from engage_assets.defs.launch import Launcher

PORT: Final = 8080
TELLERS: Final = ("GENERIC", "ATTENDANCE")
"""Who tells the service what happened: a provider of mail, and the platform of events."""
_START_SECONDS: Final = 60


@contextmanager
def shared_clock(desk: "Launcher", instant: datetime) -> Iterator[dict[str, str]]:
    """Variables of processes that share one declared clock and one service address."""
    from engage_assets.clocks import FILE, SharedClock  # noqa: PLC0415 - as in launcher

    path = desk.home.root / "declared-now"
    SharedClock(path).set(instant)
    port = PORT if _is_free(PORT) else _free_port()
    try:
        yield {"ENGAGE_NOW": f"{FILE}{path}", "ENGAGE_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def running_service(desk: "Launcher", secret: str) -> "Iterator[httpx.Client]":
    """`engage serve` in a process of its own at ENGAGE_PUBLIC_URL, and who visits it.

    Raises EngageError where it cannot start.
    """
    import httpx  # noqa: PLC0415 - as in launcher

    url = desk.environment["ENGAGE_PUBLIC_URL"]
    port = httpx.URL(url).port or 80
    environment = {**desk.environment, **{f"ENGAGE_WEBHOOK_SECRET_{whose}": secret for whose in TELLERS}}
    log = Path(desk.home.root / "service.log")
    with log.open("wb") as said:
        command = [sys.executable, "-m", "engage_assets.cli", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)  # noqa: S603 – our own command
    try:
        give_up = time.monotonic() + _START_SECONDS
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > give_up:
                raise EngageError(f"the service at {url} did not start; its last words are in {log}")
            time.sleep(0.1)
        with httpx.Client(follow_redirects=True, timeout=30) as client:
            yield client
    finally:
        process.terminate()
        process.wait(timeout=_START_SECONDS)


def _is_ready(url: str) -> bool:
    import httpx  # noqa: PLC0415 - as in launcher

    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
