"""Intake: the source's records of a day, and which of them are candidates."""

import threading
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import stages
from engage_assets.defs.batch import not_evaluated
from engage_assets.defs.describe import markdown_table, mistakes_as_failures, not_evaluated_words, reason_counts
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.sheets import asset_specs, program_sheets
from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import Connector
from engage_assets.domain.program import Program
from engage_assets.domain.sources import SOURCES
from engage_assets.domain.tables import SET_ASIDE
from engage_assets.lake import Lake
from engage_assets.scoring import model_files

RETRIES: Final = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For steps that reach a database; mistakes that only a person can mend are not tried again."""
BROKEN_SHARE: Final = 0.05
"""Share of records that break the contract above which a batch deserves a look."""


def intake_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`raw_…`, `candidates` and `set_aside` of `program`."""
    sheets = program_sheets(program)
    source = SOURCES[program.source_table]
    raw_name = source.raw_asset
    not_broken = " and ".join(["duplicates", *source.ordinary.values()])

    @dg.multi_asset(
        name=f"{program.key}__read_records",
        specs=asset_specs(program, raw_name),
        check_specs=[
            dg.AssetCheckSpec(
                "every_row_has_a_batch",
                asset=sheets[raw_name].asset_key,
                description="No row of the source is left unread: too late, or without a plausible day and arrival.",
            )
        ],
        retry_policy=RETRIES,
    )
    def read_records(
        context: dg.AssetExecutionContext,
        connector: dg.ResourceParam[Connector],
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        models: dg.ResourceParam[Path],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            if not program.enabled:
                raise EngageError(f"{program.program_id} is disabled (enabled: false), so it makes no candidates")
            batch = desk.batch(warehouse, marketplaces)
            batch.check()
            folder, model_ids = models / program.program_id, [model.model_id for model in program.scoring_models]
            for model_id in model_ids:
                model_files.current_version(folder, model_id)
            libraries = partial(model_files.import_libraries, folder, model_ids)
            threading.Thread(target=libraries, name="import-libraries").start()
            desk.write(raw_name, connector.read(program, desk.partition, batch.asked))
            unread = connector.unread(program, desk.partition)
        late = desk.read(raw_name).filter(pl.col("is_late")).select(pl.len()).collect().item()
        metadata = {
            "late_records": late,
            "batch_instant": f"{batch.instant:%Y-%m-%d %H:%M} UTC",
            "not_evaluated": not_evaluated_words(not_evaluated(batch)),
        }
        none_unread = not any(unread.values())
        check = desk.check(raw_name, "every_row_has_a_batch", passed=none_unread, metadata=unread, warn=True)
        yield desk.result(raw_name, metadata, [check])

    @dg.multi_asset(
        name=f"{program.key}__check_records",
        specs=asset_specs(program, "candidates", SET_ASIDE.name),
        check_specs=[
            dg.AssetCheckSpec(
                "contract_is_kept",
                asset=sheets[SET_ASIDE.name].asset_key,
                description=f"At most {BROKEN_SHARE:.0%} of the records break the contract"
                f" ({not_broken} do not count).",
            )
        ],
    )
    def check_records(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            batch = desk.batch(warehouse, marketplaces)
            with desk.open("candidates") as kept, desk.open(SET_ASIDE.name) as refused:
                for checked in stages.check_records(batch, desk.read(raw_name)):
                    kept.add(stages.candidates_of(batch, checked))
                    refused.add(stages.set_aside_of(checked))
        counts = reason_counts(desk.read(SET_ASIDE.name))
        broken = int(counts.filter(~pl.col("reason").is_in(["DUPLICATE", *source.ordinary]))["records"].sum())
        is_kept = broken <= BROKEN_SHARE * (kept.rows + refused.rows)
        yield desk.result("candidates")
        check = desk.check(SET_ASIDE.name, "contract_is_kept", passed=is_kept, metadata={"broken": broken}, warn=True)
        yield desk.result(SET_ASIDE.name, {"reasons": markdown_table(counts)}, [check])

    return [read_records, check_records]
