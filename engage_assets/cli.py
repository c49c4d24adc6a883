"""The command line: thin words over programs, the sample world, and Dagster's jobs."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sources import SOURCES

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher

DAY = click.DateTime(formats=["%Y-%m-%d"])


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show a mistake as its message, without a traceback."""
    try:
        yield
    except EngageError as error:
        for line in error.args:
            click.echo(click.style("error: ", fg="red") + str(line), err=True)
        sys.exit(1)


def launcher(**changes: str) -> "Launcher":
    """The deployment of this environment, with some variables changed."""
    from engage_assets.defs.launch import Launcher  # noqa: PLC0415 - --help and validate need no Dagster

    return Launcher({**os.environ, **changes})


@click.group()
@click.version_option(package_name="engage-assets")
def main() -> None:
    """Decide whom to contact about what, when, through which channel; prove it; measure it."""


@main.group()
def programs() -> None:
    """Program files."""


@programs.command()
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
def validate(files: tuple[Path, ...]) -> None:
    """Report every fault of program files (default: the whole folder) with file, line, key and remedy."""
    from engage_assets.defs.abilities import load_programs  # noqa: PLC0415 - as in launcher

    with plain_errors():
        if not files:
            loaded = load_programs(Path(os.environ.get("ENGAGE_PROGRAMS") or "programs"))
            click.echo(f"valid: {', '.join(loaded.programs)} (marketplaces: {', '.join(loaded.marketplaces)})")
            return
        found = [_faults(path) for path in files]
        for path, (faults, beyond) in zip(files, found, strict=True):
            if not faults:
                click.echo(f"{path}: valid{', but beyond what this version can run:' if beyond else ''}")
            for note in beyond:
                click.echo(f"  {note}")
        if any(faults for faults, _ in found):
            raise EngageError(*(fault for faults, _ in found for fault in faults))


def _faults(path: Path) -> tuple[list[str], list[str]]:
    """The faults of one program file, and what it asks of a source that this version does not know.

    Its marketplaces are checked where their file stands beside it.
    """
    from engage_assets import programs as reader  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.abilities import abilities  # noqa: PLC0415 - as in launcher

    beside = path.parent / reader.MARKETPLACES_FILE
    try:
        marketplaces = reader.read_marketplaces(beside) if beside.is_file() else None
        reader.read_program(path, marketplaces, abilities())
    except EngageError as error:
        try:
            program = reader.read_program(path)
        except EngageError:
            return list(map(str, error.args)), []
        # A well-formed program of a source that a later version may know is no mistake of its author.
        notes = list(map(str, error.args))
        return ([], notes) if program.source_table not in SOURCES else (notes, [])
    return [], []


@programs.command()
def schema() -> None:
    """Print the JSON schema of program files."""
    from engage_assets.programs import json_schema  # noqa: PLC0415 - as in launcher

    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))


@main.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
@click.option("--first-day", type=DAY, default="2026-10-01", show_default=True, help="First partition.")
@click.option("--days", default=30, show_default=True, help="Partitions.")
@click.option("--customers", default=4000, show_default=True, help="People in the world.")
@click.option("--products", default=300, show_default=True, help="Products in the catalogue.")
def sample(**options: Any) -> None:
    """Write a synthetic warehouse into ENGAGE_HOME."""
    with plain_errors():
        _sample(launcher(), **{**options, "first_day": options["first_day"].date()})


def _sample(desk: "Launcher", **options: Any) -> None:
    from engage_assets.sample.world import generate  # noqa: PLC0415 - as in launcher

    summary = generate(desk.home.warehouse, marketplaces=desk.folder.marketplaces, **options)
    for table, rows in summary.rows.items():
        click.echo(f"  {table:<28}{rows:>10,} rows")
    click.echo(f"  in {desk.home.warehouse}")


@main.command()
@click.argument("program_id")
@click.option("--as-of", type=DAY, help="Learn only from what was known by this day; default: today.")
def train(program_id: str, as_of: datetime | None) -> None:
    """Train a program's model and make it the current one."""
    with plain_errors():
        _train(launcher(), program_id, as_of.date() if as_of else None)


def _train(desk: "Launcher", program_id: str, as_of: date | None) -> None:
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    step = f"{program.key}__train_{program.scoring_models[0].asset_name}"
    config = {"ops": {step: {"config": {"as_of": as_of.isoformat() if as_of else None}}}}
    with progress(f"training {program.scoring_models[0].model_id}"):
        result = desk.run(f"{program.key}_training", config=config)
    metadata = result.get_asset_materialization_events()[0].materialization.metadata
    said = {name: metadata[name].value for name in ("version", "as_of", "rows", "base_rate", "roc_auc")}
    click.echo(
        f"  version {said['version']} as of {said['as_of']}; on {said['rows']} later examples, of which"
        f" {said['base_rate']:.1%} answered: ROC AUC {said['roc_auc']:.3f} (0.5 is chance),"
        f" calibration error {metadata['calibration_error'].value:.3f}"
    )
    if metadata["current_version"].value != metadata["version"].value:
        click.echo(
            f"  kept, but not in use: version {metadata['current_version'].value} learned from later days"
            f" (as of {metadata['current_as_of'].value}). To use the new one, remove the folder of"
            f" {program.scoring_models[0].model_id} in {desk.home.models / program_id} and train again"
        )


@main.command()
@click.argument("program_id")
@click.option("--date", "day", type=DAY, help="Partition; default: the newest whose batch instant has come.")
@click.option("--with-report/--batch-only", default=True, show_default=True, help="Measure, report and export too.")
def run(program_id: str, day: datetime | None, with_report: bool) -> None:
    """Run one partition of a program: batch, then metrics, report and export. Sends nothing."""
    with plain_errors():
        desk = launcher()
        partition = day.date() if day else desk.program(program_id).cadence.partition_of(desk.clock.now())
        _run(desk, program_id, partition, with_report=with_report)
        _show(desk, program_id, partition)
        if not desk.lake.rows((desk.program(program_id).key, "decisions"), partition.isoformat()):
            click.echo(f"\nThe source has no records of {partition}; name a day that has with --date.")


def _run(desk: "Launcher", program_id: str, partition: date, *, with_report: bool) -> None:
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    for job in ("batch", "metrics", "export") if with_report else ("batch",):
        with progress(f"{job} of {partition}"):
            desk.run_partition(program, partition, jobs=[job])


@main.command()
@click.argument("program_id")
@click.option("--from", "first", type=DAY, required=True, help="First partition.")
@click.option("--to", "last", type=DAY, required=True, help="Last partition.")
@click.option("--with-report/--batch-only", default=True, show_default=True, help="Measure, report and export too.")
def backfill(program_id: str, first: datetime, last: datetime, with_report: bool) -> None:
    """Run a range of partitions through Dagster in this process, oldest first. Sends nothing, ever."""
    with plain_errors():
        desk = launcher()
        program = desk.program(program_id)
        days = _days(first, last)
        tags = {"dagster/backfill": f"engage-{datetime.now(UTC):%Y%m%d-%H%M%S}"}
        jobs = ("batch", "metrics", "export") if with_report else ("batch",)
        with click.progressbar(days, label=f"{len(days)} days", item_show_func=_day, file=sys.stderr) as shown:
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


@main.command()
@click.argument("program_id")
@click.option("--confirm", is_flag=True, help="You mean it: without the schedule, a delivery needs a person's word.")
def deliver(program_id: str, confirm: bool) -> None:
    """Hand over the messages whose slot has come."""
    with plain_errors():
        _deliver(launcher(), program_id, confirm=confirm)


def _deliver(desk: "Launcher", program_id: str, *, confirm: bool) -> None:
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    now = desk.clock.now()
    declared = " (declared clock)" if desk.clock.is_declared else ""
    with progress(f"delivery at {now:%Y-%m-%d %H:%M} UTC{declared}"):
        result = desk.run(f"{program.key}_delivery", tags={"engage/deliver": "confirmed"} if confirm else {})
    events = result.get_asset_materialization_events()
    for event in events:
        click.echo(f"  {event.materialization.partition}: {event.materialization.description}")
    if not events:
        click.echo("  nothing was due")


@main.command()
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
            _show_range(desk, program_id, _days(first, last))
        elif first or last:
            raise EngageError("give both --from and --to, or neither")
        else:
            _show(desk, program_id, day.date() if day else date.fromisoformat(decided[-1]))


def _days(first: datetime, last: datetime) -> list[date]:
    """Every day of a range. Raises EngageError where it is empty."""
    if last < first:
        raise EngageError(f"--to {last:%Y-%m-%d} lies before --from {first:%Y-%m-%d}")
    return [first.date() + timedelta(days=step) for step in range((last - first).days + 1)]


def _show(desk: "Launcher", program_id: str, partition: date) -> None:
    from engage_assets.outcomes.words import funnel  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    click.echo("\n" + funnel(program, partition, desk.lake.scan((program.key, "decisions"), partition.isoformat())))
    campaigns = desk.lake.scan((program.key, "email_list"), partition.isoformat()).collect()
    click.echo(f"\ncampaigns{'' if campaigns.height else ': none'}")
    for campaign in sorted(campaigns["campaign_id"].unique()):
        slots = campaigns.filter(campaign_id=campaign)["slot_at"].sort().to_list()
        due = " to ".join(dict.fromkeys(f"{slot:%m-%d %H:%M}" for slot in (slots[0], slots[-1])))
        click.echo(f"  {campaign:<42}{len(slots):>6} recipients, due {due} UTC")
    click.echo("\nfiles")
    for path in sorted((desk.home.lake / program.key).rglob(f"*{partition}*")):
        for found in sorted(path.glob("*")) if path.is_dir() else [path]:
            click.echo(f"  {found}")


@main.command()
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


@main.command(name="opt-out")
@click.argument("customer_id")
@click.option("--program", "program_id", help="Only of this program; default: of all.")
@click.option("--channel", type=click.Choice(CHANNEL_TYPES), help="Only of this channel; default: of all.")
def opt_out(customer_id: str, program_id: str | None, channel: str | None) -> None:
    """Record that a customer opted out: from the next batch instant on nobody asks him."""
    from engage_assets.ledger.ledger import SqlLedger  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = launcher()
        if program_id:
            desk.program(program_id)
        desk.home.root.mkdir(parents=True, exist_ok=True)
        SqlLedger(desk.home.ledger_url).opt_out(customer_id, desk.clock.now(), program_id, channel)
        click.echo(f"recorded at {desk.clock.now():%Y-%m-%d %H:%M} UTC")


@main.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
def demo(seed: int) -> None:
    """Generate a world, train, run the last partition, deliver to the outbox in dry-run, and show it all."""
    first_day, days, program_id = date(2026, 10, 1), 30, "product-reviews"
    partition = first_day + timedelta(days=days - 1)
    with plain_errors():
        desk = launcher()
        click.echo(f"1. a synthetic warehouse: seed {seed}, {days} days from {first_day}")
        _sample(desk, seed=seed, first_day=first_day, days=days)
        click.echo("2. a model, from what was known on the first day")
        _train(desk, program_id, first_day)
        instant = desk.program(program_id).cadence.batch_instant(partition)
        click.echo(f"3. the batch of {partition} on a declared clock: it is {instant:%Y-%m-%d %H:%M} UTC")
        _run(launcher(ENGAGE_NOW=instant.isoformat()), program_id, partition, with_report=False)
        click.echo("4. delivery to the outbox, at each slot on the declared clock; nothing leaves this machine")
        key = desk.program(program_id).key
        slots = desk.lake.scan((key, "email_campaigns"), partition.isoformat()).select("slot_at").unique().collect()
        for slot in sorted(slots["slot_at"].to_list()):
            _deliver(launcher(ENGAGE_NOW=slot.isoformat()), program_id, confirm=True)
        click.echo("5. figures, report and export, at 23:59 UTC of the next day on the declared clock")
        night = datetime.combine(partition + timedelta(days=1), datetime.max.time()).replace(microsecond=0, second=0)
        evening = launcher(ENGAGE_NOW=night.isoformat())
        evening.run_partition(evening.program(program_id), partition, jobs=["metrics", "export"])
        _show(desk, program_id, partition)
        click.echo(f"  {desk.home.outbox}  (messages, one .eml each)")
        click.echo(f"  {desk.home.export}  (warehouse export)")
        click.echo("\nAll times after step 2 were declared (ENGAGE_NOW), and the people are invented.")
        click.echo("Open the UI on the same home: make ui, then http://localhost:3000")
