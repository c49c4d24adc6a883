"""The service as a process: it starts, answers, writes what it did, and ends when it is told to, answering first."""

import http.client
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, time
from functools import partial
from pathlib import Path
from engage_assets.serving.run import serve
from engage_assets_tests.serving.fakes import FakeContacts, some_services

class Slow(FakeContacts):
    def api_key(self, key_id):
        time.sleep(0.5 * (key_id == "slow"))

def services():
    return some_services(Path("unused"), contacts=Slow())

serve(services, "127.0.0.1", int(sys.argv[1]))
"""


def answer(port: int, path: str, **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def test_it_ends_after_the_requests_that_it_has_taken():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    service = subprocess.Popen([sys.executable, "-c", PROGRAM, str(port)], cwd=ROOT, stderr=subprocess.PIPE, text=True)
    give_up = time.monotonic() + 30
    while time.monotonic() < give_up:
        try:
            ready = answer(port, "/readyz")
        except OSError:
            time.sleep(0.05)
            continue
        if ready.status == 200:
            break
    assert "server" not in ready.headers
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", "/v1/customers/c-1/candidates?x=y", headers={"Authorization": "Bearer ek_slow_s"})
    time.sleep(0.2)
    service.send_signal(signal.SIGTERM)
    assert connection.getresponse().status == 401
    _, log = service.communicate(timeout=10)
    assert service.returncode in {0, -signal.SIGTERM}
    assert '"route":"/v1/customers/{customer}/candidates","status":401' in log
    assert not any(part in log for part in ("c-1", "x=y", "slow"))
