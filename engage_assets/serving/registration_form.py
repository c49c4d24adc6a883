"""What people post on the registration page: what they want, and what they do not eat."""

from dataclasses import dataclass, field
from typing import Final

from fastapi import Request

from engage_assets.serving.feedback_form import CODES_PER_CHARACTER, characters
from engage_assets.serving.forms import Fault, read_form, text_of
from engage_assets.serving.services import Limits

ACTS: Final = ("register", "cancel", "preferences")
"""What can be asked: a seat, to give it back, to change the dietary preferences."""


@dataclass(frozen=True)
class RegistrationForm:
    """A request as it was posted."""

    act: str = ""
    dietary: str = field(default="", repr=False)


async def read_registration(request: Request, limits: Limits) -> RegistrationForm:
    """What was posted. Raises FormTooLarge beyond `body_bytes`, and FormUnreadable."""
    form = await read_form(request, limits.body_bytes, limits)
    return RegistrationForm(text_of(form, "act"), text_of(form, "dietary"))


def check(posted: RegistrationForm, limits: Limits) -> dict[str, Fault]:
    """Faults by field in the order of the page."""
    if posted.act not in ACTS:
        return {"form": Fault("registration_unreadable")}
    written = characters(posted.dietary)
    is_endless = len(posted.dietary) > limits.dietary_length * CODES_PER_CHARACTER
    if written > limits.dietary_length or is_endless:
        return {"dietary": Fault("dietary_too_long", written if written > limits.dietary_length else 0)}
    return {}
