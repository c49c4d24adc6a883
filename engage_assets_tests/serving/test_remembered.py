"""A page that is given again is the page that would be read now."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from engage_assets.serving import remembered
from engage_assets.serving.remembered import Page, Remembered
from engage_assets_tests.builders import instant

NOW = instant("2026-11-20 12:00")
MINUTE = timedelta(minutes=1)


class Shop:
    """Questions whose answer is what has not expired yet of what the store holds."""

    def __init__(self):
        self.version = 0
        self.rows = {question: {1, 5, 9} for question in range(3)}
        self.reads = 0

    def read(self, question, minute):
        self.reads += 1
        live = sorted(end for end in self.rows[question] if end > minute)
        return Page(repr(live).encode(), None, NOW + live[0] * MINUTE if live else None)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 2)),
        st.tuples(st.just("pass"), st.integers(-2, 4)),
        st.tuples(st.just("change"), st.integers(0, 2), st.integers(1, 12)),
    ),
    max_size=30,
)


@given(STEPS)
def test_what_is_remembered_is_what_would_be_read(steps):
    shop, pages, minute = Shop(), Remembered(), 0
    for step in steps:
        if step[0] == "pass":
            minute += step[1]
        elif step[0] == "change":
            shop.version += 1
            shop.rows[step[1]] ^= {step[2]}
        else:
            question = step[1]
            given_page = pages.page(question, shop.version, NOW + minute * MINUTE, lambda: shop.read(question, minute))  # noqa: B023 – called at once
            assert given_page == shop.read(question, minute)


def test_nothing_is_read_twice_at_one_version_or_kept_without_one():
    shop, pages = Shop(), Remembered()

    def ask(version, question=0):
        return pages.page(question, version, NOW, lambda: shop.read(question, 0))

    for version, reads in ((1, 1), (1, 1), (2, 2), (None, 3), (None, 4)):
        ask(version)
        assert shop.reads == reads


def test_it_keeps_the_last_pages_and_no_large_ones(monkeypatch):
    monkeypatch.setattr(remembered, "PAGES", 2)
    shop, pages = Shop(), Remembered()
    for question in (0, 1, 0, 2, 0, 1):
        pages.page(question, 1, NOW, lambda: shop.read(question, 0))  # noqa: B023 – called at once
    assert shop.reads == 4, "1 was asked longest ago when 2 came"

    monkeypatch.setattr(remembered, "LARGEST_BYTES", 3)
    pages = Remembered()
    for _ in range(2):
        pages.page(0, 1, NOW, lambda: shop.read(0, 0))
    assert shop.reads == 6
