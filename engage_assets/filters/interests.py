"""Interests: how well a customer's match an event's topics. The documented match, on any engine.

What is near to which topic is laid out per event beforehand (`likeness`); the batch's interests are then looked up in
it. Tenths are whole numbers and every possible mean is known beforehand (`MATCHES`), so that all engines agree.
"""

from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final, NamedTuple

import narwhals as nw
import polars as pl

from engage_assets.domain.events import CUSTOMER_PROFILES, EVENTS, Event
from engage_assets.domain.facts import Frame
from engage_assets.domain.filter_specs import InterestMatchFilter
from engage_assets.domain.program import Program
from engage_assets.domain.topics import ALIKE, SAME, SPACES, Topics, plain
from engage_assets.filters.asking import Asking, Tables
from engage_assets.filters.clauses import Clause

LIKENESS: Final = "event_likeness"
"""Noun of the frame that `likeness` makes."""
MATCHES: Final = "event_matches"
"""Noun of the frame that `matches` makes."""
_PAIR: Final = ("customer_id", "subject_id")
_MILLIONTH: Final = Decimal("0.000001")


class Likest(NamedTuple):
    """A topic of an event, and the interest that comes nearest to it."""

    topic: str
    interest: str | None
    similarity: float


def likeness(events: Iterable[Event], topics: Topics) -> pl.DataFrame:
    """`subject_id`, `tag`, `topic`, `tenths`: for each event the plain names that are near to one of its topics."""
    rows = [
        (event.event_id, tag, place, tenths)
        for event in events
        for place, topic in enumerate(topics.distinct(event.topics))
        for tag, tenths in sorted(topics.near(topic).items())
    ]
    schema = {"subject_id": pl.String, "tag": pl.String, "topic": pl.Int64, "tenths": pl.Int64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def matches(events: Iterable[Event], topics: Topics) -> pl.DataFrame:
    """`subject_id`, `total`, `interest_match`: what a sum of tenths over an event's topics comes to."""
    rows = [
        (event.event_id, total, float(_mean(total, count)))
        for event in events
        if (count := len(topics.distinct(event.topics)))
        for total in range(1, count * SAME + 1)
    ]
    schema = {"subject_id": pl.String, "total": pl.Int64, "interest_match": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def _mean(tenths: int, topics: int) -> Decimal:
    return (Decimal(tenths) / (SAME * topics)).quantize(_MILLIONTH, ROUND_HALF_EVEN)


def explained(tags: Sequence[str], topics_of_event: Sequence[str], topics: Topics) -> list[Likest]:
    """Topic by topic the interest that counts: the nearest, of several the first by name. Their mean is the match."""
    found = []
    for topic in topics.distinct(topics_of_event):
        near = topics.near(topic)
        best = max(sorted(tags), key=lambda tag: near.get(plain(tag), 0), default=None)
        tenths = near.get(plain(best), 0) if best is not None else 0
        found.append(Likest(topic, best if tenths else None, tenths / SAME))
    return found


def match_of(found: Sequence[Likest]) -> float:
    """The interest match that an explanation comes to."""
    return float(_mean(sum(round(one.similarity * SAME) for one in found), len(found))) if found else 0.0


def plainly(name: nw.Expr) -> nw.Expr:
    """As `domain.topics.plain`, on any engine."""
    found = name.str.replace_all(SPACES, " ").str.strip_chars(" ").str.to_lowercase()
    for written, alike in ALIKE.items():
        found = found.str.replace_all(written, alike, literal=True)
    return found


def matched(pairs: Frame, asking: Asking, near: Frame, means: Frame) -> Frame:
    """`customer_id`, `subject_id`, `interest_match` of the pairs that match at all.

    `pairs` have `interest_tags` and each pair once; `near` and `means` as `likeness` and `matches` make them.
    """
    # A list without entries gives a null tag here, there no row; neither is near to anything.
    tags = asking.settle(pairs.select(*_PAIR, nw.col("interest_tags").alias("_tag")).explode("_tag"))
    # The same few words stand in millions of rows: each is brought into its plain form once.
    forms = tags.select("_tag").unique().filter(~nw.col("_tag").is_null())
    forms = forms.with_columns(plainly(nw.col("_tag")).alias("tag"))
    known = asking.settle(near.join(forms, on="tag", how="inner").select("subject_id", "_tag", "topic", "tenths"))
    best = (
        tags.join(known, on=["subject_id", "_tag"], how="inner").group_by(*_PAIR, "topic").agg(nw.col("tenths").max())
    )
    totals = best.group_by(*_PAIR).agg(nw.col("tenths").sum().cast(nw.Int64).alias("total"))
    return totals.join(means, on=["subject_id", "total"], how="inner").select(*_PAIR, "interest_match")


def interest(joined: Frame, batch: Frame, tables: Tables, asking: Asking) -> Frame:
    """`interest_match` of the candidate's interests with the event's topics, 0 to 1."""
    names = batch.collect_schema().names()
    if LIKENESS not in tables or MATCHES not in tables or "interest_tags" not in names:
        return joined
    found = asking.settle(matched(batch.select(*_PAIR, "interest_tags"), asking, tables[LIKENESS], tables[MATCHES]))
    joined = joined.join(found, on=list(_PAIR), how="left")
    return joined.with_columns(nw.col("interest_match").fill_null(0.0).alias("interest_match"))


def interest_match(spec: InterestMatchFilter, program: Program) -> list[Clause]:  # noqa: ARG001 - filters are called alike
    """Clauses of the interest filter; a match at the minimum passes."""
    needs = {f"{CUSTOMER_PROFILES.name}.interest_tags", f"{EVENTS.name}.topics"}
    return [Clause("INTEREST_LOW", needs, nw.col("interest_match") < spec.parameters.min_match_score)]
