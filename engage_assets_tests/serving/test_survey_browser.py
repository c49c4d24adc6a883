"""The survey page in headless Chromium, at the width of a desk and of a telephone, with axe-core."""

import os
from datetime import timedelta
from pathlib import Path

import pytest

from engage_assets.domain.notices import SURVEY_OPEN
from engage_assets_tests.serving.browsing import WIDTHS, Visit, launched, served
from engage_assets_tests.serving.fakes import a_token
from engage_assets_tests.serving.gatherings import MINUTE, START, a_gathering, a_ledger, know_the_source

pytestmark = pytest.mark.browser
END = START + timedelta(minutes=90)


@pytest.fixture(scope="module")
def browser(chromium_path):
    with launched(chromium_path) as browser:
        yield browser


@pytest.fixture
def gathering(tmp_path, monkeypatch):
    """An event that is over: the first two came, the third did not."""
    know_the_source(monkeypatch)
    with a_ledger() as database:
        gathering = a_gathering(tmp_path, database, {"capacity": 4})
        gathering.take("c-1", "c-2", "c-3", "c-4")
        gathering.services.clock.time = END
        gathering.attend(c_1="attended", c_2="attended", c_3="no_show")
        yield gathering


def look(visit, name):
    """Nothing is wrong with the page; ENGAGE_SHOTS names a folder for pictures of it."""
    visit.look()
    if os.environ.get("ENGAGE_SHOTS"):
        width = visit.page.viewport_size["width"]
        visit.page.screenshot(path=Path(os.environ["ENGAGE_SHOTS"]) / f"survey-{name}-{width}.png", full_page=True)


@pytest.mark.parametrize("width", WIDTHS)
def test_a_person_answers_from_the_link_of_the_mail(gathering, browser, width):
    gathering.invite("c-1", kind="survey", is_solicitation=False)
    (send,) = gathering.services.contacts.sends.values()
    with served(gathering.services) as address:
        visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})
        page = visit.page
        visit.go(f"/c/{a_token('click', send.send_id)}")
        assert page.get_by_role("heading", name="How was Kubernetes in practice?").is_visible()
        look(visit, "open")
        page.get_by_role("button", name="Send answer").click()
        assert page.get_by_role("heading", name="How was").is_visible(), "a rating is required"
        page.get_by_role("radio", name="4 stars: very good").check()
        page.get_by_label("Your comment").fill("x" * 2_001)
        page.get_by_role("button", name="Send answer").click()
        page.locator("[role=alert]:focus").wait_for()
        assert page.get_by_role("radio", name="4 stars: very good").is_checked()
        look(visit, "fault")
        page.get_by_role("link", name="The comment has 2001 characters").click()
        page.locator("#text:focus").wait_for()
        page.get_by_label("Your comment").fill("A good evening.")
        page.get_by_role("button", name="Send answer").click()
        assert page.get_by_role("heading", name="Thank you for your answer!").is_visible()
        look(visit, "thanks")
        kept = gathering.events.surveys.of("event-invitations", gathering.event_id, "c-1")
        assert (kept.rating, kept.text) == (4, "A good evening.")
        page.reload()
        assert page.get_by_text("4 stars: very good").is_visible()
        visit.close()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_other_state_can_be_read(gathering, browser, width):
    clock = gathering.services.clock
    with served(gathering.services) as address:
        visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})

        def see(name, heading, customer, **send):
            visit.go(f"/survey/{gathering.invite(customer, **send)}")
            assert visit.page.get_by_role("heading", name=heading).is_visible()
            look(visit, name)

        see("open-ja", "「Kubernetes in practice」はいかがでしたか？", "c-1", locale="ja-JP")
        see("not-attended", "This survey is for those who attended", "c-3")
        see("unrecorded", "We do not know yet who was there", "c-4")
        clock.time = END - MINUTE
        see("too-early", "It is too early for this survey", "c-1")
        clock.time = END + SURVEY_OPEN
        see("expired-de", "Diese Umfrage ist beendet", "c-1", locale="de-DE")
        visit.close()


def test_all_works_without_scripts_and_is_large_enough_to_touch(gathering, browser):
    with served(gathering.services) as address:
        visit = Visit(browser, address, java_script_enabled=False, viewport={"width": 320, "height": 640})
        visit.go(f"/survey/{gathering.invite('c-2')}")
        sizes = [one.bounding_box() for one in visit.page.locator("label.star, button, textarea").all()]
        assert len(sizes) == 7
        assert all(size["width"] >= 44 and size["height"] >= 44 for size in sizes)
        visit.page.get_by_role("radio", name="5 stars: excellent").check()
        visit.page.get_by_role("button", name="Send answer").click()
        assert visit.page.get_by_role("heading", name="Thank you").is_visible()
        visit.close()
