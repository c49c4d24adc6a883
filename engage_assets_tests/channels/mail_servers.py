"""Mail servers of tests: a real one (aiosmtpd), and one that answers by a script and breaks off where it says."""

import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager, suppress

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

HANG_UP = b""
"""The script's word for: close the connection instead of a reply."""
SILENCE = b"-"
"""The script's word for: never reply."""
USER, PASSWORD = "shop", "correct horse"


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


class Inbox:
    """What an aiosmtpd server took."""

    def __init__(self, *, has_pipelining):
        self.has_pipelining = has_pipelining
        self.connections = 0
        self.letters = []

    async def handle_EHLO(self, server, session, envelope, hostname, responses):  # noqa: N802 - aiosmtpd's name
        session.host_name = hostname
        self.connections += 1
        return [*responses[:-1], *(["250-PIPELINING"] if self.has_pipelining else []), responses[-1]]

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.letters.append((envelope.mail_from, tuple(envelope.rcpt_tos), bytes(envelope.original_content)))
        return f"250 2.0.0 Ok: queued as Q{len(self.letters)}"


class _Server(Controller):
    """Its connections may begin with TLS, or offer it."""

    def __init__(self, inbox, *, starttls, **options):
        self._starttls = starttls
        self._options = options
        super().__init__(inbox, hostname="127.0.0.1", port=free_port(), ssl_context=options.pop("ssl_context", None))

    def factory(self):
        return SMTP(self.handler, hostname="mx.example.invalid", tls_context=self._starttls, **self._options)


@contextmanager
def mail_server(*, has_pipelining=False, tls=None, starttls=None, has_login=False):
    """A running server's port and inbox."""
    inbox = Inbox(has_pipelining=has_pipelining)
    options = {"ssl_context": tls} if tls else {}
    if starttls:
        options |= {"require_starttls": True}
    if has_login:
        options |= {"auth_required": True, "auth_require_tls": False, "authenticator": _authenticate}
    server = _Server(inbox, starttls=starttls, **options)
    server.start()
    # The controller itself connects once, to see whether it runs.
    inbox.connections = 0
    yield server.port, inbox
    server.stop()


def _authenticate(server, session, envelope, mechanism, auth):
    is_right = (auth.login, auth.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


def certificate(folder):
    """A self-made certificate of 127.0.0.1: the server's context and the file that a client trusts."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is missing, so TLS goes untested; to get it: apt-get install openssl")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, cert


class Script:
    """A server that replies by step: GREETING, EHLO, MAIL, RCPT, DATA, RSET, and CONTENT after the final dot.

    `scripts`: one for each connection in turn, the last for the rest. A step has one reply, or a list for its turns.
    PART is replied as soon as some content is there. Steps out of order are refused, unless the script says otherwise.
    """

    def __init__(self, *scripts):
        self.scripts = scripts or ({},)
        self.connections = 0
        self.writes = []
        """What came in one piece, of all connections."""
        self.contents = []
        """Contents that came up to the final dot, whatever was answered."""
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]

    def serve(self):
        with suppress(OSError):
            while True:
                client, _ = self.socket.accept()
                script = self.scripts[min(self.connections, len(self.scripts) - 1)]
                self.connections += 1
                threading.Thread(target=_Talk(self, client, GOOD | script).run, daemon=True).start()


GOOD = {
    "GREETING": b"220 mx.example.invalid",
    "EHLO": b"250-mx.example.invalid\r\n250 PIPELINING",
    "CONTENT": b"250 2.0.0 Ok: queued as Q1",
}


class _Talk:
    """One connection of a script."""

    def __init__(self, server, client, script):
        self.server, self.client, self.came = server, client, b""
        self.script = {
            step: list(replies) if isinstance(replies, list) else replies for step, replies in script.items()
        }
        self.stage = 0

    def run(self):
        with self.client, suppress(OSError):
            self.reply("GREETING")
            while True:
                verb = self.until(b"\r\n")[:4].decode("ascii").upper()
                reply = self.reply(verb)
                if verb == "DATA" and reply.startswith(b"354"):
                    self.content()
                if verb in {"RSET", "DATA"}:
                    self.stage = 0
                if verb in {"MAIL", "RCPT"} and reply.startswith(b"2"):
                    self.stage += 1

    def content(self):
        if "PART" in self.script:
            self.until(b"\r\n")
            self.reply("PART")
        content = self.until(b"\r\n.\r\n")
        self.server.contents.append(content)
        self.reply("CONTENT")

    def until(self, end):
        while end not in self.came:
            piece = self.client.recv(65536)
            if not piece:
                raise OSError
            self.server.writes.append(piece)
            self.came += piece
        found, _, self.came = self.came.partition(end)
        return found

    def usual(self, step):
        due = {"MAIL": 0, "RCPT": 1, "DATA": 2}
        if self.stage != due.get(step, self.stage):
            return b"503 5.5.1 out of order"
        return b"354 go on" if step == "DATA" else b"250 2.0.0 fine"

    def reply(self, step):
        text = self.script.get(step, [])
        text = (text.pop(0) if text else self.usual(step)) if isinstance(text, list) else text
        if text == HANG_UP:
            raise OSError
        if text != SILENCE:
            self.client.sendall(text + b"\r\n")
        if text.startswith(b"421"):
            raise OSError
        return text


@contextmanager
def scripted(*scripts):
    """A running Script."""
    server = Script(*scripts)
    threading.Thread(target=server.serve, daemon=True).start()
    yield server
    server.socket.shutdown(socket.SHUT_RDWR)  # wakes who waits there
    server.socket.close()
