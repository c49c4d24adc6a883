"""The pages in headless Chromium: what a person does, at the width of a desk and of a telephone, with axe-core."""

import socket
import threading
import time

import pytest
import uvicorn

from engage_assets.domain.responses import Preferences
from engage_assets_tests.serving.fakes import FakeContacts, a_send, a_token, some_services
from engage_assets_tests.serving.visits import a_photo, an_app

pytestmark = pytest.mark.browser

LAUNCH = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
WIDTHS = {"desk": 1280, "telephone": 375}
SENDS = {
    name: a_send(send_id=f"{number:032x}", customer_id=f"c-{number}", locale="en-GB", subject_name="Kettle 2000")
    for number, name in enumerate([*WIDTHS, "plain"])
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Real HTTP on a free port: its services and its address."""
    services = some_services(tmp_path_factory.mktemp("home") / "photos", contacts=FakeContacts(*SENDS.values()))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(an_app(services), log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield services, f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser(chromium_path):
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
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("request", lambda request: self.loaded.add(request.url.split("/")[2]))

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
        # The status 422 of a form that must be looked at again is the one thing that browsers note.
        assert [fault for fault in self.faults if "422" not in fault] == []


@pytest.mark.parametrize("width", WIDTHS)
def test_a_person_reviews_chooses_and_unsubscribes(service, browser, width):
    services, address = service
    send = SENDS[width]
    visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})
    page = visit.page

    visit.go(f"/c/{a_token('click', send.send_id)}")
    assert page.get_by_role("heading", name="How was your Kettle 2000?").is_visible()
    visit.look()
    page.get_by_label("Your review").fill("Boils fast.")
    page.evaluate("document.forms[0].noValidate = true")  # a browser that asks for the stars itself would not send
    page.get_by_role("button", name="Send review").click()
    assert page.get_by_role("alert").get_by_text("Please choose one to five stars.").is_visible()
    assert page.evaluate("document.activeElement.getAttribute('role')") == "alert"
    assert page.get_by_label("Your review").input_value() == "Boils fast."
    visit.look()
    page.get_by_role("link", name="Please choose one to five stars.").click()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.get_by_role("radio", name="3 stars: good").is_checked()
    page.get_by_role("radio", name="5 stars: excellent").check()
    photo = {"name": "kettle.jpg", "mimeType": "image/jpeg", "buffer": a_photo(size=(640, 480))}
    page.get_by_label("Your photos").set_input_files([photo])
    page.get_by_role("button", name="Send review").click()
    assert page.get_by_role("heading", name="Thank you for your review!").is_visible()
    visit.look()
    kept = next(one for one in services.contacts.responses if one.send_id == send.send_id)
    assert (kept.rating, kept.text, len(kept.photos)) == (5, "Boils fast.", 1)
    assert (services.photos / kept.photos[0]).is_file()

    visit.go(f"/unsubscribe/{a_token('preferences', send.send_id)}")
    visit.look()
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.get_by_role("heading", name="You are unsubscribed").is_visible()
    visit.look()
    assert services.contacts.wanted[send.customer_id] == Preferences(everything=True)
    page.get_by_role("link", name="Change your choice").click()
    page.get_by_label("Anything at all").uncheck()
    page.get_by_label("E-mails").check()
    page.get_by_role("button", name="Save").click()
    assert page.get_by_role("status").is_visible()
    assert page.get_by_label("E-mails").is_checked()
    visit.look()
    assert services.contacts.wanted[send.customer_id] == Preferences(channels=frozenset({"email"}))

    visit.go("/review/none")
    assert page.get_by_role("heading", name="This link does not work").is_visible()
    visit.look()
    visit.faults = [fault for fault in visit.faults if "404" not in fault]
    visit.close()


def test_all_works_without_scripts(service, browser):
    services, address = service
    send = SENDS["plain"]
    visit = Visit(browser, address, java_script_enabled=False)
    page = visit.page
    visit.go(f"/review/{a_token('answer', send.send_id)}")
    page.get_by_role("radio", name="2 stars: fair").check()
    page.get_by_role("button", name="Send review").click()
    assert page.get_by_role("heading", name="Thank you for your review!").is_visible()
    visit.go(f"/preferences/{a_token('preferences', send.send_id)}")
    page.get_by_label("Messages of").check()
    page.get_by_role("button", name="Save").click()
    assert page.get_by_label("Messages of").is_checked()
    visit.go(f"/unsubscribe/{a_token('preferences', send.send_id)}")
    page.get_by_role("button", name="Unsubscribe").click()
    assert page.get_by_role("heading", name="You are unsubscribed").is_visible()
    assert services.contacts.wanted[send.customer_id] == Preferences(True, frozenset({"product-reviews"}))
    visit.close()


def test_the_policy_stops_what_a_page_does_not_need(service, browser):
    _, address = service
    visit = Visit(browser, address)
    visit.go(f"/review/{a_token('answer', SENDS['plain'].send_id)}")
    visit.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=https://evil.example/x onerror=1>')")
    visit.page.wait_for_timeout(100)
    assert "Content Security Policy" in " ".join(visit.faults)
    visit.context.close()
