"""What is broken or awkward in the synthetic deliveries, how often, and what the documented program says of it.

A delivery holds at most one oddity. Each kind is there in every week of the world.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from engage_assets.domain.errors import EngageError

ORDINARY: Final = "ordinary"
"""The kind of a delivery, and of a person, without an oddity."""


@dataclass(frozen=True)
class Oddity:
    """A kind: its share of deliveries, the reason that it leads to, and whose it is.

    Attributes:
        share: Of all deliveries; with `own_people` also of all people.
        reason: What the reviews program as documented (e-mail only, default thresholds) records; None: no refusal
            for this.
        own_people: Whether such deliveries go to people kept for them, who get no others.
    """

    share: float
    reason: str | None
    own_people: bool = False


ODDITIES: Final[dict[str, Oddity]] = {
    # Records that break the contract.
    "key_null": Oddity(0.004, "KEY_MISSING"),
    "key_blank": Oddity(0.002, "KEY_MISSING"),
    "date_null": Oddity(0.002, "DATE_INVALID"),
    "date_unparseable": Oddity(0.003, "DATE_INVALID"),
    "date_before_2000": Oddity(0.001, "DATE_INVALID"),
    "date_in_future": Oddity(0.002, "DATE_INVALID"),
    "instant_implausible": Oddity(0.002, "DATE_INVALID"),
    "value_negative": Oddity(0.002, "VALUE_INVALID"),
    "value_infinite": Oddity(0.001, "VALUE_INVALID"),
    "not_completed": Oddity(0.02, "NOT_DELIVERED"),
    "unknown_customer": Oddity(0.004, "UNKNOWN_CUSTOMER"),
    "foreign_marketplace": Oddity(0.01, "UNKNOWN_MARKETPLACE", own_people=True),
    "duplicate": Oddity(0.01, "DUPLICATE"),
    # Records that are odd and keep the contract.
    "value_nan": Oddity(0.002, None),
    "value_null": Oddity(0.002, None),
    "repeated_delivery_id": Oddity(0.002, None),
    "late": Oddity(0.02, None),
    "arrival_null": Oddity(0.004, None),
    # Records that no batch reads.
    "too_late": Oddity(0.002, None),
    "date_and_arrival_null": Oddity(0.001, None),
    # Orders and returns.
    "order_of_another": Oddity(0.006, "CUSTOMER_MISMATCH", own_people=True),
    "order_unknown": Oddity(0.004, "NOT_PURCHASED"),
    "order_not_completed": Oddity(0.006, "NOT_PURCHASED"),
    "order_without_product": Oddity(0.003, "NOT_PURCHASED"),
    "order_without_customer": Oddity(0.001, "NOT_PURCHASED"),
    "returned_before": Oddity(0.012, "RETURNED"),
    "returned_undated": Oddity(0.001, "RETURNED"),
    "returned_after": Oddity(0.03, None),
    # Accounts and trust.
    "test_account": Oddity(0.005, "TEST_ACCOUNT", own_people=True),
    "suspended": Oddity(0.008, "ACCOUNT_STATUS", own_people=True),
    "closed": Oddity(0.003, "ACCOUNT_STATUS", own_people=True),
    "no_trust_row": Oddity(0.005, "ACCOUNT_STATUS", own_people=True),
    "low_trust": Oddity(0.012, "TRUST_SCORE_LOW", own_people=True),
    "trust_score_null": Oddity(0.002, "TRUST_SCORE_LOW", own_people=True),
    "high_fraud": Oddity(0.008, "FRAUD_SCORE_HIGH", own_people=True),
    "recovered": Oddity(0.004, None, own_people=True),
    "suspended_later": Oddity(0.004, None, own_people=True),
    # Subjects and preferences.
    "reviewed_before": Oddity(0.02, "ALREADY_ANSWERED"),
    "reviewed_undated": Oddity(0.001, "ALREADY_ANSWERED"),
    "product_closed": Oddity(0.02, "SUBJECT_CLOSED", own_people=True),
    "product_unknown": Oddity(0.003, "SUBJECT_CLOSED", own_people=True),
    "opted_out": Oddity(0.02, "OPTED_OUT", own_people=True),
    "opted_out_of_program": Oddity(0.01, "OPTED_OUT", own_people=True),
    "opted_out_of_email": Oddity(0.01, "OPTED_OUT", own_people=True),
    "opted_out_undated": Oddity(0.001, "OPTED_OUT", own_people=True),
    "opted_out_elsewhere": Oddity(0.01, None, own_people=True),
    "opted_out_revoked": Oddity(0.006, None, own_people=True),
    "opted_out_later": Oddity(0.008, None, own_people=True),
    # Reach.
    "no_address": Oddity(0.05, "CHANNEL_INELIGIBLE", own_people=True),
    "zone_null": Oddity(0.02, None, own_people=True),
    "zone_invalid": Oddity(0.006, None, own_people=True),
}

UNREAD: Final = frozenset({"too_late", "date_and_arrival_null"})
"""Kinds that belong to no batch."""

_LEAST_PEOPLE: Final = 3


def casts(customers: int) -> Counter[str]:
    """How many of `customers` people are kept for each kind; the others are ordinary.

    As share of people and of deliveries are equal, weeks pass before one of them gets the next delivery: that keeps
    unplanned duplicates away.
    """
    own = {
        kind: max(_LEAST_PEOPLE, round(oddity.share * customers))
        for kind, oddity in ODDITIES.items()
        if oddity.own_people
    }
    ordinary = customers - sum(own.values())
    if ordinary < customers / 3:
        raise EngageError(
            f"customers={customers}: {sum(own.values())} people are needed for the oddities alone; take 200 or more"
        )
    return Counter(own | {ORDINARY: ordinary})


def assign(
    weeks: npt.NDArray[np.int64],
    rng: np.random.Generator,
    oddities: Mapping[str, Oddity] = ODDITIES,
    what: str = "orders",
) -> npt.NDArray[np.str_]:
    """A kind for each record, given the week of each: every kind at its share, and at least once, in every week."""
    kinds = np.full(len(weeks), ORDINARY, dtype="<U24")
    for week in np.unique(weeks):
        places = rng.permutation(np.flatnonzero(weeks == week))
        counts = [max(1, round(oddity.share * len(places))) for oddity in oddities.values()]
        if sum(counts) > len(places):
            raise EngageError(
                f"a week of the sample has {len(places)} {what}, too few to hold each of the {len(counts)} oddities "
                f"({sum(counts)} {what}); take more customers, or whole weeks of history and days"
            )
        kinds[places[: sum(counts)]] = np.repeat(list(oddities), counts)
    return kinds
