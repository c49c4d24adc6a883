"""The automatic pause: bounces or complaints above their limit with 95 % confidence, however often one looks."""

from typing import Final

BOUNCE_LIMIT: Final = 0.05
COMPLAINT_LIMIT: Final = 0.001
NEEDED: Final = 20.0
"""Evidence at which a campaign is paused: 1 ÷ 5 %."""
_NEGLIGIBLE: Final = 1e-12


def verdict(sent: int, bounces: int, complaints: int) -> str | None:
    """Why a campaign must be paused, with the arithmetic; None: it may go on. Counts are those up to now.

    A campaign is judged again and again while it runs. An exact binomial (Clopper–Pearson) bound holds for one look
    only: with a look after every send it would sooner or later pause a campaign that keeps the limit exactly. So
    `evidence` is asked instead, whose 95 % hold over all looks together: a campaign at or below a limit is ever paused
    by it with a probability of at most 5 % (each limit), whatever its size. One at 2 % bounces and 0.05 % complaints
    is paused in less than 1 of 1,000 runs (exact figures in the tests). Bounces still on their way only delay a pause.
    """
    for what, count, limit in (("bounces", bounces, BOUNCE_LIMIT), ("complaints", complaints, COMPLAINT_LIMIT)):
        found = evidence(sent, count, limit)
        if found >= NEEDED:
            return (
                f"{count} {what} of {sent} sent = {count / max(sent, count):.2%}, above the limit of {limit:.1%} with"
                f" 95 % confidence: {found:.3g} times as likely above it as at it ({NEEDED:g} times is the line)"
            )
    return None


def evidence(sent: int, count: int, limit: float) -> float:
    """How many times as likely `count` of `sent` is under rates above `limit` than at `limit`.

    A mixture likelihood ratio: rates p in (limit, 1] with weights b (1 - p)^(b - 1) ÷ (1 - limit)^b, b = 1 ÷ limit,
    which puts most weight at two to three times the limit. Under any rate up to the limit it is a supermartingale that
    begins at 1, so by Ville's inequality it ever reaches 20 with a probability of at most 1 ÷ 20. The integral is a
    sum: b ÷ m · Σ_i Π_{l < i} (count - l) ÷ (m + 1 + l) · (1 - limit) ÷ limit, with m = sent - count + b.
    More bounces than sends (of an earlier campaign) are taken as so many sends.
    """
    weight = round(1 / limit)
    others = max(sent - count, 0) + weight
    odds = (1 - limit) / limit
    term = total = 1.0
    for step in range(count):
        term *= (count - step) / (others + 1 + step) * odds
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return weight / others * total
