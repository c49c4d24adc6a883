"""Train the affinity model on part of each listener's artists, and judge it on the rest.

    .venv/bin/python docs/lastfm/train_lastfm.py SOURCE_FOLDER [LISTENERS]

Each listener's artists are parted by a hash: 60 % are known while the model learns, 20 % are what it learns to find,
20 % are held out. It learns from the 20 % and four times as many artists of others, drawn by their hashes. It is
judged with 80 % known: of all artists that at least FEWEST listeners play and that this one is not known to play, which
are the held-out ones? LISTENERS (default 500) are judged, those of the least hash. Prints aggregates, no rows.

- recall@20: of the held-out artists the share among the first 20, mean over listeners.
- AUC: the share of pairs, one held out and one not, that are ranked rightly; mean over listeners.
- popularity ranks by the number of known listeners; nearest neighbours by the sum of the cosines between the artist and
  each of the listener's artists, over who plays them.

Relations bear no date, so nothing here says how well later listening is foretold. Tags that a listener gave to an
artist which is not known of him are left out while features are made. `documented` has those features that the music
program's models name and that need no time; `company` adds who plays the same artists.
"""

import json
import sys
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import map_lastfm
import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.program import ScoringModel
from engage_assets.features.store import WarehouseFeatures
from engage_assets.programs import read_views
from engage_assets.scoring.local import LocalScorer
from engage_assets.scoring.training import train

FOLDER = Path(__file__).parent
FEWEST, FIRST, NEGATIVES = 5, 20, 4
PRIME = 2**31 - 1
AS_OF = map_lastfm.STAND_IN + timedelta(days=30)
"""When the first examples stand, after all plays: instants only order the examples, so that fitting can part them."""
MODELS = {
    "documented": ("music_taste_profile", "genre", "artist_popularity", "listening_frequency"),
    "company": ("music_taste_profile", "genre", "artist_popularity", "listening_frequency", "shared_listeners"),
}
Floats = npt.NDArray[np.float64]


def main(source_folder: Path, listeners: int = 500) -> dict[str, Any]:
    """Train, judge, and say what came out, as JSON takes it."""
    source = map_lastfm.read_source(source_folder)
    tags = map_lastfm.tagged(source)
    parted = map_lastfm.plays(source).with_columns(part=share_of("listener_id", "track_id"))
    learned_from, known = parted.filter(pl.col("part") < 0.6), parted.filter(pl.col("part") < 0.8)
    held_out = parted.filter(pl.col("part") >= 0.8)
    common = known.group_by("track_id").len().filter(pl.col("len") >= FEWEST).select("track_id").sort("track_id")
    examples = examples_of(known, common)
    judged = judged_pairs(known, held_out, common, listeners)
    before, later = (store(source, tags, rows) for rows in (learned_from, known))
    names = list(MODELS["company"])
    given, asked = before.join_in_turn(examples, names), later.join_in_turn(judged, names)
    scores = {
        name: LocalScorer(train(affinity(features), given, as_of=date(2011, 12, 31))).score(asked)["probability"]
        for name, features in MODELS.items()
    }
    scores |= {"popularity": asked["artist_popularity"], "nearest neighbours": neighbours(known, common, asked)}
    return {
        "relations": parted.height,
        "listeners": judged["customer_id"].n_unique(),
        "artists ranked": common.height,
        "held out": int(judged["label"].sum()),
        "held out, too rare to be ranked": held_out.join(common, on="track_id", how="anti").height,
        "examples": examples.height,
        **{name: judgement(judged, values) for name, values in scores.items()},
    }


def share_of(*columns: str) -> pl.Expr:
    """A number in [0, 1) that is the same on every machine and version: the place of the columns' hash."""
    return pl.concat_str(*columns, separator="/").map_elements(_share, return_dtype=pl.Float64)


def _share(text: str) -> float:
    import hashlib  # noqa: PLC0415 - read beside its one use

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48


def store(source: Mapping[str, pl.DataFrame], tags: pl.DataFrame, known: pl.DataFrame) -> WarehouseFeatures:
    """The features of features.yaml over what is known."""
    own = tags.join(known, on=["listener_id", "track_id"], how="semi")
    strangers = tags.join(map_lastfm.plays(dict(source)), on=["listener_id", "track_id"], how="anti")
    used = pl.concat([own, strangers])  # a tag of an artist that is held out of its giver tells of the relation
    counted = used.group_by("track_id", "tag").agg(weight=pl.col("listener_id").n_unique().cast(pl.Float64))
    tables = {
        "known_plays": known.with_columns(
            listened=pl.col("play_count").log1p(), rareness=1 / pl.len().over("track_id").sqrt()
        ).lazy(),
        "artist_tags": counted.lazy(),
        "tracks": map_lastfm.tracks(dict(source), used).lazy(),
    }
    views = read_views(FOLDER / "features.yaml")
    return WarehouseFeatures({name: views[name] for name in VIEWS}, tables)


VIEWS = ("taste", "main_taste", "company", "artists", "listening")


def affinity(features: tuple[str, ...]) -> ScoringModel:
    """The affinity model over these features."""
    section = {"modelId": "music-affinity-v2", "endpoint": "local://music-affinity-v2", "features": features}
    return ScoringModel.model_validate({**section, "label": "liked"})


def examples_of(known: pl.DataFrame, common: pl.DataFrame) -> pl.DataFrame:
    """What a listener plays beside what is known of him, and artists that he is not known to play."""
    targets = known.filter(pl.col("part") >= 0.6).join(common, on="track_id", how="semi")
    wanted = targets.group_by("listener_id").agg(wanted=pl.len() * NEGATIVES)
    numbered = {name: (share_of(name) * PRIME).floor().cast(pl.Int64) for name in ("listener_id", "track_id")}
    others = (
        wanted.with_columns(first=numbered["listener_id"])
        .join(common.with_columns(second=numbered["track_id"]), how="cross")
        .join(known, on=["listener_id", "track_id"], how="anti")
        .with_columns(place=pl.col("first") * pl.col("second") % PRIME)  # of millions of pairs, so no hash of each
        .filter(pl.col("place").rank("ordinal").over("listener_id") <= pl.col("wanted"))
    )
    rows = [targets.select("listener_id", "track_id", label=pl.lit(value=True))]
    rows += [others.select("listener_id", "track_id", label=pl.lit(value=False))]
    # Listeners stand at ten instants, so that the last two tenths of them judge the fit.
    instant = pl.lit(AS_OF) + pl.duration(days=(share_of("listener_id") * 10).floor().cast(pl.Int64))
    return pl.concat(rows).select(
        customer_id="listener_id", subject_id="track_id", label="label", as_of=instant.cast(pl.Datetime("us"))
    )


def judged_pairs(known: pl.DataFrame, held_out: pl.DataFrame, common: pl.DataFrame, listeners: int) -> pl.DataFrame:
    """Every artist that is ranked for a judged listener, and whether it was held out."""
    found = held_out.join(common, on="track_id", how="semi")
    chosen = found.select("listener_id").unique().sort(share_of("listener_id")).head(listeners)
    pairs = chosen.join(common, how="cross").join(known, on=["listener_id", "track_id"], how="anti")
    labelled = pairs.join(
        found.select("listener_id", "track_id", label=pl.lit(value=True)), on=["listener_id", "track_id"], how="left"
    )
    return labelled.select(
        customer_id="listener_id",
        subject_id="track_id",
        label=pl.col("label").fill_null(value=False),
        as_of=pl.lit(AS_OF + timedelta(days=100)).cast(pl.Datetime("us")),
    ).sort("customer_id", "subject_id")


def neighbours(known: pl.DataFrame, common: pl.DataFrame, asked: pl.DataFrame) -> pl.Series:
    """Item-item cosine over who plays an artist, summed over the listener's artists."""
    people = known.select("listener_id").unique().sort("listener_id").with_row_index("row")
    artists = common.with_row_index("column")
    played = known.join(people, on="listener_id").join(artists, on="track_id")
    matrix = np.zeros((people.height, artists.height))
    matrix[played["row"].to_numpy(), played["column"].to_numpy()] = 1
    unit = matrix / np.maximum(np.sqrt(matrix.sum(axis=0)), 1)
    near = unit.T @ unit
    np.fill_diagonal(near, 0)
    places = asked.join(people, left_on="customer_id", right_on="listener_id", how="left", maintain_order="left")
    places = places.join(artists, left_on="subject_id", right_on="track_id", how="left", maintain_order="left")
    score = matrix @ near
    return pl.Series(score[places["row"].to_numpy(), places["column"].to_numpy()])


def judgement(judged: pl.DataFrame, values: pl.Series) -> dict[str, float]:
    """recall@20 and AUC, means over listeners; ties go to the artist whose key is first."""
    rows = judged.with_columns(value=values.cast(pl.Float64)).sort("customer_id", "subject_id")
    ranked = rows.with_columns(
        place=(-pl.col("value")).rank("ordinal").over("customer_id"), rank=pl.col("value").rank().over("customer_id")
    )
    found = (
        ranked.filter("label")
        .group_by("customer_id")
        .agg(recall=(pl.col("place") <= FIRST).mean(), ranks=pl.col("rank").sum(), hits=pl.len())
    )
    sizes = rows.group_by("customer_id").agg(silent=(~pl.col("label")).sum())
    auc = (pl.col("ranks") - pl.col("hits") * (pl.col("hits") + 1) / 2) / (pl.col("hits") * pl.col("silent"))
    means = found.join(sizes, on="customer_id").select(recall=pl.col("recall").mean(), auc=auc.mean())
    return {f"recall@{FIRST}": round(means["recall"].item(), 4), "auc": round(means["auc"].item(), 4)}


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: train_lastfm.py SOURCE_FOLDER [LISTENERS]")
    try:
        print(json.dumps(main(Path(sys.argv[1]), *map(int, sys.argv[2:])), indent=1))
    except EngageError as error:
        sys.exit(f"train_lastfm.py: {error}")
