"""Stages and reason codes of a decision, in the order in which they are asked.

Every input record of a partition ends in exactly one of these (docs/reasons.md).
"""

from typing import Final

LISTED: Final = "LISTED"

REASONS: Final[dict[str, tuple[str, ...]]] = {
    "contract": (
        "KEY_MISSING",
        "DATE_INVALID",
        "VALUE_INVALID",
        "NOT_DELIVERED",
        "UNKNOWN_CUSTOMER",
        "UNKNOWN_MARKETPLACE",
    ),
    "duplicate": ("DUPLICATE",),
    "trust": (
        "TEST_ACCOUNT",
        "CUSTOMER_MISMATCH",
        "NOT_PURCHASED",
        "RETURNED",
        "BOT_ACTIVITY",
        "ACCOUNT_STATUS",
        "TRUST_SCORE_LOW",
        "FRAUD_SCORE_HIGH",
    ),
    "eligibility": ("ALREADY_ANSWERED", "ALREADY_ASKED", "SUBJECT_CLOSED", "OPTED_OUT"),
    "engagement": ("ENGAGEMENT_LOW",),
    "interest-match": ("INTEREST_LOW",),
    "geographic": ("REGION", "TIME_ZONE"),
    "frequency-cap": ("FREQUENCY_CAP",),
    "score": ("NOT_SCORED",),
    "list": (
        "CHANNEL_INELIGIBLE",
        "BELOW_MIN_SCORE",
        "FREQUENCY_CAP",
        "TRACK_CAP",
        "BELOW_LIMIT",
        LISTED,
    ),
}
"""Codes by stage. A filter's stage is its filterId."""

EXPLANATIONS: Final[dict[str, str]] = {
    "KEY_MISSING": "a required key column is null or blank",
    "DATE_INVALID": "the date is unparseable, before 2000, or after the batch instant",
    "VALUE_INVALID": "a value lies outside its range",
    "NOT_DELIVERED": "the delivery's status is not COMPLETED",
    "UNKNOWN_CUSTOMER": "the customer is not in the customers table",
    "UNKNOWN_MARKETPLACE": "the customer's marketplace is not among the program's",
    "DUPLICATE": "the same customer and subject again in this partition; the latest record counts",
    "TEST_ACCOUNT": "a test account",
    "CUSTOMER_MISMATCH": "the order belongs to another customer",
    "NOT_PURCHASED": "no completed order of this customer contains the product",
    "RETURNED": "the product was returned",
    "BOT_ACTIVITY": "the plays look automated",
    "ACCOUNT_STATUS": "the account is not in good standing (or nothing is known of it)",
    "TRUST_SCORE_LOW": "the trust score is below the program's minimum (or unknown)",
    "FRAUD_SCORE_HIGH": "the fraud score is above the program's maximum (or unknown)",
    "ALREADY_ANSWERED": "the customer has already answered about this subject",
    "ALREADY_ASKED": "the customer has already been asked about this subject",
    "SUBJECT_CLOSED": "the subject takes no answers (or is unknown)",
    "OPTED_OUT": "the customer has opted out of every channel of the program",
    "ENGAGEMENT_LOW": "the engagement score is below the program's minimum (or unknown)",
    "INTEREST_LOW": "the interests match the event too little",
    "REGION": "the customer lives outside the target regions",
    "TIME_ZONE": "the event starts outside waking hours where the customer lives",
    "FREQUENCY_CAP": "the customer's quota of requests is used up",
    "NOT_SCORED": "the model returned no probability for the candidate",
    "CHANNEL_INELIGIBLE": "no channel with a list may reach the customer",
    "BELOW_MIN_SCORE": "the score is below the list's minimum",
    "TRACK_CAP": "the subject's places on the list are taken",
    "BELOW_LIMIT": "the list was full before this candidate's turn",
    LISTED: "on a channel's list",
}


def stage_of(reason: str, stages: tuple[str, ...] = tuple(REASONS)) -> str:
    """The first stage among `stages` that knows `reason`."""
    return next(stage for stage in stages if reason in REASONS[stage])
