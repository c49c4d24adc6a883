"""Whether a raw record names a fan, and the record without what is personal; pure.

A record is JSON of any shape, JSON or a record of it in base64 or in a text, or bytes that are none of it.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from engage_assets.archive.rows import PERSONAL, REDACTED

_ENCODED: Final = re.compile(r"[A-Za-z0-9+/]{8,}={0,2}")
_LONG_RUN: Final = re.compile(r"[A-Za-z0-9+/]{12,}={0,2}")
_ESCAPE: Final = re.compile(r"\\u([0-9a-fA-F]{4})")
DEEPEST: Final = 8
"""How many times base64 or JSON may be packed into each other."""
SHORTEST: Final = 4
"""Characters of a value that is looked for inside of other texts; shorter ones must be the whole text."""


def plain_name(name: str) -> str:
    """A field's name as it is compared: phone_number and PhoneNumber are phoneNumber."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


_LAYERS: Final = 3
"""Records in base64 within each other that are opened to look for an id; an id itself may lie one deeper."""
_TELLING: Final = 4
"""Characters of a part of an id in base64 that are worth looking for."""
_PERSONAL: Final = frozenset(map(plain_name, PERSONAL))


def is_personal(name: str) -> bool:
    """Whether a field of this name, however it is spelled, holds what an erasure takes away."""
    return plain_name(name) in _PERSONAL


class Unreadable(Exception):
    """A record names the fan and cannot be taken apart: it must go as a whole."""


@dataclass
class Mention:
    """A fan who is looked for; `values` gathers the personal texts that were met, to be looked for in copies."""

    fan_id: str
    values: set[str] = field(default_factory=set, repr=False)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![A-Za-z0-9-]){re.escape(self.fan_id)}(?![A-Za-z0-9-])")

    @cached_property
    def fragments(self) -> tuple[str, ...] | None:
        """One of these is in `searchable` of a record that names the fan; None where no such rule can be made."""
        if "\\" in self.fan_id or not self.fan_id.isprintable() or max(self.fan_id, default="") > "\uffff":
            return None
        fragments = (self.fan_id, *_in_base64(self.fan_id.encode()))
        return fragments if all(len(one) >= _TELLING for one in fragments[1:]) else None

    def may_be_in(self, data: bytes) -> bool:
        """Whether a record is worth taking apart: false only where it cannot name the fan."""
        if self.fragments is None:
            return True
        text = searchable(data)
        return any(one in text for one in self.fragments)

    def is_in(self, text: str, depth: int = DEEPEST) -> bool:
        """Whether a text names the fan, also in escapes or in base64, whole or cut off."""
        if self._pattern.search(text) or ("\\u" in text and self._pattern.search(_ESCAPE.sub(_unescaped, text))):
            return True
        return depth > 0 and any(self.is_in(inside, depth - 1) for inside in _decoded(text))

    def redacted(self, data: bytes) -> bytes | None:
        """A record without the fan's personal values; None where it holds none. Raises Unreadable."""
        if not self.may_be_in(data):
            return None
        text = data.decode("utf-8", "replace")
        parsed = _parsed(text)
        if parsed is not None:
            found = _Walk(self)
            try:
                cleaned = found.clean(parsed)
                return None if cleaned == parsed else json.dumps(cleaned, separators=(",", ":")).encode()
            except RecursionError:  # nested too deep: as good as a text
                pass
        if self.is_in(text):
            raise Unreadable
        return None

    def note(self, value: Any) -> None:
        """Gather the texts of a personal value."""
        self.values.update(text for text in _texts(value) if text and text != REDACTED)

    def holds(self, text: str) -> bool:
        """Whether a text is, or has in it, a personal value that was met."""
        return any(value == text or (len(value) >= SHORTEST and value in text) for value in self.values)


@dataclass
class _Walk:
    """One way through a record."""

    mention: Mention
    has_met: bool = False

    def clean(self, record: Any) -> Any:
        """The record, cleaned. Raises Unreadable where a personal value would be left."""
        if self._is_foreign(record):
            return record
        cleaned = self._owned(record)
        if not self.has_met and not self.mention.is_in(json.dumps(self._own(cleaned), ensure_ascii=False)):
            return record
        self.has_met = True
        cleaned = self._everywhere(cleaned)
        if any(self.mention.holds(text) for text in _texts(self._own(cleaned))):
            raise Unreadable
        return cleaned

    def _owned(self, value: Any) -> Any:
        """Clean the images that state the fan as theirs, however deep they are packed."""
        if isinstance(value, dict):
            if _owner(value) == self.mention.fan_id:
                self.has_met = True
                return self._everywhere(value)
            return value if self._is_foreign(value) else {name: self._owned(one) for name, one in value.items()}
        if isinstance(value, list):
            return [self._owned(one) for one in value]
        return self._packed(value) if isinstance(value, str) else value

    def _packed(self, text: str) -> str:
        """Clean a record inside of a text. Raises Unreadable."""
        inside, is_encoded = _unpacked(text)
        parsed = _parsed(inside)
        if parsed is None:
            if is_encoded and self.mention.is_in(inside):
                raise Unreadable
            return text
        walk = _Walk(self.mention)
        cleaned = walk.clean(parsed)
        if not walk.has_met:
            return text
        self.has_met = True
        packed = json.dumps(cleaned, separators=(",", ":"))
        return base64.b64encode(packed.encode()).decode() if is_encoded else packed

    def _everywhere(self, value: Any) -> Any:
        """Make personal fields unreadable, except in images of other fans."""
        if isinstance(value, list):
            return [self._everywhere(one) for one in value]
        if not isinstance(value, dict) or self._is_foreign(value):
            return value
        return {name: self._field(name, one) for name, one in value.items()}

    def _field(self, name: str, value: Any) -> Any:
        if not is_personal(name):
            return self._everywhere(value)
        if value in (None, {"NULL": True}):
            return value
        self.mention.note(value)
        return {"S": REDACTED} if isinstance(value, dict) else REDACTED

    def _own(self, value: Any) -> Any:
        """What belongs to no other fan."""
        if isinstance(value, dict):
            return {name: self._own(one) for name, one in value.items() if not self._is_foreign(one)}
        if isinstance(value, list):
            return [self._own(one) for one in value if not self._is_foreign(one)]
        return value

    def _is_foreign(self, value: Any) -> bool:
        """Whether this is the image of another fan."""
        return isinstance(value, dict) and _owner(value) not in {None, self.mention.fan_id}


def _owner(value: dict[str, Any]) -> str | None:
    """The fan whose image this is."""
    for name, one in value.items():
        if plain_name(name) == "fanid":
            stated = one.get("S") if isinstance(one, dict) else one
            return stated if isinstance(stated, str) else None
    return None


def _texts(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)


def _parsed(text: str) -> Any:
    """A JSON object or array, or None; more lenient than the archive, which refuses some of them."""
    if text.lstrip()[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _unpacked(text: str) -> tuple[str, bool]:
    """What a text in base64 holds; else the text itself."""
    if len(text) < 8 or len(text) % 4 or not _ENCODED.fullmatch(text):
        return text, False
    try:
        return base64.b64decode(text, validate=True).decode("utf-8", "replace"), True
    except binascii.Error:
        return text, False


def searchable(data: bytes) -> str:
    """A record as a text, again without escapes, and what its runs of base64 hold: where an id is looked for first."""
    return "\n".join(_layers(data.decode("utf-8", "replace"), _LAYERS))


def _layers(text: str, depth: int) -> Iterator[str]:
    yield text
    if "\\" in text:
        yield _without_escapes(text)
    if depth:
        for inside in _decoded(text, _LONG_RUN):
            yield from _layers(inside, depth - 1)


def _in_base64(data: bytes) -> list[str]:
    """The part of its base64 that does not depend on what stands beside, for each place in a group of three."""
    found = []
    for before in range(3):
        whole = (before + len(data)) // 3 * 3
        encoded = base64.b64encode((bytes(before) + data)[:whole]).decode()
        found.append(encoded[4 if before else 0 :])
    return found


def _without_escapes(text: str) -> str:
    """A text without its escapes of JSON, roughly: enough to find an id in it."""
    return _ESCAPE.sub(_unescaped, text).replace("\\", "")


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _decoded(text: str, runs: re.Pattern[str] = _ENCODED) -> Iterator[str]:
    """What runs of base64 in a text hold, wherever in the run the first whole group begins."""
    for run in runs.findall(text):
        for start in range(4):
            part = run[start:].rstrip("=")
            whole = part[: len(part) // 4 * 4 + (len(part) % 4 if len(part) % 4 > 1 else 0)]
            yield base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")
