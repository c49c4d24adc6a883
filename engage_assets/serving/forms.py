"""What people post on the pages: read within limits, checked field by field, and only from our own pages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException
from starlette.types import Message, Receive

from engage_assets.serving.photos import PhotoRefused, draw
from engage_assets.serving.services import Limits

RATINGS: Final = ("1", "2", "3", "4", "5")

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_FIELDS: Final = 20


class FormTooLarge(Exception):
    """The body is larger than the form may be."""


class FormUnreadable(Exception):
    """The body is no form, or a broken one."""


@dataclass(frozen=True)
class Fault:
    """What is wrong with a field: a word of the pages, and the number that it names (which photo, how much)."""

    word: str
    number: int = 0


@dataclass(frozen=True)
class ReviewForm:
    """A review as it was typed."""

    rating: str = ""
    text: str = field(default="", repr=False)
    photos: Sequence[bytes] = field(default=(), repr=False)
    """As they came, each cut one byte after what a photo may have."""


def is_foreign(request: Request) -> bool:
    """Whether another site's page made a browser post this.

    Programs and old browsers say nothing of where they come from, and our no-referrer pages make some say `null`: the
    token in the address, which no other site knows, is what guards the form then.
    """
    site = request.headers.get("sec-fetch-site")
    if site:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin", "null")
    return origin != "null" and urlsplit(origin).netloc != request.headers.get("host")


def review_bytes(limits: Limits) -> int:
    """Bytes that a posted review may have: twice what is allowed, so that a page can say what is too large."""
    return 2 * limits.photos * limits.photo_bytes + limits.body_bytes


async def read_choices(request: Request, limits: Limits) -> frozenset[str]:
    """Names of the boxes that are ticked; `name=value` where the value matters (`List-Unsubscribe=One-Click`)."""
    form = await read_form(request, limits.body_bytes, limits)
    return frozenset(name for name, _ in form.multi_items()) | frozenset(f"{n}={v}" for n, v in form.multi_items())


async def read_review(request: Request, limits: Limits) -> ReviewForm:
    """The posted review.

    Raises FormTooLarge beyond `review_bytes`, and FormUnreadable.
    """
    form = await read_form(request, review_bytes(limits), limits)
    try:
        sent = [part for part in form.getlist("photos") if isinstance(part, UploadFile) and part.filename]
        photos = [await part.read(limits.photo_bytes + 1) for part in sent[: limits.photos + 1]]
    finally:
        await form.close()
    return ReviewForm(text_of(form, "rating"), text_of(form, "text"), photos)


def check(posted: ReviewForm, limits: Limits) -> tuple[dict[str, Fault], list[bytes]]:
    """Faults by field in the order of the page, and the photos drawn anew where there are none."""
    faults: dict[str, Fault] = {}
    if posted.rating not in RATINGS:
        faults["rating"] = Fault("rating_missing")
    if len(posted.text) > limits.text_length:
        faults["text"] = Fault("text_too_long")
    photos, fault = _check_photos(posted.photos, limits)
    if fault is None and faults and photos:
        fault = Fault("photos_again")  # a browser does not keep chosen files
    return faults | ({"photos": fault} if fault else {}), photos


def _check_photos(photos: Sequence[bytes], limits: Limits) -> tuple[list[bytes], Fault | None]:
    drawn: list[bytes] = []
    if len(photos) > limits.photos:
        return drawn, Fault("photos_too_many")
    for number, content in enumerate(photos, start=1):
        if len(content) > limits.photo_bytes:
            return drawn, Fault("photo_too_large", number)
        try:
            drawn.append(draw(content))
        except PhotoRefused:
            return drawn, Fault("photo_unreadable", number)
    return drawn, None


def text_of(form: FormData, name: str) -> str:
    """A text field: line ends as one character, and nothing that a database may refuse."""
    value = form.get(name)
    typed = value if isinstance(value, str) else ""
    return _CONTROLS.sub("", typed.replace("\r\n", "\n").replace("\r", "\n")).strip()


async def read_form(request: Request, most: int, limits: Limits, *, fields: int = _MOST_FIELDS) -> FormData:
    """The form of a request of at most `most` bytes. Raises FormTooLarge and FormUnreadable."""
    limited = Request(request.scope, _within(request.receive, most, 3 * max(most, review_bytes(limits))))
    try:
        return await limited.form(max_files=fields, max_fields=fields, max_part_size=min(most, limits.body_bytes))
    except (HTTPException, MultiPartException, ValueError) as fault:  # a declared charset may raise any UnicodeError
        is_large = isinstance(fault, HTTPException) and fault.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        raise (FormTooLarge if is_large else FormUnreadable) from None


def _within(receive: Receive, most: int, taken_at_most: int) -> Receive:
    """`receive` that raises FormTooLarge after `most` bytes.

    What comes up to `taken_at_most` is dropped first: a browser that cannot finish sending shows no answer.
    """
    taken = 0

    async def limited() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken <= most:
            return message
        while message.get("more_body") and taken <= taken_at_most:
            message = await receive()
            taken += len(message.get("body", b""))
        raise FormTooLarge

    return limited
