"""Fetching Alexa's certificates: from a stand-in on loopback. Which addresses are asked is the verifier's to say."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import certifi
import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from engage_assets.domain.errors import EngageError
from engage_assets.serving import voice_certificates
from engage_assets.serving.voice_certificates import WebCertificates, trusted_roots
from engage_assets_tests.channels.mail_servers import free_port
from engage_assets_tests.voice.authority import Authority

LARGEST = 64 * 1024
CANARY = "canary-7f31"


class StandIn(BaseHTTPRequestHandler):
    """Answers by path; notes what it was asked, and when a reader of what has no end went away."""

    asked: list[str]
    left: Event

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/endless":
            self._endlessly()
            return
        if self.path.startswith("/silent"):
            self.left.wait(5)
            return
        kind, number = self.path.partition("?")[0].strip("/").split("/")
        size = int(number) if kind == "bytes" else 3
        self.send_response(int(number) if kind == "status" else 200)
        self.send_header("Content-Length", str(size))
        self.send_header("Location", "/bytes/1")
        self.end_headers()
        self.wfile.write(b"x" * size)

    def _endlessly(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(b"x" * 4096)
        except OSError:
            self.left.set()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def stand_in() -> Iterator[tuple[str, type[StandIn]]]:
    handler = type("Handler", (StandIn,), {"asked": [], "left": Event()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", handler
    handler.left.set()
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("size", [0, 1, LARGEST])
def test_what_is_there_is_fetched(stand_in, size):
    assert WebCertificates().fetch(f"{stand_in[0]}/bytes/{size}") == b"x" * size


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("status/404", "status 404"),
        ("status/500", "status 500"),
        ("status/301", "status 301"),
        (f"bytes/{LARGEST + 1}", "status 200"),
    ],
)
def test_what_is_not_there_elsewhere_or_too_large_is_refused(stand_in, path, rule):
    address, handler = stand_in

    with pytest.raises(EngageError, match=rule) as refusal:
        WebCertificates().fetch(f"{address}/{path}?{CANARY}")

    assert CANARY not in str(refusal.value)
    assert len(handler.asked) == 1


def test_what_has_no_end_is_left(stand_in):
    address, handler = stand_in

    with pytest.raises(EngageError, match="cannot be fetched"):
        WebCertificates().fetch(f"{address}/endless")

    assert handler.left.wait(5)


def test_who_does_not_answer_is_told_by_kind_alone(stand_in, monkeypatch):
    monkeypatch.setattr(voice_certificates, "SECONDS", 0.1)

    for url, kind in ((f"{stand_in[0]}/silent", "ReadTimeout"), (f"http://127.0.0.1:{free_port()}", "ConnectError")):
        with pytest.raises(EngageError, match=f"{kind}$") as refusal:
            WebCertificates().fetch(f"{url}?{CANARY}")
        assert CANARY not in str(refusal.value)


def test_a_chain_may_end_in_the_roots_of_a_file_else_in_the_well_known(tmp_path):
    own, broken = tmp_path / "roots.pem", tmp_path / "broken.pem"
    root = Authority().root
    own.write_bytes(root.public_bytes(Encoding.PEM) * 2)
    broken.write_text(CANARY)

    assert trusted_roots(own) == [root, root]
    assert trusted_roots() == load_pem_x509_certificates(certifi.contents().encode())
    for path, kind in ((broken, "ValueError"), (tmp_path / "none.pem", "FileNotFoundError")):
        with pytest.raises(EngageError, match=f"{path.name}: cannot be read as certificates in PEM: {kind}$"):
            trusted_roots(path)
