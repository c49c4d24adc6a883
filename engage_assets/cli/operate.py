"""Commands of whoever operates: deliver, stop, resume, approve, preview, sends, suppress, opt-out, ledger, audit."""

import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click
import polars as pl

from engage_assets.cli.desk import DAY, launcher, operator, plain_errors
from engage_assets.domain.channel_specs import CHANNEL_TYPES
from engage_assets.domain.errors import EngageError
from engage_assets.domain.keys import is_part_of, partition_of

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher


@click.command()
@click.argument("program_id")
@click.option("--confirm", is_flag=True, help="You mean it: without the schedule, a delivery needs a person's word.")
def deliver(program_id: str, confirm: bool) -> None:
    """Hand over the messages whose slot has come."""
    with plain_errors():
        deliver_now(launcher(), program_id, confirm=confirm)


def deliver_now(desk: "Launcher", program_id: str, *, confirm: bool) -> None:
    """Run the delivery job here and say what it did."""
    from engage_assets.defs.launch import progress  # noqa: PLC0415 - as in launcher

    now = desk.clock.now()
    declared = " (declared clock)" if desk.clock.is_declared else ""
    with progress(f"delivery at {now:%Y-%m-%d %H:%M} UTC{declared}"):
        told = delivered(desk, program_id, confirm=confirm)
    for line in told or ["nothing was due"]:
        click.echo(f"  {line}")


def delivered(desk: "Launcher", program_id: str, *, confirm: bool) -> list[str]:
    """Run the delivery job here: what it did, by partition."""
    tags = {"engage/deliver": "confirmed"} if confirm else {}
    result = desk.run(f"{desk.program(program_id).key}_delivery", tags=tags)
    events = [event.materialization for event in result.get_asset_materialization_events()]
    return [f"{event.partition}: {event.description}" for event in events]


@click.command()
@click.argument("target")
@click.option("--reason", default="stopped by hand", show_default=True, help="Shown wherever the stop is.")
def stop(target: str, reason: str) -> None:
    """Stop a program, or pause a campaign, now: a running delivery ends within one batch, at most 10 s.

    How a campaign's id begins stands for all that begin so. `engage resume` takes the same TARGET.
    """
    with plain_errors():
        desk = launcher()
        if ":" not in target:
            desk.program(target)
        done = desk.parts["operations"].stop(target, reason, operator(), desk.clock.now())
        click.echo(
            f"{target} is stopped; `engage resume {target}` lifts it" if done else f"{target} was stopped before"
        )


@click.command()
@click.argument("target")
def resume(target: str) -> None:
    """Lift the stop of a program or the pause of a campaign."""
    with plain_errors():
        desk = launcher()
        done = desk.parts["operations"].resume(target, operator(), desk.clock.now())
        click.echo(f"{target} goes on" if done else f"{target} is not stopped")
        sys.exit(0 if done else 1)


@click.command()
@click.argument("target")
@click.option("--date", "day", type=DAY, help="With a program: the partition; default: the newest with campaigns.")
def approve(target: str, day: datetime | None) -> None:
    """Approve the audience of a campaign, or of all campaigns of a program's partition (TARGET: either's id).

    How a campaign's id begins stands for all that begin so: `program:email:2026-11-20:US`, a marketplace's genres.
    The approval is bound to the audience: it is void when more than 20 % of it change.
    """
    with plain_errors():
        approve_campaigns(launcher(), target, day.date() if day else None)


def approve_campaigns(desk: "Launcher", target: str, day: date | None) -> None:
    """Approve, and say what was approved."""
    for campaign, recipients, digest in _approved(desk, target, day):
        click.echo(f"  approved: {campaign}, {recipients} recipients, audience {digest[:12]}")


def approve_quietly(desk: "Launcher", target: str, day: date) -> None:
    """Approve, and say how many campaigns and recipients."""
    sizes = [recipients for _, recipients, _ in _approved(desk, target, day)]
    click.echo(f"  approved: {len(sizes)} campaigns of {target}, {sum(sizes)} recipients")


def _approved(desk: "Launcher", target: str, day: date | None) -> Iterator[tuple[str, int, str]]:
    """Approve campaigns: the id, recipients and digest of each."""
    from engage_assets.defs.delivery_checks import audience_of  # noqa: PLC0415 - as in launcher
    from engage_assets.domain.operations import Approval  # noqa: PLC0415 - as in launcher

    for campaign, rows in _audiences(desk, target, day):
        audience = audience_of(rows)
        approval = Approval(campaign, audience.digest, audience.members, operator(), desk.clock.now())
        desk.parts["operations"].approve(approval)
        yield campaign, rows.height, audience.digest


@click.command()
@click.argument("target")
@click.option("--customer", "customers", multiple=True, help="Only of these; default: the first three of a campaign.")
@click.option("--date", "day", type=DAY, help="With a program: the partition; default: the newest with campaigns.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("preview.html"), show_default=True)
def preview(target: str, customers: tuple[str, ...], day: datetime | None, output: Path) -> None:
    """Write a page with messages of a campaign, or of a program's campaigns, as people will see them."""
    from engage_assets.channels.preview import preview as render  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = launcher()
        chosen = [
            rows.filter(pl.col("customer_id").is_in(customers)) if customers else rows.head(3)
            for _, rows in _campaigns(desk, target, day.date() if day else None)
        ]
        rows = pl.concat(chosen)
        if rows.is_empty():
            raise EngageError(f"none of {', '.join(customers)} is a recipient of {target}")
        page = render(rows, marketplaces=desk.folder.marketplaces, base_url=desk.environment.get("ENGAGE_PUBLIC_URL"))
        output.write_text(page, encoding="utf-8")
        click.echo(f"{rows.height} messages in {output.absolute()}")


def _campaigns(desk: "Launcher", target: str, day: date | None) -> Iterator[tuple[str, pl.DataFrame]]:
    """The campaigns that are meant, with their messages. Raises EngageError where there are none."""
    return _listed(desk, target, day, ["email_campaigns"])


def _audiences(desk: "Launcher", target: str, day: date | None) -> Iterator[tuple[str, pl.DataFrame]]:
    """The campaigns that are meant, by mail and in an app. Raises EngageError where there are none."""
    return _listed(desk, target, day, ["email_campaigns", "in_app_banners"])


def _listed(
    desk: "Launcher", target: str, day: date | None, names: Sequence[str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The campaigns that are meant in some of the program's assets."""
    program = desk.program(target.split(":", maxsplit=1)[0])
    partitions = desk.lake.partitions((program.key, names[0]))
    if not partitions:
        raise EngageError(f"{program.program_id} has no campaigns yet; run `engage run {program.program_id}`")
    wanted = partition_of(target) if ":" in target else day
    partition = wanted.isoformat() if wanted else partitions[-1]
    if partition not in partitions:
        raise EngageError(f"{program.program_id} has no campaigns of {partition}; the newest are of {partitions[-1]}")
    frames = [
        desk.lake.scan((program.key, name), partition).sort("campaign_id", "slot_at", "send_id").collect()
        for name in names
        if partition in desk.lake.partitions((program.key, name))
    ]
    groups = [
        (str(key), rows) for frame in frames for (key,), rows in frame.group_by("campaign_id", maintain_order=True)
    ]
    found = [(campaign, rows) for campaign, rows in groups if is_part_of(campaign, target)]
    if not found:
        known = ", ".join(campaign for campaign, _ in groups) or "none"
        raise EngageError(f"there is no campaign {target} with recipients; of {partition} there are: {known}")
    yield from found


@click.group()
def sends() -> None:
    """Sends whose fate is unknown."""


@sends.command(name="in-doubt")
@click.option("--program", "program_id", help="Only of this program.")
def in_doubt(program_id: str | None) -> None:
    """List the sends of which nobody can tell whether they went out. They are never sent again by themselves."""
    with plain_errors():
        found = launcher().parts["ledger"].in_doubt(program_id)
        for row in found.iter_rows(named=True):
            click.echo(
                f"{row['send_id']}  {row['campaign_id']}  {row['customer_id']}  {row['subject_id']}"
                f"  since {row['at']:%Y-%m-%d %H:%M:%S}  {row['reason'] or ''}"
            )
        click.echo(f"{found.height} in doubt", err=True)


@sends.command()
@click.argument("send_ids", nargs=-1, required=True)
@click.option("--as", "state", type=click.Choice(["sent", "failed"]), required=True, help="What became of them.")
def resolve(send_ids: tuple[str, ...], state: str) -> None:
    """Say what became of sends in doubt, as the provider's log shows it. Nothing is sent."""
    with plain_errors():
        desk = launcher()
        count = desk.parts["operations"].resolve(send_ids, state, operator(), desk.clock.now())
        click.echo(f"{count} sends are {state}")


@click.group()
def suppress() -> None:
    """Who must not be written to, whatever they prefer."""


@suppress.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_list(file: Path) -> None:
    """Import a list: CSV with a column `email` or `customer_id` (or both). Addresses are kept as hashes."""
    with plain_errors():
        desk = launcher()
        try:
            rows = pl.read_csv(file, infer_schema=False)
        except pl.exceptions.PolarsError as error:
            raise EngageError(f"{file}: no CSV that can be read ({type(error).__name__})") from None
        if not {"email", "customer_id"} & set(rows.columns):
            raise EngageError(
                f"{file}: needs a column email or customer_id in its first line; has {', '.join(rows.columns)}"
            )
        named = {
            name: rows[name].drop_nulls().to_list() if name in rows.columns else [] for name in ("customer_id", "email")
        }
        if any("\x00" in entry for entries in named.values() for entry in entries):
            raise EngageError(f"{file}: holds NUL characters, which no database takes; export the list as plain CSV")
        added = desk.parts["operations"].suppress(
            named["customer_id"], named["email"], operator(), file.name, desk.clock.now()
        )
        click.echo(f"{sum(map(len, named.values()))} entries, {added} new")


@click.command(name="opt-out")
@click.argument("customer_id")
@click.option("--program", "program_id", help="Only of this program; default: of all.")
@click.option("--channel", type=click.Choice(CHANNEL_TYPES), help="Only of this channel; default: of all.")
def opt_out(customer_id: str, program_id: str | None, channel: str | None) -> None:
    """Record that a customer opted out: no send from now on, and his waiting candidates are removed."""
    from engage_assets.dispatch.relay import relay  # noqa: PLC0415 - as in launcher

    with plain_errors():
        desk = launcher()
        if program_id:
            desk.program(program_id)
        now = desk.clock.now()
        desk.parts["ledger"].opt_out(customer_id, now, program_id, channel)
        relay(desk.parts["outbox"], desk.parts["store"], now)
        scope = " and ".join(filter(None, [program_id and f"program {program_id}", channel and f"channel {channel}"]))
        desk.parts["operations"].note("opt_out", customer_id, scope or "everything", operator(), now)
        click.echo(f"recorded at {now:%Y-%m-%d %H:%M} UTC: {customer_id} opted out of {scope or 'everything'}")


@click.group()
def ledger() -> None:
    """The operational database."""


@ledger.command(name="accept-restore")
def accept_restore() -> None:
    """Go on with a ledger that was restored from a backup: what was due up to now is not sent, later slots are."""
    with plain_errors():
        desk = launcher()
        now = desk.clock.now()
        desk.parts["watermark"].accept(desk.parts["ledger"], now)
        desk.parts["operations"].note("accept_restore", "ledger", "", operator(), now)
        click.echo(f"accepted; nothing that was due up to {now:%Y-%m-%d %H:%M} UTC will be sent")


@click.command()
def audit() -> None:
    """Print every act of an operator, oldest first."""
    with plain_errors():
        for row in launcher().parts["operations"].audit().iter_rows(named=True):
            click.echo(f"{row['at']:%Y-%m-%d %H:%M:%S}  {row['who']}  {row['act']}  {row['target']}  {row['details']}")
