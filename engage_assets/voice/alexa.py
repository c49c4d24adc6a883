"""Requests and responses of Alexa custom skills: what is read of the one, how the other is written.

The form is Amazon's "Request and Response JSON Reference"; members that are not read may be anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

PROMPT_ID: Final = "promptId"
"""The session attribute that holds the prompt which waits for its answer."""
YES: Final = "AMAZON.YesIntent"
NO: Final = "AMAZON.NoIntent"
HELP: Final = "AMAZON.HelpIntent"
ENDING: Final = frozenset({"AMAZON.StopIntent", "AMAZON.CancelIntent", "AMAZON.NavigateHomeIntent"})
ANSWER_SLOT: Final = "answer"
"""The slot of a skill's own intents that holds an answer in the person's words."""


class _Part(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, validate_by_alias=True, extra="ignore", frozen=True)


class Named(_Part):
    """An application."""

    application_id: str = Field("", max_length=300)


class User(_Part):
    """Whose device or account it is."""

    access_token: str | None = Field(None, max_length=10_000, repr=False)


class Session(_Part):
    """One conversation."""

    session_id: str = Field("", max_length=1_000)
    application: Named = Named()
    user: User = User()
    attributes: dict[str, Any] | None = None


class System(_Part):
    """The device's state."""

    application: Named = Named()
    user: User = User()


class AudioPlayer(_Part):
    """What the device plays or has just played."""

    token: str | None = Field(None, max_length=1_024)


class Context(_Part):
    """The state around a request."""

    system: System = Field(System(), alias="System")
    audio_player: AudioPlayer = Field(AudioPlayer(), alias="AudioPlayer")


class Slot(_Part):
    """A part of what was said."""

    value: str | None = Field(None, max_length=10_000, repr=False)


class Intent(_Part):
    """What the person wants."""

    name: str = Field(max_length=300)
    slots: dict[str, Slot] | None = Field(None, repr=False)


class Request(_Part):
    """What happened."""

    type: str = Field(max_length=300)
    timestamp: AwareDatetime
    locale: str = Field("en-US", max_length=35)
    intent: Intent | None = None


class Envelope(_Part):
    """A request as Alexa sends it. Nothing that a person said is in its repr."""

    version: str = Field(max_length=20)
    session: Session = Session()
    context: Context = Context()
    request: Request

    @property
    def application_id(self) -> str:
        """The skill for which it is."""
        return self.session.application.application_id or self.context.system.application.application_id

    @property
    def access_token(self) -> str | None:
        """The token of account linking."""
        return self.session.user.access_token or self.context.system.user.access_token

    @property
    def prompt_id(self) -> str | None:
        """The prompt that waits for its answer."""
        found = (self.session.attributes or {}).get(PROMPT_ID)
        return found if isinstance(found, str) else None

    @property
    def subject_id(self) -> str | None:
        """What the device has just played: skills name their streams by the subject's id."""
        return self.context.audio_player.token or None

    @property
    def intent(self) -> str | None:
        """Name of the intent."""
        return self.request.intent.name if self.request.type == "IntentRequest" and self.request.intent else None

    @property
    def words(self) -> str | None:
        """An answer in the person's words."""
        slots = (self.request.intent.slots if self.request.intent else None) or {}
        return slots[ANSWER_SLOT].value if ANSWER_SLOT in slots else None


@dataclass(frozen=True)
class Speech:
    """What the assistant says."""

    text: str
    prompt_id: str | None = None
    """A prompt that waits for its answer: the session stays open, and the question may be repeated."""
    again: str | None = None
    """What is said when nobody answers."""
    asks_to_link: bool = False


def is_fresh(envelope: Envelope, now: datetime, seconds: float) -> bool:
    """Whether a request was made within `seconds` of `now` (UTC without a zone attached)."""
    return abs((now.replace(tzinfo=UTC) - envelope.request.timestamp).total_seconds()) <= seconds


def silence() -> dict[str, Any]:
    """A response that says nothing: the only one to the end of a session."""
    return {"version": "1.0", "response": {}}


def spoken(speech: Speech) -> dict[str, Any]:
    """The response that says something."""
    response: dict[str, Any] = {"outputSpeech": _plain(speech.text), "shouldEndSession": speech.prompt_id is None}
    if speech.again:
        response["reprompt"] = {"outputSpeech": _plain(speech.again)}
    if speech.asks_to_link:
        response["card"] = {"type": "LinkAccount"}
    attributes = {PROMPT_ID: speech.prompt_id} if speech.prompt_id else {}
    return {"version": "1.0", "sessionAttributes": attributes, "response": response}


def _plain(text: str) -> Mapping[str, str]:
    """Plain text: no markup of a name is ever read as SSML. At most 8,000 characters, Amazon's limit."""
    return {"type": "PlainText", "text": text[:8_000]}
