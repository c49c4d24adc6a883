"""Delivery of notices: what is due is planned in the ledger, claimed there, and handed over, each at most once.

Never part of a batch or a backfill: an op in a job of its own, run by a sensor or with a person's confirmation.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from engage_assets.defs.delivery_watch import Watched
from engage_assets.defs.event_desk import Bureau, Desk
from engage_assets.defs.event_devices import Devices
from engage_assets.defs.event_people import NOBODY, guests
from engage_assets.domain.channel_specs import PushChannel
from engage_assets.domain.notices import Waiting
from engage_assets.domain.ports import Sender
from engage_assets.events.notices import Notice

CHUNK: Final = 2_000
"""Notices whose people are looked up at a time."""
BATCH: Final = 200
"""Notices that are claimed at a time: a stop acts within one such batch."""
MISSED: Final = "SEND_WINDOW_MISSED"


@dataclass
class Noticed:
    """What became of the notices of one tick."""

    planned: list[Notice] = field(default_factory=list)
    """What was found due in this tick."""
    outcomes: Counter[tuple[str, str, str, str | None]] = field(default_factory=Counter)
    """By kind, channelId, state and reason."""
    in_doubt: list[str] = field(default_factory=list)
    """Sends that a process which broke off has left in doubt."""
    halted: str | None = None

    def said(self) -> str:
        """In words, without reasons: `3 confirmation sent, 1 reminder skipped`."""
        counts: Counter[tuple[str, str]] = Counter()
        for (kind, _, state, _), count in self.outcomes.items():
            counts[kind, state] += count
        lines = [f"{count} {kind} {state.replace('_', ' ')}" for (kind, state), count in sorted(counts.items())]
        return ", ".join(lines) or "nothing was due"


def deliver_notices(bureau: Bureau) -> Noticed:
    """Tell people what they are to be told by now. Whatever breaks off, the next call goes on; nothing is told twice.

    Raises DeliveryRefused where the ledger lies behind what this home has seen.
    """
    now, done, program = bureau.clock.now(), Noticed(), bureau.program_id
    since = bureau.watermark.check(bureau.ledger)
    _, done.in_doubt = bureau.ledger.recover(program, now)
    if stops := bureau.operations.stopped([program]):
        done.halted = f"{stops[0].target} was stopped by {stops[0].who}: {stops[0].reason}"
        return done
    done.planned = [*_plan_changes(bureau, now), *_plan_due(bureau, now)]
    taken = [*_hand_over(bureau, now, since, done, is_push=True)]
    # What nobody got by push is told by mail in the same tick, where the program says so.
    done.planned += _plan_due(bureau, now) if taken else []
    taken += _hand_over(bureau, now, since, done, is_push=False)
    _tell_outcomes(bureau, taken, done, now)
    bureau.watermark.raise_to(bureau.ledger.last_event_at())
    return done


def _plan_changes(bureau: Bureau, now: datetime) -> Iterator[Notice]:
    """Plan what the outbox holds. An entry is marked once its notice is planned: again, it is the same notice."""
    lookout = bureau.lookout
    while entries := lookout.entries():
        found = lookout.told_by(entries)
        _plan(bureau, found, now)
        lookout.outbox.done([entry.entry_id for entry in entries], now)
        yield from found


def _plan_due(bureau: Bureau, now: datetime) -> list[Notice]:
    found = bureau.lookout.due(now)
    _plan(bureau, found, now)
    return found


def _plan(bureau: Bureau, notices: Sequence[Notice], now: datetime) -> None:
    if not notices:
        return
    lookout = bureau.lookout
    people = guests(lookout.warehouse, [one.customer_id for one in notices], rehearses=True)
    names = {event_id: versions.event.name for event_id, versions in lookout.histories(now).items()}
    for start in range(0, len(notices), CHUNK):
        some = notices[start : start + CHUNK]
        locales = [people.get(one.customer_id, NOBODY).locale for one in some]
        sends = [lookout.send(one, names.get(one.event_id), locale) for one, locale in zip(some, locales, strict=True)]
        bureau.ledger.plan(sends, now)


def _hand_over(bureau: Bureau, now: datetime, since: datetime, done: Noticed, *, is_push: bool) -> Sequence[Waiting]:
    """Claim and hand over what waits for one kind of channel; returns what was looked at."""
    channels = bureau.lookout.channels
    found = bureau.lookout.notices.waiting(bureau.program_id, now)
    mine = [one for one in found if isinstance(channels.get(one.channel), PushChannel) == is_push]
    if not mine or done.halted:
        return mine
    desk = Desk(bureau, since)
    sender: Sender = Devices(bureau.push_sender, desk.addresses, desk.forget) if is_push else bureau.sender
    campaigns = sorted({one.campaign_id for one in mine})
    with Watched(bureau.ledger, bureau.operations, sender, bureau.clock, bureau.program_id, campaigns) as watched:
        for start in range(0, len(mine), BATCH):
            if start % CHUNK == 0:
                desk.look_up(mine[start : start + CHUNK])
            watched.look_for_stops()
            if watched.pump.halted:
                break
            held = watched.held_campaigns()
            desk.carry([one for one in mine[start : start + BATCH] if one.campaign_id not in held], watched.pump)
    done.halted = watched.pump.halted
    return mine


def _tell_outcomes(bureau: Bureau, taken: Sequence[Waiting], done: Noticed, now: datetime) -> None:
    """Count what became of the notices that were looked at, and say where some came too late."""
    ends = bureau.lookout.notices.ends([one.send_id for one in taken])
    done.outcomes = Counter((one.kind, one.channel, *ends[one.send_id]) for one in taken)
    missed = sum(count for (_, _, _, reason), count in done.outcomes.items() if reason == MISSED)
    if missed:
        sensor = f"{bureau.lookout.program.key}_notices_sensor"
        text = f"{bureau.program_id}: {missed:,} notices came too late and were skipped; is {sensor} on?"
        bureau.operations.raise_alert(f"missed_notices:{bureau.program_id}:{now.date()}", text, now)
