"""Trust: a genuine customer in good standing, and a genuine purchase."""

import narwhals as nw

from engage_assets.domain.filter_specs import TrustFilter
from engage_assets.domain.program import Program
from engage_assets.filters.clauses import Clause


def trust(spec: TrustFilter, program: Program) -> list[Clause]:  # noqa: ARG001 - filters are called alike
    """Clauses of the trust filter for purchases, in the order in which they give the reason."""
    purchased = (
        nw.col("order_is_known")
        & ~nw.col("order_customer_id").is_null()
        & (nw.col("order_status") == "COMPLETED")
        & nw.col("order_has_subject")
    )
    return [
        Clause("TEST_ACCOUNT", {"customers.is_test"}, nw.col("is_test").fill_null(False)),
        Clause(
            "CUSTOMER_MISMATCH",
            {"orders.customer_id"},
            (nw.col("order_customer_id") != nw.col("customer_id")).fill_null(False),
        ),
        Clause(
            "NOT_PURCHASED",
            {"orders.customer_id", "orders.status", "order_items.product_id"},
            ~purchased.fill_null(False),
        ),
        Clause("RETURNED", {"returns.returned_at"}, nw.col("was_returned")),
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
