"""What the API promises, for its OpenAPI document. Answers are written from rows directly, not through these models."""

from datetime import date, datetime
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from engage_assets.serving.problems import PROBLEM_TYPE


class Document(BaseModel):
    """Keys in camelCase; unknown keys of a request are refused."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, extra="forbid")


Key = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
"""A key out of the input tables: no control characters."""


class Candidate(Document):
    """Whom to contact about what. Scores are absent where `includeScores` is false."""

    customer_id: str = Field(examples=["c-1042"])
    program: str = Field(examples=["product-reviews"])
    marketplace: str = Field(examples=["DE"])
    subject_type: str = Field(examples=["product"])
    subject_id: str = Field(examples=["p-77"])
    record_id: str = Field(description="The input record that it comes from.")
    event_at: datetime | None = Field(description="When it happened: the newest is first among equal scores.")
    time_zone: str | None = Field(examples=["Europe/Berlin"])
    locale: str | None = Field(examples=["de-DE"])
    connector_id: str | None = Field(examples=["athena-deliveries"])
    created_at: datetime
    expires_at: datetime = Field(description="Not served from then on.")
    email_eligible: bool | None = Field(description="Whether the channel may be used.")
    in_app_eligible: bool | None
    push_eligible: bool | None
    voice_eligible: bool | None
    probability: float | None = Field(None, description="Calibrated probability of an answer.")
    score: float | None = Field(None, ge=0, le=1, description="Share of the model's reference population below it.")
    band: str | None = Field(None, examples=["high"])
    model_version: str | None = None
    partition_date: date
    status: str = Field(examples=["active"])
    version: int = Field(ge=1, description="Rises by 1 with every change.")
    updated_at: datetime

    model_config = ConfigDict(extra="ignore")


class Answer(Document):
    """What every answer says."""

    as_of: datetime = Field(description="The instant as of which it holds, UTC.", examples=["2026-11-20T12:00:00Z"])


class ChannelPage(Answer):
    """One page of a channel's candidates, best first."""

    items: list[Candidate]
    next_cursor: str | None = Field(description="Give it as `cursor` for the next page; null: this is the last.")


class CustomerCandidates(Answer):
    """A customer's candidates, best first; none is an empty list."""

    customer_id: str
    items: list[Candidate]
    total_count: int = Field(description="Stored candidates that match channel and program, in any status.")
    filtered_count: int = Field(description="Those of them that may not be contacted now and are left out.")
    eligibility_refreshed: bool = Field(description="Whether opt-outs and answers were checked just now.")
    degraded: bool = Field(
        description="A check was asked for and could not be made: no candidate is given, as none is on a guess."
    )


class BatchQuery(Document):
    """Several customers at once."""

    customers: list[Key] = Field(min_length=1, examples=[["c-1042", "c-1043"]])
    channel: Key | None = Field(None, examples=["email"])
    program: Key | None = Field(None, examples=["product-reviews"])
    limit: int = Field(10, ge=1, le=1000, description="Candidates at most of each customer.")
    include_scores: bool = True
    refresh_eligibility: bool = False


class BatchAnswer(Answer):
    """One result for each different customer, in the order asked."""

    results: list[CustomerCandidates]


class ExplainedFeature(Document):
    """One feature of a candidate, and what it adds to the log odds of an answer."""

    feature: str = Field(examples=["engagement_score"])
    value: float | str | None = Field(description="As the batch knew it; null: not known.")
    usual: float | str | None = Field(description="Median, or most frequent category, of what the model learned from.")
    log_odds: float = Field(description="Above 0 speaks for an answer.", examples=[0.42])


class ExplainedModel(Document):
    """What one model made of a candidate; base and features add up to the log odds of its probability."""

    model_id: str = Field(examples=["review-propensity-v2"])
    version: str
    method: str = Field(description="How the contributions are made.")
    probability: float = Field(ge=0, le=1)
    score: float = Field(ge=0, le=1)
    base: float = Field(description="Log odds before anything is known of the candidate.")
    features: list[ExplainedFeature] = Field(description="The largest contribution first.")


class Explained(Answer):
    """Why a stored candidate has its score."""

    candidate: Candidate
    models: list[ExplainedModel] = Field(description="One for each of the program's models.")


class RegisteredCandidate(Document):
    """Who is registered for what. It stays when the candidate has expired."""

    customer_id: str = Field(examples=["c-1042"])
    program: str = Field(examples=["event-invitations"])
    marketplace: str = Field(examples=["DE"])
    subject_type: str = Field(examples=["event"])
    subject_id: str = Field(examples=["e-77"])
    event_at: datetime | None = Field(description="Start; null: the event catalogue has lost the event.")
    status: str = Field(examples=["registered"])
    registered_at: datetime = Field(description="When the person asked for the seat.")
    updated_at: datetime
    channel: str | None = Field(description="channelId of the link that was used; null: direct.")
    send_id: str | None


class Registrations(Answer):
    """Registered candidates."""

    items: list[RegisteredCandidate]
    total_count: int = Field(description="Length of `items`.")
    is_complete: bool = Field(description="Whether there are no more than `limit`.")


class Call(Document):
    """A banner's button."""

    label: str = Field(examples=["Learn More"])
    url: str = Field(description="Counts the click and leads to the page on which the person answers.")


class Frequency(Document):
    """How often an app may show a banner."""

    per_day: int = Field(ge=1, description="Times a day on one device.")


class BannerNow(Document):
    """A banner that may be shown at this moment."""

    banner_id: str = Field(examples=["0123456789abcdef0123456789abcdef"])
    program: str = Field(examples=["event-invitations"])
    marketplace: str = Field(examples=["DE"])
    subject_type: str = Field(examples=["event"])
    subject_id: str = Field(examples=["e-77"])
    banner_type: str = Field(examples=["event-invitation"])
    placement: str = Field(description="Where the app shows it.", examples=["home-screen"])
    frequency: Frequency
    language: str = Field(examples=["en"])
    title: str = Field(examples=["Join Kubernetes in practice"])
    call: Call
    starts_at: datetime
    ends_at: datetime = Field(description="Not shown from then on.")


class CustomerBanners(Answer):
    """A customer's banners, the latest first; none is an empty list."""

    customer_id: str
    items: list[BannerNow]


class BannerEvent(Answer):
    """What was recorded of a banner."""

    is_new: bool = Field(description="False: it was recorded before.")


class StatusNow(Answer):
    """A candidate's status after the request."""

    status: str = Field(examples=["consumed"])
    changed: bool = Field(description="False: it was so before.")


class Rechecked(Answer):
    """A customer's waiting candidates of a program after the check."""

    customer_id: str
    items: list[Candidate]
    checked_count: int = Field(description="Waiting candidates that were checked.")
    removed_count: int = Field(description="Those that wait no longer.")


class Health(Document):
    """Whether a process lives, or may be asked."""

    status: str = Field(examples=["ready"])


class ProblemDetails(Document):
    """RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["no such channel; known: email"])

    model_config = ConfigDict(extra="allow")


def operation(name: str) -> dict[str, Any]:
    """What makes a route known by the name of its operation. Answers are written directly, not through a model."""
    return {"name": name, "operation_id": name, "summary": name, "response_model": None}


_MEANINGS: Final = {
    400: "A parameter that does not go with the others, or a cursor that is not ours",
    401: "No key, or none that is good",
    403: "The key lacks the scope",
    404: "No such program, channel or candidate; `known` lists what there is",
    406: "None of the media types that are offered",
    409: "The candidate's status does not allow it",
    410: "What it is about has expired",
    413: "The body is too large",
    422: "Not the documented form; `faults` lists place and rule",
    429: "Too many requests with this key; see Retry-After",
    503: "A database does not answer, or too many streams are open; see Retry-After",
}


KEYED: Final = (401, 403, 422, 429, 503)
"""What a route that needs a key may always answer."""


def problems(*statuses: int, of_all: tuple[int, ...] = KEYED) -> dict[int | str, dict[str, Any]]:
    """`responses` of a route that may answer `of_all` and `statuses`."""
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}}}
    return {status: {"description": _MEANINGS[status], "content": content} for status in sorted({*of_all, *statuses})}
