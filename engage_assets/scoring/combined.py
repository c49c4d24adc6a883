"""Several models as one scorer: the score is the rank of the weighted mean of their scores in its own reference.

The mean of two ranks is no rank: it crowds in the middle. So a combination has a frozen reference population of
means, made when the models were trained, and is bound to the very versions and weights that gave it.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.ports import Scorer
from engage_assets.lake import replacing
from engage_assets.scoring.trained_model import DECIMALS, Floats, ranks

FOLDER: Final = "_combined"
"""Folder of the combinations among a program's models; no model id begins with an underscore."""


@dataclass(frozen=True)
class Member:
    """One model of several."""

    model_id: str
    weight: float
    scorer: Scorer

    @property
    def columns(self) -> tuple[str, str]:
        """Its columns beside the combined ones: `review_propensity_v2_probability` and `…_score`."""
        stem = self.model_id.replace("-", "_")
        return f"{stem}_probability", f"{stem}_score"


@dataclass(frozen=True, eq=False)
class Combination:
    """The reference population of a weighted mean, and what it belongs to."""

    members: tuple[tuple[str, str, float], ...]
    """Model id, version and weight, in the program's order."""
    reference: Floats
    """Weighted means of the members' scores, rounded, ascending."""

    @cached_property
    def version(self) -> str:
        """12 hex digits over everything that decides a combined score, the members' versions included."""
        return _hash([[list(member) for member in self.members], self.reference.tolist()])


@dataclass(frozen=True)
class CombinedScorer:
    """Gives rows one score out of several models', and keeps what each of them said. Two members or more.

    Raises ModelError when `combination` belongs to other versions or weights than the members'.
    """

    members: tuple[Member, ...]
    combination: Combination

    def __post_init__(self) -> None:
        _require_same(self.combination.members, self.members, "the combination")

    @property
    def version(self) -> str:
        """`<model>:<version>` of each, comma-separated, then a semicolon and the combination's own version."""
        models = ",".join(f"{member.model_id}:{member.scorer.version}" for member in self.members)
        return f"{models};{self.combination.version}"

    @property
    def features(self) -> tuple[str, ...]:
        """Columns that any of the models takes."""
        return tuple(dict.fromkeys(name for member in self.members for name in member.scorer.features))

    @property
    def columns(self) -> tuple[str, ...]:
        """`probability`, `score`, then `<model>_probability` and `<model>_score` of each model."""
        return ("probability", "score", *(name for member in self.members for name in member.columns))

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        """See Scorer. `probability` is the first model's; `score` is null where a model refused the row."""
        scored = [member.scorer.score(features) for member in self.members]
        means = _means(self.members, scored)
        score = np.where(np.isnan(means), np.nan, ranks(self.combination.reference, means))
        own = [each[name] for each in scored for name in ("probability", "score")]
        whole = [scored[0]["probability"], pl.Series(score).fill_nan(None), *own]
        return pl.DataFrame(dict(zip(self.columns, whole, strict=True)))

    def unseen_categories(self, features: pl.DataFrame) -> dict[str, int]:
        """See Scorer. Where the models met different categories, the largest count."""
        counts: dict[str, int] = {}
        for member in self.members:
            for name, count in member.scorer.unseen_categories(features).items():
                counts[name] = max(count, counts.get(name, 0))
        return counts


def versions_in(version: str, model_ids: Sequence[str]) -> dict[str, str]:
    """The version of each model in what a scorer calls its version; of one model it is that model's own.

    `model_ids`: the program's models. Raises ModelError where one of those that scored is not among them.
    """
    if ":" not in version:
        return {model_ids[0]: version}
    pairs = dict(pair.split(":", maxsplit=1) for pair in version.partition(";")[0].split(","))
    unknown = sorted(pairs.keys() - set(model_ids))
    if unknown:
        raise ModelError(f"{', '.join(unknown)} scored, but the program file has only {', '.join(model_ids)} now")
    return pairs


def combine_reference(members: Sequence[Member], features: pl.DataFrame) -> Combination:
    """The combination of `members` with the rows of `features` as its population.

    Take the models' common validation rows; where these differ, the later rows that none of them learned from.
    Raises ModelError when there are fewer than two members, or no row that every model scores.
    """
    if len(members) < 2:
        raise ModelError("a combination needs two models or more; one model has its own reference population")
    means = _means(members, [member.scorer.score(features) for member in members])
    known = np.sort(means[~np.isnan(means)])
    if not len(known):
        names = ", ".join(member.model_id for member in members)
        raise ModelError(f"no row is scored by all of {names}; give rows of a later time than they learned from")
    return Combination(_described(members), known)


def save_combination(combination: Combination, folder: Path) -> Path:
    """Write `combination` below the folder of a program's models; the same one gives the same bytes."""
    path = folder / FOLDER / f"{_hash(combination.members)}.json"
    content = {
        "members": [list(member) for member in combination.members],
        "reference": combination.reference.tolist(),
        "version": combination.version,
    }
    with replacing(path) as aside:
        aside.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return path


def load_combination(folder: Path, members: Sequence[Member]) -> Combination:
    """The combination of exactly these versions and weights, out of the folder of a program's models.

    Raises ModelError when there is none (a model was trained, promoted or weighted anew since), or when the file was
    changed.
    """
    path = folder / FOLDER / f"{_hash(_described(members))}.json"
    if not path.exists():
        raise ModelError(
            f"{folder / FOLDER} holds no reference population of {_in_words(_described(members))}: a model or a weight"
            f" has changed since the last one was made; run `engage train {folder.name}`"
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    found = Combination(
        tuple((str(model_id), str(version), float(weight)) for model_id, version, weight in content["members"]),
        np.array(content["reference"], dtype=np.float64),
    )
    _require_same(found.members, members, str(path))
    if found.version != content["version"]:
        raise ModelError(f"{path} was changed; delete it and run `engage train {folder.name}`")
    return found


def _means(members: Sequence[Member], scored: Sequence[pl.DataFrame]) -> Floats:
    """The weighted mean of the members' scores, rounded; NaN where one of them has none."""
    weighted = sum(
        (
            member.weight * each["score"].cast(pl.Float64).to_numpy()
            for member, each in zip(members, scored, strict=True)
        ),
        start=np.zeros(scored[0].height),
    )
    means: Floats = np.round(weighted / sum(member.weight for member in members), DECIMALS)
    return means


def _described(members: Sequence[Member]) -> tuple[tuple[str, str, float], ...]:
    return tuple((member.model_id, member.scorer.version, float(member.weight)) for member in members)


def _require_same(found: Sequence[tuple[str, str, float]], members: Sequence[Member], where: str) -> None:
    wanted = _described(members)
    if tuple(found) != wanted:
        raise ModelError(
            f"{where} belongs to {_in_words(found)}, and the models in use are {_in_words(wanted)}: its reference"
            " population is stale; train the program's models again (`engage train`)"
        )


def _in_words(members: Sequence[tuple[str, str, float]]) -> str:
    return ", ".join(f"{model_id} {version} (weight {weight:g})" for model_id, version, weight in members)


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]
