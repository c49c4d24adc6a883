"""What the subjects' table says of a record's subject, better than the record itself. On any engine."""

from collections.abc import Callable

import narwhals as nw

from engage_assets.domain.facts import INK, Frame, stated_once
from engage_assets.domain.source import UNKNOWN, Source


def described_by(records: Frame, subjects: Frame | None, source: Source, settle: Callable[[Frame], Frame]) -> Frame:
    """The records with the source's described columns: the table's, else the record's own, else `unknown`.

    A blank text is none; a subject that stands in the table twice with different values states nothing.
    """
    if not source.described:
        return records
    there = subjects.collect_schema().names() if subjects is not None else []
    stated = {name: f"_{name}" for name, column in source.described.items() if column in there}
    if subjects is not None and stated:
        key = source.subjects.key
        cut = subjects.join(records.select(source.subject), left_on=key, right_on=source.subject, how="semi")
        values = (nw.col(source.described[name]).alias(alias) for name, alias in stated.items())
        facts = stated_once(settle(cut.select(nw.col(key).alias("_subject"), *values)), "_subject")
        records = records.join(facts, left_on=source.subject, right_on="_subject", how="left")
    return records.with_columns(_first(stated.get(name), name).alias(name) for name in source.described)


def _first(stated: str | None, name: str) -> nw.Expr:
    values = [_written(column) for column in (stated, name) if column]
    return nw.coalesce(*values, nw.lit(UNKNOWN))


def _written(column: str) -> nw.Expr:
    return nw.when(nw.col(column).str.contains(INK)).then(nw.col(column)).otherwise(nw.lit(None).cast(nw.String))
