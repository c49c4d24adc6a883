"""Profiles of views: what they count, when a contract is broken, and when a spread has drifted."""

from datetime import datetime, timedelta

import numpy as np
import polars as pl
import pytest

from engage_assets.domain.feature_views import FeatureView
from engage_assets.features.profile import ViewProfile, contract_faults, drift, profile

NOW = datetime.fromisoformat("2026-06-01T02:00")
VIEW = FeatureView.model_validate(
    {
        "view": "standing",
        "description": "x",
        "entity": "customer",
        "query": "SELECT customer_id, event_at, known_at, trust, tier FROM standing",
        "freshness": "2d",
        "features": [
            {"name": "trust", "description": "x", "minimum": 0, "maximum": 1, "mostMissing": 0.25},
            {"name": "tier", "type": "text", "description": "x"},
        ],
    }
)


def rows(*instants):
    schema = {"_key": pl.String, "_event": pl.Datetime("us"), "_known": pl.Datetime("us")}
    return pl.LazyFrame([("ann", at, at) for at in instants], schema=schema, orient="row")


def values(trust, tier=None):
    found = pl.DataFrame(
        {"trust": trust, "tier": tier or ["gold"] * len(trust)}, schema={"trust": pl.Float64, "tier": pl.String}
    )
    flags = [pl.col(name).is_null().alias(f"{name}_missing") for name in found.columns]
    return found.with_columns(flags).lazy()


def a_profile(trust, tier=None, *, at=(NOW,), before=None):
    return profile(VIEW, rows(*at), values(trust, tier), as_of=NOW, before=before)


def test_a_profile_counts_what_was_known_by_then():
    at = (NOW - timedelta(days=1), NOW, NOW + timedelta(microseconds=1), None)
    found = a_profile([0.1, 0.2, None, 1.5], ["gold", "tin", "gold", None], at=at)
    assert (found.rows, found.last_known_at) == (2, NOW)
    trust, tier = found.features["trust"], found.features["tier"]
    assert (trust.missing, trust.outside, trust.minimum, trust.maximum, sum(trust.counts)) == (1, 1, 0.1, 1.5, 4)
    assert (tier.bins, tier.counts) == (("gold", "tin"), (2, 1, 0, 1))
    assert ViewProfile.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"trust": [0.1, None, None, 0.2]}, ["trust: nothing is known of 50.0% (at most 25.0%)"]),
        ({"trust": [0.1, 1.1, -0.1, 1.0]}, ["trust: 2 values outside 0.0 to 1.0"]),
        (
            {"at": [NOW - timedelta(days=2, microseconds=1)]},
            ["standing: nothing became known since 2026-05-30 01:59 UTC (at most 2 days, 0:00:00 ago)"],
        ),
        ({"at": []}, ["standing: nothing became known at all (at most 2 days, 0:00:00 ago)"]),
    ],
)
def test_a_broken_contract_is_told(changes, expected):
    assert contract_faults(VIEW, a_profile(**{"trust": [0.1, 0.2, 0.3, None], **changes})) == expected


def drifts(now, before):
    first = a_profile(before)
    return {one.feature: one for one in drift(a_profile(now, before=first), first)}


def test_drift_is_told_apart_from_chance():
    chance = np.random.default_rng(7)
    before = chance.random(3000)
    assert not drifts(chance.random(3000), before)["trust"].has_drifted
    assert drifts(chance.random(3000) * 0.7, before)["trust"].has_drifted
    alarms = sum(drifts(chance.random(40), chance.random(40))["trust"].has_drifted for _ in range(200))
    assert alarms <= 8  # a hundredth by chance, though the index of so few is often above 0.2
    assert sum(drifts(chance.random(40), chance.random(40))["trust"].index > 0.2 for _ in range(50)) > 25


def test_what_is_missing_counts_as_drift():
    before = [place / 400 for place in range(400)]
    now = [None if place % 3 == 0 else value for place, value in enumerate(before)]
    assert drifts(now, before)["trust"].has_drifted


def test_other_bins_do_not_compare():
    assert [one.feature for one in drift(a_profile([0.5, 0.6]), a_profile([0.1, 0.2]))] == ["tier"]
