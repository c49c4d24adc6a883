"""What the pages say and how they are shown: languages, templates, and headers that let a page load nothing foreign."""

import hashlib
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any, Final

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engage_assets.serving.services import Limits

THOUSANDS: Final[dict[str, str]] = {"en": ",", "de": ".", "fr": "\u202f", "ja": ",", "pt": "."}
"""The languages of the pages, with what each writes between thousands."""
FALLBACK: Final = "en"

_TEMPLATES: Final = Path(__file__).parent / "templates"
_STYLE: Final = (_TEMPLATES / "pages.css.j2").read_text(encoding="utf-8")
_STYLE_HASH: Final = b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode("ascii")
HEADERS: Final[dict[str, str]] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; img-src 'self'; form-action 'self';"
        " frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Cache-Control": "no-store",
}
"""Of every page. No-referrer, because the address holds the token."""
SCRIPTED: Final[dict[str, str]] = HEADERS | {
    "Content-Security-Policy": HEADERS["Content-Security-Policy"]
    + "; script-src 'self'; worker-src 'self'; connect-src 'self'"
}
"""Of a page with a script of ours."""


def language_of(*locales: str | None) -> str:
    """The language of the first locale (`de-AT`) that names one of ours; English where none does."""
    named = ((locale or "").replace("_", "-").split("-")[0].lower() for locale in locales)
    return next((language for language in named if language in THOUSANDS), FALLBACK)


def show(page: str, language: str, status: int = 200, *, is_scripted: bool = False, **values: Any) -> HTMLResponse:
    """A page out of the templates, with all its headers."""
    content = _environment().get_template(f"{page}.html.j2").render(language=language, style=_STYLE, **values)
    return HTMLResponse(content, status, SCRIPTED if is_scripted else HEADERS)


def lost() -> HTMLResponse:
    """The one page for links that are altered, expired, or never were: English, 404, and no reason."""
    return show("lost", FALLBACK, 404, shop="", place="", address="")


def in_words(limits: Limits, language: str) -> dict[str, str]:
    """Limits as the pages write them."""
    return {
        "text_length": f"{limits.text_length:,}".replace(",", THOUSANDS[language]),
        "comment_length": str(limits.comment_length),
        "dietary_length": str(limits.dietary_length),
        "survey_length": f"{limits.survey_length:,}".replace(",", THOUSANDS[language]),
        "photos": str(limits.photos),
        "photo_mb": f"{limits.photo_bytes / 2**20:g}",
    }


def said(language: str, word: str) -> str:
    """A word of the pages that stands elsewhere."""
    return str(getattr(_environment().get_template(f"words/{language}.j2").module, word))


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
