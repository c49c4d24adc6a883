"""Counting and rounding: exact ratios of integers, rounded once, half up."""

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

from engage_assets_tests.summaries.naive_events import Event


def users(events: Iterable[Event]) -> int:
    return len({event.user for event in events if event.user is not None})


def sessions(events: Iterable[Event]) -> int:
    return len({event.session for event in events if event.session is not None})


def with_user(events: Iterable[Event]) -> int:
    return sum(event.user is not None for event in events)


def with_session(events: Iterable[Event]) -> int:
    return sum(event.session is not None for event in events)


def total(values: Iterable[Decimal | int | None]) -> Decimal | int | None:
    """Null without a value."""
    there = [value for value in values if value is not None]
    return sum(there) if there else None


def ratio(numerator: int | Fraction | Decimal, denominator: int) -> Fraction | None:
    return Fraction(numerator) / denominator if denominator else None


def half_up(value: Fraction | None) -> Decimal | None:
    """Two decimals, half up, on the exact ratio (never negative)."""
    return None if value is None else Decimal((value * 100 + Fraction(1, 2)).__floor__()).scaleb(-2)


def percent(numerator: int, denominator: int) -> float | None:
    rate = half_up(ratio(100 * numerator, denominator))
    return None if rate is None else float(rate)


def average(total: int | Fraction, count: int) -> float | None:
    value = ratio(total, count)
    return None if value is None else float(value)
