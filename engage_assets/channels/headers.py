"""Header lines of a message: checked, encoded (RFC 2047) and folded at blanks (RFC 5322).

The standard library's newer folding encodes long unbroken tokens (the addresses of List-Unsubscribe) as words that
mail programs do not read there, and loses a space between two encoded words.
"""

import re
from binascii import b2a_base64
from collections.abc import Iterator
from email.utils import formataddr
from functools import lru_cache
from typing import Final

from engage_assets.domain.errors import EngageError

LINE_LENGTH: Final = 76
"""Characters of a line that is not one long word: the limit with encoded words (RFC 2047 2), two below RFC 5322's."""
_WORD_MARKS: Final = len("=?utf-8?b??=")
_LONGEST_ADDRESS: Final = 254  # RFC 5321 4.5.3.1.3, without its angle brackets
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?=.{{1,64}}@)(?!.*=\?){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})*")


def header(name: str, value: str, whose: str) -> str:
    """The header with its CRLF, ASCII. Raises EngageError, naming `whose` and the header, for controls and breaks."""
    return _folded(f"{name}: {_encoded(value, name, whose)}")


def shared_header(name: str, value: str, whose: str) -> str:
    """`header` for what many messages have in common: made once."""
    return _shared(name, value) or header(name, value, whose)


@lru_cache(maxsize=1024)
def _shared(name: str, value: str) -> str | None:
    """None where it cannot be made."""
    try:
        return header(name, value, "")
    except EngageError:
        return None


def mailbox_header(name: str, shown: str, address: str, whose: str) -> str:
    """A header of one checked address, with what is shown in its place; raises as `header`."""
    return _folded(f"{name}: {formataddr((_encoded(shown, name, whose), address))}")


def checked_address(address: str, what: str) -> str:
    """`address` with its domain in ASCII. Raises EngageError, naming `what` but never the address, where it is none."""
    plain = address if address.isascii() else _with_ascii_domain(address)
    if len(plain) > _LONGEST_ADDRESS or not _ADDRESS.fullmatch(plain):
        raise EngageError(f"{what} is not an address (name@domain, its name in ASCII); correct it or leave it empty")
    return plain


def _with_ascii_domain(address: str) -> str:
    """`address` with the domain in IDNA; the empty string where that cannot be."""
    local, _, domain = address.rpartition("@")
    try:
        return f"{local}@{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return ""


def _encoded(value: str, name: str, whose: str) -> str:
    """`value` on one line, as encoded words where it needs them."""
    if _BREAKS.search(value):
        raise EngageError(
            f"{whose}: the header {name} would hold a line break or a control character; "
            "remove it from the program's or the marketplace's texts"
        )
    if value.isascii() and "=?" not in value:
        return value
    return " ".join(_words(value.encode(), len(f"{name}: ")))


def _words(text: bytes, taken: int) -> Iterator[str]:
    """Encoded words of UTF-8, cut between characters; the first leaves `taken` places of its line free."""
    start = 0
    while start < len(text):
        room = (LINE_LENGTH - _WORD_MARKS - (taken if start == 0 else 1)) // 4 * 3
        end = min(start + room, len(text))
        while end < len(text) and text[end] & 0xC0 == 0x80:  # the middle of a character
            end -= 1
        yield f"=?utf-8?b?{b2a_base64(text[start:end], newline=False).decode('ascii')}?="
        start = end


def _folded(line: str) -> str:
    """The line with its CRLF, broken at blanks where it is long."""
    if len(line) <= LINE_LENGTH:
        return f"{line}\r\n"
    name, first, *words = line.split(" ")
    lines = [f"{name} {first}"]
    for word in words:
        if word and len(lines[-1]) + len(word) >= LINE_LENGTH:
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join([*lines, ""])
