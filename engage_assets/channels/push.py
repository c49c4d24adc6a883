"""Push notifications: what a browser or an app is told, in the person's language and on his clock.

The payload is a declarative push message (Push API, "declarative push message"), which some browsers show by
themselves; to others our service worker shows it, and tells the service what became of it.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from engage_assets.channels.links import PushLinks
from engage_assets.channels.merge import one_line
from engage_assets.domain.channel_specs import PushConfig, PushText, name_places, time_places

DECLARATIVE: Final = 8030
"""What marks a declarative push message: the number of the protocol's RFC."""
CALENDAR: Final[Mapping[str, str]] = {
    "en": "Add to calendar",
    "de": "In den Kalender eintragen",
    "fr": "Ajouter au calendrier",
    "ja": "カレンダーに追加",
    "pt": "Adicionar à agenda",
}
"""The action beside a notification, by language."""
FALLBACK: Final = "en"
LONGEST_NAME: Final = 80
"""Characters of a name that a notification shows: devices cut at less."""
_PLACE: Final = re.compile(r"\{([^{}]*)\}")


def notification(
    config: PushConfig,
    *,
    subject_type: str,
    name: str,
    starts_at: datetime,
    time_zone: str,
    language: str,
    tag: str,
    links: PushLinks | None,
) -> bytes:
    """The payload: JSON in UTF-8, at most channels.web_push.LONGEST octets. Equal input gives equal bytes.

    `starts_at`: UTC without a zone attached; told on the clocks of `time_zone`. `language`: see `language_of`. `tag`:
    a later notification of the same tag takes the place of an earlier. Without `links` there is nothing to follow.
    """
    words, language = _words(config, language), language if language in CALENDAR else FALLBACK
    local = starts_at.replace(tzinfo=UTC).astimezone(ZoneInfo(time_zone))
    values = {
        **dict.fromkeys(name_places(subject_type), _shortened(one_line(name))),
        **dict.fromkeys(time_places(subject_type), f"{local:%H:%M}"),
    }
    told: dict[str, Any] = {
        "title": _filled(words.title, values),
        "body": _filled(words.body, values),
        "lang": language,
        "tag": tag,
    }
    if links is None:
        return _json({"notification": told})
    action = {"action": "calendar", "title": CALENDAR[language], "navigate": links.calendar}
    beacons = {"opens": links.opens, "clicks": links.clicks}
    followed = {"navigate": links.page, "actions": [action], "data": beacons}
    return _json({"web_push": DECLARATIVE, "mutable": True, "notification": told | followed})


def language_of(*locales: str | None) -> str:
    """The language of the first locale (`de-AT`) in which we have words; English where none has."""
    named = ((locale or "").replace("_", "-").split("-")[0].lower() for locale in locales)
    return next((language for language in named if language in CALENDAR), FALLBACK)


def _words(config: PushConfig, language: str) -> PushText:
    return config.texts.get(language) or PushText(title=config.title, body=config.body)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """The text with its places filled, in one pass; a place that is not known stays as it stands."""
    return _PLACE.sub(lambda found: values.get(found[1], found[0]), text)


def _shortened(name: str) -> str:
    if len(name) <= LONGEST_NAME:
        return name
    cut = name[: LONGEST_NAME - 1]
    return (cut.rpartition(" ")[0] or cut).rstrip() + "…"


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
