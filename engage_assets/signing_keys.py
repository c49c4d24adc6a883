"""Keys that sign links: out of the environment, else in one file of the home that only its owner may read."""

import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from engage_assets.domain.errors import EngageError
from engage_assets.domain.tokens import KEY_BYTES, Signer

VARIABLE: Final = "ENGAGE_SIGNING_KEYS"
LIVE: Final = 2
"""Keys whose links are still read: the one that signs, and the one before it."""


def read_signer(path: Path, environment: Mapping[str, str]) -> Signer:
    """The signer of `ENGAGE_SIGNING_KEYS` (`id:hex,id:hex`, the first signs), else of the file, made on first use.

    Raises EngageError where the variable or the file cannot be read.
    """
    text = environment.get(VARIABLE)
    if text:
        return _signer(text, VARIABLE)
    if not path.is_file():
        _write(path, [(1, secrets.token_bytes(KEY_BYTES))])
    return _signer(",".join(json.loads(path.read_text(encoding="utf-8"))["keys"]), str(path))


def rotate(path: Path, environment: Mapping[str, str]) -> int:
    """A new key signs from now on, the one before it still reads; returns the new key's id.

    Links older than that lose their force. Raises EngageError where the keys come out of the environment.
    """
    if environment.get(VARIABLE):
        raise EngageError(f"the keys come from {VARIABLE}: put a new pair id:hex in front of it and drop the last")
    read_signer(path, environment)
    pairs = [one.split(":") for one in json.loads(path.read_text(encoding="utf-8"))["keys"]]
    known = [(int(number), bytes.fromhex(text)) for number, text in pairs]
    new = (known[0][0] + 1) % 256
    _write(path, [(new, secrets.token_bytes(KEY_BYTES)), *known[: LIVE - 1]])
    return new


def _signer(text: str, where: str) -> Signer:
    try:
        pairs = [one.strip().split(":") for one in text.split(",")]
        keys = {int(number): bytes.fromhex(secret) for number, secret in pairs}
    except ValueError:
        raise EngageError(
            f"{where}: not of the form id:hex,id:hex (the first signs); make keys with `engage keys rotate`"
        ) from None
    return Signer(keys, int(pairs[0][0]))


def _write(path: Path, keys: list[tuple[int, bytes]]) -> None:
    """Write whole, for the owner alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        json.dump({"keys": [f"{number}:{secret.hex()}" for number, secret in keys]}, file)
    unfinished.replace(path)
