import itertools

import pytest

from engage_assets.domain.errors import WarehouseError
from engage_assets.filters import not_evaluated
from engage_assets_tests.builders import a_program
from engage_assets_tests.filters.worlds import AFTER, BEFORE, INSTANT, TICK, judged, refused_by


def trust_program(**parameters: float):
    return a_program(filterChain=[{"filterId": "trust", "type": "trust", "order": 1, "parameters": parameters}])


def test_a_genuine_purchase_is_accepted():
    verdict = judged()
    assert verdict["reason"] is None
    assert not verdict["refused_by_trust"]


@pytest.mark.parametrize(("is_test", "reason"), [(True, "TEST_ACCOUNT"), (False, None), (None, None)])
def test_test_accounts(is_test, reason):
    """The one fact whose absence passes."""
    assert refused_by(candidate={"is_test": is_test}) == reason


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ({"customer_id": "c-2"}, "CUSTOMER_MISMATCH"),
        ({"customer_id": "C-1"}, "CUSTOMER_MISMATCH"),
        ({"customer_id": " c-1"}, "CUSTOMER_MISMATCH"),
        ({"customer_id": "c-2", "status": "OPEN"}, "CUSTOMER_MISMATCH"),
        ({"customer_id": None}, "NOT_PURCHASED"),
        ({"status": "OPEN"}, "NOT_PURCHASED"),
        ({"status": "completed"}, "NOT_PURCHASED"),
        ({"status": None}, "NOT_PURCHASED"),
        ({"order_id": "o-2"}, "NOT_PURCHASED"),
        ([], "NOT_PURCHASED"),
        ({"ordered_at": AFTER}, None),
        ({"ordered_at": None}, None),
        ([{}, {"order_id": "o-2", "customer_id": "c-2"}], None),
    ],
)
def test_whose_order_it_is_and_whether_it_was_completed(orders, reason):
    assert refused_by(orders=orders) == reason


@pytest.mark.parametrize(
    ("orders", "reason"),
    [
        ([{}, {}], None),
        ([{}, {"ordered_at": None}], None),
        ([{}, {"status": "OPEN"}], "NOT_PURCHASED"),
        ([{}, {"status": None}], "NOT_PURCHASED"),
        ([{}, {"customer_id": "c-2"}], "NOT_PURCHASED"),
        ([{"customer_id": "c-3"}, {"customer_id": "c-2"}], "NOT_PURCHASED"),
    ],
)
def test_an_order_that_contradicts_itself_states_nothing(orders, reason):
    assert refused_by(orders=orders) == reason


@pytest.mark.parametrize(
    ("order_items", "reason"),
    [
        ({"product_id": "p-2"}, "NOT_PURCHASED"),
        ({"order_id": "o-2"}, "NOT_PURCHASED"),
        ([], "NOT_PURCHASED"),
        ([{}, {}], None),
        ([{}, {"quantity": 5}, {"product_id": "p-2"}], None),
    ],
)
def test_whether_the_order_holds_the_product(order_items, reason):
    assert refused_by(order_items=order_items) == reason


@pytest.mark.parametrize(
    ("returns", "reason"),
    [
        ({"returned_at": BEFORE}, "RETURNED"),
        ({"returned_at": INSTANT}, "RETURNED"),
        ({"returned_at": None}, "RETURNED"),
        ([{"returned_at": AFTER}, {"returned_at": BEFORE}], "RETURNED"),
        ({"returned_at": INSTANT + TICK}, None),
        ({"product_id": "p-2"}, None),
        ({"order_id": "o-2"}, None),
    ],
)
def test_returns_up_to_the_batch_instant(returns, reason):
    assert refused_by(returns=returns) == reason


@pytest.mark.parametrize(
    ("trust", "reason"),
    [
        ({"account_status": "suspended"}, "ACCOUNT_STATUS"),
        ({"account_status": "closed"}, "ACCOUNT_STATUS"),
        ({"account_status": "Active"}, "ACCOUNT_STATUS"),
        ({"account_status": None}, "ACCOUNT_STATUS"),
        ([], "ACCOUNT_STATUS"),
        ({"customer_id": "c-2"}, "ACCOUNT_STATUS"),
        ({"known_at": INSTANT + TICK}, "ACCOUNT_STATUS"),
        ({"known_at": INSTANT}, None),
        ({"trust_score": 0.499999}, "TRUST_SCORE_LOW"),
        ({"trust_score": None}, "TRUST_SCORE_LOW"),
        ({"trust_score": 0.5}, None),
        ({"fraud_score": 0.500001}, "FRAUD_SCORE_HIGH"),
        ({"fraud_score": None}, "FRAUD_SCORE_HIGH"),
        ({"fraud_score": 0.5}, None),
    ],
)
def test_standing_of_the_account(trust, reason):
    assert refused_by(customer_trust=trust) == reason


def test_thresholds_may_be_set_in_the_program():
    strict, lenient = trust_program(minTrustScore=0.9, maxFraudScore=0.05), trust_program(maxFraudScore=0.9)
    assert refused_by(program=strict) == "TRUST_SCORE_LOW"
    assert refused_by(program=strict, customer_trust={"trust_score": 0.9}) == "FRAUD_SCORE_HIGH"
    assert refused_by(program=strict, customer_trust={"trust_score": 0.9, "fraud_score": 0.05}) is None
    assert refused_by(program=lenient, customer_trust={"fraud_score": 0.9}) is None


@pytest.mark.parametrize(
    ("versions", "reason"),
    [
        ([{"account_status": "suspended", "known_at": BEFORE - TICK}, {}], None),
        ([{}, {"account_status": "suspended", "known_at": INSTANT}], "ACCOUNT_STATUS"),
        ([{}, {"account_status": "suspended", "known_at": INSTANT + TICK}], None),
        ([{}, {"trust_score": None, "known_at": INSTANT}], "TRUST_SCORE_LOW"),
    ],
)
def test_the_latest_version_known_at_the_batch_instant_counts(versions, reason):
    assert refused_by(customer_trust=versions) == reason


@pytest.mark.parametrize(
    ("tied", "reason"),
    [
        ([{}, {"account_status": "closed"}], "ACCOUNT_STATUS"),
        ([{}, {"account_status": None}], "ACCOUNT_STATUS"),
        ([{}, {"account_status": "aborted"}], None),
        ([{}, {"account_status": "activ"}], None),
        ([{}, {"account_status": "active!"}], None),
        ([{}, {"account_status": 'active"'}], "ACCOUNT_STATUS"),
        ([{}, {"fraud_score": 0.9}], "FRAUD_SCORE_HIGH"),
        ([{}, {"fraud_score": None}], "FRAUD_SCORE_HIGH"),
        ([{"fraud_score": 0.00001}, {"fraud_score": 1.0}], "FRAUD_SCORE_HIGH"),
        ([{}, {"trust_score": 0.1}], None),
        ([{}, {"trust_score": None}], "TRUST_SCORE_LOW"),
        # account_status stands before fraud_score, and fraud_score before trust_score, in the row's JSON.
        ([{"account_status": "closed", "fraud_score": 0.0}, {"fraud_score": 0.9}], "ACCOUNT_STATUS"),
        ([{"fraud_score": 0.2, "trust_score": 0.1}, {"trust_score": 1.0}], "TRUST_SCORE_LOW"),
        ([{}, {}, {"account_status": None, "fraud_score": 0.0}], "ACCOUNT_STATUS"),
    ],
)
def test_versions_of_one_instant_the_greater_as_canonical_json_counts(tied, reason):
    assert {refused_by(customer_trust=list(rows)) for rows in itertools.permutations(tied)} == {reason}


def test_the_first_failing_clause_gives_the_reason():
    faults = {
        "TEST_ACCOUNT": {"candidate": {"is_test": True}},
        "CUSTOMER_MISMATCH": {"orders": {"customer_id": "c-2"}},
        "NOT_PURCHASED": {"order_items": []},
        "RETURNED": {"returns": {}},
        "ACCOUNT_STATUS": {"customer_trust": {"account_status": "closed", "trust_score": 0.1, "fraud_score": 0.9}},
        "TRUST_SCORE_LOW": {"customer_trust": {"trust_score": 0.1, "fraud_score": 0.9}},
        "FRAUD_SCORE_HIGH": {"customer_trust": {"fraud_score": 0.9}},
    }
    changes: dict = {}
    for code, fault in reversed(faults.items()):
        changes |= fault
        assert refused_by(**changes) == code


@pytest.mark.parametrize(
    ("changes", "codes"),
    [
        ({"lacks": ("customers.is_test",), "candidate": {"is_test": None}}, ["TEST_ACCOUNT"]),
        ({"orders": None}, ["CUSTOMER_MISMATCH", "NOT_PURCHASED"]),
        ({"lacks": ("orders.status",)}, ["NOT_PURCHASED"]),
        ({"order_items": None}, ["NOT_PURCHASED"]),
        ({"returns": None}, ["RETURNED"]),
        ({"customer_trust": None}, ["ACCOUNT_STATUS", "TRUST_SCORE_LOW", "FRAUD_SCORE_HIGH"]),
        ({"lacks": ("customer_trust.trust_score",)}, ["TRUST_SCORE_LOW"]),
        (
            {
                "lacks": tuple(f"customer_trust.{name}" for name in ("account_status", "trust_score", "fraud_score")),
                "customer_trust": [{}, {"known_at": INSTANT}],
            },
            ["ACCOUNT_STATUS", "TRUST_SCORE_LOW", "FRAUD_SCORE_HIGH"],
        ),
    ],
)
def test_what_no_table_declares_is_not_evaluated(changes, codes):
    """Neither refused on a guess nor invented: the clause is named, and the others still refuse."""
    verdict = judged(**changes)
    assert (verdict["reason"], verdict["rows"]) == (None, 1)
    told = [code for code, _ in not_evaluated(a_program(), verdict["available"])]
    assert told == codes


def test_a_filter_without_any_clause_is_an_error():
    nothing = dict.fromkeys(("orders", "order_items", "returns", "customer_trust"))
    with pytest.raises(WarehouseError) as error:
        judged(**nothing, lacks=("customers.is_test",))
    for part in ("trust", "product-reviews", "customer_trust.trust_score", "orders.status", "returns.returned_at"):
        assert part in str(error.value)
    assert judged(**nothing)["reason"] is None, "one clause is enough"


def test_a_filter_that_purchases_do_not_have_is_an_error():
    engagement = {
        "filterId": "engagement",
        "type": "business-rule",
        "order": 9,
        "parameters": {"minEngagementScore": 0.5},
    }
    with pytest.raises(WarehouseError, match=r"engagement of product-reviews.*deliveries\.engagement_score"):
        judged(program=a_program(filterChain=[engagement]))
