"""Eligibility: not answered or asked about the subject yet, the subject open, the customer not opted out."""

import narwhals as nw

from engage_assets.domain.filter_specs import EligibilityFilter
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES
from engage_assets.filters.clauses import Clause
from engage_assets.filters.facts import opted_out_of


def eligibility(spec: EligibilityFilter, program: Program) -> list[Clause]:  # noqa: ARG001 - filters are called alike
    """Clauses of the eligibility filter, in the order in which they give the reason."""
    source = SOURCES[program.source_table]
    answers, subjects = source.answers, source.subjects
    channels = [nw.col(opted_out_of(channel.type)) for channel in program.enabled_channels]
    everywhere = nw.all_horizontal(*channels, ignore_nulls=False) if channels else nw.lit(False)
    return [
        Clause("ALREADY_ANSWERED", {f"{answers.table.name}.{answers.at}"}, nw.col("was_answered"), asked_again=True),
        Clause("ALREADY_ASKED", {"send_events.send_id"}, nw.col("was_asked")),
        Clause(
            "SUBJECT_CLOSED",
            {f"{subjects.table.name}.{subjects.is_open}"},
            ~nw.col("subject_is_open"),
            asked_again=True,
        ),
        Clause("OPTED_OUT", {"given_opt_outs.customer_id"}, everywhere),
    ]
