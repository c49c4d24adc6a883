"""What a program file may say about each filter. Facts only; the expressions live in `filters`."""

from datetime import time
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from engage_assets.domain.channel_specs import ClockTime
from engage_assets.domain.spec import Spec


class FilterSection(Spec):
    """What every filter of a chain has."""

    order: int = Field(ge=1, description="Place in the chain: of several refusals the lowest order gives the reason.")


class NoParameters(Spec):
    """A filter without parameters."""


class TrustParameters(Spec):
    """Thresholds of the trust filter."""

    min_trust_score: float = Field(0.5, ge=0, le=1, description="Refused below this trust score.")
    max_fraud_score: float = Field(0.5, ge=0, le=1, description="Refused above this fraud score.")
    max_plays_per_day: int = Field(500, ge=0, description="Plays: refused above so many on one day.")
    regular_plays: int = Field(20, ge=3, description="Plays of one subject from which their gaps are looked at.")
    min_gap_deviation_seconds: float = Field(
        1, ge=0, description="Plays: refused where the gaps' standard deviation is below it."
    )
    max_devices_at_once: int = Field(2, ge=1, description="Plays: refused where more devices play at one instant.")


class TrustFilter(FilterSection):
    """A genuine customer with a genuine purchase, play or account."""

    filter_id: Literal["trust"]
    type: Literal["trust"]
    parameters: TrustParameters = TrustParameters()


class EligibilityFilter(FilterSection):
    """Not answered or asked yet, the subject open, the customer not opted out."""

    filter_id: Literal["eligibility"]
    type: Literal["eligibility"]
    parameters: NoParameters = NoParameters()


class EngagementParameters(Spec):
    """Threshold of the engagement filter."""

    min_engagement_score: float = Field(ge=0, le=1, description="Refused below this engagement score.")


class EngagementFilter(FilterSection):
    """Engaged enough with the subject."""

    filter_id: Literal["engagement"]
    type: Literal["business-rule"]
    parameters: EngagementParameters


class InterestMatchParameters(Spec):
    """Threshold of the interest filter."""

    min_match_score: float = Field(ge=0, le=1, description="Refused below this interest match.")


class InterestMatchFilter(FilterSection):
    """Interests that match the subject's topics."""

    filter_id: Literal["interest-match"]
    type: Literal["business-rule"]
    parameters: InterestMatchParameters


class GeographicParameters(Spec):
    """Where an event's guests may live."""

    target_regions: tuple[str, ...] = Field(description="Regions whose customers are invited.")
    timezone_compatibility: bool = Field(False, description="Whether the event must start within waking hours.")
    starts_from: ClockTime = Field(time(8), description="Begin of the waking hours where the customer lives.")
    starts_before: ClockTime = Field(time(21), description="Their end; an event that starts then is too late.")

    @model_validator(mode="after")
    def _has_waking_hours(self) -> Self:
        if self.starts_from >= self.starts_before:
            raise ValueError(f"startsFrom {self.starts_from:%H:%M} must lie before startsBefore")
        return self


class GeographicFilter(FilterSection):
    """Region and time zone fit the event."""

    filter_id: Literal["geographic"]
    type: Literal["business-rule"]
    parameters: GeographicParameters


class FrequencyCapParameters(Spec):
    """A rolling cap; exactly one maximum is given. 0 means nobody may be asked."""

    max_requests_per_month: int | None = Field(None, ge=0, description="Requests per rolling 30 days.")
    max_requests_per_week: int | None = Field(None, ge=0, description="Requests per rolling 7 days.")
    max_invitations_per_month: int | None = Field(None, ge=0, description="Invitations per rolling 30 days.")

    @model_validator(mode="after")
    def _has_one_maximum(self) -> Self:
        if sum(value is not None for value in self.model_dump().values()) != 1:
            raise ValueError(
                "give exactly one of maxRequestsPerMonth, maxRequestsPerWeek, maxInvitationsPerMonth"
                " (for no cap, leave the frequency-cap filter out)"
            )
        return self

    @property
    def maximum(self) -> int:
        """Requests allowed within the window."""
        maxima = (self.max_requests_per_month, self.max_requests_per_week, self.max_invitations_per_month)
        return next(value for value in maxima if value is not None)

    @property
    def window_days(self) -> int:
        """Length of the rolling window: a month is 30 days, a week 7."""
        return 7 if self.max_requests_per_week is not None else 30


class FrequencyCapFilter(FilterSection):
    """No more requests than the customer's quota."""

    filter_id: Literal["frequency-cap"]
    type: Literal["business-rule"]
    parameters: FrequencyCapParameters


def _filter_id(value: Any) -> str | None:
    """The tag of a filter section, whether it is still a mapping or already a model."""
    return value.get("filterId") if isinstance(value, dict) else getattr(value, "filter_id", None)


FILTER_IDS = ("trust", "eligibility", "engagement", "interest-match", "geographic", "frequency-cap")

FilterSpec = Annotated[
    Annotated[TrustFilter, Tag("trust")]
    | Annotated[EligibilityFilter, Tag("eligibility")]
    | Annotated[EngagementFilter, Tag("engagement")]
    | Annotated[InterestMatchFilter, Tag("interest-match")]
    | Annotated[GeographicFilter, Tag("geographic")]
    | Annotated[FrequencyCapFilter, Tag("frequency-cap")],
    Discriminator(
        _filter_id,
        custom_error_type="unknown_filter",
        custom_error_message=f"filterId must be one of {', '.join(FILTER_IDS)}",
    ),
]
