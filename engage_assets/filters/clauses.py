"""A clause: one question that a filter asks, with the reason that it gives and the facts that it needs."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import narwhals as nw


@dataclass(frozen=True)
class Clause:
    """True where it refuses, null where the fact is missing (and so refuses)."""

    code: str
    needs: AbstractSet[str]
    """`table.column` of every fact; a clause is evaluated only where the deployment declares all of them."""
    refuses: nw.Expr
    asked_again: bool = False
    """Whether it bars the send too, by what is known then."""


def first_reason(clauses: list[Clause]) -> nw.Expr:
    """The code of the first clause that refuses; null where none does."""
    reason = nw.lit(None).cast(nw.String)
    for clause in reversed(clauses):
        reason = nw.when(clause.refuses.fill_null(True)).then(nw.lit(clause.code)).otherwise(reason)
    return reason
