"""Lines of a folder, however they are cut and however the files grow; whole files and nothing else in the root."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.archive.envelopes import LARGEST_RECORD
from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import change, line


def positions(page):
    return [(record.position, record.data) for record in page.records]


def follow(source, shard, limit, after=None):
    """All lines, a page at a time."""
    found = []
    while page := positions(source.read(shard, after, limit)):
        assert len(page) <= limit
        found += page
        after = page[-1][0]
    return found


def test_each_file_is_a_shard(tmp_path):
    for name in ("b.ndjson", "a.ndjson", "c.jsonl", "README.md", ".hidden"):
        (tmp_path / name).touch()
    source = FolderSource(tmp_path)
    assert [shard.name for shard in source.shards()] == ["a.ndjson", "b.ndjson", "c.jsonl"]
    assert source.stream == tmp_path.name


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=8).filter(lambda one: b"\n" not in one), max_size=12), st.integers(1, 5), st.data())
def test_lines_are_the_same_from_anywhere(tmp_path_factory, lines, limit, data):
    folder = tmp_path_factory.mktemp("changes")
    (folder / "a.ndjson").write_bytes(b"".join(one + b"\n" for one in lines))
    whole = [(str(number), one) for number, one in enumerate(lines, 1)]
    assert follow(FolderSource(folder), "a.ndjson", limit) == whole

    start = data.draw(st.integers(0, len(lines)))
    assert follow(FolderSource(folder), "a.ndjson", limit, str(start)) == whole[start:]


def test_a_last_line_waits_until_it_is_whole(tmp_path):
    path, source = tmp_path / "a.ndjson", FolderSource(tmp_path)
    path.write_bytes(b'{}\n{"a"')
    page = source.read("a.ndjson", None, 10)
    assert positions(page) == [("1", b"{}")]
    assert page.is_partial

    path.write_bytes(b'{}\n{"a": 1}')
    page = source.read("a.ndjson", "1", 10)
    assert positions(page) == [("2", b'{"a": 1}')]
    assert not page.is_partial

    path.write_bytes(b'{}\n{"a": 1}\nno\n')  # the newline comes later and is no line
    assert positions(source.read("a.ndjson", "2", 10)) == [("3", b"no")]
    assert positions(FolderSource(tmp_path).read("a.ndjson", "2", 10)) == [("3", b"no")]


def test_a_line_that_changes_after_it_was_read_is_an_error(tmp_path):
    path, source = tmp_path / "a.ndjson", FolderSource(tmp_path)
    path.write_bytes(b"{}")
    source.read("a.ndjson", None, 10)
    assert not FolderSource(tmp_path).read("a.ndjson", "1", 10).records
    path.write_bytes(b"{} {}\n")
    with pytest.raises(EngageError, match="line 1 was longer after it had been read"):
        source.read("a.ndjson", "1", 10)


def test_a_file_that_lost_lines_is_an_error(tmp_path):
    path, source = tmp_path / "a.ndjson", FolderSource(tmp_path)
    path.write_bytes(b"{}\n{}\n{}\n")
    source.read("a.ndjson", None, 10)
    path.write_bytes(b"{}\n")
    for one in (source, FolderSource(tmp_path)):
        with pytest.raises(EngageError, match="read up to line 3, but"):
            one.read("a.ndjson", "3", 10)
    path.unlink()
    with pytest.raises(EngageError, match="gone after line 3"):
        source.read("a.ndjson", "3", 10)


def lines(*numbers, text="one"):
    return b"".join(line(change({"type": "demand", "email": text}, event_id=str(one))) + b"\n" for one in numbers)


def write_anew(path, content):
    """Another file of the name, as an editor or an erasure puts it."""
    aside = path.with_name("aside")
    aside.write_bytes(content)
    aside.replace(path)


@pytest.mark.parametrize("write", [write_anew, lambda path, content: path.write_bytes(content)])
@pytest.mark.parametrize("is_new", [False, True])
def test_another_file_of_a_name_that_was_read_is_an_error(tmp_path, write, is_new):
    path, source = tmp_path / "a.ndjson", FolderSource(tmp_path)
    path.write_bytes(lines(1, 2, 3))
    position, mark = source.mark(source.read("a.ndjson", None, 10).records)
    write(path, lines(4, 5, 6, 7))
    again = FolderSource(tmp_path)
    look = partial(again.recognize, "a.ndjson", position, mark) if is_new else partial(source.read, "a.ndjson", "3", 10)
    with pytest.raises(EngageError, match=r"another file of this name: line 3 is another change"):
        look()


@pytest.mark.parametrize("is_new", [False, True])
def test_a_file_is_known_again_after_an_erasure_and_when_it_grows(tmp_path, is_new):
    path, source = tmp_path / "a.ndjson", FolderSource(tmp_path)
    path.write_bytes(lines(1, 2, 3, text="someone@example.org"))
    position, mark = source.mark(source.read("a.ndjson", None, 10).records)
    for before in (lines(1, 2, 3, text="[redacted]"), b'{"erased":1}\n' * 3):
        write_anew(path, before + lines(4))
        if is_new:
            source = FolderSource(tmp_path)
            source.recognize("a.ndjson", position, mark)
        assert [one.position for one in source.read("a.ndjson", "3", 10).records] == ["4"]
        source.read("a.ndjson", "2", 1)


def test_a_line_that_is_no_change_leaves_the_mark_of_one_before_it(tmp_path):
    (tmp_path / "a.ndjson").write_bytes(lines(1) + b"no\n")
    source = FolderSource(tmp_path)
    page = source.read("a.ndjson", None, 10)
    assert source.mark(page.records)[0] == "1"
    assert source.mark(page.records[1:]) is None


def test_of_a_line_that_is_too_large_the_beginning_is_kept(tmp_path):
    path = tmp_path / "a.ndjson"
    size = LARGEST_RECORD + 2**20 + 5
    path.write_bytes(b"x" * size + b"\n{}\n" + b"x" * LARGEST_RECORD + b"\n" + b"x" * (LARGEST_RECORD + 1))
    page = FolderSource(tmp_path).read("a.ndjson", None, 10)
    large, small, just = page.records  # the last line has no end yet
    assert large.size == size
    assert 0 < len(large.data) < 100_000
    assert (small.position, small.data, small.size) == ("2", b"{}", None)
    assert (len(just.data), just.size) == (LARGEST_RECORD, None)


def test_a_page_ends_where_it_grows_large(tmp_path):
    (tmp_path / "a.ndjson").write_bytes((b"x" * 2**20 + b"\n") * 20)
    assert len(FolderSource(tmp_path).read("a.ndjson", None, 1000).records) == 8


def test_a_root_holds_whole_files_of_their_owner(tmp_path):
    root = FolderRoot(tmp_path / "errors", is_private=True)
    root.put("a/b.json", b"one")
    root.put("a/b.json", b"two")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o077 == 0


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path):
    (tmp_path / "a").touch()
    with pytest.raises(OSError):
        FolderRoot(tmp_path).put("a/b.json", b"one")
    assert [path.name for path in tmp_path.rglob("*")] == ["a"]


def test_a_file_that_is_there_is_not_put_anew(tmp_path):
    root = FolderRoot(tmp_path)
    for content in (b"one", b"two"):
        root.put_new("a/b.json", content)
    assert [path.read_bytes() for path in tmp_path.rglob("*.*")] == [b"one"]
