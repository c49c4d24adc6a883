"""Commands around the batch: sample, train, run, backfill, show, why."""

import sys
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click
import polars as pl

from engage_assets.cli.desk import DAY, launcher, plain_errors
from engage_assets.cli.explain import told_of_records
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sources import SOURCES

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.program import Program


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
@click.option("--first-day", type=DAY, default="2026-10-01", show_default=True, help="First partition.")
@click.option("--days", default=30, show_default=True, help="Partitions.")
@click.option("--customers", default=4000, show_default=True, help="People in the world.")
@click.option("--products", default=300, show_default=True, help="Products in the catalogue.")
@click.option(
    "--tracks", type=int, help="Tracks in the music catalogue; default: three new ones a day, and older ones."
)
def sample(**options: Any) -> None:
    """Write a synthetic warehouse into ENGAGE_HOME."""
    with plain_errors():
        write_sample(launcher(), **{**options, "first_day": options["first_day"].date()})


def write_sample(desk: "Launcher", **options: Any) -> None:
    """Write the world, and say how many rows."""
    from engage_assets.sample.events_world import generate_all  # noqa: PLC0415 - as in launcher

    summaries = generate_all(desk.home.warehouse, marketplaces=desk.folder.marketplaces, **options)
    for table, rows in {table: rows for summary in summaries for table, rows in summary.rows.items()}.items():
        click.echo(f"  {table:<28}{rows:>10,} rows")
    click.echo(f"  in {desk.home.warehouse}")


@click.command()
@click.argument("program_id")
@click.option("--as-of", type=DAY, help="Learn only from what was known by this day; default: today.")
def train(program_id: str, as_of: datetime | None) -> None:
    """Train a program's model and make it the current one."""
    with plain_errors():
        train_model(launcher(), program_id, as_of.date() if as_of else None)


def train_model(desk: "Launcher", program_id: str, as_of: date | None) -> None:
    """Train, and say how good the model is."""
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.model_assets import training_config  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    with progress(f"training {', '.join(model.model_id for model in program.scoring_models)}"):
        result = desk.run(f"{program.key}_training", config=training_config(program, as_of))
    told = {event.materialization.asset_key.path[-1]: event for event in result.get_asset_materialization_events()}
    for model in program.scoring_models:
        made = told[model.asset_name].materialization.metadata
        verdict = told[f"{model.key}_verdict"].materialization.metadata
        click.echo(
            f"  {model.model_id}: version {made['version'].value} as of {made['as_of'].value}, learned from"
            f" {made['examples'].value:,} examples ({made['label'].value}); on {made['rows'].value:,} later ones, of"
            f" which {made['base_rate'].value:.1%} are positive: ROC AUC {made['roc_auc'].value:.3f} (0.5 is chance),"
            f" calibration error {made['calibration_error'].value:.3f}"
        )
        word = "put into use" if verdict["put_into_use"].value else "kept, but not in use"
        click.echo(f"  {word}:\n{verdict['reasons'].value}")
        if not verdict["put_into_use"].value and verdict["version_in_use"].value != "none":
            click.echo(
                f"  in use stays version {verdict['version_in_use'].value} (as of {verdict['in_use_as_of'].value}); to"
                f" use the new one all the same: engage models promote {program_id} {made['version'].value}"
            )


@click.command()
@click.argument("program_id")
@click.option("--date", "day", type=DAY, help="Partition; default: the newest whose batch instant has come.")
@click.option("--with-report/--batch-only", default=True, show_default=True, help="Measure, report and export too.")
def run(program_id: str, day: datetime | None, with_report: bool) -> None:
    """Run one partition of a program: batch, then metrics, report and export. Sends nothing."""
    with plain_errors():
        desk = launcher()
        partition = day.date() if day else desk.program(program_id).cadence.partition_of(desk.clock.now())
        run_partition(desk, program_id, partition, with_report=with_report)
        show_partition(desk, program_id, partition)
        if not desk.lake.rows((desk.program(program_id).key, "decisions"), partition.isoformat()):
            click.echo(f"\nThe source has no records of {partition}; name a day that has with --date.")


def run_partition(desk: "Launcher", program_id: str, partition: date, *, with_report: bool) -> None:
    """Run one partition's jobs, and say how long each took."""
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    for job in ("batch", "metrics", "export") if with_report else ("batch",):
        with progress(f"{job} of {partition}"):
            desk.run_partition(program, partition, jobs=[job])


@click.command()
@click.argument("program_id")
@click.option("--from", "first", type=DAY, required=True, help="First partition.")
@click.option("--to", "last", type=DAY, required=True, help="Last partition.")
@click.option("--with-report/--batch-only", default=True, show_default=True, help="Measure, report and export too.")
def backfill(program_id: str, first: datetime, last: datetime, with_report: bool) -> None:
    """Run a range of partitions through Dagster in this process, oldest first. Sends nothing, ever."""
    with plain_errors():
        desk = launcher()
        program = desk.program(program_id)
        days = _partitions(program, first, last)
        tags = {"dagster/backfill": f"engage-{datetime.now(UTC):%Y%m%d-%H%M%S}"}
        jobs = ("batch", "metrics", "export") if with_report else ("batch",)
        with click.progressbar(days, label=f"{len(days)} partitions", item_show_func=_day, file=sys.stderr) as shown:
            for partition in shown:
                desk.run_partition(program, partition, jobs=jobs, tags=tags)
        _show_range(desk, program_id, days)


def _day(partition: date | None) -> str:
    return "" if partition is None else partition.isoformat()


def _show_range(desk: "Launcher", program_id: str, days: list[date]) -> None:
    from engage_assets.outcomes.words import range_table, reason_table  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    stages = ["contract", "duplicate", *(spec.filter_id for spec in program.filters), "score", "list"]
    raw_asset = SOURCES[program.source_table].raw_asset
    decided = {
        day: (
            desk.lake.rows((program.key, raw_asset), day.isoformat()),
            desk.lake.scan((program.key, "decisions"), day.isoformat()),
        )
        for day in days
    }
    click.echo(range_table(decided, stages))
    click.echo("\n" + reason_table([decisions for _, decisions in decided.values()]))


@click.command()
@click.argument("program_id")
@click.option("--date", "day", type=DAY, help="Partition; default: the newest that was decided.")
@click.option("--from", "first", type=DAY, help="With --to: a table over a range of partitions instead.")
@click.option("--to", "last", type=DAY, help="Last partition of the range.")
def show(program_id: str, day: datetime | None, first: datetime | None, last: datetime | None) -> None:
    """Print a partition's funnel and where its files lie, or how a range of partitions ended."""
    with plain_errors():
        desk = launcher()
        decided = desk.lake.partitions((desk.program(program_id).key, "decisions"))
        if not decided:
            raise EngageError(f"no partition of {program_id} was decided yet; run `engage run {program_id}`")
        if first and last:
            _show_range(desk, program_id, _partitions(desk.program(program_id), first, last))
        elif first or last:
            raise EngageError("give both --from and --to, or neither")
        else:
            show_partition(desk, program_id, day.date() if day else date.fromisoformat(decided[-1]))


def _partitions(program: "Program", first: datetime, last: datetime) -> list[date]:
    """The program's partitions in a range: every day, or its Mondays. Raises EngageError where there is none."""
    if last < first:
        raise EngageError(f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}")
    days = [first.date() + timedelta(days=step) for step in range((last - first).days + 1)]
    cadence = program.cadence
    found = [day for day in days if cadence.partition_of(cadence.batch_instant(day)) == day]
    if not found:
        raise EngageError(f"no Monday lies from {first:%Y-%m-%d} to {last:%Y-%m-%d}, and each partition is one")
    return found


def show_partition(desk: "Launcher", program_id: str, partition: date, *, campaigns_shown: int | None = None) -> None:
    """Print a partition's funnel, its campaigns (all, or the first few), and where its files lie."""
    from engage_assets.outcomes.words import contribution, funnel  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    click.echo("\n" + funnel(program, partition, desk.lake.scan((program.key, "decisions"), partition.isoformat())))
    measured = (program.key, "daily_metrics", partition.isoformat())
    nights = desk.lake.partitions(measured)
    if nights:
        click.echo(f"\nas of {nights[-1]}\n" + contribution(pl.read_parquet(desk.lake.path(measured, nights[-1]))))
    campaigns = desk.lake.scan((program.key, "email_list"), partition.isoformat()).collect()
    click.echo(f"\ncampaigns{'' if campaigns.height else ': none'}")
    names = sorted(campaigns["campaign_id"].unique())
    width = max(map(len, names), default=0) + 2
    for campaign in names[:campaigns_shown]:
        slots = campaigns.filter(campaign_id=campaign)["slot_at"].sort().to_list()
        due = " to ".join(dict.fromkeys(f"{slot:%m-%d %H:%M}" for slot in (slots[0], slots[-1])))
        click.echo(f"  {campaign:<{width}}{len(slots):>6} recipients, due {due} UTC")
    if names[campaigns_shown:]:
        click.echo(f"  … and {len(names[campaigns_shown:])} more: engage show {program_id} --date {partition}")
    click.echo("\nfiles")
    for path in sorted((desk.home.lake / program.key).rglob(f"*{partition}*")):
        for found in sorted(path.glob("*")) if path.is_dir() else [path]:
            click.echo(f"  {found}")


@click.command()
@click.argument("program_id")
@click.argument("customer_id")
def why(program_id: str, customer_id: str) -> None:
    """Say how every record of a customer ended, and why."""
    from engage_assets.outcomes.words import history  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = launcher()
        decided = desk.lake.history((desk.program(program_id).key, "decisions"), date.max)
        if decided is None:
            raise EngageError(f"no partition of {program_id} was decided yet; run `engage run {program_id}`")
        click.echo(history(customer_id, decided))
        newest = decided.filter(customer_id=customer_id).select(pl.col("partition_date").max()).collect().item()
        for _, lines in told_of_records(desk, program_id, newest, customer_id) if newest else ():
            click.echo("\n" + "\n".join(lines))
