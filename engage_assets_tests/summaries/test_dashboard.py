"""The dashboard in headless Chromium, opened from a file: both services, two days, at two widths, with axe-core."""

from datetime import date, timedelta
from html import unescape
from itertools import combinations

import polars as pl
import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.summaries.dashboard import render
from engage_assets.summaries.dashboard_data import page_data
from engage_assets.summaries.dashboard_words import NEEDS, STAND_INS
from engage_assets.summaries.engine import Engine
from engage_assets.summaries.silver_quality import QUALITY_SCHEMA
from engage_assets.summaries.tables import TABLES, values
from engage_assets_tests.summaries.builders import DAY, SERVICE, event, write_inputs

LAUNCH = "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-sync"
WIDTHS = {"desk": 1280, "telephone": 375}
PHARMACY = "theshop-pharmacy"
BEFORE = DAY - timedelta(days=1)
DAYS = {SERVICE: (BEFORE, DAY), PHARMACY: (DAY,)}
EVIL = "</script><script>window.hacked = 1</script><img src=x onerror='hacked = 1'>"
PLACES = ["/", "/p/{id}", "/cart", "/고객센터"]


def shop_events(service, names, **bought):
    """Forty days of a shop with a few users: everything that a table counts."""
    made = []
    for age in range(40):
        for user in range(1 + age % 3):
            who = {"user": f"u{(age * 7 + user) % 11}", "session": f"{service}-{age}-{user}", "service": service}
            at = [f"{-age} {9 + user * 5 + age % 4}:{minute:02d}".replace(" 9:", " 09:") for minute in range(10)]
            path, onward = PLACES[(age + user) % 4], PLACES[(age + user + 1) % 4]
            product = {"product_id": f"p{age % 20}", "product_name": names[age % len(names)], "category": names[0]}
            made += [
                event("page_change", at=at[0], from_path=path, to_path=onward, **who),
                event("product_view", at=at[1], **product, **who),
                event("button_click", at=at[2], action=f"담기 {age % 4}", menu_name="홈", page=path, **who),
                event("search", at=at[3], search_term=names[age % len(names)].lower(), **who),
                event("result_click", at=at[4], search_term=names[age % len(names)].lower(), **who),
                event(
                    "cart_add", at=at[5], quantity=1, price="12900", source="추천" if user else None, **product, **who
                ),
            ]
            if age % 2 == user:
                made.append(event("purchase", at=at[6], order_id=f"{service}-o{age}-{user}", **bought, **who))
    return made


@pytest.fixture(scope="module")
def frames(tmp_path_factory):
    """Every table of both services and days, by the product's engine."""
    shops = {
        SERVICE: shop_events(
            SERVICE, ["비타민 C 1000mg 고함량 120정", EVIL, "Kettle"], amount="1234567.50", payment_method="카카오페이"
        ),
        PHARMACY: shop_events(PHARMACY, ["홍삼 스틱", "마스크"]),
    }
    made = {}
    for service, events in shops.items():
        with Engine(write_inputs(tmp_path_factory.mktemp(service), events)) as engine:
            made[service] = {
                day: {
                    name: pl.from_arrow(engine.result(table, values(table, service, day)))
                    for name, table in TABLES.items()
                }
                for day in DAYS[service]
            }
    return made


def quality_rows():
    rows = [
        (PHARMACY, DAY, "coverage", "purchase.amount", 2, 0, 0.0),
        (PHARMACY, DAY, "coverage", "purchase.payment_method", 2, 0, 0.0),
        (PHARMACY, DAY, "missing", "total_amount", 2, 1, 0.5),
        (PHARMACY, DAY, "missing", "session_start", 14, 1, 0.1),
        (SERVICE, DAY, "coverage", "purchase.amount", 2, 2, 1.0),
        (SERVICE, DAY, "missing", "total_amount", 2, 0, 0.0),
    ]
    return pl.DataFrame(rows, schema=QUALITY_SCHEMA, orient="row")


def rendered(frames, generated_for=DAY):
    return render(frames, dates=(BEFORE, DAY), quality=quality_rows(), generated_for=generated_for)


@pytest.fixture(scope="module")
def browser(chromium_path):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=LAUNCH.split())
        yield browser
        browser.close()


class Visit:
    """A person with the page open; whatever it complains of or asks for is kept."""

    def __init__(self, browser, folder, html, width=1280, today=DAY + timedelta(days=1), **settings):
        path = folder / "dashboard.html"
        path.write_text(html, encoding="utf-8")
        self.context = browser.new_context(viewport={"width": width, "height": 900}, **settings)
        self.page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.page.clock.set_fixed_time(today.isoformat())
        self.faults, self.asked = [], []
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())
        self.wait()

    def wait(self):
        self.page.wait_for_selector("html[data-drawn]", state="attached")

    def choose(self, field, value):
        self.page.evaluate("delete document.documentElement.dataset.drawn")
        self.page.get_by_label(field).select_option(value)
        self.wait()

    def text(self, selector):
        return self.page.locator(selector).inner_text()

    def badge(self):
        return self.text("#badge")

    def boxes(self, selector):
        """Where elements lie: x, y, width, height."""
        return self.page.eval_on_selector_all(
            selector,
            "all => all.map(one => { const { x, y, width, height } = one.getBoundingClientRect();"
            " return [x, y + scrollY, width, height]; })",
        )

    def look(self):
        """The page fits its width; charts lie inside, with their words, and apart from each other and from tables."""
        width = self.page.viewport_size["width"]
        assert self.page.evaluate("document.documentElement.scrollWidth") == width
        boxes = self.boxes(".chart svg")
        assert len(boxes) == self.page.locator(".chart").count()
        assert all(w > 250 and h > 60 and x >= 0 and x + w <= width for x, _, w, h in boxes)
        around = self.boxes("figcaption, .legend, .scroll, summary, h3")
        assert not [pair for pair in combinations(boxes + around, 2) if overlap(*pair)]
        words = self.page.eval_on_selector_all(
            ".chart text", "all => all.map(one => one.getBoundingClientRect()).map(({ left, right }) => [left, right])"
        )
        assert all(left >= -1 and right <= width + 1 for left, right in words)

    def examine(self):
        """axe-core finds nothing, level AA included. It sees three rows of each table; the others are alike."""
        from axe_playwright_python.sync_playwright import Axe

        self.page.evaluate("document.querySelectorAll('tbody tr:nth-child(n + 4)').forEach(row => row.remove())")
        found = Axe().run(self.page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]]) for one in found] == []

    def close(self):
        assert self.asked == [self.page.url]
        self.context.close()
        assert self.faults == []


@pytest.fixture(scope="module")
def desk(browser, frames, tmp_path_factory):
    """The page, only looked at."""
    visit = Visit(browser, tmp_path_factory.mktemp("desk"), rendered(frames))
    yield visit
    visit.close()


def overlap(one, other):
    (x, y, w, h), (x2, y2, w2, h2) = one, other
    return x < x2 + w2 and x2 < x + w and y < y2 + h2 and y2 < y + h


@pytest.mark.browser
@pytest.mark.parametrize("width", WIDTHS)
def test_all_tables_are_drawn_and_written(browser, frames, tmp_path, width):
    visit = Visit(browser, tmp_path, rendered(frames), WIDTHS[width])
    page = visit.page
    assert visit.badge() == f"Up to date: all 16 tables are of {DAY}."
    for name in TABLES:
        assert page.locator(f"#{name} .chart path").count(), f"{name} has no picture"
        assert page.locator(f"#{name} tbody tr").count() == frames[SERVICE][DAY][name].height
    visit.look()
    assert "비타민 C" in visit.text("#product_ranking table")
    assert page.locator("#product_ranking .chart text", has_text="비타민 C").count()
    assert "1,234,567.50" in visit.text("#purchase_analytics table")
    assert page.locator("#missing").count() == 0

    visit.choose("Service", PHARMACY)
    assert "홍삼 스틱" in visit.text("#product_ranking table")
    assert visit.text("#missing").startswith(f"Missing inputs on {DAY}: session_start, total_amount.")
    assert "Input: amount of purchase events; it is missing in all 2" in visit.text("#purchase_analytics")
    assert "a session starts with its first event" in visit.text("#conversion")
    revenue = page.locator("#purchase_analytics tbody tr").first.locator("td").nth(3)
    assert revenue.inner_text() == "not measured"
    visit.look()
    visit.examine()

    visit.choose("Service", SERVICE)
    visit.choose("Calculation date", str(BEFORE))
    assert visit.badge() == f"Older day: the newest is {DAY}."
    assert page.locator("#dau tbody tr").first.inner_text().startswith(str(BEFORE))
    visit.choose("Service", PHARMACY)
    assert page.get_by_label("Calculation date").input_value() == str(DAY)
    visit.close()


@pytest.mark.browser
def test_charts_follow_the_window_and_the_scheme(browser, frames, tmp_path):
    visit = Visit(browser, tmp_path, rendered(frames), WIDTHS["desk"], color_scheme="dark")
    ground = visit.page.evaluate("getComputedStyle(document.body).backgroundColor")
    visit.examine()
    visit.page.set_viewport_size({"width": WIDTHS["telephone"], "height": 900})
    visit.page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    visit.look()
    visit.page.emulate_media(color_scheme="light")
    assert visit.page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
    visit.close()


@pytest.mark.browser
def test_names_out_of_logs_are_only_text(desk, frames):
    page = desk.page
    names = frames[SERVICE][DAY]["product_ranking"]["productName"].to_list()
    assert EVIL in names
    assert page.locator("#product_ranking tbody tr").nth(names.index(EVIL)).locator("td").nth(1).inner_text() == EVIL
    bars = page.locator("#product_ranking .chart path")
    for place in range(bars.count()):
        bars.nth(place).hover(force=True)
        if page.locator(".tip").count() and EVIL in page.locator(".tip").inner_text():
            break
    else:
        pytest.fail("no tooltip shows the name")
    assert page.evaluate("window.hacked") is None
    assert page.locator("img").count() == 0
    assert desk.faults == []


@pytest.mark.browser
def test_hangul_has_a_font(desk):
    """Where a font lacks letters, all of them are the same box."""
    drawn = [
        desk.page.evaluate(
            "letter => { const canvas = document.createElement('canvas'); const pen = canvas.getContext('2d');"
            " pen.font = `40px ${getComputedStyle(document.body).fontFamily}`; pen.fillText(letter, 10, 60);"
            " return canvas.toDataURL(); }",
            letter,
        )
        for letter in "비타민홍삼"
    ]
    if len(set(drawn)) == 1:
        pytest.skip("no font with Korean letters is installed; to get one: apt-get install fonts-nanum")
    assert len(set(drawn)) == 5
    assert desk.page.locator("#product_ranking td[lang=ko]").count()


@pytest.mark.browser
def test_staleness_and_absence_are_marked(browser, frames, tmp_path):
    one = {SERVICE: {BEFORE: frames[SERVICE][BEFORE], DAY: dict(frames[SERVICE][DAY])}}
    del one[SERVICE][DAY]["dau"]
    visit = Visit(browser, tmp_path, rendered(one))
    assert visit.badge() == "Incomplete: 1 table of 16 not made for this day."
    assert visit.text("#dau").endswith(f"Not made for {DAY}. It was made for {BEFORE}.")
    visit.close()
    visit = Visit(browser, tmp_path, rendered(frames, DAY + timedelta(days=3)))
    assert visit.badge().startswith("Stale: the page is of 2025-11-03, its newest tables are 3 days older")
    visit.close()
    visit = Visit(browser, tmp_path, rendered(frames), today=DAY + timedelta(days=10))
    assert visit.badge().startswith("Old page: ")
    visit.close()
    visit = Visit(browser, tmp_path, rendered({SERVICE: {}}))
    assert visit.badge() == "Nothing: no table is made for this service."
    visit.close()


@pytest.mark.browser
def test_totals_are_those_of_period_totals(desk, frames):
    totals = {row["table_name"]: row for row in frames[SERVICE][DAY]["period_totals"].to_dicts()}
    users = sum(frames[SERVICE][DAY]["button_interaction"]["unique_users"])
    clicks = totals["button_interaction"]
    assert users > clicks["unique_users"]
    assert f"{clicks['total_events']} clicks by {clicks['unique_users']} users in" in desk.text("#button_interaction")
    rate = totals["search_analytics"]
    pooled = 100 * rate["rate_numerator"] / rate["rate_denominator"]
    assert f"{pooled:.2f} %" in desk.text(".tiles")


def test_the_page_is_one_file_of_the_same_text(frames):
    html = rendered(frames)
    assert html == rendered({service: dict(reversed(days.items())) for service, days in reversed(frames.items())})
    assert html.count("</script") == html.count("<script") == 3
    assert " src=" not in html.replace(" src=x", "")
    assert "default-src 'none'" in unescape(html)
    assert len(html.encode()) < 1_200_000


def test_a_table_that_is_not_as_declared_is_refused(frames):
    dau = frames[SERVICE][DAY]["dau"]
    with pytest.raises(
        EngageError, match="dau of theshop-brand of 2025-10-31 has no column stickiness: make the table"
    ):
        rendered({SERVICE: {DAY: {"dau": dau.drop("stickiness")}}})
    with pytest.raises(EngageError, match="theshop-brand of 2025-10-31: no table is called 'wau'"):
        rendered({SERVICE: {DAY: {"wau": dau}}})


def test_words_are_of_columns_that_there_are(frames):
    data = page_data(frames, dates=[date(2020, 1, 1)], quality=quality_rows(), generated_for=DAY)
    assert data["services"] == {SERVICE: {}, PHARMACY: {}}
    assert NEEDS.keys() | STAND_INS.keys() <= TABLES.keys()
    columns = {
        table["name"]: {column["name"]: column["kind"] for column in table["columns"]} for table in data["tables"]
    }
    assert all(needs.keys() <= columns[name].keys() for name, needs in NEEDS.items())
    assert columns["conversion"]["view_rate"] == columns["dau"]["stickiness"] == "percent"
    assert columns["dau"]["events_per_user"] == "average"
