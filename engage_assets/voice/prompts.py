"""The words of a question: the program's prompt in the listener's language, with the name of what it is about."""

import re
from typing import Final

from engage_assets.domain.channel_specs import VoiceConfig, name_places

_PLACE: Final = re.compile(r"\{([^{}]*)\}")
LONGEST_NAME: Final = 300
"""Characters of a name that are spoken."""


def prompt_text(config: VoiceConfig, locale: str, subject_type: str, name: str | None) -> str | None:
    """The question in the language of a locale; None where it needs a name and there is none.

    A placeholder that is not known stays as it stands.
    """
    template = config.prompts.get(locale) or config.prompts.get(locale.partition("-")[0]) or config.prompt
    known = name_places(subject_type)
    if name is None and any(found in known for found in _PLACE.findall(template)):
        return None
    spoken = " ".join((name or "").split())[:LONGEST_NAME]
    return _PLACE.sub(lambda found: spoken if found[1] in known else found[0], template)
