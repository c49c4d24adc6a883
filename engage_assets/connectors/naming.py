"""Records without a key, named by the SHA-256 of their canonical JSON while they stream by, sorted by customer.

Equal records have the same customer and subject, so that they stand together: nothing is looked up, and no more is
held than the rows of one customer (and subject) and what comes with them.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import Final

import polars as pl

from engage_assets.connectors.records import canonical
from engage_assets.domain.source import Source

AHEAD: Final = 8
"""Batches that wait at most: whoever takes them in bursts lets nobody stand still."""
CANONICAL: Final = "_canonical"
"""The column with a record's canonical JSON; null where it is still to be written."""


def named(batches: Iterator[pl.DataFrame], source: Source, run: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The records with their ids, as `Source.raw_columns`, sorted by customer, subject and record id, nulls first.

    `batches`: the records with CANONICAL, sorted by `run`, which is the customer, or the customer and the subject.
    The second, third … of equal records get `#2`, `#3` …
    """
    held: list[pl.DataFrame] = []
    of_held: tuple[object, ...] = ()
    for batch in batches:
        hashed = _hashed(batch, source)
        last = hashed.select(run).row(-1) if hashed.height else ()
        if held and last == of_held:
            held.append(hashed)
            continue
        rest = _rows_of(hashed, dict(zip(run, last, strict=False)))
        if (whole := pl.concat([*held, hashed.head(hashed.height - rest)])).height or not hashed.height:
            yield _in_order(whole, source, run)
        held, of_held = ([hashed.tail(rest)], last) if rest else ([], ())
    if held:
        yield _in_order(pl.concat(held), source, run)


def ahead(batches: Iterator[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """The same, up to AHEAD of them made by a thread while one is worked on."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        coming = deque(thread.submit(next, batches, None) for _ in range(AHEAD))
        try:
            while (batch := coming.popleft().result()) is not None:
                coming.append(thread.submit(next, batches, None))
                yield batch
        finally:
            thread.shutdown(cancel_futures=True)


def _hashed(batch: pl.DataFrame, source: Source) -> pl.DataFrame:
    """The records with the hash as `record_id`."""
    texts = batch[CANONICAL].cast(pl.Binary).to_list()
    if batch[CANONICAL].null_count():
        by_hand = batch.filter(pl.col(CANONICAL).is_null()).select(column.name for column in source.columns)
        written = map(canonical, by_hand.iter_rows(named=True))
        texts = [next(written) if text is None else text for text in texts]
    hashes = pl.Series([sha256(text).digest() for text in texts], dtype=pl.Binary)
    return batch.drop(CANONICAL).with_columns(record_id=hashes.bin.encode("hex"))


def _rows_of(batch: pl.DataFrame, key: Mapping[str, object]) -> int:
    """How many rows have the key; none where there is no key."""
    if not key:
        return 0
    return int(
        batch.select(
            pl.all_horizontal(pl.col(name).eq_missing(pl.lit(value)) for name, value in key.items()).sum()
        ).item()
    )


def _in_order(rows: pl.DataFrame, source: Source, run: Sequence[str]) -> pl.DataFrame:
    """Whole runs with the equal records numbered; within a run sorted by what is left of the order."""
    begins = pl.any_horizontal(pl.col(name).ne_missing(pl.col(name).shift()) for name in run)
    within = [*(name for name in (source.customer, source.subject) if name not in run), "record_id"]
    # By the number of the run: its own keys would be compared for nothing.
    rows = rows.with_columns(_run=begins.cum_sum()).sort("_run", *within, "is_late")
    repeated = pl.col("record_id") == pl.col("record_id").shift()
    if rows.select(repeated.any()).item():
        number = pl.int_range(1, pl.len() + 1).over("record_id")
        name = pl.when(number > 1).then(pl.format("{}#{}", "record_id", number)).otherwise("record_id")
        rows = rows.with_columns(record_id=name).sort("_run", *within)
    return rows.select(column.name for column in source.raw_columns)
