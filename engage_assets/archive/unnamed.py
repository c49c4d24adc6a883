"""Records that do not name a fan and show a phone number or an e-mail address that is known as theirs; pure.

A change without a fanId is refused, but it may show as much as a good one.
"""

import base64
import binascii
import json
import re
from collections.abc import Collection
from typing import Any, Final

from engage_assets.archive.mentions import DEEPEST, Mention, Unreadable, plain_name, searchable
from engage_assets.archive.rows import REDACTED

_DIGITS: Final = 6
"""Digits that make a text one person's: a message may be everybody's."""


class Unnamed(Mention):
    """A fan who is looked for by values alone, where no record names them.

    What names the fan is passed over, as a Mention sees to it; so are images of other fans.
    """

    def may_be_in(self, data: bytes) -> bool:
        """Whether a record is worth taking apart."""
        return _shows(searchable(data), self.values) if self.values else False

    def is_in(self, text: str, depth: int = DEEPEST) -> bool:
        """Whether a text shows a value, also in escapes or in base64, and does not name the fan."""
        return self.may_be_in(text.encode("utf-8", "replace")) and not super().is_in(text, depth)

    def redacted(self, data: bytes) -> bytes | None:
        """A record whose texts that show a value read `[redacted]`; None where there is none. Raises Unreadable."""
        if not self.may_be_in(data) or _is_named(data, self.fan_id):
            return None
        try:
            parsed = json.loads(data)
            cleaned = _clean(parsed, self, DEEPEST)
        except (ValueError, RecursionError):
            raise Unreadable from None
        return None if cleaned == parsed else json.dumps(cleaned, separators=(",", ":")).encode()


def unnamed(mention: Mention) -> Unnamed:
    """The fan by the values that are nobody else's by chance: addresses and numbers."""
    return Unnamed(
        mention.fan_id, {one for one in mention.values if "@" in one or len(re.findall(r"\d", one)) >= _DIGITS}
    )


def _shows(text: str, values: Collection[str]) -> bool:
    return any(value in text for value in values)


def _is_named(data: bytes, fan_id: str) -> bool:
    try:
        return Mention(fan_id).redacted(data) is not None
    except Unreadable:
        return True


def _clean(value: Any, mention: Unnamed, depth: int) -> Any:
    if isinstance(value, str):
        return _text(value, mention, depth)
    if isinstance(value, list):
        return [_clean(one, mention, depth) for one in value]
    if isinstance(value, dict) and not _is_owned(value):
        return {name: _clean(one, mention, depth) for name, one in value.items()}
    return value


def _text(text: str, mention: Unnamed, depth: int) -> str:
    if not mention.may_be_in(text.encode("utf-8", "replace")):
        return text
    for packed, pack in ((text, str), (_decoded(text), _encoded)):
        if depth and packed.lstrip()[:1] in {"{", "["}:
            try:
                parsed = json.loads(packed)
            except ValueError:
                continue
            cleaned = _clean(parsed, mention, depth - 1)
            return text if cleaned == parsed else pack(json.dumps(cleaned, separators=(",", ":")))
    return REDACTED


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _is_owned(image: dict[str, Any]) -> bool:
    """Whether an image states a fan: another one, for the one who is looked for would have been found by name."""
    return any(plain_name(name) == "fanid" and one not in (None, "", {"NULL": True}) for name, one in image.items())
