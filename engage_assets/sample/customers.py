"""The customers table of the synthetic world: who its people are on paper."""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.tables import CUSTOMERS
from engage_assets.sample.people import generator
from engage_assets.sample.vocabulary import (
    FOREIGN,
    FOREIGN_LOCALE,
    FOREIGN_MARKETPLACE,
    INVALID_ZONES,
    PLACES,
    Place,
)

_LOCALE_NULL_SHARE: Final = 0.03


def draw_customers(
    seed: int,
    people: pl.DataFrame,
    marketplaces: Mapping[str, Marketplace],
    everywhere: Mapping[str, Place] = PLACES,
    purpose: str = "customers",
) -> pl.DataFrame:
    """CUSTOMERS, one row per person, sorted by key.

    Marketplaces are those of `everywhere` that are among `marketplaces`, by their shares; people of the kind
    `foreign_marketplace` shop in Italy. Another `purpose` draws other people from the same seed.
    """
    places = {code: place for code, place in everywhere.items() if code in marketplaces}
    if not places:
        raise EngageError(
            f"the sample has people in {', '.join(everywhere)}, but the marketplaces given are {sorted(marketplaces)}; "
            "give one of those"
        )
    rng = generator(seed, purpose)
    shares = np.array([place.share for place in places.values()])
    codes = rng.choice(list(places), people.height, p=shares / shares.sum()).astype("<U16")
    codes[(people["kind"] == "foreign_marketplace").to_numpy()] = FOREIGN_MARKETPLACE
    columns = {name: np.empty(people.height, dtype=object) for name in ("time_zone", "locale", "name")}
    for code, (place, locale) in {
        **{code: (place, marketplaces[code].locale) for code, place in places.items()},
        FOREIGN_MARKETPLACE: (FOREIGN, FOREIGN_LOCALE),
    }.items():
        mine = np.flatnonzero(codes == code)
        columns["time_zone"][mine] = _chosen(place.zones, len(mine), rng)
        columns["locale"][mine] = _chosen(
            {locale: 1 - sum(place.further_locales.values()), **place.further_locales}, len(mine), rng
        )
        columns["name"][mine] = _names(place, len(mine), rng)
    key = pl.col("customer_id")
    uniform = {name: rng.random(people.height) for name in ("locale", "push", "voice")}
    return (
        people.select(key, "kind")
        .with_columns(
            pl.Series("marketplace", codes.tolist()),
            *(pl.Series(name, values.tolist(), dtype=pl.String) for name, values in columns.items()),
            **{f"u_{name}": pl.Series(values) for name, values in uniform.items()},
        )
        .with_columns(
            time_zone=pl.when(pl.col("kind") == "zone_invalid")
            .then(
                (pl.int_range(pl.len()).over("kind") % len(INVALID_ZONES)).replace_strict(
                    dict(enumerate(INVALID_ZONES)), return_dtype=pl.String
                )
            )
            .when(pl.col("kind") != "zone_null")
            .then("time_zone"),
            locale=pl.when(pl.col("u_locale") >= _LOCALE_NULL_SHARE).then("locale"),
            email=pl.when(pl.col("kind") != "no_address").then(key + "@example.invalid"),
            push_subscription=pl.when(pl.col("u_push") < 0.3).then("https://push.example.invalid/" + key),
            voice_allowed=pl.col("u_voice") < 0.4,
            is_test=pl.col("kind") == "test_account",
        )
        .select(CUSTOMERS.names)
    )


def _chosen(shares: Mapping[str, float], count: int, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    weights = np.array(list(shares.values()))
    return rng.choice(list(shares), count, p=weights / weights.sum())


def _names(place: Place, count: int, rng: np.random.Generator) -> list[str]:
    given, family = rng.choice(place.given, count), rng.choice(place.family, count)
    pairs = zip(family, given, strict=True) if place.family_first else zip(given, family, strict=True)
    return [f"{one} {other}" for one, other in pairs]
