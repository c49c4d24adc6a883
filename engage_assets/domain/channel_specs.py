"""What a program file may say about each channel."""

import re
from datetime import time
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag, WithJsonSchema, field_validator

from engage_assets.domain.slots import known_zones
from engage_assets.domain.spec import Spec

_CLOCK_TIME = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")


def _clock_time(value: Any) -> Any:
    """Read "10:00"; YAML 1.1 reads an unquoted 10:00 as the number 600, so say what to do."""
    if isinstance(value, int | float):
        raise ValueError('write the time in quotes, for example "10:00"')
    if isinstance(value, str) and not _CLOCK_TIME.match(value):
        raise ValueError('write the time as hours and minutes, for example "09:00"')
    return value


ClockTime = Annotated[
    time,
    BeforeValidator(_clock_time),
    WithJsonSchema({"type": "string", "pattern": _CLOCK_TIME.pattern, "examples": ["10:00"]}),
]


class ChannelSection(Spec):
    """What every channel has."""

    channel_id: str = Field(min_length=1, description="Name of the channel within the program.")
    enabled: bool = Field(True, description="A disabled channel gets no list and delivers nothing.")
    priority: int | None = Field(None, ge=1, description="Order among the program's channels, 1 first.")
    shadow: bool = Field(False, description="Shadow mode: everything but the transport; sends are skipped as SHADOW.")

    @property
    def needs_address(self) -> bool:
        """Whether it reaches a person by the e-mail address alone."""
        return False


class ListSection(ChannelSection):
    """A channel that is filled from a day's candidates."""

    type: Literal["email", "in-app"]
    min_score: float = Field(0.5, ge=0, le=1, description="Candidates below this score are not listed (inclusive).")
    limit: int | None = Field(None, ge=0, description="Most candidates on a day's list; absent means no limit.")
    per_track_limit: int | None = Field(None, ge=0, description="Most candidates for one subject while filling.")


class EmailConfig(Spec):
    """When and with which template e-mail is sent."""

    template_id: str = Field(min_length=1, description="Folder of the message templates.")
    send_time: ClockTime = Field(description='Local clock time of the slot, "HH:MM".')
    timezone: str = Field("local", description='"local": where the recipient lives; else an IANA zone for everybody.')
    seed_list: tuple[str, ...] = Field(
        (), description="Addresses of the team: each gets a copy of a campaign's first message, without tracking."
    )
    include_calendar_invite: bool = Field(False, description="Whether an .ics part is attached (events).")

    @field_validator("timezone")
    @classmethod
    def _is_local_or_a_zone(cls, value: str) -> str:
        if value != "local" and value not in known_zones():
            raise ValueError('"local", or an IANA time zone such as Europe/Berlin')
        return value


class EmailChannel(ListSection):
    """E-mail at a local clock time."""

    type: Literal["email"]
    config: EmailConfig

    @property
    def needs_address(self) -> bool:
        """See ChannelSection."""
        return True


class InAppConfig(Spec):
    """Where and how long a banner is shown."""

    banner_type: str = Field(min_length=1, description="Which words it has: those of a kind of banner.")
    display_duration: int = Field(ge=1, description="Days that the banner is shown.")
    placement: str = Field(min_length=1, description="Where the app shows it; handed on to the app.")
    opens_at: ClockTime = Field(
        time(14),
        description='Local clock time at which it opens, "HH:MM": the first after the slot of the customer\'s e-mail.',
    )
    displays_per_day: int = Field(3, ge=1, description="How often a day a customer may be shown it.")


class InAppChannel(ListSection):
    """A banner in the application."""

    type: Literal["in-app"]
    config: InAppConfig


LONGEST_TITLE = 120
LONGEST_BODY = 240
"""Characters, before places are filled: with its links a notification stays below what push services take."""


class PushText(Spec):
    """What a notification says in one language."""

    title: str = Field(min_length=1, max_length=LONGEST_TITLE)
    body: str = Field(min_length=1, max_length=LONGEST_BODY)


class PushConfig(Spec):
    """A reminder to registered customers."""

    reminder_days_before: int = Field(ge=0)
    title: str = Field(max_length=LONGEST_TITLE, description="`{eventName}` and `{eventTime}` stand for the event's.")
    body: str = Field(max_length=LONGEST_BODY, description="Likewise.")
    texts: dict[str, PushText] = Field(
        default_factory=dict, description="Title and body in other languages, by language (`de`), instead of these."
    )
    fallback: Literal["email"] | None = Field(
        None, description="What tells it to who takes notifications nowhere: `email`; absent: nothing does."
    )


class PushChannel(ChannelSection):
    """Push notifications; no list, driven by the event catalogue."""

    type: Literal["push"]
    config: PushConfig


def name_places(subject_type: str) -> frozenset[str]:
    """What may stand in braces in a spoken question: `subjectName`, or the same after the subject's own type."""
    return frozenset({"subjectName", f"{subject_type}Name"})


def time_places(subject_type: str) -> frozenset[str]:
    """What may stand in braces for the local clock time at which a subject begins."""
    return frozenset({"subjectTime", f"{subject_type}Time"})


class VoiceConfig(Spec):
    """A spoken question."""

    prompt: str = Field(description="The question; `{subjectName}` stands for the name of what is asked about.")
    response_options: tuple[Literal["yes", "no"], ...] = Field(min_length=1, description="Answers that are taken.")
    prompts: dict[str, str] = Field(
        default_factory=dict, description="The question in other languages, by language (`de`), instead of `prompt`."
    )
    prompt_minutes: int = Field(30, ge=1, le=1440, description="A question takes an answer for so many minutes.")

    @field_validator("response_options")
    @classmethod
    def _are_yes_and_no(cls, value: tuple[Literal["yes", "no"], ...]) -> tuple[Literal["yes", "no"], ...]:
        if sorted(value) != ["no", "yes"]:
            raise ValueError('["yes", "no"]: a spoken question takes both, each once')
        return value


class VoiceChannel(ChannelSection):
    """A voice assistant's prompt; no list, on demand."""

    type: Literal["voice"]
    config: VoiceConfig


def _type(value: Any) -> str | None:
    """The tag of a channel section, whether it is still a mapping or already a model."""
    return value.get("type") if isinstance(value, dict) else getattr(value, "type", None)


ChannelSpec = Annotated[
    Annotated[EmailChannel, Tag("email")]
    | Annotated[InAppChannel, Tag("in-app")]
    | Annotated[PushChannel, Tag("push")]
    | Annotated[VoiceChannel, Tag("voice")],
    Discriminator(
        _type,
        custom_error_type="unknown_channel",
        custom_error_message="type must be one of email, in-app, push, voice",
    ),
]

CHANNEL_TYPES = ("email", "in-app", "push", "voice")
NOTICE_CHANNELS = ("email", "push")
"""Types of channels that carry notices to single people."""
