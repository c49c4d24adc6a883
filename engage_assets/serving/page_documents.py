"""What the OpenAPI document says of the pages: their answers, and the forms that they post."""

from collections.abc import Sequence
from typing import Any, Final

Answers = dict[int | str, dict[str, Any]]
GONE_ON: Final[Answers] = {303: {"description": "Onward to another page."}}
SHOWN: Final[Answers] = {404: {"description": "No link of ours.", "content": {"text/html": {}}}}
ACTED: Final[Answers] = (
    SHOWN
    | GONE_ON
    | {
        403: {"description": "Not posted from our page.", "content": {"text/html": {}}},
        413: {"description": "Too large.", "content": {"text/html": {}}},
        422: {"description": "The form again, with what is wrong.", "content": {"text/html": {}}},
    }
)
ONE_CLICKED: Final[Answers] = {200: {"description": "One click was received.", "content": {"text/plain": {}}}}


def body(kind: str, required: Sequence[str] = (), **fields: dict[str, Any]) -> dict[str, Any]:
    """The form that a page posts."""
    schema = {"type": "object", "properties": fields} | ({"required": list(required)} if required else {})
    return {"requestBody": {"required": bool(required), "content": {kind: {"schema": schema}}}}
