"""Merge fields: what a rendered part leaves open (`%%greeting%%`) and blocks that depend on a service.

`%%links%%` … `%%no_links%%` … `%%end%%`: the first half is for messages with links to a service, the second for those
without. A line break right after such a mark goes with it.
"""

import re
from collections.abc import Mapping
from typing import Final

from engage_assets.domain.errors import EngageError

GREETING: Final = "%%greeting%%"
"""The merge field of the greeting in the rendered parts."""
NAME: Final = "%%name%%"
"""The merge field that a language's named greeting holds."""

_BLOCKS: Final[dict[str, bool | None]] = {"links": True, "no_links": False, "end": None}
"""Marks, and for which messages what follows is meant; None: for all."""
_FIELD = re.compile(r"%%([a-z_]+)%%")
_INVISIBLE = re.compile("[\u200b\u2060\u202a-\u202e\u2066-\u2069\ufeff]")
_BLANKS = re.compile(r"[\x00-\x1f\x7f-\x9f\s]+")
_PERCENTS = re.compile("%%+")


def one_line(text: str | None) -> str:
    """`text` fit for a subject or a paragraph: one line, no controls, nothing that reads as a merge field.

    White space of any kind becomes one blank, invisible marks that reorder or split text go, and a run of
    percent signs becomes a single one. Null gives the empty string.
    """
    return _PERCENTS.sub("%", _BLANKS.sub(" ", _INVISIBLE.sub("", text or ""))).strip()


def merged(part: str, values: Mapping[str, str], whose: str, *, is_linked: bool) -> str:
    """The part with its fields filled, in one pass: nothing that was filled in is read as a field.

    Raises EngageError, naming `whose`, for a field that `values` lacks.
    """
    first, *pieces = _FIELD.split(part)
    made, is_shown = [first], True
    for field, after in zip(pieces[::2], pieces[1::2], strict=True):
        if field in _BLOCKS:
            is_shown = _BLOCKS[field] in {None, is_linked}
            made += (after.removeprefix("\n"),) if is_shown else ()
        elif is_shown:
            if field not in values:
                raise EngageError(f"{whose}: the merge field %%{field}%% is not known; make email_campaigns again")
            made += (values[field], after)
    return "".join(made)
