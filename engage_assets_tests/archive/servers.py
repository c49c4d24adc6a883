"""Servers that speak like AWS, on loopback and ports of their own, gone when the test is: kinesalite and moto."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import boto3
from botocore.config import Config

PARTS = Path(__file__).parents[2] / ".parts"
REGION = "us-east-1"
KEYS = ("test-key", "test-secret")
ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEYS[0], "AWS_SECRET_ACCESS_KEY": KEYS[1], "AWS_REGION": REGION}
READY_SECONDS = 60
_KINESALITE = (
    "const server = require('kinesalite')({createStreamMs: 5, updateStreamMs: 5, deleteStreamMs: 5, shardLimit: 1000});"
    "server.listen(0, '127.0.0.1', () => console.log(server.address().port));"
    "process.stdin.resume().on('end', () => process.exit());"
    "process.on('uncaughtException', e => { if (e.code != 'ECONNRESET') { console.error(e); process.exit(1) } })"
)
_SESSION = boto3.session.Session()
_MOTO = (
    "import os, sys, moto.server as server;"
    "one = server.ThreadedMotoServer(ip_address='127.0.0.1', port=0);"
    "one.start(); print(one.get_host_and_port()[1], flush=True); sys.stdin.read(); os._exit(0)"
)


@dataclass(frozen=True)
class Server:
    """A running server; `environment` makes a process talk to it."""

    url: str
    process: subprocess.Popen[bytes]
    clients: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return ENVIRONMENT | {"AWS_ENDPOINT_URL": self.url}

    def client(self, service: str) -> Any:
        """A client that never asks twice; the same for all who ask."""
        if service not in self.clients:
            self.clients[service] = self.new_client(service)
        return self.clients[service]

    def new_client(self, service: str) -> Any:
        """One whose answers a test may change."""
        return new_client(service, self.url)


def new_client(service: str, url: str) -> Any:
    """A client of a server, with the keys that all of them take."""
    return _SESSION.client(
        service,
        endpoint_url=url,
        region_name=REGION,
        aws_access_key_id=KEYS[0],
        aws_secret_access_key=KEYS[1],
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60, max_pool_connections=16),
    )


def find_kinesalite() -> bool:
    """Whether it can be started."""
    return bool(shutil.which("node")) and (PARTS / "node_modules" / "kinesalite").is_dir()


@contextmanager
def running_kinesalite() -> Iterator[Server]:
    """Kinesis: shards split and merge as AWS does it. It would itself end with a client that dies amid a request."""
    with _running(["node", "-e", _KINESALITE], cwd=PARTS) as server:
        yield server


@contextmanager
def running_moto(python: str) -> Iterator[Server]:
    """DynamoDB with its streams, and S3; for one client at a time."""
    with _running([python, "-c", _MOTO]) as server:
        yield server


@contextmanager
def _running(command: list[str], cwd: Path | None = None) -> Iterator[Server]:
    """A server that says its port on a line of its own, beside whatever else it says, and ends when we do."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    with (
        TemporaryFile() as log,
        subprocess.Popen(
            command, cwd=cwd, env=plain, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
        ) as process,
    ):
        try:
            assert process.stdout is not None
            said: list[bytes] = []
            while not (line := process.stdout.readline().strip()).isdigit():
                said.append(line)
                assert line or process.poll() is None, f"{command[0]} ended: {said} {_end(log)}"
            wait_for_port(int(line))
            yield Server(f"http://127.0.0.1:{int(line)}", process)
            assert process.poll() is None, f"{command[0]} ended with {process.returncode}: {_end(log)}"
        finally:
            process.kill()


def _end(log: IO[bytes]) -> str:
    """The last it said."""
    log.seek(0)
    return log.read()[-3000:].decode(errors="replace")


def wait_for_port(port: int) -> None:
    """Until something listens there."""
    until = time.monotonic() + READY_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < until, f"nothing listens on {port} after {READY_SECONDS} s"
            time.sleep(0.02)
        else:
            return


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
