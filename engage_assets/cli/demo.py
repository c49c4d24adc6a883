"""The demonstration: a small world from its records to its people's answers, on a declared clock."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple

import click

from engage_assets.cli.batch import run_partition, show_partition, train_model, write_sample
from engage_assets.cli.demo_agenda import Agenda
from engage_assets.cli.demo_aside import Aside, aside, say
from engage_assets.cli.demo_events import LASTS, plan_week, show_events
from engage_assets.cli.demo_playlists import show_playlists
from engage_assets.cli.demo_summaries import show_summaries
from engage_assets.cli.desk import launcher, plain_errors
from engage_assets.cli.operate import approve_quietly, delivered
from engage_assets.cli.service_process import shared_clock
from engage_assets.cli.simulate import last_instant, pay, tell, visiting, visits_of

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.program import Program
    from engage_assets.sample.visits import Round, Visit

PROGRAMS: Final = ("product-reviews", "music-feedback", "event-invitations")
AFTERWARDS: Final = 14
"""Days that the world goes on after the partition, so that its ordinary answers do."""
_CAMPAIGNS_SHOWN: Final = 5


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
def demo(seed: int) -> None:
    """Generate a world, run one of its days, deliver to the outbox, let its people answer, and summarise logs."""
    first_day, partition = date(2026, 10, 1), date(2026, 10, 30)
    with plain_errors(), aside() as beside:
        beside.begin(_load)
        desk = launcher()
        turns = {program_id: turn_of(desk.program(program_id), partition) for program_id in PROGRAMS}
        days = (partition - first_day).days + 1 + AFTERWARDS
        click.echo(f"1. a synthetic warehouse: seed {seed}, {days} days from {first_day}")
        write_sample(desk, seed=seed, first_day=first_day, days=days)
        click.echo("2. models, from what was known on the first day")
        _train(desk, beside, first_day)
        summaries = beside.begin(_summarise, partition, seed)
        daily = [program_id for program_id in PROGRAMS if desk.program(program_id).cadence.period == "daily"]
        instant = max(desk.program(program_id).cadence.batch_instant(partition) for program_id in daily)
        click.echo(f"3. the batches of {partition} on a declared clock: it is {instant:%Y-%m-%d %H:%M} UTC")
        early = desk.changed(ENGAGE_NOW=instant.isoformat())
        for program_id in daily:
            run_partition(early, program_id, partition, with_report=False)
        click.echo("4. a person approves the audiences: there are no earlier days to tell whether the volume is usual")
        for program_id in daily:
            approve_quietly(early, program_id, partition)
        with shared_clock(desk, instant) as changes:
            click.echo("5. delivery to the outbox, at each slot on the declared clock; nothing leaves this machine")
            click.echo(
                f"   its people act until {max(turns.values()).until:%Y-%m-%d}, at {changes['ENGAGE_PUBLIC_URL']}"
            )
            live(desk.changed(**changes), turns, seed)
        until = max(turns.values()).until
        click.echo(f"6. figures, reports and exports, at {until:%H:%M} UTC of {until:%Y-%m-%d} on the declared clock")
        evening = desk.changed(ENGAGE_NOW=until.isoformat())
        for program_id, turn in turns.items():
            measure(evening, program_id, turn.partition, turn.until.date())
        say(summaries)
        _show(desk, turns)


def _train(desk: "Launcher", beside: Aside, as_of: date) -> None:
    """Train the programs' models, those of the last one beside the others."""
    assert desk.instance  # made once, before two processes use it
    *own, last = PROGRAMS
    trained = beside.begin(_train_one, last, as_of)
    for program_id in own:
        train_model(desk, program_id, as_of)
    say(trained)


def _load() -> None:
    """Load the programs, which takes a while."""
    assert launcher().folder


def _train_one(program_id: str, as_of: date) -> None:
    train_model(launcher(), program_id, as_of)


def _summarise(day: date, seed: int) -> None:
    show_summaries(launcher(), day, seed)


def _show(desk: "Launcher", turns: Mapping[str, "Turn"]) -> None:
    """Print what became of each program's partition, and where to look."""
    for program_id, turn in turns.items():
        show_partition(desk, program_id, turn.partition, campaigns_shown=_CAMPAIGNS_SHOWN)
        show_playlists(desk, program_id, turn.partition)
        show_events(desk, program_id, turn.partition)
    click.echo(f"\n  {desk.home.outbox}  (messages, one .eml each)")
    click.echo(f"  {desk.home.export}  (warehouse export)")
    click.echo("\nAll times after step 2 were declared (ENGAGE_NOW), and the people are invented.")
    click.echo("Open the UI on the same home: make ui, then http://localhost:3000")
    click.echo("Open the pages that the messages link to: make serve")


class Turn(NamedTuple):
    """A program's partition in the demonstration, and until when its people act."""

    until: datetime
    partition: date


def turn_of(program: "Program", partition: date) -> Turn:
    """The daily partition, or of a weekly program the Monday after it."""
    if program.cadence.period == "daily":
        return Turn(last_instant(partition), partition)
    monday = partition + timedelta(days=7 - partition.weekday())
    return Turn(program.cadence.batch_instant(monday) + LASTS, monday)


def live(timed: "Launcher", turns: Mapping[str, Turn], seed: int) -> None:
    """Deliver at each slot, update playlists when they are due, and let people act in between, in the order of time."""
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    since, life = timed.clock.now(), Life(timed, turns, seed)
    with visiting(timed) as way:
        for at, acts in _agenda(timed, turns):
            life.go_on(way, since, at)
            timed.clock.set(at)  # type: ignore[attr-defined]
            since = at
            with progress(f"at {at:%Y-%m-%d %H:%M} UTC"):
                told = [said for act in acts if (said := act())]
            for line in told:
                click.echo(f"  {at:%m-%d %H:%M}  {line}")
        life.go_on(way, since, max(turns.values()).until)
    tell(life.done)


@dataclass
class Life:
    """What the world's people do, program by program; what is coming is worked out anew when something was sent."""

    timed: "Launcher"
    turns: Mapping[str, Turn]
    seed: int
    done: Counter[str] = field(default_factory=Counter)
    _coming: dict[str, tuple[int, "list[Visit]"]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from engage_assets.sample.events_mail import NoticeBox  # noqa: PLC0415 - as in launcher

        self._notices = NoticeBox(self.timed.home.outbox)

    def go_on(self, way: "Round", since: datetime, end: datetime) -> None:
        """Let people do what they do after `since`, up to `end`."""
        coming = [visit for program_id in self.turns for visit in self._visits(program_id)]
        self.done.update(pay([visit for visit in coming if since < visit.at <= end], way))

    def _visits(self, program_id: str) -> "list[Visit]":
        messages = sum(path.is_file() for path in (self.timed.home.outbox / program_id).rglob("*"))
        known = self._coming.get(program_id)
        if known is None or known[0] != messages:
            turn = self.turns[program_id]
            found = visits_of(
                self.timed, program_id, turn.partition, self.seed, turn.until, notices=self._notices
            )  # fmt: skip
            self._coming[program_id] = (messages, found)
        return self._coming[program_id][1]


def _agenda(timed: "Launcher", turns: Mapping[str, Turn]) -> Agenda:
    """What is to be done at which instant: deliveries, updates of playlists, a week of events."""
    agenda = Agenda(max(turns.values()).until)
    for program_id, turn in turns.items():
        program = timed.program(program_id)
        if program.cadence.period != "daily":
            plan_week(timed, program, turn.partition, agenda)
            continue
        campaigns = timed.lake.scan((program.key, "email_campaigns"), turn.partition.isoformat())
        for slot in campaigns.select("slot_at").unique().collect()["slot_at"].sort():
            agenda.put(slot, partial(_deliver, timed, program_id))
        if program.playlists:
            at = program.playlists.instant(turn.partition)
            agenda.put(at, partial(_update, timed, program_id, turn.partition))
    return agenda


def _deliver(timed: "Launcher", program_id: str) -> str:
    return f"{program_id}: {'; '.join(delivered(timed, program_id, confirm=True)) or 'nothing was due'}"


def _update(timed: "Launcher", program_id: str, partition: date) -> str:
    timed.run(f"{timed.program(program_id).key}_playlists", partition)
    return f"{program_id}: the playlists were updated"


def measure(desk: "Launcher", program_id: str, partition: date, as_of: date) -> None:
    """Outcomes, figures and report as of a night, and the export."""
    from engage_assets.defs.jobs import night_config  # noqa: PLC0415 - as in launcher
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    with progress(f"figures of {program_id}"):
        desk.run(f"{program.key}_metrics", partition, config=night_config(program, as_of))
        desk.run_partition(program, partition, jobs=["export"])
