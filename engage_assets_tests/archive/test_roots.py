"""What every root promises, a folder and a bucket alike; and which text opens what."""

import errno

import pytest

from engage_assets.archive.dynamodb_streams import DynamoDBSource
from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.kinesis import KinesisSource
from engage_assets.archive.opening import open_root, open_source
from engage_assets.archive.s3 import S3Root
from engage_assets.archive.worker import run
from engage_assets.domain.errors import EngageError
from engage_assets_tests.archive.changes import DEMAND, change
from engage_assets_tests.archive.servers import ENVIRONMENT, free_port, new_client
from engage_assets_tests.archive.streams import KinesisStream, TableStream, failure, instead, new_name
from engage_assets_tests.archive.workers import an_archive, write_stream

KEYS = ["data/demand/partition_date=2026-11-20/a b.avro", "data/demand/x.avro", "data/sale/é+%.avro", "errors/1.json"]


def new_bucket(client):
    client.create_bucket(Bucket=(name := new_name("bucket")))
    return name


@pytest.fixture
def bucket(moto):
    """A root in a bucket whose listing comes in pages of three."""
    client = moto.new_client("s3")
    client.meta.events.register("provide-client-params.s3.ListObjectsV2", lambda params, **_: params | {"MaxKeys": 3})
    return S3Root(client, new_bucket(client), "some/prefix/")


@pytest.fixture(params=["folder", "s3", pytest.param("ceph", marks=pytest.mark.soak)])
def root(request, tmp_path):
    if request.param == "folder":
        return FolderRoot(tmp_path / "root")
    if request.param == "s3":
        return request.getfixturevalue("bucket")
    client = new_client("s3", request.getfixturevalue("ceph")["AWS_ENDPOINT_URL_S3"])
    return S3Root(client, new_bucket(client), "some/prefix/")


def test_what_was_put_is_got_listed_and_deleted(root):
    for key in reversed(KEYS):
        root.put(key, key.encode())
    assert [root.get(key) for key in KEYS] == [key.encode() for key in KEYS]
    assert [(one.key, one.size) for one in root.stored()] == [(key, len(key.encode())) for key in KEYS]
    assert [one.key for one in root.stored("data/demand/")] == KEYS[:2]
    assert [one.key for one in root.stored("data/demand/par")] == KEYS[:1]
    assert list(root.stored("none/")) == []
    for _ in range(2):
        root.delete(KEYS[1])
    assert [one.key for one in root.stored()] == [KEYS[0], *KEYS[2:]]


def test_other_content_has_another_tag(root):
    tags = set()
    for content in (b"", b"one", b"two"):
        root.put("a", content)
        (stored,) = root.stored()
        assert root.get("a") == content
        tags.add(stored.tag)
    assert len(tags) == 3


def test_what_is_not_there_is_told_apart_from_what_failed(root):
    with pytest.raises(FileNotFoundError):
        root.get("none")


def test_a_listing_of_many_pages_is_whole(bucket):
    keys = [f"{number:02}" for number in range(10)]
    for key in keys:
        bucket.put(key, b"")
    bucket.client.put_object(Bucket=bucket.bucket, Key="some/other", Body=b"")
    assert [one.key for one in bucket.stored()] == keys


def test_a_bucket_that_is_not_there_is_an_error_of_the_root(bucket):
    root = S3Root(bucket.client, "not-there")
    for ask in (lambda: root.put("a", b""), lambda: root.get("a"), lambda: list(root.stored())):
        with pytest.raises(OSError, match="NoSuchBucket") as caught:
            ask()
        assert not isinstance(caught.value, FileNotFoundError)


def test_a_server_that_is_away_is_an_error_of_the_root():
    root = S3Root(new_client("s3", f"http://127.0.0.1:{free_port()}"), "bucket")
    for ask in (lambda: root.put("a", b""), lambda: root.get("a"), lambda: list(root.stored())):
        with pytest.raises(OSError, match="EndpointConnectionError"):
            ask()


@pytest.mark.parametrize(("code", "number"), [("AccessDenied", errno.EACCES), ("SlowDown", errno.EIO)])
def test_a_put_that_fails_leaves_nothing(bucket, code, number):
    instead(bucket.client, "PutObject", [failure(code, 403 if number == errno.EACCES else 503)])
    with pytest.raises(OSError, match=code) as caught:
        bucket.put("a", b"content")
    assert caught.value.errno == number
    assert list(bucket.stored()) == []


def test_a_worker_goes_on_after_puts_that_failed(tmp_path, bucket):
    write_stream(
        tmp_path / "changes", {"a": [change({**DEMAND, "fanId": str(at)}, event_id=str(at)) for at in range(5)]}
    )
    left = instead(bucket.client, "PutObject", [failure("SlowDown", 503)] * 3)
    summary = run(an_archive(tmp_path, batch=2, root=bucket))
    assert (summary.counts.archived, summary.stopped, left) == (5, {}, [])

    left = instead(bucket.client, "PutObject", [failure("AccessDenied", 403)] * 1000)
    write_stream(tmp_path / "changes", {"b": [change(event_id="more")]})
    assert "AccessDenied" in run(an_archive(tmp_path, root=bucket)).stopped["b.ndjson"]
    left.clear()
    assert run(an_archive(tmp_path, root=bucket)).counts.archived == 1
    assert len(list(bucket.stored("data/"))) == summary.batches + 1


def test_a_text_opens_a_source(monkeypatch, tmp_path, kinesalite, moto):
    for name, value in (
        ENVIRONMENT | {"AWS_ENDPOINT_URL": moto.url, "AWS_ENDPOINT_URL_KINESIS": kinesalite.url}
    ).items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_source(str(tmp_path)), FolderSource)
    stream = open_source(f"kinesis:{(name := KinesisStream(kinesalite).name)}")
    assert isinstance(stream, KinesisSource)
    assert stream.stream.endswith(f"us-east-1:000000000000:stream/{name}")
    table = open_source(f"dynamodb:{(name := TableStream(moto).name)}")
    assert isinstance(table, DynamoDBSource)
    assert f":table/{name}/stream/" in table.stream
    for text in ("kinesis:none", "dynamodb:none"):
        with pytest.raises(EngageError, match=f"{text}: ResourceNotFoundException; check name, account and region"):
            open_source(text)


def test_a_stream_that_cannot_be_reached_is_told_when_it_is_opened(monkeypatch):
    for name, value in (ENVIRONMENT | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("time.sleep", lambda _: None)
    with pytest.raises(EngageError, match=r"'kinesis:stream': .*EndpointConnectionError.*can be reached"):
        open_source("kinesis:stream")


def test_a_text_opens_a_root(monkeypatch, tmp_path):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    assert open_root(str(tmp_path), is_private=True) == FolderRoot(tmp_path, is_private=True)
    for text, prefix in (("s3://bucket", ""), ("s3://bucket/", ""), ("s3://bucket/a/b/", "a/b/")):
        root = open_root(text)
        assert isinstance(root, S3Root)
        assert (root.bucket, root.prefix) == ("bucket", prefix)
        assert root.client.meta.endpoint_url == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "write a folder, kinesis:STREAM or dynamodb:TABLE"),
        ("/no/such/folder", "no such folder; make it"),
        ("kinesis:", "write a folder, kinesis:STREAM"),
        ("kinesis:arn:aws:kinesis:eu-west-1:1:stream/a", "names, not ARNs"),
        ("kafka:topic", "not a source; write a folder"),
        ("s3://bucket/changes", "not a source; write a folder"),
    ],
)
def test_what_is_no_source_is_refused(text, words):
    with pytest.raises(EngageError, match=words):
        open_source(text)


@pytest.mark.parametrize("text", ["", "s3://", "s3:bucket", "s3://Bucket_1/a", "gs://bucket/a"])
def test_what_is_no_root_is_refused(text):
    with pytest.raises(EngageError, match="s3://bucket/prefix"):
        open_root(text)


@pytest.mark.parametrize(("name", "value"), [("AWS_REGION", ""), ("AWS_ENDPOINT_URL", "127.0.0.1:9")])
def test_a_client_that_cannot_be_made_says_what_to_set(monkeypatch, tmp_path, name, value):
    for one in ("AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(one, raising=False)
    for one, other in (ENVIRONMENT | {"AWS_CONFIG_FILE": str(tmp_path / "none"), name: value}).items():
        monkeypatch.setenv(one, other)
    with pytest.raises(EngageError, match=r"kinesis: no client .* set AWS_REGION"):
        open_source("kinesis:stream")
