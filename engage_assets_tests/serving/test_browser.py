"""The pages in headless Chromium: what a person does, at the width of a desk and of a telephone, with axe-core."""

import pytest

from engage_assets.domain.responses import Preferences
from engage_assets_tests.builders import a_program
from engage_assets_tests.serving.browsing import WIDTHS, Visit, launched, served
from engage_assets_tests.serving.fakes import (
    TAGS,
    FakeContacts,
    a_send,
    a_token,
    a_track_program,
    a_track_send,
    some_services,
)
from engage_assets_tests.serving.visits import a_photo

pytestmark = pytest.mark.browser

SENDS = {
    name: a_send(send_id=f"{number:032x}", customer_id=f"c-{number}", locale="en-GB", subject_name="Kettle 2000")
    for number, name in enumerate([*WIDTHS, "plain"])
}

TRACKS = {
    name: a_track_send(send_id=f"{number:032x}", customer_id=f"c-{number}", locale="en-GB")
    for number, name in enumerate([*WIDTHS, "plain"], start=100)
}


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Real HTTP on a free port: its services and its address."""
    programs = {program.program_id: program for program in (a_program(), a_track_program())}
    contacts = FakeContacts(*SENDS.values(), *TRACKS.values())
    services = some_services(tmp_path_factory.mktemp("home") / "photos", contacts=contacts, programs=programs)
    with served(services) as address:
        yield services, address


@pytest.fixture(scope="module")
def browser(chromium_path):
    with launched(chromium_path) as browser:
        yield browser


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
    page.locator("[role=alert]:focus").wait_for()
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


@pytest.mark.parametrize("width", WIDTHS)
def test_a_listener_says_what_he_thinks_and_changes_his_mind(service, browser, width):
    services, address = service
    send = TRACKS[width]
    visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})
    page = visit.page

    visit.go(f"/c/{a_token('click', send.send_id)}")
    assert page.get_by_role("heading", name="What did you think of “Midnight Rain” by Paper Lanterns?").is_visible()
    visit.look()
    page.get_by_label("Your comment").fill("🎶" * 201)
    page.evaluate("document.forms[0].noValidate = true")  # a browser that asks for the thumb itself would not send
    page.get_by_role("button", name="Send feedback").click()
    page.get_by_role("alert").wait_for()
    page.locator("[role=alert]:focus").wait_for()
    visit.look()
    page.get_by_role("link", name="The comment has 201 characters").click()
    page.locator("#comment:focus").wait_for()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text("🎶" * 200)
    page.get_by_role("link", name="Please choose “I liked it”").click()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="Not for me").is_checked()
    page.keyboard.press("ArrowUp")
    page.get_by_role("checkbox", name="R&B / Soul").check()
    page.get_by_role("button", name="Send feedback").click()
    assert page.get_by_role("heading", name="Thank you for your feedback!").is_visible()
    visit.look()

    page.get_by_role("link", name="Change your answer").click()
    assert page.get_by_text("You said that you liked it.").is_visible()
    assert page.get_by_role("radio", name="I liked it").is_checked()
    visit.look()
    page.get_by_role("radio", name="Not for me").check()
    page.get_by_role("checkbox", name="R&B / Soul").uncheck()
    page.get_by_role("button", name="Save change").click()
    assert page.get_by_text("“Midnight Rain” was not for you.").is_visible()
    (kept,) = [one for one in services.contacts.responses if one.customer_id == send.customer_id]
    assert (kept.is_positive, kept.text, kept.tags) == (False, "🎶" * 200, ())
    visit.close()


def test_what_can_be_touched_is_large_enough(service, browser):
    """44 CSS pixels, as a thumb needs (WCAG 2.5.5)."""
    _, address = service
    visit = Visit(browser, address, viewport={"width": 320, "height": 640})
    visit.go(f"/feedback/{a_token('answer', TRACKS['plain'].send_id)}")
    visit.look()
    sizes = [one.bounding_box() for one in visit.page.locator("label:has(input), button, textarea").all()]
    assert len(sizes) == 2 + len(TAGS) + 2
    assert all(size["width"] >= 44 and size["height"] >= 44 for size in sizes)
    visit.close()


def test_a_comment_that_is_far_too_large_is_answered_by_a_page(service, browser):
    services, address = service
    visit = Visit(browser, address)
    visit.go(f"/feedback/{a_token('answer', TRACKS['plain'].send_id)}")
    # In a field that is not drawn: a browser takes long to lay out so much text. Ten megabytes: test_feedback.
    visit.page.evaluate(
        "const field = document.createElement('input');"
        " Object.assign(field, {type: 'hidden', name: 'comment', value: 'x'.repeat(2 ** 20)});"
        " document.forms[0].append(field)"
    )
    visit.page.get_by_role("radio", name="I liked it").check()
    visit.page.get_by_role("button", name="Send feedback").click()
    assert visit.page.get_by_role("alert").get_by_text("That was too much to send at once.").is_visible()
    visit.look()
    assert services.contacts.answer("music-feedback", TRACKS["plain"].customer_id, "track", "t-1") is None
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
    visit.go(f"/feedback/{a_token('answer', TRACKS['plain'].send_id)}")
    page.get_by_role("radio", name="I liked it").check()
    page.get_by_text("Hip-Hop").click()
    page.get_by_role("button", name="Send feedback").click()
    page.get_by_role("link", name="Change your answer").click()
    assert page.get_by_role("checkbox", name="Hip-Hop").is_checked()
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
