"""A bucket of S3, or of a server that speaks like it, as a root: whole objects below a prefix."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from engage_assets.archive.aws import FAILURES, code_of
from engage_assets.archive.ports import Stored

_THERE: Final = frozenset({"PreconditionFailed", "412", "ConditionalRequestConflict"})
"""What a server answers where an object is there, or comes at the same moment."""


@dataclass(frozen=True)
class S3Root:
    """Objects below `prefix` (empty, or with a slash at its end) of a bucket; `client` is boto3's.

    An object appears as a whole or not at all, with a checksum that the server compares. Encryption is the bucket's
    own default. Who may read is the bucket's policy: an object has no mode, so errors belong below a prefix or in a
    bucket that few may read. Old versions of a bucket with versioning are not deleted here.
    """

    client: Any
    bucket: str
    prefix: str = ""

    def put(self, key: str, content: bytes) -> None:
        """Make an object durable. Raises OSError."""
        with self._failing(key):
            self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=content)

    def put_new(self, key: str, content: bytes) -> None:
        """Make an object durable unless one of its key is there. Raises OSError."""
        try:
            self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=content, IfNoneMatch="*")
        except FAILURES as error:
            if code_of(error) == "NotImplemented":
                self.put(key, content)
            elif code_of(error) not in _THERE:
                with self._failing(key):
                    raise

    def get(self, key: str) -> bytes:
        """The content of an object. Raises FileNotFoundError, OSError."""
        with self._failing(key):
            body = self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)["Body"]
            content: bytes = body.read()
        return content

    def stored(self, prefix: str = "") -> Iterator[Stored]:
        """The objects whose keys begin with `prefix`, by key; the tag is the ETag. Raises OSError."""
        pages = self.client.get_paginator("list_objects_v2")
        with self._failing(prefix):
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self.prefix)
                    yield Stored(key, found["ETag"].strip('"'), found["Size"], found["LastModified"].timestamp())

    def delete(self, key: str) -> None:
        """Take an object away. Raises OSError."""
        with self._failing(key):
            self.client.delete_object(Bucket=self.bucket, Key=self.prefix + key)

    def keeps_versions(self) -> bool | None:
        """Whether the bucket may hold old versions of objects; None where it does not say."""
        try:
            return "Status" in self.client.get_bucket_versioning(Bucket=self.bucket)
        except FAILURES:
            return None

    @contextmanager
    def _failing(self, key: str) -> Iterator[None]:
        """boto3's errors as those of files."""
        try:
            yield
        except FAILURES as error:
            code, where = code_of(error), f"s3://{self.bucket}/{self.prefix}{key}"
            if code in {"NoSuchKey", "404"}:
                raise FileNotFoundError(errno.ENOENT, "no such object", where) from error
            number = errno.EACCES if code == "AccessDenied" else errno.EIO
            raise OSError(number, f"S3: {code}", where) from error
