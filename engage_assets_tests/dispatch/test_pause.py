"""The automatic pause: its error rate over all looks is computed exactly, not simulated."""

from math import comb

import numpy as np
import pytest

from engage_assets.dispatch.pause import BOUNCE_LIMIT, COMPLAINT_LIMIT, NEEDED, evidence, verdict


def ever_paused(rate, sends, is_paused):
    """Probability that a campaign with this true rate is paused at any of its first `sends` sends, a look after each.

    `is_paused(n, k)` must be monotone in k, and its first k must not fall with n.
    """
    alive, first, gone = np.array([1.0]), 1, 0.0
    for sent in range(1, sends + 1):
        while first <= sent and not is_paused(sent, first):
            first += 1
        alive = np.append(alive * (1 - rate), 0) + np.append(0, alive * rate)
        gone += alive[first:].sum()
        alive = alive[:first]
    return gone


def by_evidence(limit):
    return lambda sent, count: evidence(sent, count, limit) >= NEEDED


def tail(sent, count, limit):
    """P(at least `count` of `sent`): what an exact bound for one look asks to be at most 5 %."""
    return 1 - sum(comb(sent, k) * limit**k * (1 - limit) ** (sent - k) for k in range(count))


@pytest.mark.parametrize(
    ("rate", "limit", "at_most"),
    [
        (0.05, BOUNCE_LIMIT, 0.05),
        (0.02, BOUNCE_LIMIT, 0.0001),
        (0.001, COMPLAINT_LIMIT, 0.05),
        (0.0005, COMPLAINT_LIMIT, 0.0003),
    ],
)
def test_a_campaign_of_50000_within_its_limits_is_hardly_ever_paused(rate, limit, at_most):
    # Of bounces the first 10,000, for speed.
    sends = 50_000 if limit == COMPLAINT_LIMIT else 10_000

    assert ever_paused(rate, sends, by_evidence(limit)) <= at_most


@pytest.mark.parametrize(
    ("rate", "limit", "sends"),
    [(0.10, BOUNCE_LIMIT, 500), (0.07, BOUNCE_LIMIT, 3_000), (0.005, COMPLAINT_LIMIT, 5_000)],
)
def test_a_campaign_above_a_limit_is_paused_soon(rate, limit, sends):
    assert ever_paused(rate, sends, by_evidence(limit)) >= 0.94


def test_a_bound_for_one_look_would_not_hold_for_many():
    by_one_look = ever_paused(0.05, 400, lambda sent, count: tail(sent, count, 0.05) <= 0.05)

    assert by_one_look > 0.2
    assert ever_paused(0.05, 400, by_evidence(0.05)) < 0.05


def test_the_sum_is_the_integral():
    sent, count, limit, weight = 60, 7, 0.05, 20
    rates = np.linspace(limit, 1, 2_000_001)[:-1]
    prior = weight * (1 - rates) ** (weight - 1) / (1 - limit) ** weight
    ratio = (rates / limit) ** count * ((1 - rates) / (1 - limit)) ** (sent - count)

    assert evidence(sent, count, limit) == pytest.approx(np.trapezoid(prior * ratio, rates), rel=1e-5)


@pytest.mark.parametrize(
    ("sent", "bounces", "complaints", "is_paused"),
    [
        (0, 0, 0, False),
        (3, 3, 0, False),
        (4, 4, 0, True),
        (100, 12, 0, False),
        (100, 13, 0, True),
        (50_000, 2_500, 50, False),
        (50_000, 2_700, 0, True),
        (100, 0, 3, False),
        (100, 0, 4, True),
        (50_000, 0, 72, False),
        (50_000, 0, 73, True),
    ],
)
def test_at_any_size(sent, bounces, complaints, is_paused):
    assert (verdict(sent, bounces, complaints) is not None) == is_paused


def test_it_says_the_arithmetic():
    assert verdict(300, 31, 0) == (
        "31 bounces of 300 sent = 10.33%, above the limit of 5.0% with 95 % confidence:"
        " 329 times as likely above it as at it (20 times is the line)"
    )
