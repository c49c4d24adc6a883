"""The pages behind a message's links: review, thanks, preferences, unsubscribe.

    GET, POST /review/{token}        token for `answer`
    GET       /thanks/{token}        token for `answer`
    GET, POST /preferences/{token}   token for `preferences`
    GET, POST /unsubscribe/{token}   token for `preferences`; also one click, RFC 8058

GET (and HEAD) shows, POST acts. The token in the address is all that a page knows of its reader: there are no cookies.
"""

from collections.abc import Callable, Sequence
from secrets import token_hex
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from engage_assets.serving.desk import Desk
from engage_assets.serving.photos import Photos
from engage_assets.serving.services import Services

_Answers = dict[int | str, dict[str, Any]]
_GONE_ON: Final[_Answers] = {303: {"description": "Onward to another page."}}
_SHOWN: Final[_Answers] = {404: {"description": "No link of ours.", "content": {"text/html": {}}}}
_ACTED: Final[_Answers] = (
    _SHOWN
    | _GONE_ON
    | {
        403: {"description": "Not posted from our page.", "content": {"text/html": {}}},
        413: {"description": "Too large.", "content": {"text/html": {}}},
        422: {"description": "The form again, with what is wrong.", "content": {"text/html": {}}},
    }
)
_ONE_CLICKED: Final[_Answers] = {200: {"description": "One click was received.", "content": {"text/plain": {}}}}


def _body(kind: str, required: Sequence[str] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "properties": fields} | ({"required": list(required)} if required else {})
    return {"requestBody": {"required": bool(required), "content": {kind: {"schema": schema}}}}


_REVIEW_BODY: Final = _body(
    "multipart/form-data",
    ["rating"],
    rating={"type": "string", "enum": ["1", "2", "3", "4", "5"]},
    text={"type": "string"},
    photos={"type": "array", "items": {"type": "string", "format": "binary"}},
)
_PREFERENCES_BODY: Final = _body(
    "application/x-www-form-urlencoded",
    program={"type": "string"},
    channel={"type": "string"},
    everything={"type": "string"},
)
_CLICK: Final = _body("application/x-www-form-urlencoded", (), **{"List-Unsubscribe": {"type": "string"}})


def pages_router(services: Services, random_name: Callable[[], str] = token_hex) -> APIRouter:
    """Routes of the pages. `random_name` names photos; nobody may be able to guess it."""
    router = APIRouter(tags=["pages"], default_response_class=HTMLResponse)
    desk = Desk(services, Photos(services.photos, random_name))

    @router.head("/review/{token}", include_in_schema=False)
    @router.get("/review/{token}", responses=_SHOWN)
    def review_page(token: str) -> Response:
        """The form for a review."""
        return desk.review_page(token)

    @router.post(
        "/review/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=_ACTED,
        openapi_extra=_REVIEW_BODY,
    )
    async def post_review(token: str, request: Request) -> Response:
        """Send a review: `rating` 1 to 5, and if wished `text` and `photos`."""
        return await desk.post_review(token, request)

    @router.head("/thanks/{token}", include_in_schema=False)
    @router.get("/thanks/{token}", responses=_SHOWN | _GONE_ON)
    def thanks_page(token: str) -> Response:
        """Thanks for a review."""
        return desk.thanks_page(token)

    @router.head("/preferences/{token}", include_in_schema=False)
    @router.get("/preferences/{token}", responses=_SHOWN)
    def preferences_page(token: str, saved: str = "") -> Response:
        """What the person wants no more of."""
        return desk.preferences_page(token, is_saved=bool(saved))

    @router.post(
        "/preferences/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=_ACTED,
        openapi_extra=_PREFERENCES_BODY,
    )
    async def post_preferences(token: str, request: Request) -> Response:
        """Change it: `program`, `channel`, `everything`, each there (no more of it) or not."""
        return await desk.post_preferences(token, request)

    @router.head("/unsubscribe/{token}", include_in_schema=False)
    @router.get("/unsubscribe/{token}", responses=_SHOWN)
    def unsubscribe_page(token: str) -> Response:
        """A page with one button; a scanner's visit changes nothing."""
        return desk.unsubscribe_page(token)

    @router.post(
        "/unsubscribe/{token}",
        status_code=303,
        response_class=RedirectResponse,
        responses=_ACTED | _ONE_CLICKED,
        openapi_extra=_CLICK,
    )
    async def post_unsubscribe(token: str, request: Request) -> Response:
        """Unsubscribe from everything; by the page's button, or by one click of a mail program (RFC 8058)."""
        return await desk.post_unsubscribe(token, request)

    return router
