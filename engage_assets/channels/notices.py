"""Mails that tell one person what became of a registration or an event, remind of it, or ask how it was.

As in `channels.email` the person's name and the links stay open until `channels.message` fills them in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from engage_assets.channels.editions import edition, language_of
from engage_assets.channels.email import shortened
from engage_assets.channels.merge import one_line
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.notices import Kind

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


def write(template_id: str, told: Told, locale: str | None, marketplace: Marketplace) -> Mail:
    """The mail in the language of the locale, else the marketplace's, else English. Equal input gives equal mails."""
    language = language_of(template_id, locale, marketplace)
    mail, name = edition(template_id, "notice", language), one_line(told.name)
    local = told.starts_at.replace(tzinfo=UTC).astimezone(ZoneInfo(told.zone))
    word, date, words = _word(told), f"{local:%Y-%m-%d}", mail.text_words
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
        text=mail.text.render(words | values),
        html=mail.html.render(mail.html_words | values),
        greeting_named=words["greeting_named"],
        greeting_plain=words["greeting_plain"],
        calendar_text=words["calendar_text"],
    )


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
