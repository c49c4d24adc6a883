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

SEND_REASONS: Final[dict[str, str]] = {
    "SEND_WINDOW_MISSED": "its slot lay more than two hours back, or the transport's patience outlasted the window",
    "REPLANNED": "a newer list planned the same question for another slot",
    "SUPPRESSED": "a permanent bounce, a complaint or an imported list forbids the address",
    "OPTED_OUT": "the customer opted out after the list was made",
    "TEST_ACCOUNT": "a test account",
    "UNKNOWN_CUSTOMER": "the customer is no longer in the customers table",
    "CHANNEL_INELIGIBLE": "the customer has no address",
    "ALREADY_ANSWERED": "the customer answered about the subject after the list was made",
    "ALREADY_ASKED": "the customer was asked about the subject through another channel after the list was made",
    "RETURNED": "the product was returned after the list was made",
    "SUBJECT_CLOSED": "the subject takes no answers any more",
    "CANDIDATE_ENDED": "the candidate's status takes no message any more (consumed, suppressed, expired, or gone)",
    "SUPERSEDED": "what a notice tells is no longer so: the registration or the event has changed since",
    "NO_PUSH_ADDRESS": "the customer takes notifications nowhere; by mail, where the channel says `fallback: email`",
    "PUSH_GONE": "the push service says that the address is no more; by mail, where the channel says `fallback: email`",
    "FREQUENCY_CAP": "the customer's quota was used up by other sends of the cap scope, or is kept for a program of"
    " higher priority",
    "QUIET_HOURS": "it is night where the customer lives, by the program's quietHours",
    "SHADOW": "the channel is in shadow mode: everything but the transport",
    "MESSAGE_INVALID": "the message could not be built: an address that is none, or a line break in a header",
    "TRANSPORT_REFUSED": "the transport refused the message for good",
    "TRANSPORT_UNAVAILABLE": "the transport refused for the moment, and again at each of five retries",
    "NO_ANSWER": "the connection broke after the message began to go out: nobody can tell whether it arrived",
    "OWNER_LOST": "the process that handed it over broke off before the answer: nobody can tell whether it arrived",
    "RESOLVED": "a person said what became of it",
    "PROVIDER_EVENT": "the provider's event said what became of it",
}
"""Reasons with which a send is skipped, fails, or is in doubt; one terminal reason each."""


def stage_of(reason: str, stages: tuple[str, ...] = tuple(REASONS)) -> str:
    """The first stage among `stages` that knows `reason`."""
    return next(stage for stage in stages if reason in REASONS[stage])
