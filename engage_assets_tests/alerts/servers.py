"""A web server that keeps what it is asked, and answers as a test says."""

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Desk:
    """What came in, and the status of the next answers."""

    def __init__(self, port):
        self.url = f"http://127.0.0.1:{port}/hooks/secret-path"
        self.status = 200
        self.requests = []
        """(headers, body) of each request."""


@contextmanager
def a_web_server():
    """A running server's Desk."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            desk.requests.append((dict(self.headers), body))
            self.answer()

        def do_GET(self):
            desk.requests.append((dict(self.headers), self.path))
            self.answer()

        def answer(self):
            self.send_response(desk.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    desk = Desk(server.server_port)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield desk
    server.shutdown()
    server.server_close()
