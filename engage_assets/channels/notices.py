"""Mails that tell one person what became of a registration or an event, remind of it, or ask how it was.

A template is a folder under `templates/` with `notice.html.j2`, `notice.txt.j2` and one file of words per language. As
in `channels.email` the person's name and the links stay open until `channels.message` fills them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import SandboxedEnvironment

from engage_assets.channels.email import language_of, shortened
from engage_assets.channels.merge import one_line
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.notices import Kind

_TEMPLATES: Final = Path(__file__).with_name("templates")
_LAYOUT: Final = "notice.html.j2"
_NOTES: Final[Mapping[str, str]] = {
    "wait_listed": "leave_note",
    "reminder": "reminder_note",
    "withdrawn": "withdrawn_note",
    "called_off": "called_off_note",
}
_BUTTONS: Final[Mapping[str, str]] = {
    "withdrawn": "event_button",
    "called_off": "event_button",
    "survey": "survey_button",
}
_JOINED: Final = frozenset({"confirmation", "promoted", "moved", "reminder"})
"""Kinds that say where the event takes place, to who has a seat."""


@dataclass(frozen=True)
class Told:
    """What a mail tells, the same for all of a marketplace, language and zone."""

    kind: Kind
    name: str
    """Of the event."""
    starts_at: datetime
    zone: str
    """Where the person lives: the event's time is told on his clock."""
    has_seat: bool
    is_revived: bool = False
    """Whether an event that was called off takes place after all."""
    join_link: str | None = None


@dataclass(frozen=True)
class Mail:
    """A mail without its person."""

    language: str
    subject: str
    text: str
    html: str
    greeting_named: str
    greeting_plain: str
    calendar_text: str
    """What the calendar file says."""

    def row(self) -> dict[str, str]:
        """The columns of a message that Letterpress reads."""
        return {name: value for name, value in vars(self).items() if name not in ("language", "calendar_text")} | {
            "locale": self.language
        }


@dataclass(frozen=True)
class _Edition:
    text: Template
    html: Template
    text_words: dict[str, Any]
    html_words: dict[str, Any]


@cache
def notice_template_ids() -> tuple[str, ...]:
    """The ids that a program may name as `noticeTemplateId`."""
    return tuple(sorted(path.parent.name for path in _TEMPLATES.glob(f"*/{_LAYOUT}")))


def write(template_id: str, told: Told, locale: str | None, marketplace: Marketplace) -> Mail:
    """The mail in the language of the locale, else the marketplace's, else English. Equal input gives equal mails."""
    language = language_of(template_id, locale, marketplace)
    edition, name = _edition(template_id, language), one_line(told.name)
    local = told.starts_at.replace(tzinfo=UTC).astimezone(ZoneInfo(told.zone))
    word, date, words = _word(told), f"{local:%Y-%m-%d}", edition.text_words
    subject = one_line(words["heading"](word, shortened(name), date))
    values = {
        "told": word,
        "name": name,
        "date": date,
        "time": f"{local:%H:%M}",
        "zone": told.zone,
        "note": words[note] if (note := _note(told)) else "",
        "button": words[_button(told)],
        "join_link": _link(told),
        "language": language,
        "subject": subject,
        "sender_name": one_line(marketplace.sender_name),
        "postal_address": one_line(", ".join(marketplace.postal_address.strip().splitlines())),
    }
    return Mail(
        language=language,
        subject=subject,
        text=edition.text.render(words | values),
        html=edition.html.render(edition.html_words | values),
        greeting_named=words["greeting_named"],
        greeting_plain=words["greeting_plain"],
        calendar_text=words["calendar_text"],
    )


@cache
def _edition(template_id: str, language: str) -> _Edition:
    loader = FileSystemLoader(_TEMPLATES / template_id)
    plain, marked = (
        SandboxedEnvironment(
            loader=loader, autoescape=escaped, undefined=StrictUndefined, trim_blocks=True, auto_reload=False
        )
        for escaped in (False, True)
    )
    text_words, html_words = (vars(env.get_template(f"{language}.j2").module) for env in (plain, marked))
    return _Edition(plain.get_template("notice.txt.j2"), marked.get_template(_LAYOUT), text_words, html_words)


def _word(told: Told) -> str:
    return "revived" if told.is_revived and told.kind == "moved" else told.kind


def _note(told: Told) -> str | None:
    """Name of the words that say what the person may do."""
    if told.kind in _NOTES:
        return _NOTES[told.kind]
    if told.kind == "survey":
        return None
    return "seat_note" if told.has_seat else "line_note"


def _button(told: Told) -> str:
    return _BUTTONS.get(told.kind, "seat_button" if told.has_seat else "line_button")


def _link(told: Told) -> str:
    """Where the event takes place, for those with a seat; only an address of the web."""
    link = one_line(told.join_link) if told.has_seat and told.kind in _JOINED else ""
    return link if link.startswith(("https://", "http://")) else ""
