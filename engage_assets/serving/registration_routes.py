"""Routes of the registration page.

GET, POST /registration/{token}            token for `answer`
GET       /registration/{token}/event.ics  token for `answer`
"""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from engage_assets.serving.answering import Answering
from engage_assets.serving.direct import Direct
from engage_assets.serving.page_documents import ACTED, GONE_ON, SHOWN, Answers, body
from engage_assets.serving.reception import Reception
from engage_assets.serving.registration_calendar import CalendarDesk
from engage_assets.serving.registration_form import ACTS

_REGISTRATION_BODY: Final = body(
    "application/x-www-form-urlencoded",
    ["act"],
    act={"type": "string", "enum": list(ACTS)},
    dietary={"type": "string"},
)
_CALENDAR: Final[Answers] = (
    SHOWN | GONE_ON | {200: {"description": "An iCalendar file.", "content": {"text/calendar": {}}}}
)


def direct_registration(answers: Answering) -> dict[str, Direct]:
    """The route that many ask for at once, when an event is announced."""

    async def post(request: Request) -> Response:
        return await answers.post("registration", request.scope["path"].rpartition("/")[2], request)

    return {"/registration/": Direct("/registration/{token}", post)}


def add_registration_routes(router: APIRouter, answers: Answering, reception: Reception) -> None:
    """Add them to the pages' router."""
    calendars = CalendarDesk(reception)

    @router.head("/registration/{token}", include_in_schema=False)
    @router.get("/registration/{token}", responses=SHOWN | GONE_ON)
    def registration_page(token: str) -> Response:
        """Where the person stands with the event: seat, place in line, or the form for one."""
        return answers.page("registration", token)

    @router.post(
        "/registration/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=ACTED,
        openapi_extra=_REGISTRATION_BODY,
    )
    async def post_registration(token: str, request: Request) -> Response:
        """Register, cancel, or change dietary preferences: `act`, and if wished `dietary`."""
        return await answers.post("registration", token, request)

    @router.head("/registration/{token}/event.ics", include_in_schema=False)
    @router.get("/registration/{token}/event.ics", response_class=Response, responses=_CALENDAR)
    def calendar(token: str) -> Response:
        """The event for a calendar, for who has a seat."""
        return calendars.file(token)
