"""Which store a URL means."""

import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.stores.opening import open_store
from engage_assets.stores.postgres import PostgresCandidateStore
from engage_assets.stores.sqlite import SqliteCandidateStore


def test_paths_and_urls(tmp_path):
    absolute = open_store(f"sqlite:///{tmp_path}/candidates.db")

    assert isinstance(absolute, SqliteCandidateStore)
    assert absolute.path == tmp_path / "candidates.db"
    assert open_store(tmp_path / "candidates.db").path == absolute.path
    assert str(open_store("sqlite:///here.db").path) == "here.db"
    for scheme in ("postgresql", "postgresql+psycopg", "postgres"):
        assert isinstance(open_store(f"{scheme}://engage@localhost/engage"), PostgresCandidateStore)
    assert not list(tmp_path.iterdir())


def test_another_url_is_refused_without_its_password():
    with pytest.raises(EngageError, match="no candidate store for mysql://…: give a path") as caught:
        open_store("mysql://engage:s3cret@localhost/engage")
    assert "s3cret" not in str(caught.value)
