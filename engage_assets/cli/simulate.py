"""Letting the sample world's people answer, through a real service on a declared clock."""

import os
import secrets
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

import click
import polars as pl

from engage_assets.cli.desk import DAY, launcher, operator, plain_errors
from engage_assets.cli.service_process import running_service, shared_clock
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sources import SOURCES

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher
    from engage_assets.domain.program import Program
    from engage_assets.sample.events_mail import NoticeBox
    from engage_assets.sample.visits import Round, Visit

_ASKED: Final = ("send_id", "customer_id", "subject_id", "slot_at")
ANSWER_DAYS: Final = 11
"""Nights after its partition on which the last simulated answer is in: a week to open, three days to write."""


@click.command(name="simulate-responses")
@click.argument("program_id", default="product-reviews")
@click.option("--date", "day", type=DAY, help="Partition; default: the newest with campaigns.")
@click.option("--seed", default=1, show_default=True, help="The seed of the sample world.")
@click.option("--days", default=ANSWER_DAYS, show_default=True, help="Days of visits after the partition.")
def simulate_responses(program_id: str, day: datetime | None, seed: int, days: int) -> None:
    """Let the sample world's people answer what lies in the outbox, through a real service on a declared clock.

    ENGAGE_PUBLIC_URL must be the address that the messages were delivered with, on this machine.
    """
    with plain_errors():
        desk = launcher()
        partition = day.date() if day else _newest(desk, program_id)
        with shared_clock(desk, desk.program(program_id).cadence.batch_instant(partition)) as changes:
            url = os.environ.get("ENGAGE_PUBLIC_URL") or changes["ENGAGE_PUBLIC_URL"]
            timed = launcher(**{**changes, "ENGAGE_PUBLIC_URL": url})
            coming = visits_of(timed, program_id, partition, seed, last_instant(partition, days), must=True)
            with visiting(timed) as way:
                tell(pay(coming, way))


def _newest(desk: "Launcher", program_id: str) -> date:
    """The newest partition with campaigns. Raises EngageError where there is none."""
    partitions = desk.lake.partitions((desk.program(program_id).key, "email_campaigns"))
    if not partitions:
        raise EngageError(f"{program_id} has no campaigns yet; `engage run {program_id}`, then `engage deliver`")
    return date.fromisoformat(partitions[-1])


def last_instant(partition: date, days: int = ANSWER_DAYS) -> datetime:
    """23:59 UTC, so many days after a partition."""
    return datetime.combine(partition + timedelta(days=days), datetime.max.time()).replace(second=0, microsecond=0)


def visits_of(
    desk: "Launcher",
    program_id: str,
    partition: date,
    seed: int,
    until: datetime,
    *,
    must: bool = False,
    notices: "NoticeBox | None" = None,
) -> "list[Visit]":
    """What people do up to `until` about a partition's messages, as far as they were sent, and about what follows.

    `notices` keeps when each notice was seen first; without, they came when they say. Raises EngageError where nothing
    was sent, and something must have been.
    """
    from engage_assets.sample.events_mail import NoticeBox  # noqa: PLC0415 - as in launcher
    from engage_assets.sample.respondents import RESPONDENTS, Asked  # noqa: PLC0415 - as in launcher

    program = desk.program(program_id)
    # What people can answer lies in the outbox. The ledger is not asked: who reads its log up to an instant closes it.
    arrived = pl.Series([path.stem for path in desk.home.outbox.rglob("*.eml")], dtype=pl.String)
    messages = _of_partition(desk, program, "email_campaigns", partition)
    sent = messages.filter(pl.col("send_id").is_in(arrived.implode())).sort("slot_at", "send_id")
    if must and sent.is_empty():
        raise EngageError(f"nothing of {program_id}, partition {partition}, was sent yet; `engage deliver` first")
    people = RESPONDENTS[SOURCES[program.source_table].form]
    box, now = (notices, desk.clock.now()) if notices else (NoticeBox(desk.home.outbox), None)
    asked = Asked(
        sent,
        program.cadence.batch_instant(partition),
        program_id,
        _of_partition(desk, program, "in_app_banners", partition),
        box.received(program_id, now),
    )
    return [visit for visit in people.visits(seed, people.read(desk.home.warehouse), asked) if visit.at <= until]


def _of_partition(desk: "Launcher", program: "Program", name: str, partition: date) -> pl.DataFrame:
    """What a partition asks whom, and when; empty where it is not made."""
    key, day = (program.key, name), partition.isoformat()
    if day not in desk.lake.partitions(key):
        return pl.DataFrame(schema={**dict.fromkeys(_ASKED, pl.String()), "slot_at": pl.Datetime("us")})
    return desk.lake.scan(key, day).select(*_ASKED).collect()


@contextmanager
def visiting(desk: "Launcher") -> "Iterator[Round]":
    """A running service, and what visits to it need: the mails, a provider's secret, an assistant's key."""
    from engage_assets.sample.visits import Outbox, Round  # noqa: PLC0415 - as in launcher
    from engage_assets.serving.access import BANNERS, READ, VOICE, make_key  # noqa: PLC0415 - as in launcher

    operations, clock = desk.parts["operations"], desk.clock
    secret = desk.environment.get("ENGAGE_WEBHOOK_SECRET_GENERIC") or secrets.token_hex(32)
    key, text = make_key("the simulated assistant, app and platform", [VOICE, BANNERS, READ], clock.now())
    operations.add_key(key, operator())
    with running_service(desk, secret) as client:
        url = desk.environment["ENGAGE_PUBLIC_URL"]
        yield Round(client, url, secret.encode(), text, Outbox(desk.home.outbox).mail_of, clock.set)  # type: ignore[attr-defined]
    operations.revoke_key(key.key_id, operator(), clock.now())


def pay(coming: "list[Visit]", way: "Round") -> Counter[str]:
    """Pay visits, and count what was done."""
    from engage_assets.sample import visits  # noqa: PLC0415 - as in launcher

    return visits.pay(coming, way)


def tell(done: Counter[str]) -> None:
    """Say what was done."""
    for line in _told(done):
        click.echo(f"  {line}")


def _told(done: Counter[str]) -> Iterator[str]:
    if done["delivered"] or done["bounce"]:
        yield (
            f"{done['delivered']} messages arrived and {done['bounce']} bounced; machines opened {done['scan']};"
            f" people: {done['open']} opens, {done['click']} clicks, {done['answer']} answers"
        )
    if done["ended"]:
        yield (
            f"after {done['ended']:,} sessions of listening a voice assistant asked {done['prompted']} people;"
            f" {done['said']} said yes or no"
        )
    if done["looked"]:
        yield (
            f"an app was opened {done['looked']} times: {done['displayed']} banners, {done['tapped']} tapped,"
            f" {done['register']} registrations"
        )
    if done["subscribed"] or done["cancel"]:
        yield (
            f"{done['cancel']} people cancelled; {done['subscribed']} let a device remind them, which showed"
            f" {done['notification_displayed']} notifications: {done['notification_open']} opened"
        )
    if done["attended"] or done["survey"]:
        yield f"event platforms told of {done['attended']} guests; {done['survey']} said how it was"
