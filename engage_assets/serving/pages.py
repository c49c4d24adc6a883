"""The pages behind a message's links: answers, thanks, preferences, unsubscribe.

    GET, POST /review/{token}        token for `answer`
    GET, POST /feedback/{token}      token for `answer`
    GET, POST /registration/{token}  token for `answer`; the calendar file at …/event.ics
    GET, POST /survey/{token}        token for `answer`
    GET       /thanks/{token}        token for `answer`
    GET, POST /preferences/{token}   token for `preferences`
    GET, POST /unsubscribe/{token}   token for `preferences`; also one click, RFC 8058

A program's form follows from its source. GET (and HEAD) shows, POST acts. The token in the address is all that a page
knows of its reader: there are no cookies.
"""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from engage_assets.serving.answering import Answering, answers_of
from engage_assets.serving.desk import Desk
from engage_assets.serving.feedback_form import THUMBS
from engage_assets.serving.page_documents import ACTED, GONE_ON, ONE_CLICKED, SHOWN, body
from engage_assets.serving.registration_routes import add_registration_routes
from engage_assets.serving.services import Services
from engage_assets.serving.survey_routes import add_survey_routes

_REVIEW_BODY: Final = body(
    "multipart/form-data",
    ["rating"],
    rating={"type": "string", "enum": ["1", "2", "3", "4", "5"]},
    text={"type": "string"},
    photos={"type": "array", "items": {"type": "string", "format": "binary"}},
)
_FEEDBACK_BODY: Final = body(
    "multipart/form-data",
    ["thumb"],
    thumb={"type": "string", "enum": list(THUMBS)},
    comment={"type": "string"},
    tags={"type": "array", "items": {"type": "string"}},
)
_PREFERENCES_BODY: Final = body(
    "application/x-www-form-urlencoded",
    program={"type": "string"},
    channel={"type": "string"},
    everything={"type": "string"},
)
_CLICK: Final = body("application/x-www-form-urlencoded", (), **{"List-Unsubscribe": {"type": "string"}})


def pages_router(services: Services, answers: Answering | None = None) -> APIRouter:
    """Routes of the pages; `answers` where other routes take them too."""
    router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)
    answers = answers or answers_of(services)
    reception = answers.reception
    desk = Desk(reception)

    @router.head("/review/{token}", include_in_schema=False)
    @router.get("/review/{token}", responses=SHOWN | GONE_ON)
    def review_page(token: str) -> Response:
        """The form for a review."""
        return answers.page("review", token)

    @router.post(
        "/review/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=ACTED,
        openapi_extra=_REVIEW_BODY,
    )
    async def post_review(token: str, request: Request) -> Response:
        """Send a review: `rating` 1 to 5, and if wished `text` and `photos`."""
        return await answers.post("review", token, request)

    @router.head("/feedback/{token}", include_in_schema=False)
    @router.get("/feedback/{token}", responses=SHOWN | GONE_ON)
    def feedback_page(token: str) -> Response:
        """The form for feedback, filled with what the person said before."""
        return answers.page("feedback", token)

    @router.post(
        "/feedback/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=ACTED,
        openapi_extra=_FEEDBACK_BODY,
    )
    async def post_feedback(token: str, request: Request) -> Response:
        """Send feedback, or change it: `thumb` up or down, and if wished `comment` and `tags`."""
        return await answers.post("feedback", token, request)

    add_registration_routes(router, answers, reception)
    add_survey_routes(router, answers, reception)

    @router.head("/thanks/{token}", include_in_schema=False)
    @router.get("/thanks/{token}", responses=SHOWN | GONE_ON)
    def thanks_page(token: str) -> Response:
        """Thanks for an answer."""
        return answers.thanks(token)

    @router.head("/preferences/{token}", include_in_schema=False)
    @router.get("/preferences/{token}", responses=SHOWN)
    def preferences_page(token: str, saved: str = "") -> Response:
        """What the person wants no more of."""
        return desk.preferences_page(token, is_saved=bool(saved))

    @router.post(
        "/preferences/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=ACTED,
        openapi_extra=_PREFERENCES_BODY,
    )
    async def post_preferences(token: str, request: Request) -> Response:
        """Change it: `program`, `channel`, `everything`, each there (no more of it) or not."""
        return await desk.post_preferences(token, request)

    @router.head("/unsubscribe/{token}", include_in_schema=False)
    @router.get("/unsubscribe/{token}", responses=SHOWN)
    def unsubscribe_page(token: str) -> Response:
        """A page with one button; a scanner's visit changes nothing."""
        return desk.unsubscribe_page(token)

    @router.post(
        "/unsubscribe/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=ACTED | ONE_CLICKED,
        openapi_extra=_CLICK,
    )
    async def post_unsubscribe(token: str, request: Request) -> Response:
        """Unsubscribe from everything; by the page's button, or by one click of a mail program (RFC 8058)."""
        return await desk.post_unsubscribe(token, request)

    return router
