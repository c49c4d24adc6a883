"""Where customers take notifications, on both databases."""

import json
from datetime import datetime, timedelta

import pytest

from engage_assets.ledger.push_addresses import MOST, SqlPushSubscriptions

NOW = datetime.fromisoformat("2026-03-02 10:00")
MINUTE = timedelta(minutes=1)


def an_address(device: str, **more: object) -> str:
    return json.dumps({"endpoint": f"https://push.example/{device}", "keys": {"p256dh": "k", "auth": "a"}, **more})


@pytest.fixture
def addresses(ledger) -> SqlPushSubscriptions:
    return SqlPushSubscriptions(ledger.database)


def test_the_newest_come_first_and_who_has_none_is_left_out(addresses):
    for minute, device in enumerate(("desk", "telephone", "tablet")):
        addresses.keep("c-1", an_address(device), NOW + minute * MINUTE)
    addresses.keep("c-2", an_address("other"), NOW)
    found = addresses.of(["c-3", "c-2", "c-1", "c-1"])
    assert found == {
        "c-1": [an_address("tablet"), an_address("telephone"), an_address("desk")],
        "c-2": [an_address("other")],
    }
    assert addresses.of([]) == {}


def test_a_device_that_somebody_else_uses_now_is_his(addresses):
    addresses.keep("c-1", an_address("shared"), NOW)
    addresses.keep("c-2", an_address("shared", expirationTime=None), NOW + MINUTE)
    assert addresses.of(["c-1", "c-2"]) == {"c-2": [an_address("shared", expirationTime=None)]}


def test_what_is_gone_is_forgotten_until_the_browser_says_otherwise(addresses, ledger):
    addresses.keep("c-1", an_address("canary"), NOW)
    addresses.gone(an_address("canary", expirationTime=None), NOW + MINUTE)
    addresses.gone(an_address("never-seen"), NOW + MINUTE)
    assert addresses.of(["c-1"]) == {}
    with ledger.database.reading() as connection:
        kept = connection.exec_driver_sql("SELECT * FROM push_subscriptions").all()
    assert "canary" not in str(kept)
    addresses.keep("c-1", an_address("canary"), NOW + 2 * MINUTE)
    assert addresses.of(["c-1"]) == {"c-1": [an_address("canary")]}


def test_of_many_the_newest_are_kept(addresses):
    for number in range(MOST + 3):
        addresses.keep("c-1", an_address(f"d-{number}"), NOW + number * MINUTE)
    addresses.keep("c-2", an_address("other"), NOW)
    addresses.keep("c-1", an_address("d-3"), NOW + 60 * MINUTE)  # known, and used again
    kept = [json.loads(one)["endpoint"].rpartition("/")[2] for one in addresses.of(["c-1"])["c-1"]]
    assert kept == ["d-3", *(f"d-{number}" for number in reversed(range(4, MOST + 3)))]
    assert addresses.of(["c-2"])
