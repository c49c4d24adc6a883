"""From what a user writes to a source and a root: a folder, or a stream, table or bucket of AWS.

What speaks to AWS is loaded when it is asked for: on folders a command starts without it.
"""

import random
import re
import time
from pathlib import Path
from typing import Any, Final

from engage_assets.archive.folder import FolderRoot, FolderSource
from engage_assets.archive.ports import Root, Source
from engage_assets.domain.errors import EngageError

_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_SCHEME: Final = re.compile(r"([a-z][a-z0-9]+):")
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_SOURCES: Final = "write a folder, kinesis:STREAM or dynamodb:TABLE"
_ROOTS: Final = "write a folder or s3://bucket/prefix"
S3_ATTEMPTS: Final = 3


def open_source(text: str) -> Source:
    """The source of `DIR`, `kinesis:STREAM` or `dynamodb:TABLE`; AWS is asked for its ARN.

    Raises EngageError where it is none of these, is not there, may not be read or cannot be reached.
    """
    source = _source(text)
    try:
        assert source.stream
    except OSError as error:
        raise EngageError(f"source {text!r}: {error.strerror}; see whether the service can be reached") from error
    return source


def _source(text: str) -> Source:
    scheme, name = _parts(text)
    if scheme == "":
        if not Path(text).is_dir():
            raise EngageError(f"source {text!r}: no such folder; make it, or {_SOURCES}")
        return FolderSource(Path(text))
    if scheme not in {"kinesis", "dynamodb"} or not _NAME.fullmatch(name):
        raise EngageError(f"source {text!r}: not a source; {_SOURCES} (names, not ARNs)")
    how: dict[str, Any] = {"clock": time.monotonic, "sleep": time.sleep, "chance": random.random}
    from engage_assets.archive.aws import open_client  # noqa: PLC0415 - see above

    if scheme == "kinesis":
        from engage_assets.archive.kinesis import KinesisSource  # noqa: PLC0415 - see above

        return KinesisSource(name, open_client("kinesis", 1), **how)
    from engage_assets.archive.dynamodb_streams import DynamoDBSource  # noqa: PLC0415 - see above

    return DynamoDBSource(name, open_client("dynamodb", 1), open_client("dynamodbstreams", 1), **how)


def open_root(text: str, *, is_private: bool = False) -> Root:
    """The root of `DIR` or `s3://bucket/prefix`.

    `is_private` lets only the owner read the files of a folder; in a bucket its policy says who may. Raises EngageError
    where it is neither, or a client cannot be made.
    """
    scheme, rest = _parts(text)
    if scheme == "":
        return FolderRoot(Path(text), is_private=is_private)
    bucket, _, prefix = rest.removeprefix("//").partition("/")
    if scheme != "s3" or not rest.startswith("//") or not _BUCKET.fullmatch(bucket):
        raise EngageError(f"root {text!r}: not a root; {_ROOTS}")
    from engage_assets.archive.aws import open_client  # noqa: PLC0415 - see above
    from engage_assets.archive.s3 import S3Root  # noqa: PLC0415 - see above

    prefix = prefix.strip("/")
    return S3Root(open_client("s3", S3_ATTEMPTS), bucket, f"{prefix}/" if prefix else "")


def has_scheme(text: str) -> bool:
    """Whether a source or root is none of folders: `kinesis:`, `dynamodb:`, `s3:`."""
    return _SCHEME.match(text) is not None


def _parts(text: str) -> tuple[str, str]:
    """The scheme (empty for a folder) and the rest."""
    if not text.strip():
        raise EngageError(
            f"{text!r}: neither a source nor a root; {_SOURCES} for one, {_ROOTS.removeprefix('write ')} for the other"
        )
    found = _SCHEME.match(text)
    return (found[1], text[found.end() :]) if found else ("", text)
