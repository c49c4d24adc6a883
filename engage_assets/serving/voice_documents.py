"""What the routes of voice take and promise."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from engage_assets.serving.documents import Answer, Document, Key

Locale = Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,3}$", examples=["de-DE"])]
SendId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["0123456789abcdef0123456789abcdef"])]


class NextPromptQuery(Document):
    """Whether a listener may be asked something now."""

    customer: Key = Field(examples=["c-1042"])
    session_id: Key = Field(description="The assistant's session: one question each.", examples=["session-7"])
    program: Key | None = Field(None, description="programId; absent: any program that asks by voice.")
    subject: Key | None = Field(None, description="What just ended: only a question about it is given.")
    subject_name: Key | None = Field(None, description="Its name; absent: as the warehouse has it.")
    locale: Locale | None = Field(None, description="Language of the conversation; absent: the candidate's.")


class SpokenPrompt(Document):
    """A question, to be asked now."""

    prompt_id: SendId
    text: str = Field(description="What the assistant says.", examples=["Did you enjoy Blue Skies?"])
    program: str
    subject_type: str = Field(examples=["track"])
    subject_id: str
    subject_name: str | None
    locale: str = Field(examples=["en-US"])
    response_options: list[str] = Field(examples=[["yes", "no"]])
    issued_at: datetime
    expires_at: datetime = Field(description="No answer is taken from then on.")


class NextPrompt(Answer):
    """A question, or why there is none."""

    prompt: SpokenPrompt | None
    reason: str | None = Field(description="A code; null where there is a prompt.", examples=["FREQUENCY_CAP"])


class PromptAnswer(Document):
    """What a listener answered."""

    prompt_id: SendId
    customer: Key
    answer: str = Field(max_length=10_000, description="yes, no, or the words as they were heard.", examples=["sure"])
    locale: Locale | None = Field(None, description="Language of the answer; absent: the prompt's.")


class Answered(Answer):
    """What became of an answer."""

    result: Literal["recorded", "not_understood"]
    answer: Literal["yes", "no"] | None = Field(description="As it was understood.")
    text: str = Field(description="What the assistant says: thanks, or the question again.")


class LinkQuery(Document):
    """Whose account is to be linked."""

    customer: Key


class Link(Answer):
    """The access token of account linking."""

    access_token: str
    expires_at: datetime
