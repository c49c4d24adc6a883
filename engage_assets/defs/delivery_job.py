"""The delivery job, the external asset that it reports to, and what checks say of both."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import delivery
from engage_assets.defs.banner_assets import opened
from engage_assets.defs.batch import Batch
from engage_assets.defs.delivery_checks import NAMES, Checker, Finding, messages_of
from engage_assets.defs.describe import markdown_table, mistakes_as_failures
from engage_assets.dispatch.relay import Relay
from engage_assets.domain.banners import Banners
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import (
    Clock,
    Ledger,
    Operations,
    Outbox,
    Sender,
)
from engage_assets.domain.program import Program
from engage_assets.domain.tables import EMAIL_CAMPAIGNS
from engage_assets.lake import Lake
from engage_assets.watermark import Watermark

SENDS: Final = "email_sends"
LISTED: Final = 100
"""Sends in doubt that metadata list; `engage sends in-doubt` lists all."""
_SAID: Final = {
    "volume": "Input records of the day lie where those of the same weekdays lay, or a person approved.",
    "lateness": "The batch that made the list is not too long ago.",
    "counts_close": "Every input record ended in exactly one reason.",
    "store_agrees": "The candidate store carries the scores of scored_candidates.",
    "pace": "The transport can send what falls due within the send window.",
    "approval": "A person approved the audience of every campaign (programs with approval: required).",
}


def delivery_job(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.JobDefinition:
    """The job that hands over what is due. An op, not an asset: no backfill can ever reach it."""

    @dg.op(name=f"{program.key}__deliver", pool="delivery")
    def deliver(
        context: dg.OpExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        operations: dg.ResourceParam[Operations],
        store: dg.ResourceParam[Any],
        outbox: dg.ResourceParam[Outbox],
        sender: dg.ResourceParam[Sender],
        clock: dg.ResourceParam[Clock],
        links: dg.ResourceParam[Any],
        banners: dg.ResourceParam[Banners],
        watermark: dg.ResourceParam[Watermark],
    ) -> None:
        checker = Checker(program, lake, store, operations, sender)
        postman = delivery.Postman(
            program, marketplaces, lake, ledger, operations, store, checker, sender, clock, watermark, links, banners
        )
        with mistakes_as_failures():
            delivery.require_permission(program, context.run.tags, sender, clock)
            newest = program.cadence.partition_of(clock.now())
            with Relay(outbox, store, clock):
                done = delivery.deliver_due(postman, Batch(program, newest, marketplaces, warehouse))
        for partition, findings in done.findings.items():
            for finding in findings:
                context.log_event(_evaluation(program, partition, finding))  # type: ignore[arg-type]  # taken, not declared
        for partition, counts in done.outcomes.items():
            if sum(counts.values()):
                context.log_event(_report(program, partition, counts, postman))
        for partition, counts in done.opened.items():
            if sum(counts.values()):
                context.log_event(opened(program, partition, counts, clock))
        context.log_event(_doubt_found(program, ledger))  # type: ignore[arg-type]  # taken, not declared
        _tell(context, postman, done)

    @dg.job(
        name=f"{program.key}_delivery",
        description="Hands messages whose slot has come to the transport, once each.",
        tags={"program": program.program_id},
        executor_def=dg.in_process_executor,
    )
    def deliver_job() -> None:
        deliver()

    return deliver_job


def _report(
    program: Program, partition: date, counts: Counter[str], postman: delivery.Postman
) -> dg.AssetMaterialization:
    doubtful = postman.ledger.in_doubt(program.program_id)
    said = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in sorted(counts.items()) if count)
    return dg.AssetMaterialization(
        dg.AssetKey([program.key, SENDS]),
        partition=partition.isoformat(),
        description=f"{said} ({postman.sender.transport})",
        metadata={
            **{state: count for state, count in counts.items() if count},
            "transport": postman.sender.transport,
            "at": f"{postman.clock.now():%Y-%m-%d %H:%M} UTC",
            "is_declared_clock": postman.clock.is_declared,
            "in_doubt_now": doubtful.height,
            **({"in_doubt": _listed(doubtful)} if doubtful.height else {}),
        },
    )


def _tell(context: dg.OpExecutionContext, postman: delivery.Postman, done: delivery.Delivered) -> None:
    """Log counts; fail the run where something was kept back. The sensors tell people, once per cause."""
    context.log.info("delivered: %s", {day.isoformat(): dict(counts) for day, counts in done.outcomes.items()})
    if done.halted:
        context.log.warning("halted: %s", done.halted)
    if done.in_doubt:
        context.log.warning(
            "%s sends of %s are in doubt after a crash; `engage sends in-doubt` lists them",
            len(done.in_doubt),
            postman.program.program_id,
        )
    faults = [
        f"{partition} is kept back by {finding.check}: {finding.why}"
        for partition, findings in done.refusals.items()
        for finding in findings
    ]
    if faults:
        raise dg.Failure("; ".join(faults), allow_retries=False)


def sends_asset(program: Program) -> dg.AssetSpec:
    """The external asset that deliveries report to: nothing can materialize it but a delivery."""
    return dg.AssetSpec(
        dg.AssetKey([program.key, SENDS]),
        deps=[dg.AssetKey([program.key, EMAIL_CAMPAIGNS.name])],
        description="What deliveries handed over, by partition: reported by the delivery job; the ledger has each.\n\n"
        "A message is handed to the transport at most once; every one that may have been lost is counted and shown.",
        group_name=program.key,
        owners=list(program.owners),
        kinds={"email"},
        tags={"program": program.program_id},
    )


def delivery_checks(program: Program, marketplaces: Mapping[str, Marketplace]) -> dg.AssetChecksDefinition:
    """What deliveries check, on the newest partition that has campaigns: run by hand, it says whether one may begin."""
    sends = dg.AssetKey([program.key, SENDS])
    names = [name for name in NAMES if name != "approval" or program.approval == "required"]
    specs = [dg.AssetCheckSpec(name, asset=sends, description=_SAID[name]) for name in names]
    doubt = dg.AssetCheckSpec("nothing_in_doubt", asset=sends, description="No send's fate is unknown.")

    @dg.multi_asset_check(name=f"{program.key}__delivery_checks", specs=[*specs, doubt], can_subset=False)
    def check_delivery(
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        operations: dg.ResourceParam[Operations],
        store: dg.ResourceParam[Any],
        sender: dg.ResourceParam[Sender],
        clock: dg.ResourceParam[Clock],
    ) -> Iterable[dg.AssetCheckResult]:
        with mistakes_as_failures():
            partitions = lake.partitions((program.key, EMAIL_CAMPAIGNS.name))
            if not partitions:
                raise dg.Failure("no partition has campaigns yet; run the batch first", allow_retries=False)
            partition = date.fromisoformat(partitions[-1])
            keys = messages_of(lake, program, partition).select(
                "send_id", "campaign_id", "customer_id", "subject_id", "slot_at"
            )
            batch = Batch(program, partition, marketplaces, warehouse)
            found = Checker(program, lake, store, operations, sender).findings(batch, keys.collect(), clock.now())
            yield from _results(sends, partition, found)
        yield _doubt(sends, program, ledger)

    return check_delivery


def _results(sends: dg.AssetKey, partition: date, found: Iterable[Finding]) -> Iterator[dg.AssetCheckResult]:
    for finding in found:
        yield dg.AssetCheckResult(
            passed=finding.passed,
            asset_key=sends,
            check_name=finding.check,
            metadata={"partition": partition.isoformat(), "why": finding.why},
            description=finding.why,
        )


def _doubt(sends: dg.AssetKey, program: Program, ledger: Ledger) -> dg.AssetCheckResult:
    found = _doubt_found(program, ledger)
    return dg.AssetCheckResult(
        passed=found.passed,
        asset_key=sends,
        check_name=found.check_name,
        severity=found.severity,
        description=found.description,
        metadata=found.metadata,
    )


def _doubt_found(program: Program, ledger: Ledger) -> dg.AssetCheckEvaluation:
    doubtful = ledger.in_doubt(program.program_id)
    said = f"{doubtful.height} sends are in doubt; `engage sends resolve` says what became of them"
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([program.key, SENDS]),
        check_name="nothing_in_doubt",
        passed=doubtful.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=said if doubtful.height else "no send's fate is unknown",
        metadata={"in_doubt": _listed(doubtful)} if doubtful.height else {},
    )


def _listed(doubtful: pl.DataFrame) -> dg.MetadataValue:
    columns = ("send_id", "campaign_id", "customer_id", "subject_id", "slot_at", "at", "reason")
    return markdown_table(doubtful.select(columns).head(LISTED))


def _evaluation(program: Program, partition: date, finding: Finding) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey([program.key, SENDS]),
        check_name=finding.check,
        passed=finding.passed,
        metadata={"partition": partition.isoformat(), "why": finding.why},
        description=finding.why,
    )
