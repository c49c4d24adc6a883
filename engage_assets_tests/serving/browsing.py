"""The pages of a service over real HTTP, and a person with a headless Chromium who looks at them."""

import socket
import threading
import time
from contextlib import contextmanager

import uvicorn

from engage_assets_tests.serving.visits import an_app

LAUNCH = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
WIDTHS = {"desk": 1280, "telephone": 375}


@contextmanager
def served(services):
    """The address of the service's pages, on a free port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(an_app(services), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@contextmanager
def launched(chromium_path):
    """A browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=LAUNCH.split())
        yield browser
        browser.close()


class Visit:
    """One person with a page open; whatever it complains of or loads is kept."""

    def __init__(self, browser, address, **settings):
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(5_000)
        self.address, self.faults, self.loaded = address, [], set()
        self.page.on("console", self._hear)
        self.page.on("request", lambda request: self.loaded.add(request.url.split("/")[2]))

    def _hear(self, message):
        """Keep a complaint; that there is no icon is none, as browsers ask for one unasked."""
        if not message.location["url"].endswith("/favicon.ico"):
            self.faults.append(message.text)

    def go(self, path):
        self.page.goto(self.address + path)

    def look(self):
        """The page fits its width, and axe-core finds nothing, level AA included."""
        from axe_playwright_python.sync_playwright import Axe

        width = self.page.viewport_size["width"]
        assert self.page.evaluate("document.documentElement.scrollWidth") == width
        found = Axe().run(self.page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []

    def close(self):
        self.context.close()
        assert self.loaded <= {self.address.split("/")[2]}
        # The status 422 (or 413) of a form that must be looked at again is the one thing that browsers note.
        assert [fault for fault in self.faults if "422" not in fault and "413" not in fault] == []
