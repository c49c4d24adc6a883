"""Who was erased, as the root itself remembers it: `erasures/{uuid}.json`, so that a new state learns it."""

import hashlib
import uuid
from contextlib import suppress
from typing import Any, Final

import orjson

from engage_assets.archive.ports import Root
from engage_assets.archive.times import iso
from engage_assets.domain.errors import EngageError

FOLDER: Final = "erasures/"
_CERTIFICATE: Final = ".certificate.json"
_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "engage:demand-archive:erasure")


def tombstone_key(fan_id: str) -> str:
    """Where the root remembers the fan."""
    return f"{FOLDER}{uuid.uuid5(_NAMESPACE, fan_id)}.json"


def certificate_key(fan_id: str) -> str:
    """Where the certificate of the fan's erasures lies."""
    return tombstone_key(fan_id).removesuffix(".json") + _CERTIFICATE


def fan_hash(fan_id: str) -> str:
    """The fan in a certificate: who knows the id can compare, who does not learns none."""
    return f"sha256:{hashlib.sha256(fan_id.encode()).hexdigest()}"


def put_erasure(root: Root, fan_id: str, erased_at: int) -> int:
    """Remember a fan for good; of two erasures the later (µs) counts. Returns its time. Raises OSError."""
    key = tombstone_key(fan_id)
    with suppress(FileNotFoundError):
        erased_at = max(erased_at, _read(root, key)[1])
    content = {"fanId": fan_id, "erasedAt": iso(erased_at), "erasedAtMicros": erased_at}
    root.put(key, orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")
    return erased_at


def read_erasures(root: Root) -> dict[str, int]:
    """All fans that were erased from the root, and when, in µs: what `State.learn` takes.

    Raises OSError; EngageError where a file cannot be read.
    """
    keys = [file.key for file in root.stored(FOLDER) if not file.key.endswith(_CERTIFICATE)]
    return dict(_read(root, key) for key in keys)


def _read(root: Root, key: str) -> tuple[str, int]:
    content = root.get(key)
    try:
        stated: Any = orjson.loads(content)
        return str(stated["fanId"]), int(stated["erasedAtMicros"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise EngageError(f"{key}: not a record of an erasure; bring back the one that was there") from None
