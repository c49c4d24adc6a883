"""Filters: facts first, then verdicts. The room's face: `FILTERS`, `judge`, `not_evaluated`.

To add a filter: a spec in `domain.filter_specs`, a module with its clauses here, a row in `FILTERS`, a test.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import narwhals as nw

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.errors import ProgramFileError, WarehouseError
from engage_assets.domain.facts import Frame
from engage_assets.domain.filter_specs import EligibilityFilter, TrustParameters
from engage_assets.domain.program import Program
from engage_assets.filters.clauses import Clause, first_reason
from engage_assets.filters.eligibility import eligibility
from engage_assets.filters.engagement import engagement
from engage_assets.filters.facts import opted_out_of
from engage_assets.filters.frequency_cap import frequency_cap
from engage_assets.filters.geography import geographic
from engage_assets.filters.interests import interest_match
from engage_assets.filters.own import own_of
from engage_assets.filters.trust import trust

FILTERS: Final[Mapping[str, Callable[[Any, Program], list[Clause]]]] = {
    "trust": trust,
    "eligibility": eligibility,
    "engagement": engagement,
    "interest-match": interest_match,
    "geographic": geographic,
    "frequency-cap": frequency_cap,
}
"""The clauses of each filter, by filterId."""

_ELIGIBILITY: Final = EligibilityFilter(filter_id="eligibility", type="eligibility", order=1)
_KNOWN: Final = {"email": "email_known", "push": "push_known", "voice": "voice_allowed"}
"""The fact that says whether a channel can reach the customer."""


def refused_by(filter_id: str) -> str:
    """Name of the flag column of a filter."""
    return f"refused_by_{filter_id.replace('-', '_')}"


def _chain(program: Program) -> dict[str, list[Clause]]:
    """All clauses of each filter of the program, by filterId."""
    unknown = [spec.filter_id for spec in program.filters if spec.filter_id not in FILTERS]
    if unknown:
        raise ProgramFileError(
            f"filterChain of {program.program_id}: this version cannot evaluate {', '.join(unknown)}"
            f" (it knows {', '.join(FILTERS)}); remove the filter"
        )
    return {spec.filter_id: FILTERS[spec.filter_id](spec, program) for spec in program.filters}


def clauses_of(program: Program, available: frozenset[str]) -> dict[str, list[Clause]]:
    """By filterId, the clauses whose facts the deployment declares.

    Raises WarehouseError where a filter has none: it could not refuse anybody. Raises ProgramFileError for a
    filter that is not in FILTERS.
    """
    chain = _chain(program)
    kept = {name: [clause for clause in clauses if clause.needs <= available] for name, clauses in chain.items()}
    for name, clauses in kept.items():
        if not clauses:
            needs = sorted({need for clause in chain[name] for need in clause.needs} - available)
            raise WarehouseError(
                f"filter {name} of {program.program_id}: none of its clauses can be evaluated, as the warehouse"
                f" declares none of {', '.join(needs)}; bring one of these tables, or remove the filter"
            )
    return kept


def not_evaluated(program: Program, available: frozenset[str]) -> list[tuple[str, str]]:
    """Clauses that this deployment cannot evaluate: reason code, and the facts that are not declared."""
    lacking = (
        (clause.code, ", ".join(sorted(clause.needs - available)))
        for clauses in _chain(program).values()
        for clause in clauses
        if not clause.needs <= available
    )
    return list(dict.fromkeys(lacking))


def bars(facts: Frame, program: Program, available: frozenset[str]) -> Frame:
    """Add `reason`: the first clause that bars a send by what is known now; null where none does.

    `facts` are those of `join_changing`. Asked of every program, whichever filters it has; opting out is a matter of
    each channel, and asked there.
    """
    asked = [
        *own_of(program.source_table).trust(TrustParameters()),
        *eligibility(_ELIGIBILITY, program),
    ]
    return facts.with_columns(
        first_reason([one for one in asked if one.asked_again and one.needs <= available]).alias("reason")
    )


def judge(candidates: Frame, program: Program, available: frozenset[str]) -> Frame:
    """Add one `refused_by_<filter>` flag each, the first `reason` (null: accepted), quota and eligibility.

    All filters are evaluated in one pass; the reason is the first clause of the first filter in the chain's
    order that refuses (docs/decisions.md, 9). `candidates` carry the facts that `join_facts` added.
    """
    chain = clauses_of(program, available)
    # A null verdict means a fact is missing: refuse, never contact on a guess.
    flags = {
        refused_by(name): nw.any_horizontal(*(one.refuses.fill_null(True) for one in clauses), ignore_nulls=False)
        for name, clauses in chain.items()
    }
    reason = first_reason([clause for clauses in chain.values() for clause in clauses])
    judged = candidates.with_columns(
        *(flag.alias(name) for name, flag in flags.items()), reason.alias("reason"), *_eligibility(program, available)
    )
    return judged.with_columns(_quota_left(program).alias("quota_left"))


def _quota_left(program: Program) -> nw.Expr:
    """Requests that the cap still allows; null without a cap."""
    if program.cap is None:
        return nw.lit(None).cast(nw.Int64)
    left = nw.lit(program.cap.parameters.maximum) - nw.col("used")
    return nw.when(left > 0).then(left).otherwise(nw.lit(0)).cast(nw.Int64)


def _eligibility(program: Program, available: frozenset[str]) -> list[nw.Expr]:
    """`<channel>_eligible`: enabled, reachable as far as the deployment can tell, not opted out of it."""
    enabled = {channel.type for channel in program.enabled_channels}
    sources = {"email": "customers.email", "push": "customers.push_subscription", "voice": "customers.voice_allowed"}
    columns = []
    for channel in CHANNEL_TYPES:
        eligible = nw.lit(channel in enabled)
        if channel in enabled:
            eligible = ~nw.col(opted_out_of(channel)).fill_null(True)
            if channel in _KNOWN and sources[channel] in available:
                eligible &= nw.col(_KNOWN[channel]).fill_null(False)
        columns.append(eligible.alias(f"{channel.replace('-', '_')}_eligible"))
    return columns
