"""Routes of the survey page.

GET, POST /survey/{token}  token for `answer`
"""

from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from engage_assets.domain.forms import Form
from engage_assets.domain.responses import KnownSend
from engage_assets.serving import words
from engage_assets.serving.answering import Answering
from engage_assets.serving.forms import RATINGS, is_foreign
from engage_assets.serving.page_documents import ACTED, GONE_ON, SHOWN, body
from engage_assets.serving.reception import Reception, go
from engage_assets.serving.survey import SurveyDesk

_BODY: Final = body(
    "multipart/form-data",
    ["rating"],
    rating={"type": "string", "enum": list(RATINGS)},
    text={"type": "string"},
)


def add_survey_routes(router: APIRouter, answers: Answering, reception: Reception) -> None:
    """Add them to the pages' router. Any link of a program whose people register is good here, a survey's or not."""
    desk = SurveyDesk(reception)

    def other_form(send: KnownSend) -> Form | None:
        """The form of somebody who has nothing to do with a survey."""
        form = reception.form_of(send)
        return None if form.has_survey else form

    @router.head("/survey/{token}", include_in_schema=False)
    @router.get("/survey/{token}", responses=SHOWN | GONE_ON)
    def survey_page(token: str) -> Response:
        """The form of a survey, thanks for the answer, or why there is none."""
        send = reception.visitor(token, "answer")
        if send is None:
            return words.lost()
        other = other_form(send)
        return go(f"../{other.name}/{token}") if other else desk.page(send, token)

    @router.post(
        "/survey/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=ACTED,
        openapi_extra=_BODY,
    )
    async def post_survey(token: str, request: Request) -> Response:
        """Answer a survey: `rating` 1 to 5, and if wished `text`."""
        said = reception.read(token, "answer")
        send = await answers.sends.take(said.send_id) if said else None
        if send is None:
            return words.lost()
        other = other_form(send)
        if other:
            return go(f"../{other.name}/{token}")
        if is_foreign(request):
            return reception.show("refused", send, 403, back=f"../survey/{token}")
        return await desk.post(send, token, request)
