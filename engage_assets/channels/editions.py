"""Templates of mails: which there are, in which languages, and one of them opened in one language.

A template is a folder under `templates/`: two files lay it out (`message.html.j2` and `message.txt.j2` of letters,
`notice.html.j2` and `notice.txt.j2` of notices), and one file per language (`de.j2`) holds its words.
"""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from engage_assets.domain.marketplaces import Marketplace

FALLBACK_LANGUAGE: Final = "en"
Layout = Literal["message", "notice"]

_TEMPLATES: Final = Path(__file__).with_name("templates")
_LANGUAGE_FILE: Final = re.compile(r"([a-z]{2,3})\.j2")
_LOCALE: Final = re.compile(r"([A-Za-z]{2,3})(?:[-_][A-Za-z0-9]+)*")


@dataclass(frozen=True)
class Edition:
    """A template in one language, compiled: as plain text and as HTML, whose words are marked up."""

    language: str
    words: str
    """The file that declares the words, macros among them."""
    text: Template
    text_words: dict[str, Any]
    html: Template
    html_words: dict[str, Any]


@cache
def template_ids(layout: Layout) -> tuple[str, ...]:
    """The ids of the templates with a layout."""
    return tuple(sorted(file.parent.name for file in _TEMPLATES.glob(f"*/{layout}.html.j2")))


@cache
def languages(template_id: str) -> frozenset[str]:
    """Languages of a template; every one has English."""
    names = (_LANGUAGE_FILE.fullmatch(file.name) for file in (_TEMPLATES / template_id).iterdir())
    return frozenset(name[1] for name in names if name)


def language_of(template_id: str, locale: str | None, marketplace: Marketplace) -> str:
    """The language of a message: the locale's, else the marketplace's, else English.

    The marketplace's is taken where the locale is null or is none; a language that the template
    lacks is English.
    """
    match = _LOCALE.fullmatch((locale or "").strip()) or _LOCALE.fullmatch(marketplace.locale)
    language = match[1].lower() if match else FALLBACK_LANGUAGE
    return language if language in languages(template_id) else FALLBACK_LANGUAGE


@cache
def edition(template_id: str, layout: Layout, language: str) -> Edition:
    """A template of those that there are, in a language that it has."""
    loader, words = FileSystemLoader(_TEMPLATES / template_id), f"{language}.j2"
    plain, marked = (
        SandboxedEnvironment(
            loader=loader,
            autoescape=autoescape,
            undefined=StrictUndefined,
            trim_blocks=True,
            auto_reload=False,
        )
        for autoescape in (False, True)
    )
    # Names in the context, not attributes of a module: the sandbox would check each access, at half the whole cost.
    text_words, html_words = (vars(env.get_template(words).module) for env in (plain, marked))
    return Edition(
        language=language,
        words=words,
        text=plain.get_template(f"{layout}.txt.j2"),
        text_words=text_words,
        html=marked.get_template(f"{layout}.html.j2"),
        html_words=html_words,
    )
