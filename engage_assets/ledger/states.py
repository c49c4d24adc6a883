"""The states of a send and the moves between them, planned to sent."""

from collections.abc import Mapping, Sequence
from typing import Final

from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Move

PLANNED: Final = "planned"
CLAIMED: Final = "claimed"
HANDED_OVER: Final = "handed_over"
IN_DOUBT: Final = "in_doubt"

MOVES: Final[dict[str, frozenset[str]]] = {
    PLANNED: frozenset({CLAIMED, "skipped", "held_out"}),
    # Back to planned: a lease that ended, or a stop. Nothing was handed over yet.
    CLAIMED: frozenset({PLANNED, HANDED_OVER, "failed", "skipped"}),
    HANDED_OVER: frozenset({"sent", "failed", IN_DOUBT}),
    # Only a person or the provider's event (or the owner itself, late) can say what became of it.
    IN_DOUBT: frozenset({"sent", "failed"}),
    "sent": frozenset(),
    "failed": frozenset(),
    "skipped": frozenset(),
    "held_out": frozenset(),
}
"""What may follow each state; nothing follows an end."""

ASKING: Final = frozenset({PLANNED, CLAIMED, "handed_over", "sent", "in_doubt"})
"""States of a send that asks its customer, or may have."""

ORDER: Final[dict[str, int]] = {state: place for place, state in enumerate(MOVES)}
"""Order of states that began at the same instant: a state stands before those that may follow it."""

_REASON_NEEDED: Final = frozenset({"skipped"})


SETTLED_ASKS: Final = ASKING - {PLANNED}
"""States of a send that is on its way, or was."""


def refuse_illegal(moves: Sequence[Move], present: Mapping[str, str]) -> None:
    """Raise EngageError unless each send is known and may make its move from its `present` state."""
    for to, reason in {(move.state, move.reason) for move in moves}:
        if to not in MOVES or to in (PLANNED, CLAIMED):
            movable = ", ".join(state for state in MOVES if state not in (PLANNED, CLAIMED))
            raise EngageError(
                f"a send cannot be moved to {to!r}: one of {movable} (plan, claim and release are calls of their own)"
            )
        if to in _REASON_NEEDED and not reason:
            raise EngageError(f"sends are moved to {to!r} without a reason; state why")
    faults = [
        f"send {move.send_id}: {present[move.send_id]} → {move.state}"
        if move.send_id in present
        else f"send {move.send_id}: unknown"
        for move in moves
        if move.state not in MOVES.get(present.get(move.send_id, ""), ())
    ]
    if faults:
        others = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise EngageError(f"{faults[0]}{others} cannot be moved; none of the {len(moves)} sends was")
