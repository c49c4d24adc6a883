"""One state to a root, one root to a state, one folder to a stream."""

import json
from contextlib import closing

import pytest

from engage_assets.archive.belonging import OWNER, own
from engage_assets.archive.folder import FolderRoot
from engage_assets.archive.live import live_files
from engage_assets.archive.s3 import S3Root
from engage_assets.archive.state import State
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.streams import new_name


class PlainRoot:
    """A root that cannot refuse a second file."""

    def __init__(self):
        self.files = {}

    def put(self, key, content):
        self.files[key] = content

    def get(self, key):
        if key not in self.files:
            raise FileNotFoundError(key)
        return self.files[key]


@pytest.fixture(params=["folder", "s3", "plain"])
def root(request, tmp_path):
    if request.param == "folder":
        return FolderRoot(tmp_path / "root")
    if request.param == "plain":
        return PlainRoot()
    client = request.getfixturevalue("moto").new_client("s3")
    client.create_bucket(Bucket=(name := new_name("bucket")))
    return S3Root(client, name, "some/prefix/")


@pytest.fixture
def states(tmp_path):
    with closing(State(tmp_path / "one.db")) as one, closing(State(tmp_path / "two.db")) as two:
        yield one, two


def test_a_second_state_is_refused_until_it_adopts_the_root(root, states):
    one, two = states
    own(root, "the-root", one, "1")
    own(root, "the-root", one, "a new id for a state that has one")
    with pytest.raises(EngageError, match=r"the-root: it belongs to another state \(.*one\.db\).*engage archive adopt"):
        own(root, "the-root", two, "2")

    own(root, "the-root", two, "2", is_adopting=True)

    own(root, "the-root", two, "3")
    with pytest.raises(EngageError, match=r"another state \(.*two\.db\)"):
        own(root, "the-root", one, "1")


@pytest.mark.parametrize("root", ["folder", "s3"], indirect=True)
def test_who_comes_second_in_the_same_moment_is_refused(root, states):
    class Blind:
        """Sees nothing in the root at first: the other came between."""

        def __init__(self):
            self.put, self.put_new, self.stored, self.delete = root.put, root.put_new, root.stored, root.delete
            self.looks = 0

        def get(self, key):
            self.looks += 1
            if self.looks == 1:
                raise FileNotFoundError(key)
            return root.get(key)

    own(root, "the-root", states[0], "1")
    with pytest.raises(EngageError, match="another state"):
        own(Blind(), "the-root", states[1], "2")
    assert json.loads(root.get(OWNER))["state"] == "1"


def test_the_name_of_the_state_is_no_file_of_the_archive(tmp_path, states):
    root = FolderRoot(tmp_path / "root")
    own(root, "the-root", states[0], "1")
    assert live_files(root) == []


def test_a_file_of_another_kind_is_said_to_be_one(tmp_path, states):
    root = FolderRoot(tmp_path / "root")
    root.put(OWNER, b"[1")
    with pytest.raises(EngageError, match=r"_state\.json: not what an archive writes"):
        own(root, "the-root", states[0], "1")


def test_a_stream_lies_in_one_folder(states):
    state, _ = states
    for _ in range(2):
        state.place("changes", "/a/changes")
    state.place("others", "/b/others")
    with pytest.raises(EngageError, match=r"/b/changes: the state knows /a/changes as the stream 'changes'"):
        state.place("changes", "/b/changes")
    state.place("changes", "/b/changes", is_moved=True)
    state.place("changes", "/b/changes")


def test_a_state_is_readable_by_its_owner_only(tmp_path, states):
    states[0].place("changes", "/a/changes")
    assert {path.stat().st_mode & 0o077 for path in tmp_path.glob("one.db*")} == {0}
