"""What people post on the feedback page: thumbs, a comment that is counted as a person counts, tags."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from fastapi import Request
from wcwidth import iter_graphemes

from engage_assets.domain.responses import Response
from engage_assets.serving.forms import Fault, read_form, text_of
from engage_assets.serving.services import Limits

THUMBS: Final[dict[str, bool]] = {"up": True, "down": False}
"""What a thumb says, by the word that the form posts."""

CODES_PER_CHARACTER: Final = 20
"""Code points that a character may have on average: a family of emoji has 11, a tower of accents has no end."""


@dataclass(frozen=True)
class FeedbackForm:
    """Feedback as it was typed."""

    thumb: str = ""
    comment: str = field(default="", repr=False)
    tags: tuple[str, ...] = ()


def characters(text: str) -> int:
    """Characters as a person counts them: extended grapheme clusters (UAX #29)."""
    return sum(1 for _ in iter_graphemes(text))


def as_form(answer: Response | None) -> FeedbackForm:
    """An answer as the form shows it; an empty one where there is none."""
    if answer is None:
        return FeedbackForm()
    thumb = next((name for name, is_up in THUMBS.items() if is_up is answer.is_positive), "")
    return FeedbackForm(thumb, answer.text or "", answer.tags)


async def read_feedback(request: Request, limits: Limits, offered: Sequence[str]) -> FeedbackForm:
    """The posted feedback; tags that are not offered are left out, the others stand in the order of the offer.

    Raises FormTooLarge beyond `body_bytes`, and FormUnreadable.
    """
    form = await read_form(request, limits.body_bytes, limits, fields=len(offered) + 10)
    picked = set(form.getlist("tags"))
    return FeedbackForm(
        text_of(form, "thumb"), text_of(form, "comment"), tuple(tag for tag in offered if tag in picked)
    )


def check(posted: FeedbackForm, limits: Limits) -> dict[str, Fault]:
    """Faults by field in the order of the page."""
    faults: dict[str, Fault] = {}
    if posted.thumb not in THUMBS:
        faults["thumb"] = Fault("thumb_missing")
    written = characters(posted.comment)
    if written > limits.comment_length:
        faults["comment"] = Fault("comment_too_long", written)
    elif len(posted.comment) > limits.comment_length * CODES_PER_CHARACTER:
        faults["comment"] = Fault("comment_too_long")
    return faults
