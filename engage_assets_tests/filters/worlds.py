"""One good record and all that is known around it; a test changes one fact and names the reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import narwhals as nw
import polars as pl

from engage_assets.domain.program import Program
from engage_assets.domain.sources import INPUT_TABLES, SOURCES
from engage_assets.domain.tables import OPT_OUT_LOG, SENDS_LOG, Column, Table, declared, frame_schema
from engage_assets.filters import judge
from engage_assets.filters.asking import Asking
from engage_assets.filters.facts import join_facts
from engage_assets_tests.builders import a_candidate, a_program, instant

INSTANT = instant("2026-11-20 02:00")
"""The batch instant of partition 2026-11-19."""
BEFORE, AFTER = INSTANT - timedelta(days=3), INSTANT + timedelta(days=3)
TICK = timedelta(microseconds=1)

Row = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """What makes one candidate of one source acceptable."""

    program: Program
    candidate: Row
    good: Mapping[str, list[Row]]
    """Rows by table; a table that is not here the deployment lacks."""
    filled_in: Mapping[str, Row]
    """The row of a table that is empty in the good world, before a test changes it."""

    @property
    def columns(self) -> tuple[Column, ...]:
        return SOURCES[self.program.source_table].candidate_columns


GOOD: dict[str, list[Row]] = {
    "customers": [
        {"customer_id": "c-1", "marketplace": "DE", "email": "x", "push_subscription": "x", "voice_allowed": True}
    ],
    "customer_trust": [
        {
            "customer_id": "c-1",
            "known_at": BEFORE,
            "account_status": "active",
            "trust_score": 0.8,
            "fraud_score": 0.1,
        }
    ],
    "orders": [{"order_id": "o-1", "customer_id": "c-1", "ordered_at": BEFORE, "status": "COMPLETED"}],
    "order_items": [{"order_id": "o-1", "product_id": "p-1", "quantity": 1, "unit_price": 9.9}],
    "products": [{"product_id": "p-1", "name": "Lamp", "is_reviewable": True}],
    "returns": [],
    "reviews": [],
    "opt_outs": [],
    "send_events": [],
    "given_opt_outs": [],
}
"""What makes the candidate c-1 × p-1 of order o-1 acceptable; rows by table."""

FILLED_IN = {
    "returns": {"order_id": "o-1", "product_id": "p-1", "returned_at": BEFORE},
    "reviews": {"customer_id": "c-1", "product_id": "p-1", "reviewed_at": BEFORE},
    "opt_outs": {"customer_id": "c-1", "at": BEFORE},
    "given_opt_outs": {"customer_id": "c-1", "at": BEFORE},
}
"""The row of a table that is empty in the good world, before a test changes it."""

PURCHASE = Scene(a_program(), {"order_id": "o-1", "order_value": 9.9}, GOOD, FILLED_IN)
TABLES: dict[str, Table] = {**INPUT_TABLES, "send_events": SENDS_LOG, "given_opt_outs": OPT_OUT_LOG}

Rows = dict[str, Any] | list[dict[str, Any]] | None
"""Changes to the good row; or several rows, each as changes; or None: the deployment lacks the table."""


def a_send(*states: str, at: Any = BEFORE, **changes: Any) -> list[dict[str, Any]]:
    """The log of one send to c-1 about p-1: planned at `at`, then `states`, a minute apart."""
    row = {
        "send_id": "s-1",
        "program": "product-reviews",
        "campaign_id": "product-reviews:email:2026-11-16:DE",
        "customer_id": "c-1",
        "subject_id": "p-1",
        "channel": "email",
        "slot_at": BEFORE,
        "cap_scope": "product-reviews",
        "is_solicitation": True,
        **changes,
    }
    minutes = (timedelta(minutes=place) for place in range(len(states) + 1))
    return [
        {**row, "state": state, "at": at + later} for state, later in zip(("planned", *states), minutes, strict=True)
    ]


def judged(
    *,
    scene: Scene = PURCHASE,
    program: Program | None = None,
    candidate: dict[str, Any] | None = None,
    lacks: tuple[str, ...] = (),
    **tables: Rows,
) -> dict[str, Any]:
    """Flags, reason, quota and eligibility of the one candidate; also the rows that came of it, and what is declared.

    `lacks`: each `table.column` that the deployment lacks.
    """
    program = program or scene.program
    row = {**a_candidate(), **scene.candidate, **(candidate or {})}
    frame = pl.DataFrame([{c.name: row[c.name] for c in scene.columns}], schema=frame_schema(scene.columns))
    known = _frames(scene, tables, lacks)
    facts = join_facts(_lazy(frame), {name: _lazy(found) for name, found in known.items()}, Asking(program, INSTANT))
    available = declared({name: found.columns for name, found in known.items()})
    verdicts = judge(facts, program, available).to_native().collect()
    return {**verdicts.row(0, named=True), "rows": verdicts.height, "available": available}


def refused_by(**changes: Any) -> str | None:
    """The reason for which the candidate is refused once the facts named by `changes` differ; None: accepted."""
    verdict = judged(**changes)
    assert verdict["rows"] == 1, "a candidate stays one row, whatever the tables hold"
    return verdict["reason"]


def _frames(scene: Scene, tables: dict[str, Rows], lacks: tuple[str, ...]) -> dict[str, pl.DataFrame]:
    assert tables.keys() <= TABLES.keys(), tables.keys() - TABLES.keys()
    changed = {name: _rows(scene, name, tables.get(name, scene.good.get(name))) for name in TABLES}
    return {
        name: pl.DataFrame(rows, schema=TABLES[name].schema).drop(
            [column for table, _, column in (gap.partition(".") for gap in lacks) if table == name]
        )
        for name, rows in changed.items()
        if rows is not None
    }


def _rows(scene: Scene, name: str, changes: Rows) -> list[Row] | None:
    if changes is None:
        return None
    good = scene.good[name][0] if scene.good.get(name) else scene.filled_in.get(name, {})
    rows = [good | change for change in ([changes] if isinstance(changes, dict) else changes)]
    assert all(row.keys() <= set(TABLES[name].names) for row in rows), name
    return rows


def _lazy(frame: pl.DataFrame) -> nw.LazyFrame[Any]:
    return nw.from_native(frame.lazy())
