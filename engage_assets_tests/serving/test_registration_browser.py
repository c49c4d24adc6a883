"""The registration page in headless Chromium, at the width of a desk and of a telephone, with axe-core."""

import os
from datetime import timedelta
from pathlib import Path

import icalendar
import pytest

from engage_assets_tests.serving.browsing import WIDTHS, Visit, launched, served
from engage_assets_tests.serving.fakes import a_token
from engage_assets_tests.serving.gatherings import NOW, START, a_gathering, a_ledger, know_the_source

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(chromium_path):
    with launched(chromium_path) as browser:
        yield browser


@pytest.fixture
def gathering(tmp_path, monkeypatch):
    know_the_source(monkeypatch)
    with a_ledger() as database:
        yield a_gathering(tmp_path, database)


def look(visit, name):
    """Nothing is wrong with the page; ENGAGE_SHOTS names a folder for pictures of it."""
    visit.look()
    if os.environ.get("ENGAGE_SHOTS"):
        width = visit.page.viewport_size["width"]
        visit.page.screenshot(path=Path(os.environ["ENGAGE_SHOTS"]) / f"{name}-{width}.png", full_page=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_person_registers_downloads_the_entry_changes_and_cancels(gathering, browser, width):
    gathering.invite("c-1")
    (send,) = gathering.services.contacts.sends.values()
    with served(gathering.services) as address:
        visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})
        page = visit.page
        visit.go(f"/c/{a_token('click', send.send_id)}")
        assert page.get_by_role("heading", name="Join us: Kubernetes in practice").is_visible()
        look(visit, "open")
        page.get_by_label("Dietary preferences").fill("x" * 201)
        page.get_by_role("button", name="Confirm attendance").click()
        page.locator("[role=alert]:focus").wait_for()
        look(visit, "fault")
        page.get_by_role("link", name="The dietary preferences have 201 characters").click()
        page.locator("#dietary:focus").wait_for()
        page.keyboard.press("ControlOrMeta+A")
        page.keyboard.insert_text("Vegetarian")
        page.get_by_role("button", name="Confirm attendance").click()
        assert page.get_by_role("heading", name="You are registered").is_visible()
        assert gathering.status("c-1") == "registered"
        look(visit, "registered")
        with page.expect_download() as download:
            page.get_by_role("link", name="Add to calendar").click()
        assert download.value.suggested_filename == "event.ics"
        entry = icalendar.Calendar.from_ical(Path(download.value.path()).read_bytes()).events[0]
        assert entry["SUMMARY"] == "Kubernetes in practice"

        page.get_by_label("Dietary preferences").fill("Vegan")
        page.get_by_role("button", name="Save").click()
        assert page.get_by_role("status").get_by_text("Saved.").is_visible()
        assert page.get_by_label("Dietary preferences").input_value() == "Vegan"
        look(visit, "saved")
        gathering.take("c-7", "c-8")
        page.get_by_role("button", name="Cancel my registration").click()
        assert page.get_by_role("heading", name="You have cancelled").is_visible()
        look(visit, "cancelled")
        page.get_by_role("button", name="Join the wait list").click()
        assert page.get_by_text("You are number 1 in line").is_visible()
        look(visit, "waiting")
        page.get_by_role("button", name="Leave the wait list").click()
        assert gathering.status("c-1") == "cancelled"
        visit.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_other_state_can_be_read(gathering, browser, width):
    clock = gathering.services.clock
    gathering.take("c-7", "c-8")
    with served(gathering.services) as address:
        visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})

        def see(name, heading, **send):
            visit.go(f"/registration/{gathering.invite('c-1', **send)}")
            assert visit.page.get_by_role("heading", name=heading).is_visible()
            look(visit, name)

        see("full", "Kubernetes in practice is full")
        see("full-ja", "Kubernetes in practiceは満席です", locale="ja-JP")
        clock.time = START - timedelta(days=1)
        see("closed", "Registration has closed")
        clock.time = START + timedelta(days=1)
        see("over", "This event is over")
        clock.time = NOW
        gathering.version(status="cancelled")
        see("called-off", "Kubernetes in practice does not take place")
        visit.go("/registration/none")
        assert visit.page.get_by_role("heading", name="This link does not work").is_visible()
        visit.faults = [fault for fault in visit.faults if "404" not in fault]
        visit.close()


def test_all_works_without_scripts_and_is_large_enough_to_touch(gathering, browser):
    gathering.take("c-8")
    with served(gathering.services) as address:
        visit = Visit(browser, address, java_script_enabled=False, viewport={"width": 320, "height": 640})
        visit.go(f"/registration/{gathering.invite('c-1')}")
        visit.page.get_by_role("button", name="Confirm attendance").click()
        sizes = [one.bounding_box() for one in visit.page.locator("a.button, button, textarea").all()]
        assert len(sizes) == 4
        assert all(size["width"] >= 44 and size["height"] >= 44 for size in sizes)
        visit.page.get_by_role("button", name="Cancel my registration").click()
        assert gathering.status("c-1") == "cancelled"
        visit.close()
