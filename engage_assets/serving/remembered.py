"""Pages of a channel that were given before: given again as long as reading the store anew would find the same."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

PAGES: Final = 64
"""Pages that one process remembers."""
LARGEST_BYTES: Final = 256 << 10
"""A larger page is not remembered."""


@dataclass(frozen=True)
class Page:
    """A page as it is sent."""

    items: bytes
    """Rows as a JSON list."""
    following: str | None
    """Cursor of the next page."""
    good_until: datetime | None
    """When the first of its rows expires; None without rows."""


class Remembered:
    """The pages asked for last. For one thread."""

    def __init__(self) -> None:
        self._pages: OrderedDict[Hashable, tuple[Hashable, datetime, Page]] = OrderedDict()

    def page(self, question: Hashable, version: Hashable | None, now: datetime, read: Callable[[], Page]) -> Page:
        """The answer to `question` with the store at `version`, as of `now`; without a version it is read anew."""
        if version is None:
            return read()
        known = self._pages.get(question)
        if known is not None:
            its_version, read_at, page = known
            is_over = now < read_at or (page.good_until is not None and page.good_until <= now)
            if its_version == version and not is_over:
                self._pages.move_to_end(question)
                return page
        page = read()
        self._keep(question, version, now, page)
        return page

    def _keep(self, question: Hashable, version: Hashable, now: datetime, page: Page) -> None:
        self._pages.pop(question, None)
        if len(page.items) <= LARGEST_BYTES:
            self._pages[question] = version, now, page
        if len(self._pages) > PAGES:
            self._pages.popitem(last=False)
