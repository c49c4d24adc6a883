"""What a view looked like at an instant: how much of it there was, how its features spread, what broke its word."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl
from pydantic import TypeAdapter

from engage_assets.domain.feature_views import Feature, FeatureView, missing_flag

TENTHS: Final = tuple(tenth / 10 for tenth in range(1, 10))
MOST_TEXTS: Final = 20
"""Different texts that have a bin of their own."""
DRIFT: Final = 0.2
"""Population stability index above which a spread has changed."""


@dataclass(frozen=True)
class FeatureProfile:
    """One feature over some entities."""

    entities: int
    missing: int
    """Of how many nothing is known: the default stands there."""
    outside: int
    """Known values outside the contract."""
    minimum: float | None
    maximum: float | None
    bins: tuple[float, ...] | tuple[str, ...]
    """Numbers: upper ends of bins, inclusive. Texts: those with a bin of their own. Rest and missing follow."""
    counts: tuple[int, ...]

    @property
    def missing_share(self) -> float:
        """Share of entities of which nothing is known."""
        return self.missing / self.entities if self.entities else 0.0


@dataclass(frozen=True)
class ViewProfile:
    """A view as of an instant."""

    view: str
    as_of: datetime
    rows: int
    """Rows that were known, of whomever."""
    last_known_at: datetime | None
    features: Mapping[str, FeatureProfile]

    def to_json(self) -> str:
        """For a file or an asset's metadata; `from_json` reads it again."""
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "ViewProfile":
        """What `to_json` wrote."""
        return _ADAPTER.validate_json(text)


@dataclass(frozen=True)
class Drift:
    """How far a feature's spread has moved between two profiles."""

    feature: str
    index: float
    """Population stability index."""
    threshold: float
    """DRIFT, or what chance exceeds once in a hundred times where the profiles are small."""

    @property
    def has_drifted(self) -> bool:
        """Whether the spread has changed, and not by chance."""
        return self.index > self.threshold


def profile(
    view: FeatureView,
    rows: pl.LazyFrame,
    values: pl.LazyFrame,
    *,
    as_of: datetime,
    before: ViewProfile | None = None,
) -> ViewProfile:
    """The view as of an instant: `rows` as `WarehouseFeatures.rows` gives them, `values` its features and flags.

    Features that `values` has not are left out. Bins are tenths of the values at hand, or those of `before`, so that
    the two compare.
    """
    seen = rows.filter(pl.col("_event") <= as_of, pl.col("_known") <= as_of)
    # Not whose rows they are: to count the different keys of a long history costs more than the features.
    number, last = seen.select(pl.len(), pl.col("_known").max()).collect(engine="streaming").row(0)
    there = values.collect_schema().names()
    asked = [feature for feature in view.features if feature.name in there]
    known = before.features if before else {}
    features = {
        one.name: _feature_profile(one, values.select(one.name, missing_flag(one.name)).collect(), known.get(one.name))
        for one in asked
    }
    return ViewProfile(view.view, as_of, number, last, features)


def contract_faults(view: FeatureView, found: ViewProfile) -> list[str]:
    """Where the view breaks what it promises, in words: late, too much missing, values outside."""
    faults = []
    if found.last_known_at is None or found.last_known_at < found.as_of - view.freshness:
        newest = f"since {found.last_known_at:%Y-%m-%d %H:%M} UTC" if found.last_known_at else "at all"
        faults.append(f"{view.view}: nothing became known {newest} (at most {view.freshness} ago)")
    for feature in view.features:
        seen = found.features.get(feature.name)
        if seen and seen.missing_share > feature.most_missing:
            faults.append(
                f"{feature.name}: nothing is known of {seen.missing_share:.1%} (at most {feature.most_missing:.1%})"
            )
        if seen and seen.outside:
            faults.append(f"{feature.name}: {seen.outside:,} values outside {feature.minimum} to {feature.maximum}")
    return faults


def drift(now: ViewProfile, before: ViewProfile) -> list[Drift]:
    """Each feature that both profiles have in the same bins.

    PSI = Σ (p − q) ln(p / q) over the bins, with half an entity added to each. Where nothing has changed it is about
    (1/n + 1/m) χ² with one degree of freedom less than bins; its 99th percentile is Wilson and Hilferty's.
    """
    pairs = [(name, now.features[name], before.features[name]) for name in now.features if name in before.features]
    return [
        Drift(name, _psi(one.counts, other.counts), max(DRIFT, _by_chance(one.counts, other.counts)))
        for name, one, other in pairs
        if one.bins == other.bins and one.entities and other.entities
    ]


_ADAPTER: Final = TypeAdapter(ViewProfile)


def _feature_profile(feature: Feature, values: pl.DataFrame, before: FeatureProfile | None) -> FeatureProfile:
    known = values.filter(~pl.col(missing_flag(feature.name)))[feature.name]
    missing = values.height - known.len()
    if feature.type == "text":
        texts = before.bins if before else tuple(_frequent(known))
        counts = [int((known == text).sum()) for text in texts]
        spread = (*counts, known.len() - sum(counts), missing)
        return FeatureProfile(values.height, missing, 0, None, None, texts, spread)
    edges = before.bins if before else _edges(known)
    bins = pl.DataFrame({"bin": pl.Series(edges, dtype=pl.Float64).search_sorted(known)})["bin"]
    spread = (*(int((bins == place).sum()) for place in range(len(edges) + 1)), missing)
    low = -math.inf if feature.minimum is None else feature.minimum
    high = math.inf if feature.maximum is None else feature.maximum
    outside = int((~known.is_between(low, high)).sum())
    least, greatest = known.to_frame().select(least=pl.first().min(), greatest=pl.first().max()).row(0)
    return FeatureProfile(values.height, missing, outside, least, greatest, edges, spread)


def _edges(known: pl.Series) -> tuple[float, ...]:
    """The different tenths of the values; the topmost bin has no end."""
    tenths = {known.quantile(tenth, interpolation="lower") for tenth in TENTHS}
    return tuple(sorted(edge for edge in tenths if edge is not None))


def _frequent(known: pl.Series) -> list[str]:
    counted = known.rename("text").value_counts(name="n").sort(["n", "text"], descending=[True, False])
    return counted["text"].head(MOST_TEXTS).to_list()


def _psi(now: Sequence[int], before: Sequence[int]) -> float:
    ours, theirs = ([(count + 0.5) / (sum(counts) + len(counts) / 2) for count in counts] for counts in (now, before))
    return sum((one - other) * math.log(one / other) for one, other in zip(ours, theirs, strict=True))


def _by_chance(now: Sequence[int], before: Sequence[int]) -> float:
    freedom = max(len(now) - 1, 1)
    chi_square = freedom * (1 - 2 / (9 * freedom) + 2.3263 * math.sqrt(2 / (9 * freedom))) ** 3
    return (1 / sum(now) + 1 / sum(before)) * chi_square
