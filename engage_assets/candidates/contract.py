"""Does an input record keep the contract of its source, and whose is it? On any engine.

A record that breaks the contract is set aside with the first rule that it breaks; it is never dropped.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from typing import Final

import narwhals as nw

from engage_assets.candidates.subjects import described_by
from engage_assets.domain.cadence import FIRST_DAY
from engage_assets.domain.facts import INK, Frame, as_planned, stated_once
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.slots import known_zones
from engage_assets.domain.source import Source

_CUSTOMER_FACTS: Final = {
    "time_zone": "time_zone",
    "locale": "locale",
    "is_test": "is_test",
    "email_known": "email",
    "push_known": "push_subscription",
    "voice_allowed": "voice_allowed",
}
"""What a candidate keeps of its customer, and the column that states it. Never the address itself."""


def check_contract(
    records: Frame,
    customers: Frame,
    *,
    source: Source,
    program: Program,
    marketplaces: Mapping[str, Marketplace],
    partition: date,
    subjects: Frame | None = None,
    settle: Callable[[Frame], Frame] = as_planned,
) -> Frame:
    """The records with `reason` (null: the contract is kept) and the candidate's columns.

    `records` have `source.raw_columns`; `customers` and `subjects` the declared columns of these tables that are
    there. Columns: `source.candidate_columns` and `reason`, one row per record. `settle` is applied to the batch's
    customers and subjects (see filters.asking.Asking).
    """
    instant = program.cadence.batch_instant(partition)
    joined = records.join(
        _customer_facts(customers, records.select(source.customer), settle),
        left_on=source.customer,
        right_on="_customer",
        how="left",
    )
    described = described_by(joined, subjects, source, settle)
    judged = described.with_columns(_reason(source, program, instant).alias("reason"))
    return _unified(judged, source, program, marketplaces, instant)


def _customer_facts(customers: Frame, batch: Frame, settle: Callable[[Frame], Frame]) -> Frame:
    """Facts of the batch's customers; columns that the deployment lacks are null."""
    key = batch.collect_schema().names()[0]
    present = customers.collect_schema().names()
    cut = customers.join(batch, left_on="customer_id", right_on=key, how="semi")
    facts = cut.select(
        nw.col("customer_id").alias("_customer"),
        nw.col("marketplace"),
        *(_fact(name, column, column in present) for name, column in _CUSTOMER_FACTS.items()),
    )
    return stated_once(settle(facts), "_customer").with_columns(nw.lit(True).alias("_is_known"))


def _fact(name: str, column: str, is_present: bool) -> nw.Expr:  # noqa: FBT001 - a private switch
    is_text = name in ("time_zone", "locale")
    if not is_present:
        return nw.lit(None).cast(nw.String if is_text else nw.Boolean).alias(name)
    if name.endswith("_known"):
        return nw.col(column).str.contains(INK).fill_null(False).alias(name)
    return nw.col(column).alias(name)


def _reason(source: Source, program: Program, instant: datetime) -> nw.Expr:
    """The first rule that refuses; null where none does."""
    keys = [column.name for column in source.columns if column.required and column.kind == "key"]
    rules = {"KEY_MISSING": nw.any_horizontal(*(_is_blank(key) for key in keys), ignore_nulls=False)}
    if source.day is not None:
        day, event = nw.col(source.day).cast(nw.Date), nw.col(source.event)
        implausible_event = (event < datetime.combine(FIRST_DAY, datetime.min.time())) | (event > instant)
        implausible = (day < FIRST_DAY).fill_null(True) | (day > instant.date())
        rules["DATE_INVALID"] = implausible | implausible_event.fill_null(False)
    for code, rule in source.own_rules.items():
        refuses = rule(instant).fill_null(False)
        rules[code] = rules[code] | refuses if code in rules else refuses
    rules |= {
        "UNKNOWN_CUSTOMER": nw.col("_is_known").is_null(),
        "UNKNOWN_MARKETPLACE": ~nw.col("marketplace").is_in(list(program.marketplaces)).fill_null(False),
    }
    reason = nw.lit(None).cast(nw.String)
    for code, refuses in reversed(rules.items()):
        reason = nw.when(refuses).then(nw.lit(code)).otherwise(reason)
    return reason


def _is_blank(key: str) -> nw.Expr:
    return ~nw.col(key).str.contains(INK).fill_null(False)


def _unified(
    judged: Frame, source: Source, program: Program, marketplaces: Mapping[str, Marketplace], instant: datetime
) -> Frame:
    """The candidate model: customer, context, subject, attributes, metadata."""
    zone = nw.when(nw.col("time_zone").is_in(sorted(known_zones()))).then(nw.col("time_zone"))
    locale = nw.when(nw.col("locale").str.contains(INK)).then(nw.col("locale"))
    event = nw.col(source.event)
    if source.day is not None:
        event = nw.coalesce(event, nw.col(source.day).cast(nw.Datetime("us")))
    built = {
        "customer_id": nw.col(source.customer),
        "subject_type": nw.lit(source.subject_type),
        "subject_id": nw.col(source.subject),
        "event_at": event,
        "time_zone": zone.otherwise(_of_marketplace(program, {c: m.time_zone for c, m in marketplaces.items()})),
        "locale": locale.otherwise(_of_marketplace(program, {c: m.locale for c, m in marketplaces.items()})),
        "connector_id": nw.lit(program.connector.connector_id),
        "created_at": nw.lit(instant).cast(nw.Datetime("us")),
        "expires_at": nw.lit(instant + timedelta(days=program.candidate_ttl_days)).cast(nw.Datetime("us")),
    }
    names = [column.name for column in source.candidate_columns]
    return judged.select(*(built.get(name, nw.col(name)).alias(name) for name in names), "reason")


def _of_marketplace(program: Program, values: Mapping[str, str]) -> nw.Expr:
    """What the customer's marketplace says; null outside the program's marketplaces."""
    chosen = nw.lit(None).cast(nw.String)
    for code in program.marketplaces:
        chosen = nw.when(nw.col("marketplace") == code).then(nw.lit(values[code])).otherwise(chosen)
    return chosen
