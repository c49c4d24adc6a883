"""The stages of deciding, joined from the rooms below: contract, duplicates, filters, decisions.

Each takes and gives frames and knows nothing of Dagster, so that it can be called directly. Every stage returns
its rows in `ORDER`.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import polars as pl

from engage_assets.candidates.contract import check_contract
from engage_assets.candidates.duplicates import refuse_duplicates
from engage_assets.channels import lists
from engage_assets.decisions import decide
from engage_assets.defs.batch import MANY_PER_SUBJECT, ORDER, Batch, as_frame, collected, held, in_memory
from engage_assets.defs.ranges import Range, customer_ranges, in_turn
from engage_assets.domain.facts import Frame
from engage_assets.domain.tables import OPT_OUT_LOG, SENDS_LOG, SET_ASIDE, VERDICT_COLUMNS, empty_frame
from engage_assets.filters import judge
from engage_assets.filters.asking import Asking
from engage_assets.filters.facts import join_facts


def check_records(batch: Batch, raw: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """Every record with its candidate columns and `reason`: null, or what contract and duplicates refuse."""
    customer, subjects = batch.source.customer, batch.tables.get(batch.source.subjects.table.name)

    def checked(part: Range) -> pl.DataFrame:
        # Only the customers are read again for each range, so that ranges may be small.
        judged = check_contract(
            as_frame(part.of(raw, customer)),
            as_frame(part.of(batch.tables["customers"])),
            source=batch.source,
            program=batch.program,
            marketplaces=batch.marketplaces,
            partition=batch.partition,
            subjects=as_frame(subjects) if subjects is not None else None,
            settle=held,
        )
        return _sorted(refuse_duplicates(held(judged)))

    yield from in_turn(checked, customer_ranges(raw, customer, batch.small_range_rows))


def candidates_of(batch: Batch, checked: pl.DataFrame) -> pl.DataFrame:
    """The checked records that keep the contract and repeat none."""
    return checked.filter(pl.col("reason").is_null()).select(column.name for column in batch.source.candidate_columns)


def set_aside_of(checked: pl.DataFrame) -> pl.DataFrame:
    """The checked records that were refused, with their reason."""
    return checked.filter(pl.col("reason").is_not_null()).select(SET_ASIDE.names)


def judge_candidates(
    batch: Batch,
    candidates: pl.LazyFrame,
    send_events: pl.LazyFrame | None,
    opt_outs: pl.LazyFrame | None,
    responses: pl.LazyFrame | None = None,
    registrations: pl.LazyFrame | None = None,
) -> Iterator[pl.DataFrame]:
    """Every candidate with its flags, reason, quota and eligibility. The ledger's frames are cut at the instant."""
    tables = {
        **{name: as_frame(frame) for name, frame in batch.stated(batch.instant, registrations).items()},
        "send_events": as_frame(send_events if send_events is not None else empty_frame(SENDS_LOG).lazy()),
        "given_opt_outs": as_frame(opt_outs if opt_outs is not None else empty_frame(OPT_OUT_LOG).lazy()),
        **({"given_responses": as_frame(responses)} if responses is not None else {}),
    }
    keys = ["customer_id", "subject_id", *batch.source.looked_up, *batch.source.carried]

    def facts_of(part: Range) -> pl.DataFrame:
        # Facts are joined to keys and a place alone, and set beside the candidates: a join copies what it carries.
        placed = part.of(candidates).select(keys).with_row_index("place").collect()
        has_few = placed["subject_id"].n_unique() * MANY_PER_SUBJECT <= placed.height
        asking = Asking(batch.program, batch.instant, collected, part.first, part.end, has_few)
        joined: pl.LazyFrame = join_facts(as_frame(placed.lazy()), tables, asking).to_native()
        return joined.sort("place").drop("place", *keys).collect()

    def slices() -> Iterator[tuple[int, pl.DataFrame]]:
        first = 0
        for facts in map(facts_of, customer_ranges(candidates, "customer_id", batch.history_range_rows)):
            for some in facts.iter_slices(batch.small_range_rows) if facts.height else [facts]:
                yield first, some
                first += some.height

    yield from in_turn(partial(_judged, batch, candidates), slices())


def _judged(batch: Batch, candidates: pl.LazyFrame, given: tuple[int, pl.DataFrame]) -> pl.DataFrame:
    """Verdicts of the candidates from a place on, their facts being given."""
    first, facts = given
    names = [column.name for column in (*batch.source.candidate_columns, *VERDICT_COLUMNS)]
    beside = pl.concat([candidates.slice(first, facts.height).collect(), facts], how="horizontal")
    verdicts: pl.LazyFrame = judge(as_frame(beside.lazy()), batch.program, batch.available).to_native()
    return verdicts.select(*names, *batch.flags).collect()


def accepted_of(batch: Batch, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The candidates that every filter accepts, with quota and eligibility."""
    columns = (*batch.source.candidate_columns, *VERDICT_COLUMNS)
    names = [column.name for column in columns if column.name != "reason"]
    return verdicts.filter(pl.col("reason").is_null()).select(names)


def decide_records(
    batch: Batch,
    set_aside: pl.LazyFrame,
    verdicts: pl.LazyFrame,
    scored: pl.LazyFrame,
    list_verdicts: pl.LazyFrame,
) -> Iterator[pl.DataFrame]:
    """DECISIONS and flags of every input record."""
    versions = scored.select("model_version").first().collect()
    version = versions.item() if versions.height else ""
    channels = [channel.channel_id for channel in batch.program.list_channels]

    def decided(part: Range) -> pl.DataFrame:
        listed = lists.final_reasons(as_frame(part.of(list_verdicts)), channels)
        return _sorted(
            decide(
                as_frame(part.of(set_aside)),
                as_frame(part.of(verdicts)),
                as_frame(part.of(scored)),
                listed,
                program=batch.program,
                partition=batch.partition,
                model_version=version,
                flags=batch.flags,
            )
        )

    yield from in_turn(decided, customer_ranges(verdicts, "customer_id", batch.small_range_rows))


def closing_counts(raw: pl.LazyFrame, decisions: pl.LazyFrame) -> dict[str, int]:
    """Records, decisions, distinct records decided, and decisions without a reason."""
    record = pl.col("record_id")
    counts = decisions.select(
        decisions=pl.len(), distinct=record.hash().n_unique(), without_reason=pl.col("reason").null_count()
    ).collect(engine="streaming")
    found = {"records": raw.select(pl.len()).collect().item(), **counts.row(0, named=True)}
    if found["distinct"] != found["decisions"]:  # as many different hashes are as many records; fewer may be chance
        found["distinct"] = decisions.select(record.n_unique()).collect().item()
    return found


def closes(counts: Mapping[str, int]) -> bool:
    """Whether every record ended in exactly one reason."""
    return counts["records"] == counts["decisions"] == counts["distinct"] and counts["without_reason"] == 0


def _sorted(frame: Frame) -> pl.DataFrame:
    """The rows in ORDER. Joins mostly keep that of the source, and to see that costs a tenth of sorting."""
    rows = in_memory(frame)
    return rows if _is_sorted(rows) else rows.sort(ORDER)


def _is_sorted(rows: pl.DataFrame) -> bool:
    """Whether the rows are in ORDER; False too where a key of it is null."""
    keys = rows.select(ORDER)
    if any(keys[name].null_count() for name in ORDER):
        return False
    follows: pl.Expr = pl.lit(value=True)
    for name in reversed(ORDER):
        here, before = pl.col(name), pl.col(name).shift()
        follows = (here > before) | ((here == before) & follows)
    return bool(keys.select(follows.all()).item())
