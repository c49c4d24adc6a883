"""Banners on an app's screen, and reminders on a device, in headless Chromium at two widths, with axe-core."""

import json
import os
import time
from datetime import timedelta
from pathlib import Path

import pytest

from engage_assets.channels.links import Links
from engage_assets.channels.push import notification
from engage_assets.domain.channel_specs import PushChannel
from engage_assets.ledger.ledger import SqlLedger
from engage_assets_tests.contracts.sends import hand_over
from engage_assets_tests.serving.app_banners import PROGRAM, a_banner_of, an_app_service, open_banners
from engage_assets_tests.serving.browsing import WIDTHS, Visit, launched, served
from engage_assets_tests.serving.fakes import a_token
from engage_assets_tests.serving.gatherings import NOW, START, a_ledger, know_the_source

pytestmark = pytest.mark.browser
LIVE = START - timedelta(days=9)
FAR = START + timedelta(days=90)
VAPID_KEY = "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
DEVICE = {
    "endpoint": "https://push.example/canary-device",
    "expirationTime": None,
    "keys": {"p256dh": VAPID_KEY, "auth": "MDEyMzQ1Njc4OWFiY2RlZg"},
}
NO_PUSH_SERVICE = f"""
const device = {{ toJSON: () => ({json.dumps(DEVICE)}), unsubscribe: async () => {{ current = null; return true; }} }};
let current = null;
PushManager.prototype.subscribe = async (options) => {{
  window.subscribedWith = options.applicationServerKey.length;
  current = device;
  return device;
}};
PushManager.prototype.getSubscription = async () => current;
Notification.requestPermission = async () => window.answer || "granted";
"""
"""A headless browser has no push service: all else is real."""


@pytest.fixture(scope="module")
def browser(chromium_path):
    with launched(chromium_path) as browser:
        yield browser


@pytest.fixture(scope="module")
def database():
    with a_ledger() as database:
        yield database


@pytest.fixture
def app(tmp_path, database, monkeypatch):
    know_the_source(monkeypatch)
    return an_app_service(tmp_path, database, VAPID_KEY)


def look(visit, name):
    visit.look()
    if os.environ.get("ENGAGE_SHOTS"):
        width = visit.page.viewport_size["width"]
        visit.page.screenshot(path=Path(os.environ["ENGAGE_SHOTS"]) / f"{name}-{width}.png", full_page=True)


def kinds(database, send_id):
    return sorted(SqlLedger(database).interactions(None, FAR).filter(send_id=send_id)["kind"])


def waited_for(database, send_id, wanted):
    """The kinds that were recorded of a send, as soon as they are those that are wanted, or after five seconds."""
    give_up = time.monotonic() + 5
    while kinds(database, send_id) != wanted and time.monotonic() < give_up:
        time.sleep(0.05)
    return kinds(database, send_id)


@pytest.mark.parametrize(
    ("width", "locale", "title", "call"),
    [
        ("desk", "en-GB", "Join Kubernetes in practice", "Learn More"),
        ("telephone", "en-GB", "Join Kubernetes in practice", "Learn More"),
        ("telephone", "ja-JP", "「Kubernetes in practice」に参加しませんか", "詳しく見る"),
    ],
)
def test_a_banner_is_seen_and_tapped_and_is_gone_once_its_person_is_registered(
    app, database, browser, width, locale, title, call
):
    customer = f"{locale}-{width}"
    app.services.clock.time, app.services.clock.is_declared = LIVE, True
    banner = a_banner_of(app, customer, LIVE, locale=locale)
    open_banners(database, banner)
    with served(app.services) as address:
        visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})
        visit.go(f"/app/{PROGRAM}/{customer}")
        assert visit.page.get_by_role("heading", name=title).is_visible()
        assert kinds(database, banner.send_id) == ["displayed"]
        look(visit, f"app-{locale}")
        box = visit.page.get_by_role("link", name=call).bounding_box()
        assert box["height"] >= 44
        visit.page.get_by_role("link", name=call).click()
        visit.page.locator("form button").first.click()
        assert app.status(customer) == "registered"
        visit.go(f"/app/{PROGRAM}/{customer}")
        assert visit.page.get_by_role("heading", name=title).count() == 0
        look(visit, f"app-none-{locale}")
        assert kinds(database, banner.send_id) == ["click", "displayed"]
        visit.close()


def registered_page(app, database, customer):
    """The address of the page of somebody who is registered, and his invitation."""
    send = a_banner_of(app, customer, NOW, channel="email", campaign_id=f"{PROGRAM}:email:2026-11-16:DE:{customer}")
    hand_over(SqlLedger(database), send, now=NOW, then="sent")
    app.take(customer)
    return f"/registration/{a_token('answer', send.send_id)}", send


@pytest.mark.parametrize("width", WIDTHS)
def test_a_device_is_reminded_and_forgotten_again(app, database, browser, width):
    customer = f"device-{width}"
    page, _ = registered_page(app, database, customer)
    with served(app.services) as address:
        visit = Visit(browser, address, viewport={"width": WIDTHS[width], "height": 800})
        visit.page.add_init_script(NO_PUSH_SERVICE)
        visit.go(page)
        turn_on = visit.page.get_by_role("button", name="Remind me on this device")
        turn_on.wait_for()
        look(visit, "remind")
        turn_on.click()
        visit.page.get_by_text("We will remind you on this device.").wait_for()
        assert visit.page.evaluate("window.subscribedWith") == 65
        assert json.loads(app.services.push.subscriptions.of([customer])[customer][0]) == DEVICE
        look(visit, "reminded")
        visit.page.get_by_role("button", name="No reminder on this device").click()
        visit.page.get_by_text("You will get no reminder on this device.").wait_for()
        assert app.services.push.subscriptions.of([customer]) == {}
        visit.page.evaluate("window.answer = 'denied'")
        turn_on.click()
        visit.page.get_by_text("This browser does not let us remind you.").wait_for()
        visit.close()


def test_without_scripts_there_is_no_reminder_and_all_else_is_there(app, database, browser):
    page, _ = registered_page(app, database, "quiet")
    with served(app.services) as address:
        visit = Visit(browser, address, java_script_enabled=False, viewport={"width": 375, "height": 800})
        visit.go(page)
        assert visit.page.get_by_role("button", name="Remind me on this device").count() == 0
        assert visit.page.get_by_role("button", name="Cancel my registration").is_visible()
        visit.close()


def test_the_service_worker_shows_a_notification_and_tells_what_became_of_it(app, database, browser):
    page, send = registered_page(app, database, "worker")
    channel = next(one for one in app.services.programs[PROGRAM].channels if isinstance(one, PushChannel))
    with served(app.services) as address:
        links = Links(address, app.services.signer).of_push(send.send_id, NOW, "registration")
        payload = notification(
            channel.config, subject_type="event", name="Kubernetes", starts_at=START, time_zone="Europe/Berlin",
            language="en", tag="e", links=links,
        ).decode()  # fmt: skip
        visit = Visit(browser, address, viewport={"width": 375, "height": 800})
        visit.context.grant_permissions(["notifications"], origin=address)
        visit.go(page)
        visit.page.get_by_role("button", name="Remind me on this device").wait_for()
        worker = visit.context.service_workers[0]
        worker.evaluate(
            """async (said) => {
              const shown = [];
              self.shown = shown;
              self.registration.showNotification = async (title, options) => { shown.push([title, options]); };
              self.dispatchEvent(new PushEvent("push", { data: said }));
            }""",
            payload,
        )
        assert waited_for(database, send.send_id, ["displayed"]) == ["displayed"]
        ((title, options),) = worker.evaluate("self.shown")
        assert (title, options["body"], options["lang"]) == ("Kubernetes Tomorrow!", "Join us at 18:00", "en")
        assert options["actions"] == [{"action": "calendar", "title": "Add to calendar"}]
        places = worker.evaluate(
            """async () => {
              const opened = [], [, { data }] = self.shown[0];
              self.clients.openWindow = async (place) => { opened.push(place); };
              const tap = (action) => {
                const event = new ExtendableEvent("notificationclick");
                Object.assign(event, { action, notification: { data, close: () => undefined } });
                self.dispatchEvent(event);
              };
              tap("");
              tap("calendar");
              return opened;
            }"""
        )
        assert [place.removeprefix(address).split("/")[1] for place in places] == ["c", "registration"]
        wanted = ["click", "displayed", "open"]
        assert waited_for(database, send.send_id, wanted) == wanted
        visit.close()
