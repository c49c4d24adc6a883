"""The states of a send and the moves between them, planned to sent."""

from collections.abc import Mapping
from typing import Final

from engage_assets.domain.errors import EngageError

PLANNED: Final = "planned"
CLAIMED: Final = "claimed"

MOVES: Final[dict[str, frozenset[str]]] = {
    PLANNED: frozenset({CLAIMED, "skipped", "held_out"}),
    # A sender that broke off leaves its sends claimed: nobody can tell whether they went out, hence in_doubt.
    CLAIMED: frozenset({"handed_over", "failed", "in_doubt", "skipped"}),
    "handed_over": frozenset({"sent", "failed", "in_doubt"}),
    "sent": frozenset(),
    "failed": frozenset(),
    "in_doubt": frozenset(),
    "skipped": frozenset(),
    "held_out": frozenset(),
}
"""What may follow each state; nothing follows an end."""

ASKING: Final = frozenset({PLANNED, CLAIMED, "handed_over", "sent", "in_doubt"})
"""States of a send that asks its customer, or may have."""

ORDER: Final[dict[str, int]] = {state: place for place, state in enumerate(MOVES)}
"""Order of states that began at the same instant: a state stands before those that may follow it."""

_REASON_NEEDED: Final = frozenset({"skipped"})


def refuse_illegal(send_ids: list[str], present: Mapping[str, str], to: str, reason: str | None) -> None:
    """Raise EngageError unless each send is known and may move from its `present` state to `to`."""
    if to not in MOVES or to in (PLANNED, CLAIMED):
        movable = ", ".join(state for state in MOVES if state not in (PLANNED, CLAIMED))
        raise EngageError(f"a send cannot be moved to {to!r}: one of {movable} (plan and claim are calls of their own)")
    if to in _REASON_NEEDED and not reason:
        raise EngageError(f"sends are moved to {to!r} without a reason; state why")
    faults = [
        f"send {send_id}: {present[send_id]} → {to}" if send_id in present else f"send {send_id}: unknown"
        for send_id in send_ids
        if to not in MOVES.get(present.get(send_id, ""), ())
    ]
    if faults:
        others = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise EngageError(f"{faults[0]}{others} cannot be moved; none of the {len(send_ids)} sends was")
