"""The contract of a delivery: one good record, one field changed, the reason named."""

from datetime import date

import polars as pl
import pytest

from engage_assets.domain.reasons import REASONS
from engage_assets.domain.tables import CUSTOMERS
from engage_assets_tests.builders import a_customer, a_delivery, a_program, instant, rows_of
from engage_assets_tests.candidates.checking import SOURCE, checked, one_by_one, the_one


def test_the_good_delivery_is_a_candidate():
    found = the_one()
    assert found == {
        "record_id": "d-1",
        "customer_id": "c-1",
        "marketplace": "DE",
        "subject_type": "product",
        "subject_id": "p-1",
        "event_at": instant("2026-11-19 14:30"),
        "time_zone": "Europe/Vienna",
        "locale": "de-AT",
        "is_test": False,
        "email_known": True,
        "push_known": False,
        "voice_allowed": None,
        "is_late": False,
        "connector_id": "athena-deliveries",
        "created_at": instant("2026-11-20 02:00"),
        "expires_at": instant("2026-12-20 02:00"),
        "order_id": "o-1",
        "order_value": 42.5,
        "reason": None,
    }
    assert list(found) == [*(column.name for column in SOURCE.candidate_columns), "reason"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"delivery_id": None}, "KEY_MISSING"),
        ({"order_id": ""}, "KEY_MISSING"),
        ({"customer_id": " "}, "KEY_MISSING"),
        ({"product_id": "\t\u00a0"}, "KEY_MISSING"),
        ({"delivery_date": None}, "DATE_INVALID"),
        ({"delivery_date": date(1999, 12, 31)}, "DATE_INVALID"),
        ({"delivery_date": date(2000, 1, 1)}, None),
        ({"delivery_date": date(2026, 11, 20)}, None),  # the day of the batch instant
        ({"delivery_date": date(2026, 11, 21)}, "DATE_INVALID"),
        ({"delivered_at": None}, None),
        ({"delivered_at": instant("1999-12-31 23:59:59.999999")}, "DATE_INVALID"),
        ({"delivered_at": instant("2000-01-01 00:00")}, None),
        ({"delivered_at": instant("2026-11-20 02:00")}, None),
        ({"delivered_at": instant("2026-11-20 02:00:00.000001")}, "DATE_INVALID"),
        ({"delivered_at": instant("0001-01-01 00:00")}, "DATE_INVALID"),  # the connector could not read it
        ({"order_value": -0.01}, "VALUE_INVALID"),
        ({"order_value": float("inf")}, "VALUE_INVALID"),
        ({"order_value": float("-inf")}, "VALUE_INVALID"),
        ({"order_value": 1.7e308}, None),
        ({"order_value": 0.0}, None),
        ({"order_value": None}, None),
        ({"status": "completed"}, "NOT_DELIVERED"),
        ({"status": " COMPLETED"}, "NOT_DELIVERED"),
        ({"status": "RETURNED"}, "NOT_DELIVERED"),
        ({"status": None}, "NOT_DELIVERED"),
        ({"customer_id": "c-2"}, "UNKNOWN_CUSTOMER"),
        ({"customer_id": "c-1 "}, "UNKNOWN_CUSTOMER"),  # keys are never trimmed for matching
        ({"arrived_at": None}, None),
    ],
)
def test_one_changed_field(changes, reason):
    assert the_one(**changes)["reason"] == reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"marketplace": "IN"}, "UNKNOWN_MARKETPLACE"),  # a marketplace, but not the program's
        ({"marketplace": "de"}, "UNKNOWN_MARKETPLACE"),
        ({"marketplace": None}, "UNKNOWN_MARKETPLACE"),
        ({"marketplace": "JP"}, None),
        ({"is_test": True}, None),  # the trust filter's business
        ({"is_test": None}, None),
        ({"email": None}, None),
    ],
)
def test_one_changed_field_of_the_customer(changes, reason):
    assert the_one(customers=rows_of(CUSTOMERS, a_customer(**changes)))["reason"] == reason


def test_the_first_broken_rule_in_the_documented_order_is_the_reason():
    breaks = {
        "KEY_MISSING": {"order_id": None},
        "DATE_INVALID": {"delivery_date": None},
        "VALUE_INVALID": {"order_value": -1.0},
        "NOT_DELIVERED": {"status": "LOST"},
        "UNKNOWN_CUSTOMER": {"customer_id": "nobody"},
    }
    assert (*breaks, "UNKNOWN_MARKETPLACE") == REASONS["contract"]
    abroad = rows_of(CUSTOMERS, a_customer(marketplace="IN"))
    assert the_one(customers=abroad)["reason"] == "UNKNOWN_MARKETPLACE"
    for first in range(len(breaks)):
        changes = {field: value for rule in list(breaks.values())[first:] for field, value in rule.items()}
        assert the_one(customers=abroad, **changes)["reason"] == list(breaks)[first]


# --- whose is it ----------------------------------------------------------------------------------


def test_a_customer_whose_rows_contradict_each_other_is_unknown():
    twice = rows_of(CUSTOMERS, a_customer(), a_customer(marketplace="US"), a_customer(customer_id="c-2"))
    found = one_by_one(checked(a_delivery(), a_delivery(delivery_id="d-2", customer_id="c-2"), customers=twice))
    assert found == {"d-1": "UNKNOWN_CUSTOMER", "d-2": None}


@pytest.mark.parametrize("field", ["time_zone", "locale", "is_test", "email", "voice_allowed"])
def test_any_fact_may_contradict(field):
    other = {"time_zone": "Asia/Tokyo", "locale": "en-US", "is_test": True, "email": None, "voice_allowed": True}[field]
    twice = rows_of(CUSTOMERS, a_customer(), a_customer(**{field: other}))
    assert the_one(customers=twice)["reason"] == "UNKNOWN_CUSTOMER"


def test_rows_that_repeat_each_other_are_one_customer():
    found = checked(a_delivery(), customers=rows_of(CUSTOMERS, a_customer(), a_customer()))
    assert one_by_one(found) == {"d-1": None}


def test_a_customer_without_a_key_is_nobodys():
    nobody = rows_of(CUSTOMERS, a_customer(customer_id=None))
    assert the_one(customers=nobody, customer_id=None)["reason"] == "KEY_MISSING"
    assert the_one(customers=nobody)["reason"] == "UNKNOWN_CUSTOMER"


@pytest.mark.parametrize(
    ("time_zone", "expected"),
    [
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("UTC", "UTC"),
        (None, "Europe/Berlin"),
        ("", "Europe/Berlin"),
        ("Europe/Atlantis", "Europe/Berlin"),
        ("europe/vienna", "Europe/Berlin"),
        ("localtime", "Europe/Berlin"),  # the zone of whatever machine runs the batch
        ("Factory", "Europe/Berlin"),
    ],
)
def test_an_unknown_zone_is_the_marketplaces(time_zone, expected):
    found = the_one(customers=rows_of(CUSTOMERS, a_customer(time_zone=time_zone)))
    assert (found["time_zone"], found["reason"]) == (expected, None)


@pytest.mark.parametrize(
    ("locale", "expected"), [("ja-JP", "ja-JP"), ("fr", "fr"), (None, "de-DE"), ("", "de-DE"), (" ", "de-DE")]
)
def test_an_unknown_locale_is_the_marketplaces(locale, expected):
    assert the_one(customers=rows_of(CUSTOMERS, a_customer(locale=locale)))["locale"] == expected


def test_a_record_that_is_refused_keeps_the_marketplace_where_it_is_known():
    found = the_one(status="LOST")
    assert (found["marketplace"], found["customer_id"], found["subject_id"]) == ("DE", "c-1", "p-1")
    assert the_one(customer_id="nobody")["marketplace"] is None


@pytest.mark.parametrize(
    ("email", "known"), [("ada@example.invalid", True), (None, False), ("", False), (" \t", False)]
)
def test_only_whether_there_is_an_address_is_kept(email, known):
    found = the_one(customers=rows_of(CUSTOMERS, a_customer(email=email)))
    assert found["email_known"] is known
    assert "ada@example.invalid" not in map(str, found.values())


def test_facts_that_the_deployment_does_not_declare_are_null_and_refuse_nobody():
    bare = rows_of(CUSTOMERS, a_customer()).select("customer_id", "marketplace")
    found = the_one(customers=bare)
    assert found["reason"] is None
    assert (found["time_zone"], found["locale"]) == ("Europe/Berlin", "de-DE")
    facts = ("is_test", "email_known", "push_known", "voice_allowed")
    assert [found[fact] for fact in facts] == [None] * 4


def test_event_without_an_instant_is_midnight_of_its_day():
    assert the_one(delivered_at=None)["event_at"] == instant("2026-11-19 00:00")


def test_the_programs_ttl_counts_from_the_batch_instant():
    found = the_one(program=a_program(candidateTTLDays=1, batchSchedule="cron(30 5 * * ? *)"))
    assert (found["created_at"], found["expires_at"]) == (instant("2026-11-20 05:30"), instant("2026-11-21 05:30"))


def test_every_record_comes_back_once():
    deliveries = [a_delivery(delivery_id=f"d-{n}", customer_id=f"c-{n % 3}") for n in range(9)]
    customers = rows_of(
        CUSTOMERS, *(a_customer(customer_id=f"c-{n}") for n in (1, 1, 2)), a_customer(customer_id="c-9")
    )
    found = checked(*deliveries, customers=customers).to_native().collect()
    assert sorted(found["record_id"]) == [f"d-{n}" for n in range(9)]
    assert found["reason"].to_list().count("UNKNOWN_CUSTOMER") == 3
    assert found.schema["reason"] == pl.String
