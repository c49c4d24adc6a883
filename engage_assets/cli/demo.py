"""The demonstration: a small world from its records to its people's answers, on a declared clock."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

import click

from engage_assets.cli.batch import run_partition, show_partition, train_model, write_sample
from engage_assets.cli.demo_playlists import show_playlists
from engage_assets.cli.demo_summaries import show_summaries
from engage_assets.cli.desk import launcher, plain_errors
from engage_assets.cli.operate import approve_quietly, delivered
from engage_assets.cli.service_process import shared_clock
from engage_assets.cli.simulate import ANSWER_DAYS, last_instant, pay, tell, visiting, visits_of

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher

PROGRAMS: Final = ("product-reviews", "music-feedback")
AFTERWARDS: Final = 14
"""Days that the world goes on after the partition, so that its ordinary answers do."""
_CAMPAIGNS_SHOWN: Final = 5


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
def demo(seed: int) -> None:
    """Generate a world, run one of its days, deliver to the outbox, let its people answer, and summarise logs."""
    first_day, partition = date(2026, 10, 1), date(2026, 10, 30)
    days = (partition - first_day).days + 1 + AFTERWARDS
    with plain_errors():
        desk = launcher()
        programs = [program_id for program_id in PROGRAMS if desk.program(program_id)]
        click.echo(f"1. a synthetic warehouse: seed {seed}, {days} days from {first_day}")
        write_sample(desk, seed=seed, first_day=first_day, days=days)
        click.echo("2. models, from what was known on the first day")
        for program_id in programs:
            train_model(desk, program_id, first_day)
        instant = max(desk.program(program_id).cadence.batch_instant(partition) for program_id in programs)
        click.echo(f"3. the batches of {partition} on a declared clock: it is {instant:%Y-%m-%d %H:%M} UTC")
        early = launcher(ENGAGE_NOW=instant.isoformat())
        for program_id in programs:
            run_partition(early, program_id, partition, with_report=False)
        click.echo("4. a person approves the audiences: there are no earlier days to tell whether the volume is usual")
        for program_id in programs:
            approve_quietly(early, program_id, partition)
        with shared_clock(desk, instant) as changes:
            click.echo("5. delivery to the outbox, at each slot on the declared clock; nothing leaves this machine")
            click.echo(f"   its people answer over {ANSWER_DAYS} days, at {changes['ENGAGE_PUBLIC_URL']} and by voice")
            live(launcher(**changes), programs, partition, seed)
        until = last_instant(partition)
        click.echo(f"6. figures, reports and exports, at {until:%H:%M} UTC of {until:%Y-%m-%d} on the declared clock")
        evening = launcher(ENGAGE_NOW=until.isoformat())
        for program_id in programs:
            measure(evening, program_id, partition, until.date())
        show_summaries(desk, partition, seed)
        for program_id in programs:
            show_partition(desk, program_id, partition, campaigns_shown=_CAMPAIGNS_SHOWN)
            show_playlists(desk, program_id, partition)
        click.echo(f"\n  {desk.home.outbox}  (messages, one .eml each)")
        click.echo(f"  {desk.home.export}  (warehouse export)")
        click.echo("\nAll times after step 2 were declared (ENGAGE_NOW), and the people are invented.")
        click.echo("Open the UI on the same home: make ui, then http://localhost:3000")
        click.echo("Open the pages that the messages link to: make serve")


def live(timed: "Launcher", programs: Sequence[str], partition: date, seed: int) -> None:
    """Deliver at each slot, update playlists when they are due, and let people act in between, in the order of time."""
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    until, since, done = last_instant(partition), timed.clock.now(), Counter[str]()
    with visiting(timed) as way:

        def let_people_act(end: datetime) -> None:
            coming = [visit for name in programs for visit in visits_of(timed, name, partition, seed, end)]
            done.update(pay([visit for visit in coming if visit.at > since], way))

        for at, acts in _agenda(timed, programs, partition):
            let_people_act(at)
            timed.clock.set(at)  # type: ignore[attr-defined]
            since = at
            with progress(f"at {at:%Y-%m-%d %H:%M} UTC"):
                told = [act() for act in acts]
            click.echo("\n".join(f"  {at:%m-%d %H:%M}  {line}" for line in told))
        let_people_act(until)
    tell(done)


def _agenda(
    timed: "Launcher", programs: Sequence[str], partition: date
) -> list[tuple[datetime, list[Callable[[], str]]]]:
    """What is to be done at which instant: deliveries, updates of playlists."""
    found: dict[datetime, list[Callable[[], str]]] = {}
    for program_id in programs:
        program = timed.program(program_id)
        campaigns = timed.lake.scan((program.key, "email_campaigns"), partition.isoformat())
        for slot in campaigns.select("slot_at").unique().collect()["slot_at"]:
            found.setdefault(slot, []).append(partial(_deliver, timed, program_id))
        if program.playlists:
            found.setdefault(program.playlists.instant(partition), []).append(
                partial(_update, timed, program_id, partition)
            )
    return sorted(found.items())


def _deliver(timed: "Launcher", program_id: str) -> str:
    return f"{program_id}: {'; '.join(delivered(timed, program_id, confirm=True)) or 'nothing was due'}"


def _update(timed: "Launcher", program_id: str, partition: date) -> str:
    timed.run(f"{timed.program(program_id).key}_playlists", partition)
    return f"{program_id}: the playlists were updated"


def measure(desk: "Launcher", program_id: str, partition: date, as_of: date) -> None:
    """Outcomes, figures and report as of a night, and the export."""
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    ops = {
        f"{program.key}__{name}": {"config": {"as_of": as_of.isoformat()}} for name in ("outcomes", "measure", "report")
    }
    with progress(f"figures of {program_id}"):
        desk.run(f"{program.key}_metrics", partition, config={"ops": ops})
        desk.run_partition(program, partition, jobs=["export"])
