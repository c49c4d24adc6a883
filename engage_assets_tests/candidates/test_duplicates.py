"""The same customer and product again: which record survives."""

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from engage_assets.candidates.duplicates import refuse_duplicates
from engage_assets.domain.tables import CUSTOMERS
from engage_assets_tests.builders import a_customer, a_delivery, instant, rows_of
from engage_assets_tests.candidates.checking import checked, one_by_one

CUSTOMER_ROWS = rows_of(CUSTOMERS, a_customer(), a_customer(customer_id="c-2"))


def reasons(*deliveries):
    return one_by_one(refuse_duplicates(checked(*deliveries, customers=CUSTOMER_ROWS)))


def test_the_latest_record_survives_with_its_own_values():
    early = a_delivery(delivery_id="d-9", delivered_at=instant("2026-11-19 08:00"), order_id="o-9", order_value=9.0)
    found = refuse_duplicates(checked(early, a_delivery())).to_native().collect()
    survivor = found.filter(pl.col("reason").is_null()).row(0, named=True)
    assert (survivor["record_id"], survivor["order_id"], survivor["order_value"]) == ("d-1", "o-1", 42.5)
    assert found.filter(pl.col("reason") == "DUPLICATE")["record_id"].to_list() == ["d-9"]


def test_among_equals_the_greatest_record_id_survives_as_text():
    assert reasons(a_delivery(), a_delivery(delivery_id="d-9"), a_delivery(delivery_id="d-10")) == {
        "d-1": "DUPLICATE",
        "d-10": "DUPLICATE",
        "d-9": None,
    }


def test_without_an_instant_a_record_counts_as_midnight_of_its_day():
    day_before = a_delivery(delivery_id="d-2", delivered_at=instant("2026-11-18 23:59"))
    midnight = a_delivery(delivery_id="d-1", delivered_at=None)
    second = a_delivery(delivery_id="d-0", delivered_at=instant("2026-11-19 00:00:01"))
    assert reasons(day_before, midnight) == {"d-2": "DUPLICATE", "d-1": None}
    assert reasons(day_before, midnight, second) == {"d-2": "DUPLICATE", "d-1": "DUPLICATE", "d-0": None}


def test_only_records_that_keep_the_contract_compete():
    lost = a_delivery(delivery_id="d-9", delivered_at=instant("2026-11-19 23:00"), status="LOST")
    assert reasons(a_delivery(), lost) == {"d-1": None, "d-9": "NOT_DELIVERED"}


def test_another_customer_or_product_is_no_duplicate():
    others = [a_delivery(delivery_id="d-2", product_id="p-2"), a_delivery(delivery_id="d-3", customer_id="c-2")]
    assert reasons(a_delivery(), *others) == {"d-1": None, "d-2": None, "d-3": None}


DELIVERIES = st.lists(
    st.builds(
        lambda customer, product, hour, status: {
            "customer_id": customer,
            "product_id": product,
            "delivered_at": hour and instant(f"2026-11-19 {hour:02}:00"),
            "status": status,
        },
        st.sampled_from(["c-1", "c-2", "nobody"]),
        st.sampled_from(["p-1", "p-2"]),
        st.none() | st.integers(1, 3),
        st.sampled_from(["COMPLETED", "COMPLETED", "COMPLETED", "LOST"]),
    ),
    min_size=1,
    max_size=20,
)


@given(DELIVERIES, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_one_record_of_each_pair_survives_whatever_their_order(changes, chance):
    deliveries = [a_delivery(delivery_id=f"d-{n:02}", **change) for n, change in enumerate(changes)]
    found = reasons(*deliveries)
    good = [row for row in deliveries if row["status"] == "COMPLETED" and row["customer_id"] != "nobody"]
    best = {}
    for row in sorted(good, key=lambda row: (row["delivered_at"] or instant("2026-11-19"), row["delivery_id"])):
        best[row["customer_id"], row["product_id"]] = row["delivery_id"]
    assert sorted(name for name, reason in found.items() if reason is None) == sorted(best.values())
    assert sorted(found) == [row["delivery_id"] for row in deliveries]
    chance.shuffle(deliveries)
    assert reasons(*deliveries) == found
