"""The relay beside the service, in a process of its own: what it does takes no turn from a request."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from threading import Event, Lock, Thread
from typing import Final, Self

import click

from engage_assets.cli.desk import plain_errors

REST_SECONDS: Final = 5.0
"""Before a relay that ended by itself is started again."""
_LAST_SECONDS: Final = 60.0
"""In which it carries what waits at the end."""


class RelayProcess:
    """`engage relay` as long as a `with` block lasts; it carries what waits at the end.

    Where it ends early it is started again. It ends with this process too, however that is killed.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = dict(environment)
        self._over = Event()
        self._lock = Lock()
        self._keeper = Thread(target=self._keep, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._process = self._started()
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._over.set()
            assert self._process.stdin
            self._process.stdin.close()
        self._keeper.join(_LAST_SECONDS)
        if self._keeper.is_alive():
            self._process.kill()

    def _started(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "engage_assets.cli", "relay"]
        return subprocess.Popen(command, env=self._environment, stdin=subprocess.PIPE)  # noqa: S603 – our own command

    def _keep(self) -> None:
        while True:
            status = self._process.wait()
            if self._over.is_set():
                return
            logging.getLogger(__name__).warning(
                "the relay ended with status %s and starts again in %s s", status, REST_SECONDS
            )
            if self._over.wait(REST_SECONDS):
                return
            with self._lock:
                if self._over.is_set():
                    return
                self._process = self._started()


@click.command()
def relay() -> None:
    """Carry what the ledger's outbox holds to the candidate store until the standard input ends; see `engage serve`."""
    # Who ends the service by Ctrl-C, or as a group, has its last requests' entries carried still.
    for told_to_end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told_to_end, signal.SIG_IGN)
    with plain_errors():
        from engage_assets.deployment import resources  # noqa: PLC0415 - as in launcher
        from engage_assets.dispatch.relay import Relay  # noqa: PLC0415 - as in launcher

        parts = resources(os.environ)
        with Relay(parts["outbox"], parts["store"], parts["clock"]):
            sys.stdin.buffer.read()
