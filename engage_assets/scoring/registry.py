"""Versions of a model: which there are, what was found of them, which one is in use, and who put it there.

Beside `model.json` of a version stands `verdict.json`. Beside the versions stands `champions.json`, one entry for each
act that put a version into use, oldest first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

from engage_assets.domain.errors import ModelError
from engage_assets.scoring.descriptions import is_complete, window_of
from engage_assets.scoring.evaluation import Verdict
from engage_assets.scoring.model_files import CHAMPIONS, champion_acts, load, read_json, save, write_json
from engage_assets.scoring.trained_model import TrainedModel

_VERDICT: Final = "verdict.json"
_PROMOTE, _ROLL_BACK = "promote", "roll_back"


@dataclass(frozen=True)
class Registered:
    """A version as its files describe it."""

    model_id: str
    version: str
    kind: str
    label: str
    as_of: date
    window: tuple[datetime, datetime]
    examples: int
    data_hash: str
    code_version: str
    metrics: Mapping[str, float]
    verdict: Verdict | None
    """None: nobody judged it."""
    is_champion: bool


@dataclass(frozen=True)
class Reign:
    """An act that put a version into use."""

    version: str
    act: str
    """promote or roll_back."""
    who: str
    at: datetime
    why: str


def versions(folder: Path, model_id: str) -> list[Registered]:
    """Every version of the model in `folder`, oldest training date first, then by version.

    Versions that an earlier release described are left out: they cannot be loaded.
    """
    acts = champion_acts(folder, model_id)
    in_use = acts[-1]["version"] if acts else None
    found = [
        (path.parent, read_json(path)) for path in (folder / model_id).glob("*/model.json") if path.parent.is_dir()
    ]
    kept = [_registered(own, described, in_use) for own, described in found if is_complete(described)]
    return sorted(kept, key=lambda one: (one.as_of, one.version))


def champion(folder: Path, model_id: str) -> Registered | None:
    """The version in use."""
    return next((one for one in versions(folder, model_id) if one.is_champion), None)


def challenger(folder: Path, model_id: str) -> Registered | None:
    """The newest version, where it is not in use and not older than the one that is."""
    found = versions(folder, model_id)
    in_use = next((one for one in found if one.is_champion), None)
    waiting = [one for one in found if not one.is_champion and (in_use is None or one.as_of >= in_use.as_of)]
    return waiting[-1] if waiting else None


def history(folder: Path, model_id: str) -> list[Reign]:
    """Each act that put a version into use, oldest first; the last one's version is in use."""
    return [
        Reign(act["version"], act["act"], act["who"], datetime.fromisoformat(act["at"]), act["why"])
        for act in champion_acts(folder, model_id)
    ]


def register(folder: Path, model: TrainedModel, verdict: Verdict, *, who: str, at: datetime) -> Registered:
    """Keep a trained model and its verdict, and put it into use where the verdict says so.

    A model trained as of an earlier date than the champion's is not put into use, so that rebuilding an old model
    changes nothing; the champion made again is left as it is, with the verdict that put it there.
    """
    in_use = champion(folder, model.model_id)
    if in_use is None or in_use.version != model.version:
        own = save(model, folder)
        write_json(own / _VERDICT, verdict.to_json())
        if verdict.deploy and (in_use is None or in_use.as_of <= model.as_of):
            promote(folder, model.model_id, model.version, who=who, at=at, why="; ".join(verdict.reasons))
    return next(one for one in versions(folder, model.model_id) if one.version == model.version)


def promote(folder: Path, model_id: str, version: str, *, who: str, at: datetime, why: str) -> Reign:
    """Put a version into use, whatever its verdict: a person's word, or `register`'s.

    Nothing changes where it is in use already. Raises ModelError for a version that cannot be loaded: not there, of
    an earlier release, files that do not belong together, a type that is not trusted.
    """
    load(folder, model_id, version)  # raises for what should not be used
    reigns = history(folder, model_id)
    if reigns and reigns[-1].version == version:
        return reigns[-1]
    return _enthrone(folder, model_id, Reign(version, _PROMOTE, who, at, why))


def roll_back(folder: Path, model_id: str, *, who: str, at: datetime, why: str = "rolled back") -> Reign:
    """Put the champion before the present one into use again; once more, the one before that.

    Raises ModelError where there was none, or where it cannot be loaded.
    """
    stack: list[str] = []
    for reign in history(folder, model_id):
        if reign.act == _ROLL_BACK:
            stack.pop()
        else:
            stack.append(reign.version)
    if len(stack) < 2:
        there = f"{stack[0]} is the first" if stack else "none is in use"
        raise ModelError(
            f"model {model_id} of {folder.name} has no champion before the present one ({there}); train again, or"
            " promote another version"
        )
    load(folder, model_id, stack[-2])
    return _enthrone(folder, model_id, Reign(stack[-2], _ROLL_BACK, who, at, why))


def _enthrone(folder: Path, model_id: str, reign: Reign) -> Reign:
    act = {**vars(reign), "at": reign.at.isoformat()}
    write_json(folder / model_id / CHAMPIONS, [*champion_acts(folder, model_id), act])
    return reign


def _registered(own: Path, described: Mapping[str, Any], in_use: str | None) -> Registered:
    judged = own / _VERDICT
    return Registered(
        model_id=described["model_id"],
        version=described["version"],
        kind=described["kind"],
        label=described["label"],
        as_of=date.fromisoformat(described["as_of"]),
        window=window_of(described),
        examples=described["examples"],
        data_hash=described["data_hash"],
        code_version=described["code_version"],
        metrics=described["metrics"],
        verdict=Verdict.from_json(read_json(judged)) if judged.exists() else None,
        is_champion=described["version"] == in_use,
    )
