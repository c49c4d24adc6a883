"""Outcomes of a partition as of one night: what became of each send, and what people did."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path

import dagster as dg
import narwhals as nw
import polars as pl

from engage_assets.defs.batch import Batch, as_frame
from engage_assets.defs.calibration_watch import matured_calibrations
from engage_assets.defs.describe import file_metadata, markdown_table, mistakes_as_failures
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.sheets import GIVEN_REGISTRATIONS, asset_specs, program_sheets
from engage_assets.domain.events import REGISTRATIONS_LOG
from engage_assets.domain.ports import Clock, Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.tables import OUTCOMES
from engage_assets.lake import Lake
from engage_assets.outcomes.attribution import ANSWER_DAYS, NIGHT, outcomes, unsolicited
from engage_assets.outcomes.volume import AnswerVolume, answer_volume


class NightConfig(dg.Config):
    """The night on which a partition is measured."""

    as_of: str | None = None
    """ISO date; 23:59 UTC of that day is meant. Default: the first night, that of the day of the batch."""


def night_of(config: NightConfig, program: Program, partition: date) -> date:
    """The night that is asked for."""
    return date.fromisoformat(config.as_of) if config.as_of else program.cadence.batch_instant(partition).date()


def night_path(lake: Lake, program: Program, name: str, partition: date, as_of: date, suffix: str) -> Path:
    """The file of one partition and night."""
    return lake.path((program.key, name, partition.isoformat()), as_of.isoformat(), suffix)


def outcomes_asset(program: Program) -> dg.AssetsDefinition:
    """`outcomes` of `program`."""
    key = program_sheets(program)[OUTCOMES.name].asset_key

    @dg.multi_asset(
        name=f"{program.key}__outcomes",
        specs=asset_specs(program, OUTCOMES.name),
        check_specs=[
            dg.AssetCheckSpec(
                "probabilities_hold",
                asset=key,
                description="Once the time for answers is over: as many answered as the probabilities said, within"
                " 0.02 or chance.",
            )
        ],
    )
    def follow_sends(
        context: dg.AssetExecutionContext,
        config: NightConfig,
        lake: dg.ResourceParam[Lake],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            as_of = night_of(config, program, desk.partition)
            logs = Logs(program, desk.partition, as_of, ledger, clock)
            found: pl.DataFrame = (
                outcomes(
                    nw.from_native(logs.sends.lazy()),
                    nw.from_native(logs.interactions.lazy()),
                    nw.from_native(logs.responses.lazy()),
                    program=program,
                    partition=desk.partition,
                    as_of=as_of,
                )
                .to_native()
                .sort("slot_at", "send_id")
                .collect()
            )
            path = night_path(lake, program, OUTCOMES.name, desk.partition, as_of, ".parquet")
            rows = lake.write((program.key, OUTCOMES.name, desk.partition.isoformat()), as_of.isoformat(), found)
        counts = found.group_by("outcome").agg(sends=pl.len()).sort("sends", descending=True)
        yield dg.MaterializeResult(
            asset_key=key,
            metadata={
                **file_metadata(path, rows),
                "as_of": as_of.isoformat(),
                "outcomes": markdown_table(counts),
                "reasons": markdown_table(_reasons(found)),
                **{row["outcome"]: row["sends"] for row in counts.iter_rows(named=True)},
            },
            check_results=[_calibration(desk, program, found, as_of)],
        )

    return follow_sends


def _calibration(desk: Desk, program: Program, found: pl.DataFrame, as_of: date) -> dg.AssetCheckResult:
    """Whether the probabilities of the partition's sends came true; not asked before the last answer can have come."""
    asked = found.filter(pl.col("sent_at").is_not_null())
    days = max(model.label_days for model in program.scoring_models)
    last = asked["sent_at"].max()
    if not isinstance(last, datetime) or datetime.combine(as_of, NIGHT) < last + timedelta(days=days):
        words = f"not measured yet: answers count for {days} days"
        return desk.check(OUTCOMES.name, "probabilities_hold", passed=True, metadata={"words": words}, warn=True)
    scored = desk.read("scored_candidates")
    held = list(matured_calibrations(program, asked, scored, seed=as_of.toordinal()))
    several = len(held) > 1
    words = "; ".join(f"{model.model_id}: {one.words}" if several else one.words for model, one in held)
    passed = not any(one.is_alarming for _, one in held)
    return desk.check(OUTCOMES.name, "probabilities_hold", passed=passed, metadata={"words": words}, warn=True)


def _reasons(found: pl.DataFrame) -> pl.DataFrame:
    named = found.filter(pl.col("reason").is_not_null())
    return named.group_by("outcome", "reason").agg(sends=pl.len()).sort("sends", "reason", descending=[True, False])


class Logs:
    """The ledger's logs that the outcomes of one partition and night need; a night ahead knows what is known now."""

    def __init__(self, program: Program, partition: date, as_of: date, ledger: Ledger, clock: Clock) -> None:
        # Sends of a partition are planned after its batch instant; an answer may belong to an earlier one.
        since = program.cadence.batch_instant(partition) - program.cadence.step - timedelta(days=ANSWER_DAYS)
        until = min(datetime.combine(as_of, NIGHT), clock.now())
        own = pl.col("program") == program.program_id
        self.program, self.partition, self.as_of, self.until = program, partition, as_of, until
        self._ledger = ledger
        self.sends = ledger.send_events(since, until).filter(own)
        self.interactions = ledger.interactions(since, until)
        self.responses = ledger.responses(None, until).filter(own)

    def unsolicited(self) -> int:
        """Answers of the partition that belong to no send."""
        strangers = unsolicited(
            nw.from_native(self.sends.lazy()),
            nw.from_native(self.responses.lazy()),
            program=self.program,
            partition=self.partition,
            as_of=self.as_of,
        )
        return int(strangers.select(nw.len()).collect("polars").item())

    def registrations(self, lake: Lake) -> pl.LazyFrame:
        """REGISTRATIONS_LOG of the program up to the night: the mirror up to the batch instant, then the ledger."""
        day = self.program.cadence.last_day(self.partition)
        instant = min(self.program.cadence.batch_instant(self.partition), self.until)
        mirror = lake.path(GIVEN_REGISTRATIONS, day.isoformat())
        later = self._ledger.registrations(self.until, after=instant if mirror.is_file() else None).lazy()
        parts = (
            [pl.scan_parquet(mirror).filter(pl.col("received_at") <= instant), later] if mirror.is_file() else [later]
        )
        own = [part.filter(program=self.program.program_id).select(REGISTRATIONS_LOG.names) for part in parts]
        return pl.concat(own)

    def survey_answers(self) -> pl.DataFrame:
        """SURVEY_LOG of the program up to the night."""
        return self._ledger.survey_answers(self.until).filter(program=self.program.program_id)

    def volume(self, batch: Batch, first_send: date | None) -> AnswerVolume | None:
        """Answers of the night's day and before the first send; None where there are none to count."""
        declared = batch.source.answers
        elsewhere = batch.tables.get(declared.table.name)
        if elsewhere is None or first_send is None:
            return None
        given, ours = as_frame(elsewhere), as_frame(self.responses.lazy())
        return answer_volume(given, ours, answers=declared, first_send=first_send, day=self.as_of)
