"""Trust: a genuine customer in good standing, and a genuine record of what happened."""

import narwhals as nw

from engage_assets.domain.filter_specs import TrustFilter
from engage_assets.domain.program import Program
from engage_assets.filters.clauses import Clause
from engage_assets.filters.own import own_of


def trust(spec: TrustFilter, program: Program) -> list[Clause]:
    """Clauses of the trust filter, in the order in which they give the reason; the source's own come second."""
    return [
        Clause("TEST_ACCOUNT", {"customers.is_test"}, nw.col("is_test").fill_null(False)),
        *own_of(program.source_table).trust(spec.parameters),
        Clause("ACCOUNT_STATUS", {"customer_trust.account_status"}, nw.col("account_status") != "active"),
        Clause(
            "TRUST_SCORE_LOW",
            {"customer_trust.trust_score"},
            nw.col("trust_score") < spec.parameters.min_trust_score,
        ),
        Clause(
            "FRAUD_SCORE_HIGH",
            {"customer_trust.fraud_score"},
            nw.col("fraud_score") > spec.parameters.max_fraud_score,
        ),
    ]
