"""Delivery: messages whose slot has come are claimed in the ledger and handed to a transport, once.

Never part of a batch or a backfill: an op in a job of its own, run by a tick or with a person's confirmation.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from math import ceil
from typing import Final

import polars as pl

from engage_assets.channels.links import Links
from engage_assets.channels.message import Letterpress
from engage_assets.channels.seeds import seed_letters
from engage_assets.defs.banner_delivery import AFTER_MAIL, Opening
from engage_assets.defs.batch import Batch, email_channel, in_app_channel
from engage_assets.defs.delivery_checks import Checker, Finding, messages_of
from engage_assets.defs.delivery_facts import Recipient, recipients, rules_now
from engage_assets.defs.delivery_watch import Watched
from engage_assets.defs.event_calendar import Enclosing
from engage_assets.defs.own import OWN
from engage_assets.defs.planning import CHUNK, plan_sends
from engage_assets.domain.banners import Banners
from engage_assets.domain.channel_specs import EmailChannel
from engage_assets.domain.errors import DeliveryRefused, EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import CandidateReader, Clock, Ledger, Operations, Sender
from engage_assets.domain.program import Program
from engage_assets.domain.sends import Letter, TransientRefusal
from engage_assets.domain.slots import SEND_WINDOW
from engage_assets.domain.tables import EMAIL_CAMPAIGNS
from engage_assets.lake import Lake, among
from engage_assets.watermark import Watermark

BATCH: Final = 200
"""Sends that are claimed at a time: a stop acts within one such batch."""
LAST_MORNING: Final = timedelta(hours=25)
"""A local time comes round within this, also on the day on which clocks go back."""


@dataclass(frozen=True)
class Postman:
    """What a delivery needs."""

    program: Program
    marketplaces: Mapping[str, Marketplace]
    lake: Lake
    ledger: Ledger
    operations: Operations
    store: CandidateReader
    checker: Checker
    sender: Sender
    clock: Clock
    watermark: Watermark
    links: Links | None = None
    banners: Banners | None = None
    """None: this delivery opens no banners."""


@dataclass
class Delivered:
    """What became of one tick."""

    outcomes: dict[date, Counter[str]] = field(default_factory=dict)
    opened: dict[date, Counter[str]] = field(default_factory=dict)
    """Of banners."""
    findings: dict[date, list[Finding]] = field(default_factory=dict)
    in_doubt: list[str] = field(default_factory=list)
    """Sends that a process which broke off has left in doubt."""
    halted: str | None = None

    @property
    def refusals(self) -> dict[date, list[Finding]]:
        """The checks that kept partitions back."""
        failed = {partition: [one for one in found if not one.passed] for partition, found in self.findings.items()}
        return {partition: found for partition, found in failed.items() if found}


def require_permission(program: Program, tags: Mapping[str, str], sender: Sender, clock: Clock) -> None:
    """Refuse a delivery that nobody confirmed, in a backfill, of a disabled program, or of a demonstration to outside.

    Raises DeliveryRefused with the remedy.
    """
    if not program.enabled:
        raise DeliveryRefused(f"{program.program_id} is disabled (enabled: false), so nothing of it is sent")
    if "dagster/backfill" in tags:
        raise DeliveryRefused("a backfill never sends: deliveries run by their schedule")
    by_itself = {"dagster/schedule_name", "dagster/sensor_name"}
    if not by_itself & tags.keys() and tags.get("engage/deliver") != "confirmed":
        raise DeliveryRefused(
            "nobody confirmed this delivery: let its schedule run it, say --confirm on the command line, or give the"
            " run the tag engage/deliver=confirmed"
        )
    if clock.is_declared and sender.leaves_machine:
        raise DeliveryRefused(
            f"the clock is declared (ENGAGE_NOW) and the transport {sender.transport} leaves this machine:"
            " unset ENGAGE_NOW, or deliver to the outbox"
        )


def deliver_due(postman: Postman, batch: Batch) -> Delivered:
    """Deliver what is due now, over the partitions that may have slots now.

    What a process that broke off left behind is recovered first. Sends of any partition whose window has passed are
    skipped with `SEND_WINDOW_MISSED`, and counted under the newest. A partition that a check keeps back sends nothing.
    Raises DeliveryRefused where the ledger lies behind what this home has seen.
    """
    program, now = postman.program, postman.clock.now()
    done = Delivered()
    newest = program.cadence.partition_of(now)
    done.outcomes[newest] = Counter()
    since = max(postman.watermark.check(postman.ledger), now - SEND_WINDOW)
    _, done.in_doubt = postman.ledger.recover(program.program_id, now)
    if stop := _stop_of(postman, [program.program_id]):
        done.halted = stop
        return done
    for partition in _reachable(postman, newest):
        own = Batch(program, partition, batch.marketplaces, batch.warehouse)
        Tick(postman, own, now, since).deliver(done)
        if postman.banners is not None and not done.halted:
            Opening(postman, own, now, since).open(done)
    done.outcomes[newest] += _skip_missed(postman, now)
    postman.watermark.raise_to(postman.ledger.last_event_at())
    return done


def _reachable(postman: Postman, newest: date) -> Iterator[date]:
    """Partitions with campaigns that may have slots now, oldest first."""
    cadence = postman.program.cadence
    reach = postman.program.deadline + LAST_MORNING + SEND_WINDOW
    reach += AFTER_MAIL if in_app_channel(postman.program) else timedelta()
    for step in reversed(range(ceil(reach / cadence.step) + 1)):
        partition = newest - step * cadence.step
        if postman.lake.path((postman.program.key, EMAIL_CAMPAIGNS.name), partition.isoformat()).is_file():
            yield partition


@dataclass(frozen=True)
class Tick:
    """The delivery of one partition at one moment."""

    postman: Postman
    batch: Batch
    now: datetime
    since: datetime

    def deliver(self, done: Delivered) -> None:
        """Plan the partition's sends, check, and hand over those whose slot has come."""
        channel, partition = email_channel(self.batch.program), self.batch.partition
        if channel is None:
            return
        messages = messages_of(self.postman.lake, self.batch.program, partition)
        keys = messages.select("send_id", "campaign_id", "customer_id", "subject_id", "slot_at").collect()
        plan_sends(self.postman.ledger, self.batch.program, channel, messages, keys, self.now)
        due = set(self.postman.ledger.due(self.batch.program.program_id, channel.channel_id, self.since, self.now))
        mine = keys.filter(pl.col("send_id").is_in(list(due))) if due else keys.clear()
        if mine.is_empty():
            return
        findings = list(self.postman.checker.findings(self.batch, keys, self.now))
        done.findings[partition] = findings
        if all(finding.passed for finding in findings):
            counts, halted = self._hand_over(messages, mine, channel)
            done.outcomes[partition] = done.outcomes.get(partition, Counter()) + counts
            done.halted = done.halted or halted

    def _hand_over(
        self, messages: pl.LazyFrame, mine: pl.DataFrame, channel: EmailChannel
    ) -> tuple[Counter[str], str | None]:
        """Claim and hand over `mine`, best rank first; a stop halts the pump, what it had not begun stays planned."""
        postman, program = self.postman, self.batch.program.program_id
        self._seed(messages, mine, channel)
        counts: Counter[str] = Counter()
        campaigns = sorted(mine["campaign_id"].unique())
        # In the file's order, which is the list's: to sort whole messages would hold all of them at once.
        due = among(messages, mine["send_id"])
        with Watched(postman.ledger, postman.operations, postman.sender, postman.clock, program, campaigns) as watched:
            for rows in due.collect_batches(chunk_size=CHUNK, maintain_order=True):
                for chunk in rows.iter_slices(CHUNK):
                    if watched.pump.halted:
                        break
                    counts += self._hand_over_chunk(chunk, channel, watched)
        counts += watched.counts
        counts.pop("released", None)
        return counts, watched.pump.halted

    def _hand_over_chunk(self, rows: pl.DataFrame, channel: EmailChannel, watched: "Watched") -> Counter[str]:
        postman, batch = self.postman, self.batch
        people = recipients(batch, rows, rehearses=not postman.sender.leaves_machine)
        now = postman.clock.now()
        rules = rules_now(
            batch, rows, people, channel=channel, ledger=postman.ledger, store=postman.store, lake=postman.lake, now=now
        )
        press = Letterpress(batch.marketplaces, postman.links)
        enclose = _enclosing(batch, channel, now)
        counts: Counter[str] = Counter()
        for some in rows.iter_slices(BATCH):
            watched.look_for_stops()
            held = watched.held_campaigns()
            open_ones = some.filter(~pl.col("campaign_id").is_in(held)) if held else some
            if watched.pump.halted:
                break
            claims = postman.ledger.claim(open_ones["send_id"].to_list(), postman.clock.now(), rules)
            counts["skipped"] += len(claims.refused)
            won = open_ones.filter(pl.col("send_id").is_in(claims.won))
            letters, invalid = _letters(press, won, people, enclose)
            postman.ledger.move(invalid, "failed", postman.clock.now(), "MESSAGE_INVALID")
            counts["failed"] += len(invalid)
            for slot_at, group in letters.items():
                if channel.shadow:
                    ids = [letter.send_id for letter in group]
                    postman.ledger.move(ids, "skipped", postman.clock.now(), "SHADOW")
                    counts["skipped"] += len(ids)
                else:
                    watched.pump.feed(group, slot_at + SEND_WINDOW)
        return counts

    def _seed(self, messages: pl.LazyFrame, mine: pl.DataFrame, channel: EmailChannel) -> None:
        """Copies of each campaign's first message to the team, before the first of its people: at most once each."""
        if not channel.config.seed_list or channel.shadow:
            return
        wanted = mine.unique("campaign_id", keep="first", maintain_order=True)["send_id"]
        firsts = among(messages, wanted).collect()
        line = self.postman.sender.open()
        try:
            for letter in seed_letters(firsts, channel=channel, marketplaces=self.batch.marketplaces):
                mark = f"seed:{letter.send_id}"
                if self.postman.ledger.is_planned(mark, letter.send_id):
                    continue
                self.postman.ledger.mark_planned(mark, letter.send_id, self.now)
                try:
                    line.hand_over(letter)
                except TransientRefusal:
                    # The team looks, the people wait for nothing: a copy that is lost is lost.
                    continue
        finally:
            line.close()


def _stop_of(postman: Postman, targets: Sequence[str]) -> str | None:
    stops = postman.operations.stopped(targets)
    return f"{stops[0].target} was stopped by {stops[0].who}: {stops[0].reason}" if stops else None


def _skip_missed(postman: Postman, now: datetime) -> Counter[str]:
    """Skip every planned send of the program whose window has passed, also those that no campaign holds any more."""
    late = postman.ledger.overdue(postman.program.program_id, now - SEND_WINDOW)
    skipped = 0
    for start in range(0, len(late), CHUNK):
        # To claim what is too late is to skip it, and leaves alone what another process has taken meanwhile.
        skipped += len(postman.ledger.claim(late[start : start + CHUNK], now).refused)
    if skipped:
        text = f"{postman.program.program_id}: {skipped:,} sends missed their window and were skipped"
        postman.operations.raise_alert(f"missed:{postman.program.program_id}:{now.date()}", text, now)
    return Counter({"skipped": skipped} if skipped else {})


def _letters(
    press: Letterpress, rows: pl.DataFrame, people: Mapping[str, Recipient], enclose: Enclosing
) -> tuple[dict[datetime, list[Letter]], list[str]]:
    """Letters by slot, and the sends whose message cannot be built."""
    letters: dict[datetime, list[Letter]] = {}
    invalid = []
    for row in rows.iter_rows(named=True):
        person = people[row["customer_id"]]
        try:
            letter = press.letter(row, name=person.name, address=person.address or "", calendar=enclose(row))
        except EngageError:
            invalid.append(row["send_id"])
        else:
            letters.setdefault(row["slot_at"], []).append(letter)
    return letters, invalid


def _enclosing(batch: Batch, channel: EmailChannel, now: datetime) -> Enclosing:
    """What goes with each message: a calendar file where the channel asks for one and the source has them."""
    own = OWN.get(batch.source.table.name)
    if own is None or not channel.config.include_calendar_invite:
        return lambda _: None
    return own.enclosed(batch, now)
