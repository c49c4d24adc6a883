"""Deciding: filters, scores, the store, the lists, and one terminal reason per record."""

import time
from collections.abc import Iterator, Mapping

import dagster as dg
import narwhals as nw
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.decisions import count_reasons
from engage_assets.defs import list_stages, scoring_stages, stages
from engage_assets.defs.batch import not_evaluated
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
from engage_assets.domain.ports import CandidateStore, Clock, Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.reasons import LISTED
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import DECISIONS, EMAIL_LIST, LIST_VERDICTS, SET_ASIDE
from engage_assets.lake import Lake


def decision_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`filter_verdicts` to `decisions` of `program`."""
    return [
        _judge_candidates(program, marketplaces),
        scores_asset(program, marketplaces),
        _store_candidates(program),
        _fill_lists(program, marketplaces),
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


def _store_candidates(program: Program) -> dg.AssetsDefinition:
    key = program_sheets(program)["stored_candidates"].asset_key

    @dg.multi_asset(
        name=f"{program.key}__store_candidates",
        specs=asset_specs(program, "stored_candidates"),
        check_specs=[
            dg.AssetCheckSpec(
                "store_matches_scores",
                asset=key,
                blocking=True,
                description="The store's items of this partition carry the scores of scored_candidates.",
            ),
            dg.AssetCheckSpec(
                "batch_deadline",
                asset=key,
                description="A scheduled batch is stored before its instant plus the program's deadline.",
            ),
        ],
        retry_policy=RETRIES,
    )
    def store_candidates(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        store: dg.ResourceParam[CandidateStore],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            now = clock.now()
            scored = desk.read("scored_candidates")
            counts = store.put(program, desk.partition, scoring_stages.storable(scored), now)
            differing = scoring_stages.differing(scored, store.of_partition(program.program_id, desk.partition), counts)
            records, seconds = desk.rows(SOURCES[program.source_table].raw_asset), _seconds_since_start(context)
            ledger.record_batch(program.program_id, desk.partition, seconds, records, now)
        due = program.cadence.batch_instant(desk.partition) + program.deadline
        in_time = "dagster/schedule_name" not in context.run.tags or now <= due
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                **vars(counts),
                "batch_seconds": round(seconds, 2),
                "records_per_minute": round(records / seconds * 60),
                **({"declared_clock": f"{now:%Y-%m-%d %H:%M} UTC"} if clock.is_declared else {}),
            },
            check_results=[
                desk.check(
                    "stored_candidates",
                    "store_matches_scores",
                    passed=differing == 0,
                    metadata={"differing": differing},
                ),
                desk.check(
                    "stored_candidates",
                    "batch_deadline",
                    passed=in_time,
                    metadata={"due": f"{due:%Y-%m-%d %H:%M} UTC"},
                    warn=True,
                ),
            ],
        )

    return store_candidates


def _fill_lists(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(name=f"{program.key}__fill_lists", specs=asset_specs(program, LIST_VERDICTS.name, EMAIL_LIST.name))
    def fill_lists(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            batch, scored = desk.batch(warehouse, marketplaces), desk.read("scored_candidates")
            verdicts = list_stages.fill_lists(batch, scored)
            listed = list_stages.list_for_email(batch, scored, verdicts)
            desk.write(LIST_VERDICTS.name, verdicts)
            desk.write(EMAIL_LIST.name, listed)
        counts = verdicts.group_by("channel", "reason").agg(records=pl.len())
        campaigns = listed.group_by("campaign_id").agg(
            recipients=pl.len(), first_slot_utc=pl.col("slot_at").min(), last_slot_utc=pl.col("slot_at").max()
        )
        first = listed.select("rank", "customer_id", "subject_id", "score").head(10)
        yield desk.result(LIST_VERDICTS.name, {"reasons": markdown_table(counts.sort("channel", "records", "reason"))})
        yield desk.result(
            EMAIL_LIST.name,
            {"campaigns": markdown_table(campaigns.sort("campaign_id")), "first_places": markdown_table(first)},
        )

    return fill_lists


def _decide(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{program.key}__decide",
        specs=asset_specs(program, DECISIONS.name),
        check_specs=[
            dg.AssetCheckSpec(
                "counts_close",
                asset=program_sheets(program)[DECISIONS.name].asset_key,
                blocking=True,
                description="Every input record ends in exactly one reason: the sum over reasons is the input's rows.",
            )
        ],
    )
    def decide(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            names = (SET_ASIDE.name, "filter_verdicts", "scored_candidates", LIST_VERDICTS.name)
            frames = [desk.read(name) for name in names]
            desk.write(DECISIONS.name, stages.decide_records(desk.batch(warehouse, marketplaces), *frames))
        decided = desk.read(DECISIONS.name)
        closing = stages.closing_counts(desk.read(SOURCES[program.source_table].raw_asset), decided)
        counts = count_reasons(nw.from_native(decided)).to_native().collect()
        counts = counts.sort("records", "stage", "reason", descending=[True, False, False])
        metadata = {
            "reasons": markdown_table(counts),
            "listed": int(counts.filter(pl.col("reason") == LISTED)["records"].sum()),
            "config_hash": program.config_hash,
        }
        check = desk.check(DECISIONS.name, "counts_close", passed=stages.closes(closing), metadata=closing)
        yield desk.result(DECISIONS.name, metadata, [check])

    return decide


def _seconds_since_start(context: dg.AssetExecutionContext) -> float:
    """Seconds since the run began."""
    record = context.instance.get_run_record_by_id(context.run.run_id)
    started = record.start_time if record and record.start_time else time.time()
    return max(time.time() - started, 0.001)
