"""The demonstration: a small world from its records to its people's answers, on a declared clock."""

import os
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import polars as pl

from engage_assets.cli.batch import run_partition, show_partition, train_model, write_sample
from engage_assets.cli.demo_summaries import show_summaries
from engage_assets.cli.desk import DAY, launcher, plain_errors
from engage_assets.cli.operate import approve_campaigns, deliver_now
from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher

PROGRAM: Final = "product-reviews"
PORT: Final = 8080
AFTERWARDS: Final = 14
"""Days that the world goes on after the partition, so that its ordinary reviews do."""
ANSWER_DAYS: Final = 11
"""Nights after its partition on which the last simulated answer is in: a week to open, three days to write."""
_START_SECONDS: Final = 60


@click.command()
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same world.")
def demo(seed: int) -> None:
    """Generate a world, run one of its days, deliver to the outbox, let its people answer, and summarise logs."""
    first_day, partition = date(2026, 10, 1), date(2026, 10, 30)
    days = (partition - first_day).days + 1 + AFTERWARDS
    with plain_errors():
        desk = launcher()
        click.echo(f"1. a synthetic warehouse: seed {seed}, {days} days from {first_day}")
        write_sample(desk, seed=seed, first_day=first_day, days=days)
        click.echo("2. a model, from what was known on the first day")
        train_model(desk, PROGRAM, first_day)
        instant = desk.program(PROGRAM).cadence.batch_instant(partition)
        click.echo(f"3. the batch of {partition} on a declared clock: it is {instant:%Y-%m-%d %H:%M} UTC")
        run_partition(launcher(ENGAGE_NOW=instant.isoformat()), PROGRAM, partition, with_report=False)
        click.echo("4. a person approves the audiences: there are no earlier days to tell whether the volume is usual")
        approve_campaigns(launcher(ENGAGE_NOW=instant.isoformat()), PROGRAM, partition)
        with shared_clock(desk, instant) as changes:
            click.echo("5. delivery to the outbox, at each slot on the declared clock; nothing leaves this machine")
            key = desk.program(PROGRAM).key
            slots = desk.lake.scan((key, "email_campaigns"), partition.isoformat()).select("slot_at").unique().collect()
            timed = launcher(**changes)
            for slot in sorted(slots["slot_at"].to_list()):
                timed.clock.set(slot)  # type: ignore[attr-defined]
                deliver_now(timed, PROGRAM, confirm=True)
            click.echo(
                f"6. its people open, click and answer, at {changes['ENGAGE_PUBLIC_URL']} over {ANSWER_DAYS} days"
            )
            until = datetime.combine(partition + timedelta(days=ANSWER_DAYS), datetime.max.time())
            simulate(launcher(**changes), PROGRAM, partition, seed, until.replace(second=0, microsecond=0))
        click.echo(f"7. figures, report and export, at 23:59 UTC of {until:%Y-%m-%d} on the declared clock")
        evening = launcher(ENGAGE_NOW=until.replace(second=0, microsecond=0).isoformat())
        measure(evening, partition, until.date())
        show_summaries(desk, partition, seed)
        show_partition(desk, PROGRAM, partition)
        click.echo(f"  {desk.home.outbox}  (messages, one .eml each)")
        click.echo(f"  {desk.home.export}  (warehouse export)")
        click.echo("\nAll times after step 2 were declared (ENGAGE_NOW), and the people are invented.")
        click.echo("Open the UI on the same home: make ui, then http://localhost:3000")
        click.echo("Open the pages that the messages link to: make serve")


def measure(desk: "Launcher", partition: date, as_of: date) -> None:
    """Outcomes, figures and report as of a night, and the export."""
    program = desk.program(PROGRAM)
    ops = {
        f"{program.key}__{name}": {"config": {"as_of": as_of.isoformat()}} for name in ("outcomes", "measure", "report")
    }
    desk.run(f"{program.key}_metrics", partition, config={"ops": ops})
    desk.run_partition(program, partition, jobs=["export"])


@contextmanager
def shared_clock(desk: "Launcher", instant: datetime) -> Iterator[dict[str, str]]:
    """Variables of processes that share one declared clock and one service address."""
    from engage_assets.clocks import FILE, SharedClock  # noqa: PLC0415 - as in launcher

    path = desk.home.root / "declared-now"
    SharedClock(path).set(instant)
    port = PORT if _is_free(PORT) else _free_port()
    try:
        yield {"ENGAGE_NOW": f"{FILE}{path}", "ENGAGE_PUBLIC_URL": f"http://127.0.0.1:{port}"}
    finally:
        path.unlink(missing_ok=True)


@click.command(name="simulate-responses")
@click.argument("program_id", default=PROGRAM)
@click.option("--date", "day", type=DAY, help="Partition; default: the newest with campaigns.")
@click.option("--seed", default=1, show_default=True, help="The seed of the sample world.")
@click.option("--days", default=ANSWER_DAYS, show_default=True, help="Days of visits after the partition.")
def simulate_responses(program_id: str, day: datetime | None, seed: int, days: int) -> None:
    """Let the sample world's people answer what lies in the outbox, through a real service on a declared clock.

    ENGAGE_PUBLIC_URL must be the address that the messages were delivered with, on this machine.
    """
    with plain_errors():
        desk = launcher()
        partition = (
            day.date()
            if day
            else date.fromisoformat(desk.lake.partitions((desk.program(program_id).key, "email_campaigns"))[-1])
        )
        until = datetime.combine(partition + timedelta(days=days), datetime.max.time()).replace(second=0, microsecond=0)
        with shared_clock(desk, desk.program(program_id).cadence.batch_instant(partition)) as changes:
            url = os.environ.get("ENGAGE_PUBLIC_URL") or changes["ENGAGE_PUBLIC_URL"]
            simulate(launcher(**{**changes, "ENGAGE_PUBLIC_URL": url}), program_id, partition, seed, until)


def simulate(desk: "Launcher", program_id: str, partition: date, seed: int, until: datetime) -> None:
    """Run the service, pay the people's visits at their instants, and say what was done."""
    from engage_assets.sample.people import draw_people, respond  # noqa: PLC0415 - as in launcher
    from engage_assets.sample.visits import pay, read_outbox, visits  # noqa: PLC0415 - as in launcher

    events = desk.parts["ledger"].send_events(None, until)
    mark = f":{partition.isoformat()}:"
    sent = events.filter((pl.col("state") == "sent") & pl.col("campaign_id").str.contains(mark, literal=True))
    if sent.is_empty():
        raise EngageError(f"nothing of {program_id}, partition {partition}, was sent yet; `engage deliver` first")
    tables = {name: pl.read_parquet(desk.home.warehouse / f"{path}.parquet") for name, path in _TABLES.items()}
    people = draw_people(seed, tables["customers"].height)
    answers = respond(people, tables["products"], sent, seed)
    secret = desk.environment.get("ENGAGE_WEBHOOK_SECRET_GENERIC") or secrets.token_hex(32)
    told = {"events_url": f"{desk.environment['ENGAGE_PUBLIC_URL']}/v1/events/generic", "secret": secret.encode()}
    mails = read_outbox(desk.home.outbox)
    with running_service(desk, secret):
        done = pay(visits(sent, answers, until), mails, desk.clock.set, **told)  # type: ignore[attr-defined, arg-type]
    click.echo(
        f"  of {sent.height} messages {done.delivered} arrived and {done.bounce} bounced; {done.scan} were opened by"
        f" machines; people: {done.open} opens, {done.click} clicks, {done.answer} answers"
    )


_TABLES: Final = {"customers": "crm/customers", "products": "ecommerce/products"}


@contextmanager
def running_service(desk: "Launcher", secret: str) -> Iterator[None]:
    """`engage serve` in a process of its own at ENGAGE_PUBLIC_URL. Raises EngageError where it cannot start."""
    import httpx  # noqa: PLC0415 - as in launcher

    url = desk.environment["ENGAGE_PUBLIC_URL"]
    port = httpx.URL(url).port or 80
    environment = {**desk.environment, "ENGAGE_WEBHOOK_SECRET_GENERIC": secret}
    log = Path(desk.home.root / "service.log")
    with log.open("wb") as said:
        command = [sys.executable, "-m", "engage_assets.cli", "serve", "--port", str(port)]
        process = subprocess.Popen(command, env=environment, stdout=said, stderr=said)  # noqa: S603 – our own command
    try:
        give_up = time.monotonic() + _START_SECONDS
        while not _is_ready(url):
            if process.poll() is not None or time.monotonic() > give_up:
                raise EngageError(f"the service at {url} did not start; its last words are in {log}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=_START_SECONDS)


def _is_ready(url: str) -> bool:
    import httpx  # noqa: PLC0415 - as in launcher

    try:
        return httpx.get(f"{url}/readyz", timeout=5).is_success
    except httpx.HTTPError:
        return False


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free_port() -> int:
    with closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
