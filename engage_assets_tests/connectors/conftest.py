"""A shop in a folder of its own."""

import pytest

from engage_assets_tests.connectors.shops import Shop


@pytest.fixture
def shop(tmp_path):
    return Shop(tmp_path / "warehouse")
