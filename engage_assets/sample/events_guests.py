"""The guests of the synthetic world's events: what they are interested in, their profiles, and how well both fit.

Everything is pure and follows from the seed, so that guests can be drawn again wherever they are needed.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.events import CUSTOMER_PROFILES, Event
from engage_assets.domain.topics import SAME, Topics, plain
from engage_assets.sample.events_catalogue import topics_frame
from engage_assets.sample.events_vocabulary import FAMILIES, HOBBIES, LEAVES, ROLES, TREE
from engage_assets.sample.oddities import ORDINARY
from engage_assets.sample.people import Floats, generator
from engage_assets.sample.vocabulary import CATEGORIES

PROFILE_ODDITIES: Final[Mapping[str, str | None]] = {
    "profile_key_null": "KEY_MISSING",
    "profile_key_blank": "KEY_MISSING",
    "profile_unknown": "UNKNOWN_CUSTOMER",
    "profile_twice": "DUPLICATE",
    "profile_without_role": None,
    "profile_without_score": None,
    "profile_undated": None,
}
"""What is odd about profiles, and what the program as documented records; None: no refusal for this."""
PEOPLE_REASONS: Final[Mapping[str, str | None]] = {
    "foreign_marketplace": "UNKNOWN_MARKETPLACE",
    "test_account": "TEST_ACCOUNT",
    "suspended": "ACCOUNT_STATUS",
    "closed": "ACCOUNT_STATUS",
    "no_trust_row": "ACCOUNT_STATUS",
    "low_trust": "TRUST_SCORE_LOW",
    "trust_score_null": "TRUST_SCORE_LOW",
    "high_fraud": "FRAUD_SCORE_HIGH",
    "opted_out": "OPTED_OUT",
    "opted_out_undated": "OPTED_OUT",
    "opted_out_revoked": None,
    "recovered": None,
    "no_address": None,
    "zone_null": None,
    "zone_invalid": None,
}
"""Kinds of people that show here, and what the program as documented records of them at every batch."""
_ABROAD: Final = 0.03
"""Share of the guests who live in another region than where they shop."""
_ABROAD_ONLY: Final = 0.02
_LEAST_ABROAD: Final = 8
_PROFILED: Final = 0.7
"""Share of the ordinary people of whom there is a profile."""
_NO_INTERESTS: Final = 0.06
_ODD_SHARE: Final = 0.002
_SPELLINGS: Final = 4


def draw_abroad(seed: int, customers: int) -> pl.DataFrame:
    """People who neither buy nor listen, and come to events, in the form of `people.draw_people`."""
    rng = generator(seed, "guests from abroad")
    rows = max(_LEAST_ABROAD, round(_ABROAD_ONLY * customers))
    return pl.DataFrame(
        {
            "customer_id": [f"g-{number:07d}" for number in range(1, rows + 1)],
            "kind": [ORDINARY] * rows,
            "activity": np.zeros(rows),
            "habit": rng.standard_normal(rows),
            "taste": rng.standard_normal((rows, len(CATEGORIES))),
        }
    )


def draw_guests(seed: int, everyone: pl.DataFrame) -> pl.DataFrame:
    """`everyone` (people with customer_id and kind) as guests, in their order.

    Columns: customer_id; kind; engagement (0 to 1); habit (of coming to events, standard normal: shows in how many
    they attended before); likes (for each of FAMILIES, standard normal: the strongest shows in interests); family
    (place of the strongest); tags (interests as the profile writes them); role (null: not stated); attended (events
    attended before the world begins).
    """
    rng = generator(seed, "guests")
    rows = everyone.height
    likes, habit = rng.standard_normal((rows, len(FAMILIES))), rng.standard_normal(rows)
    strongest = likes.argsort(axis=1)[:, ::-1]
    attended = rng.poisson(np.exp(-0.6 + 0.9 * habit))
    # Who is kept for an oddity has been to an event, so that the program's query reads his profile for every event.
    is_kept = everyone["kind"].is_in([kind for kind in PEOPLE_REASONS if kind != "no_address"]).to_numpy()
    other = rng.random(rows) < 0.4
    roles = np.where(other, rng.integers(0, len(FAMILIES), rows), strongest[:, 0])
    return everyone.select("customer_id", "kind").with_columns(
        pl.Series("engagement", rng.beta(4.0, 2.4, rows)),
        pl.Series("habit", habit),
        pl.Series("likes", likes),
        pl.Series("family", strongest[:, 0].astype(np.int64)),
        pl.Series("tags", _tags(rng, strongest), dtype=pl.List(pl.String)),
        pl.Series("role", [ROLES[FAMILIES[place]] for place in roles]),
        pl.Series("attended", np.where(is_kept, np.maximum(attended, 1), attended)),
    )


def _tags(rng: np.random.Generator, strongest: np.ndarray) -> list[list[str]]:
    """Interests: leaves and at times the whole of the strongest family, something of the second, a hobby."""
    numbers = rng.random((len(strongest), 9))
    written = rng.integers(0, _SPELLINGS, (len(strongest), 5))
    people = zip(strongest.tolist(), numbers.tolist(), written.tolist(), strict=True)
    return [_interests(order, chance, how) for order, chance, how in people]


def _interests(order: Sequence[int], chance: Sequence[float], how: Sequence[int]) -> list[str]:
    if chance[0] < _NO_INTERESTS:
        return []
    first, second = FAMILIES[order[0]], FAMILIES[order[1]]
    leaves = list(TREE[first])
    at = int(chance[1] * len(leaves))
    found = [_spelled(first, leaves[at], how[0])]
    if chance[2] < 0.55:
        found.append(_spelled(first, leaves[(at + 1 + int(chance[3] * 3)) % len(leaves)], how[1]))
    if chance[4] < 0.25:
        found.append(first.replace("-", " ").title() if how[2] % 2 else first)
    if chance[5] < 0.45:
        other = list(TREE[second])
        found.append(_spelled(second, other[int(chance[6] * len(other))], how[3]))
    if chance[7] < 0.2:
        found.append(HOBBIES[int(chance[8] * len(HOBBIES))])
    return found


def _spelled(family: str, leaf: str, how: int) -> str:
    """A topic as people write it: as it is, in capitals, with other signs, or by another name."""
    return (leaf, leaf.replace("-", " ").title(), f" {leaf.replace('-', '_')}", TREE[family][leaf].synonyms[0])[how]


def draw_profiles(
    seed: int, guests: pl.DataFrame, customers: pl.DataFrame, begins: date, end: date
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """CUSTOMER_PROFILES, and the kind of oddity of each of its rows, in their order.

    `customers` is CUSTOMERS of the guests; of some there is no profile. Most profiles changed last before `begins`,
    some between then and `end`.
    """
    rng = generator(seed, "profiles")
    lives = customers.select("customer_id", "marketplace")
    known = (pl.col("kind") != ORDINARY) | pl.Series(rng.random(guests.height) < _PROFILED)
    profiled = guests.filter(known).join(lives, on="customer_id", how="left", maintain_order="left")
    rows = profiled.height
    moved = pl.Series(rng.random(rows) < _ABROAD)
    elsewhere = profiled["marketplace"].gather(np.roll(np.arange(rows), 7).tolist())
    days = np.where(rng.random(rows) < 0.85, -rng.integers(1, 400, rows), rng.integers(0, (end - begins).days, rows))
    updated = datetime.combine(begins, time(6)) + pl.Series(days * 86_400_000_000).cast(pl.Duration("us"))
    made = profiled.select(
        "customer_id",
        "kind",
        interest_tags="tags",
        event_attendance_history=pl.col("attended").cast(pl.Int64),
        engagement_score=pl.col("engagement").round(4),
        geographic_region=pl.when(moved).then(elsewhere).otherwise("marketplace"),
        job_role="role",
        updated_at=updated,
    )
    odd = _odd(rng, made)
    return odd.select(CUSTOMER_PROFILES.names), odd.select("kind")


def _odd(rng: np.random.Generator, made: pl.DataFrame) -> pl.DataFrame:
    """The profiles with some that are odd; what cannot be lost to the query has attended an event."""
    ordinary = made.with_row_index("row").filter(pl.col("kind") == ORDINARY)["row"].to_numpy()
    each = max(1, round(_ODD_SHARE * made.height))
    chosen = rng.permutation(ordinary)[: each * len(PROFILE_ODDITIES)]
    kinds = np.array(made["kind"].to_list(), dtype=object)
    kinds[chosen] = np.repeat(list(PROFILE_ODDITIES), each)[: len(chosen)]
    kind = pl.col("kind")
    marked = made.with_columns(pl.Series("kind", kinds.tolist(), dtype=pl.String)).with_columns(
        event_attendance_history=pl.when(kind.is_in(list(PROFILE_ODDITIES)))
        .then(pl.max_horizontal("event_attendance_history", pl.lit(1)))
        .otherwise("event_attendance_history")
    )
    again = marked.filter(kind == "profile_twice").with_columns(pl.col("updated_at") - timedelta(days=500))
    first = marked.with_columns(kind=pl.when(kind == "profile_twice").then(pl.lit(ORDINARY)).otherwise("kind"))
    return pl.concat([first, again]).with_columns(
        customer_id=pl.when(kind == "profile_key_blank")
        .then(pl.lit("  "))
        .when(kind == "profile_unknown")
        .then(pl.lit("x") + pl.col("customer_id"))
        .when(kind != "profile_key_null")
        .then("customer_id"),
        job_role=pl.when(kind != "profile_without_role").then("job_role"),
        engagement_score=pl.when(kind != "profile_without_score").then("engagement_score"),
        updated_at=pl.when(kind != "profile_undated").then("updated_at"),
    )


def matches(guests: pl.DataFrame, events: Sequence[Event]) -> Floats:
    """How well each guest's interests match each event's topics, by the documented rule: guests × events."""
    topics = Topics.of(topics_frame().iter_rows(named=True))
    names = sorted({plain(tag) for tag in guests["tags"].explode().drop_nulls().unique()})
    places = {name: place for place, name in enumerate(names)}
    has = np.zeros((guests.height, len(names)))
    for row, tags in enumerate(guests["tags"]):
        has[row, [places[plain(tag)] for tag in tags]] = 1.0
    nearness = {leaf: _nearness(topics, leaf, names) for _, leaf in LEAVES}
    best = {leaf: (has * near).max(axis=1, initial=0.0) for leaf, near in nearness.items()}
    return np.column_stack([np.mean([best[one] for one in event.topics], axis=0) for event in events])


def _nearness(topics: Topics, leaf: str, names: Sequence[str]) -> Floats:
    near = topics.near(topics.canonical(plain(leaf)))
    return np.array([near.get(name, 0) / SAME for name in names])
