"""What banners say, by kind and language: a title with the subject's name, and the word of the button."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

FALLBACK: Final = "en"


@dataclass(frozen=True)
class BannerWords:
    """One kind of banner in one language."""

    title: str
    """`{name}` stands for the subject's."""
    plain_title: str
    """Where no name is known."""
    call: str


KINDS: Final[Mapping[str, Mapping[str, BannerWords]]] = {
    "event-invitation": {
        "en": BannerWords("Join {name}", "Join our next event", "Learn More"),
        "de": BannerWords("Jetzt dabei sein: {name}", "Zu unserer nächsten Veranstaltung", "Mehr erfahren"),
        "fr": BannerWords("Participez : {name}", "Participez à notre prochain événement", "En savoir plus"),
        "ja": BannerWords("「{name}」に参加しませんか", "次回のイベントに参加しませんか", "詳しく見る"),
        "pt": BannerWords("Participe: {name}", "Participe do nosso próximo evento", "Saiba mais"),
    }
}
"""By `bannerType`; each has English."""


def banner_types() -> tuple[str, ...]:
    """The kinds that a program may name as `bannerType`."""
    return tuple(sorted(KINDS))


def language_of(banner_type: str, *locales: str | None) -> str:
    """The language of the first locale (`de-AT`) in which the kind has words; English where none has."""
    named = ((locale or "").strip().replace("_", "-").split("-")[0].lower() for locale in locales)
    return next((language for language in named if language in KINDS[banner_type]), FALLBACK)
