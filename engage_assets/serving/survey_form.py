"""What people post on the survey page: one to five, and a comment that is counted as a person counts."""

from dataclasses import dataclass, field

from fastapi import Request

from engage_assets.serving.feedback_form import characters
from engage_assets.serving.forms import RATINGS, Fault, read_form, text_of
from engage_assets.serving.services import Limits


@dataclass(frozen=True)
class SurveyForm:
    """An answer as it was typed."""

    rating: str = ""
    text: str = field(default="", repr=False)


async def read_survey(request: Request, limits: Limits) -> SurveyForm:
    """What was posted. Raises FormTooLarge beyond `body_bytes`, and FormUnreadable."""
    form = await read_form(request, limits.body_bytes, limits)
    return SurveyForm(text_of(form, "rating"), text_of(form, "text"))


def check(posted: SurveyForm, limits: Limits) -> dict[str, Fault]:
    """Faults by field in the order of the page."""
    faults: dict[str, Fault] = {}
    if posted.rating not in RATINGS:
        faults["rating"] = Fault("rating_missing")
    written = characters(posted.text)
    if written > limits.survey_length:
        faults["text"] = Fault("survey_too_long", written)
    return faults
