"""The listeners of the synthetic world: its customers, and people who only listen, some of them no people at all.

Everything is pure and follows from the seed, so that listeners can be drawn again wherever they are needed.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import polars as pl

from engage_assets.sample.music_oddities import BOTS, LISTENER_REASONS, NEAR_BOTS
from engage_assets.sample.music_vocabulary import GENRES
from engage_assets.sample.oddities import ORDINARY
from engage_assets.sample.people import generator
from engage_assets.sample.vocabulary import CATEGORIES, INDIA, PLACES, Place

LISTENING_PLACES: Final[dict[str, Place]] = {
    **{code: replace(place, share=place.share * 0.05) for code, place in PLACES.items()},
    "IN": replace(INDIA, share=0.95),
}
"""Where those live who only listen."""

_LISTEN_ONLY_SHARE: Final = 0.08
_BOT_SHARE: Final = 0.0005
_LEAST_BOTS: Final = 2


def draw_listen_only(seed: int, customers: int) -> pl.DataFrame:
    """People who listen and never buy, in the form of `people.draw_people`, for so many customers who do."""
    rng = generator(seed, "listen only")
    bots = max(_LEAST_BOTS, round(_BOT_SHARE * customers))
    kinds = np.repeat([*BOTS, *NEAR_BOTS], bots).tolist() + [ORDINARY] * max(6, round(_LISTEN_ONLY_SHARE * customers))
    return pl.DataFrame(
        {
            "customer_id": [f"m-{number:07d}" for number in range(1, len(kinds) + 1)],
            "kind": rng.permutation(np.array(kinds)),
            "activity": np.zeros(len(kinds)),
            "habit": rng.standard_normal(len(kinds)),
            "taste": rng.standard_normal((len(kinds), len(CATEGORIES))),
        }
    )


def shoppers(customers: pl.DataFrame) -> int:
    """How many of a world's customers are not `draw_listen_only`'s."""
    return int(customers["customer_id"].str.starts_with("c-").sum())


def draw_listeners(seed: int, everyone: pl.DataFrame) -> pl.DataFrame:
    """`everyone` (people with customer_id and kind, sorted by key) as listeners, in their order.

    Columns: listener_id; kind (as a listener: of LISTENER_REASONS, BOTS, NEAR_BOTS, else ordinary); listening
    (relative, mean 1, log-normal); engagement (0 to 1); habit (of giving feedback, standard normal: shows in past
    feedback); likes (for each of GENRES, standard normal: shows in what is heard and liked).
    """
    rng = generator(seed, "listeners")
    rows = everyone.height
    kind, turn = pl.col("kind"), pl.int_range(pl.len()).over("kind")
    kept = [*LISTENER_REASONS, *NEAR_BOTS]
    return everyone.select(
        "customer_id",
        # As `standing.draw_opt_outs` has it: each second one opted out of this program.
        kind=pl.when((kind == "opted_out_elsewhere") & (turn % 2 == 0))
        .then(pl.lit("opted_out_here"))
        .when(kind.is_in(kept))
        .then(kind)
        .otherwise(pl.lit(ORDINARY)),
    ).select(
        pl.col("customer_id").alias("listener_id"),
        "kind",
        pl.Series("listening", rng.lognormal(-0.32, 0.8, rows)),
        pl.Series("engagement", rng.beta(4.5, 2.2, rows)),
        pl.Series("habit", rng.standard_normal(rows)),
        pl.Series("likes", rng.standard_normal((rows, len(GENRES)))),
    )
