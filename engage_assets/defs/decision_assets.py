"""Deciding: filters, scores, the store, the lists, and one terminal reason per record."""

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg
import narwhals as nw
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.decisions import count_reasons
from engage_assets.defs import list_stages, scoring_stages, stages
from engage_assets.defs.batch import Batch, not_evaluated
from engage_assets.defs.describe import markdown_table, mistakes_as_failures, not_evaluated_words, reason_counts
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.intake_assets import RETRIES
from engage_assets.defs.score_assets import scores_asset
from engage_assets.defs.sheets import (
    GIVEN_OPT_OUTS,
    GIVEN_REGISTRATIONS,
    GIVEN_RESPONSES,
    SEND_EVENTS,
    asset_specs,
    program_sheets,
)
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import CandidateStore, Clock, Ledger, StoreCounts
from engage_assets.domain.program import Program
from engage_assets.domain.reasons import LISTED
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import DECISIONS, EMAIL_LIST, LIST_VERDICTS, SET_ASIDE
from engage_assets.lake import Lake

STORED: Final = "stored_candidates"


def decision_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`filter_verdicts` to `decisions` of `program`."""
    return [
        _judge_candidates(program, marketplaces),
        scores_asset(program, marketplaces),
        _decide(program, marketplaces),
    ]


def _judge_candidates(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{program.key}__judge_candidates",
        specs=asset_specs(program, "filter_verdicts", "filtered_candidates"),
    )
    def judge_candidates(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            batch = desk.batch(warehouse, marketplaces)
            sends, opt_outs = desk.history(SEND_EVENTS), desk.read_shared(GIVEN_OPT_OUTS)
            responses = desk.history(GIVEN_RESPONSES)
            registers = batch.source.form == "registration"
            registrations = desk.read_shared(GIVEN_REGISTRATIONS) if registers else None
            judged = stages.judge_candidates(batch, desk.read("candidates"), sends, opt_outs, responses, registrations)
            with desk.open("filter_verdicts") as all_candidates, desk.open("filtered_candidates") as kept:
                for part in judged:
                    all_candidates.add(part)
                    kept.add(stages.accepted_of(batch, part))
        refused = desk.read("filter_verdicts").filter(pl.col("reason").is_not_null())
        metadata = {
            "reasons": markdown_table(reason_counts(refused)),
            "not_evaluated": not_evaluated_words(not_evaluated(batch)),
        }
        pass_rate = {"pass_rate": round(kept.rows / all_candidates.rows, 4)} if all_candidates.rows else None
        yield desk.result("filter_verdicts", metadata)
        yield desk.result("filtered_candidates", pass_rate)

    return judge_candidates


def _decide(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    """What is decided on the scores. The store takes them beside the lists and decisions: it keeps one core busy."""
    names = (STORED, LIST_VERDICTS.name, EMAIL_LIST.name, DECISIONS.name)

    @dg.multi_asset(
        name=f"{program.key}__decide",
        specs=asset_specs(program, *names),
        check_specs=_check_specs(program),
        retry_policy=RETRIES,
        can_subset=True,
    )
    def decide(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        store: dg.ResourceParam[CandidateStore],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk, wanted = Desk(context, lake, program), {key.path[-1] for key in context.selected_asset_keys}
        with mistakes_as_failures(), ThreadPoolExecutor(1, thread_name_prefix="store") as beside:
            storing = beside.submit(_store, context, desk, program, store, clock) if STORED in wanted else None
            batch = desk.batch(warehouse, marketplaces)
            made = _fill_lists(desk, batch, wanted)
            made += [_decide_records(desk, batch)] if DECISIONS.name in wanted else []
        yield from made  # also where the store failed: what it lacks is then known
        if storing is not None:
            with mistakes_as_failures():
                stored = storing.result()
                ledger.record_batch(program.program_id, desk.partition, stored.seconds, stored.records, stored.at)
            yield _store_result(context, desk, program, stored, is_declared=clock.is_declared)

    return decide


def _check_specs(program: Program) -> list[dg.AssetCheckSpec]:
    sheets = program_sheets(program)
    return [
        dg.AssetCheckSpec(
            "store_matches_scores",
            asset=sheets[STORED].asset_key,
            blocking=True,
            description="The store's items of this partition carry the scores of scored_candidates.",
        ),
        dg.AssetCheckSpec(
            "batch_deadline",
            asset=sheets[STORED].asset_key,
            description="A scheduled batch is stored before its instant plus the program's deadline.",
        ),
        dg.AssetCheckSpec(
            "counts_close",
            asset=sheets[DECISIONS.name].asset_key,
            blocking=True,
            description="Every input record ends in exactly one reason: the sum over reasons is the input's rows.",
        ),
    ]


@dataclass(frozen=True)
class _Stored:
    """What the store took, when, and after how long a run."""

    counts: StoreCounts
    differing: int
    records: int
    seconds: float
    at: datetime


def _store(
    context: dg.AssetExecutionContext, desk: Desk, program: Program, store: CandidateStore, clock: Clock
) -> _Stored:
    """Put the scores into the store, and compare what it then holds."""
    now, scored = clock.now(), desk.read("scored_candidates")
    counts = store.put(program, desk.partition, scoring_stages.storable(scored), now)
    differing = scoring_stages.differing(scored, store.of_partition(program.program_id, desk.partition), counts)
    records = desk.rows(SOURCES[program.source_table].raw_asset)
    return _Stored(counts, differing, records, _seconds_since_start(context), now)


def _store_result(
    context: dg.AssetExecutionContext, desk: Desk, program: Program, stored: _Stored, *, is_declared: bool
) -> Result:
    due = program.cadence.batch_instant(desk.partition) + program.deadline
    in_time = "dagster/schedule_name" not in context.run.tags or stored.at <= due
    matches = {"differing": stored.differing}
    return dg.MaterializeResult(
        asset_key=program_sheets(program)[STORED].asset_key,
        metadata={
            **vars(stored.counts),
            "batch_seconds": round(stored.seconds, 2),
            "records_per_minute": round(stored.records / stored.seconds * 60),
            **({"declared_clock": f"{stored.at:%Y-%m-%d %H:%M} UTC"} if is_declared else {}),
        },
        check_results=[
            desk.check(STORED, "store_matches_scores", passed=not stored.differing, metadata=matches),
            desk.check(
                STORED, "batch_deadline", passed=in_time, metadata={"due": f"{due:%Y-%m-%d %H:%M} UTC"}, warn=True
            ),
        ],
    )


def _fill_lists(desk: Desk, batch: Batch, wanted: set[str]) -> list[Result]:
    """Write the verdicts and the list, where they are wanted; what Dagster is told of them."""
    if not wanted & {LIST_VERDICTS.name, EMAIL_LIST.name}:
        return []
    scored = desk.read("scored_candidates")
    made, verdicts = [], list_stages.fill_lists(batch, scored)
    if LIST_VERDICTS.name in wanted:
        desk.write(LIST_VERDICTS.name, verdicts)
        counts = verdicts.group_by("channel", "reason").agg(records=pl.len()).sort("channel", "records", "reason")
        made.append(desk.result(LIST_VERDICTS.name, {"reasons": markdown_table(counts)}))
    if EMAIL_LIST.name in wanted:
        listed = list_stages.list_for_email(batch, scored, verdicts)
        desk.write(EMAIL_LIST.name, listed)
        campaigns = listed.group_by("campaign_id").agg(
            recipients=pl.len(), first_slot_utc=pl.col("slot_at").min(), last_slot_utc=pl.col("slot_at").max()
        )
        first = listed.select("rank", "customer_id", "subject_id", "score").head(10)
        shown = {"campaigns": markdown_table(campaigns.sort("campaign_id")), "first_places": markdown_table(first)}
        made.append(desk.result(EMAIL_LIST.name, shown))
    return made


def _decide_records(desk: Desk, batch: Batch) -> Result:
    """Write the decisions; what Dagster is told of them, whether they close included."""
    names = (SET_ASIDE.name, "filter_verdicts", "scored_candidates", LIST_VERDICTS.name)
    desk.write(DECISIONS.name, stages.decide_records(batch, *map(desk.read, names)))
    decided = desk.read(DECISIONS.name)
    closing = stages.closing_counts(desk.read(batch.source.raw_asset), decided)
    counts = count_reasons(nw.from_native(decided)).to_native().collect()
    counts = counts.sort("records", "stage", "reason", descending=[True, False, False])
    metadata = {
        "reasons": markdown_table(counts),
        "listed": int(counts.filter(pl.col("reason") == LISTED)["records"].sum()),
        "config_hash": batch.program.config_hash,
    }
    check = desk.check(DECISIONS.name, "counts_close", passed=stages.closes(closing), metadata=closing)
    return desk.result(DECISIONS.name, metadata, [check])


def _seconds_since_start(context: dg.AssetExecutionContext) -> float:
    """Seconds since the run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    started = record.start_time if record and record.start_time else time.time()
    return max(time.time() - started, 0.001)
