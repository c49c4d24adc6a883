"""What a model cannot tell, in words: every card says it."""

from collections.abc import Sequence
from typing import Final

from engage_assets.scoring.slices import Slice
from engage_assets.scoring.trained_model import FEWEST_EXPLORED

UNASKED: Final = {
    "answered": "reviewed",
    "liked": "liked_unasked",
    "reviewed": "reviewed",
    "interested": "interested_unasked",
    "attended": "attended_unasked",
}
"""By label what stands for it while a program has sent too little: what people did whom nobody asked."""


def limits_of(*, label: str, explored_rows: int, slices: Sequence[Slice]) -> tuple[str, ...]:
    """The limits of a model with the label `label`; `explored_rows`: judged rows that were drawn at random."""
    causes = "Only a holdout drawn at random shows what requests cause."
    later = "drift of scores, calibration and defaults of features are checked for every partition."
    unjudged = [one.name for one in slices if not one.is_judged]
    return (
        _claim(label, causes),
        _selection(label, explored_rows),
        *([f"It is not judged by itself for {', '.join(unjudged)}: too few rows."] if unjudged else []),
        f"Its figures are of the rows that it was judged on. What is scored later may differ: {later}",
    )


def _claim(label: str, causes: str) -> str:
    if label.startswith("liked"):
        return "It says who likes it among those who answer. Who does not answer may think otherwise."
    if label.startswith(("interested", "attended")):
        does = "comes" if label.startswith("attended") else "clicks or registers"
        return f"It says who {does}, not whom an invitation moves to. {causes}"
    return f"It says who answers, not whom a request moves to answer. {causes}"


def _selection(label: str, explored_rows: int) -> str:
    if label in UNASKED.values():
        return (
            "It learned from customers whom nobody asked. Those who answer unasked may not be those who answer when"
            " asked."
        )
    if explored_rows < FEWEST_EXPLORED:
        return (
            "It learned from sends to customers whom an earlier model chose, and is judged on such. Of rows drawn at"
            f" random there are {explored_rows:,}, fewer than {FEWEST_EXPLORED}: of customers ranked low its figures"
            " say little. explorationShare in the program file draws more."
        )
    return (
        "It learned mostly from sends to customers whom an earlier model chose. Its figures for rows drawn at random"
        f" ({explored_rows:,}) are free of that choice."
    )
