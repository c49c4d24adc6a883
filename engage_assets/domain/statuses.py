"""Statuses of a candidate, and which may follow which (spec: one status vocabulary)."""

from typing import Final

ACTIVE: Final = "active"
RANK: Final[dict[str, int]] = {
    ACTIVE: 0,
    "delivered": 1,
    "consumed": 2,
    "wait_listed": 2,
    "registered": 3,
    "cancelled": 3,
    "attended": 4,
    "no_show": 4,
    "suppressed": 5,
    "expired": 5,
}
"""A status may only be followed by one of a higher rank; a registration may also be cancelled and made again, and who
was taken for a no-show turn out to have come."""
SERVED: Final = frozenset({ACTIVE, "delivered"})
"""Statuses in which a candidate may still be contacted on demand."""
REGISTERED: Final = frozenset({"registered", "wait_listed", "cancelled", "attended", "no_show"})
"""Statuses that GetRegisteredCandidates knows."""
ASKED_BY: Final[dict[str, frozenset[str]]] = {
    "email": frozenset({ACTIVE}),
    "in-app": frozenset({ACTIVE, "delivered"}),
    "push": frozenset({"registered"}),
    "voice": frozenset({ACTIVE, "delivered"}),
}
"""In which statuses a channel takes a candidate at the send."""
_AGAIN: Final = frozenset(
    {("cancelled", "registered"), ("cancelled", "wait_listed"), ("registered", "cancelled"), ("no_show", "attended")}
)


def may_follow(present: str, following: str) -> bool:
    """Whether a candidate of status `present` may become `following`."""
    return RANK[following] > RANK[present] or (present, following) in _AGAIN
