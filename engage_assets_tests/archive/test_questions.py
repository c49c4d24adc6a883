"""The questions of docs/archive-sql.md have the answers that the page shows."""

import re
from pathlib import Path

import pytest

from engage_assets.archive.views import MACROS, views
from engage_assets.cli.sql import table
from engage_assets.connectors.adhoc import Catalog, asked
from engage_assets_tests.archive.example_archive import fill
from engage_assets_tests.archive.mirrored import a_mirror, a_root

PAGE = Path(__file__).parent.parent.parent / "docs" / "archive-sql.md"
EXAMPLE = re.compile(r"```sql\n(.*?)```\n```text\n(.*?)```", re.DOTALL)


def examples():
    return EXAMPLE.findall(PAGE.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("example")
    root, mirror = a_root(folder), a_mirror(folder)
    fill(root)
    mirror.sync(root)
    segments = mirror.segments()
    catalog = Catalog(views(segments), [path for paths in segments.values() for path in paths], MACROS)

    def lines(query):
        with asked(catalog, query, folder / "spill") as found:
            rows = [list(row.values()) for batch in found.texts() for row in batch.to_pylist()]
            return table(found.names, rows, 120)

    return lines


@pytest.mark.parametrize("place", range(9))
def test_the_page_shows_what_a_query_gives(place, answer):
    query, shown = examples()[place]
    assert shown.splitlines() == answer(query)


def test_no_example_is_left_out():
    assert len(examples()) == 9
