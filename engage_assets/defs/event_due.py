"""Which notices of a program are due and not in the ledger yet. Reads the outbox, catalogue and registrations only."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import email_channel
from engage_assets.defs.event_people import guests, zones
from engage_assets.defs.event_stages import config_of
from engage_assets.domain.channel_specs import ChannelSpec, PushChannel
from engage_assets.domain.events import EVENTS, SOURCE, Event
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.notices import Kind, Notices
from engage_assets.domain.ports import Outbox
from engage_assets.domain.program import Program, ReminderRule
from engage_assets.domain.registrations import Registration, Registrations
from engage_assets.domain.responses import OutboxEntry
from engage_assets.domain.sends import Send
from engage_assets.events.catalogue import Catalogue
from engage_assets.events.notices import (
    RECALLED,
    SURVEYED_FOR,
    UNREACHED,
    Notice,
    Registrant,
    Versions,
    changes,
    of_change,
    reminders,
    surveys,
)

TOPIC: Final = "notice"
AT_ONCE: Final = 1_000
"""Outbox entries that are read at a time."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Lookout:
    """What it takes to see which notices are due."""

    program: Program
    marketplaces: Mapping[str, Marketplace]
    warehouse: Warehouse
    registrations: Registrations
    notices: Notices
    outbox: Outbox

    @property
    def rules(self) -> tuple[ReminderRule, ...]:
        """The program's reminders."""
        return config_of(self.program).reminder_schedule

    @property
    def channels(self) -> Mapping[str, ChannelSpec]:
        """The channels in use that carry notices, by channelId."""
        mail = email_channel(self.program)
        pushes = [one for one in self.program.enabled_channels if isinstance(one, PushChannel)]
        return {one.channel_id: one for one in (*pushes, *((mail,) if mail else ()))}

    @property
    def mail(self) -> str | None:
        """The e-mail channel's id, where it is in use."""
        channel = email_channel(self.program)
        return channel.channel_id if channel else None

    def histories(self, now: datetime) -> dict[str, Versions]:
        """The versions of every event that is known now."""
        table = self.warehouse.scan(EVENTS, str(EVENTS.database))
        found: dict[str, list[Event]] = {}
        for one in Catalogue.of(table.collect()).versions if table is not None else ():
            if one.known_at <= now:
                found.setdefault(one.event_id, []).append(one)
        return {event_id: Versions(tuple(history)) for event_id, history in found.items()}

    def entries(self) -> list[OutboxEntry]:
        """Changes of this program's registrations that nobody was told of yet, the oldest first; at most AT_ONCE.

        Those of other programs are passed over.
        """
        mine: list[OutboxEntry] = []
        read = self.outbox.waiting([TOPIC], AT_ONCE)
        while read and not mine:
            mine = [one for one in read if one.payload["program"] == self.program.program_id]
            read = self.outbox.waiting([TOPIC], AT_ONCE, read[-1].entry_id)
        return mine

    def told_by(self, entries: Sequence[OutboxEntry]) -> list[Notice]:
        """What entries of the outbox tell, by mail; nothing where the program uses none."""
        mail = self.mail
        return [of_change(one.payload, mail) for one in entries] if mail else []

    def due(self, now: datetime) -> list[Notice]:
        """What the catalogue and the time ask for, and the ledger does not know yet."""
        wanted = list(self._wanted(now))
        others = {one: one.through(self.mail) for one in wanted if self.mail and self._falls_back(one)}
        asked = [*wanted, *others.values()]
        ends = self.notices.ends([self.send(one).send_id for one in asked]) if asked else {}
        known = {one: ends.get(self.send(one).send_id) for one in asked}
        unreached = [others[one] for one in wanted if one in others and known[one] in UNREACHED]
        return [one for one in dict.fromkeys([*wanted, *unreached]) if known[one] is None]

    def send(self, notice: Notice, name: str | None = None, locale: str | None = None) -> Send:
        """The send of a notice; what makes it itself depends on the notice alone."""
        program = self.program
        return Send(
            program=program.program_id,
            campaign_id=notice.campaign(program.program_id),
            customer_id=notice.customer_id,
            subject_id=notice.event_id,
            channel=notice.channel,
            slot_at=notice.due_at,
            cap_scope=program.scope,
            is_solicitation=False,
            marketplace=notice.marketplace,
            subject_type=SOURCE.subject_type,
            subject_name=name,
            locale=locale,
            priority=program.program_priority,
            kind=notice.kind,
            sequence=notice.sequence,
        )

    def _falls_back(self, notice: Notice) -> bool:
        channel = self.channels.get(notice.channel)
        return isinstance(channel, PushChannel) and channel.config.fallback is not None

    def _wanted(self, now: datetime) -> Iterator[Notice]:
        near = {event: one for event, one in self.histories(now).items() if self._is_near(one, now)}
        program = self.program.program_id
        found = {
            event: self.registrations.of_event(program, event, self._since(one, now)) for event, one in near.items()
        }
        zone_of = self._zones([one for people in found.values() for one in people])
        for event_id, versions in near.items():
            people = [
                Registrant(one, zone_of[one.customer_id]) for one in found[event_id] if one.customer_id in zone_of
            ]
            yield from self._of_event(versions, people, now)

    def _of_event(self, versions: Versions, people: list[Registrant], now: datetime) -> Iterator[Notice]:
        yield from (one for one in reminders(versions, people, self.rules, now) if one.channel in self.channels)
        if self.mail is None:
            return
        yield from self._surveys(versions, people, self.mail, now)
        if versions.number > 1:
            customers = [one.registration.customer_id for one in people]
            told = self.notices.told(self.program.program_id, versions.event.event_id, customers)
            yield from changes(versions, people, told, self.mail, now)

    def _surveys(self, versions: Versions, people: list[Registrant], mail: str, now: datetime) -> list[Notice]:
        found = list(surveys(versions, people, mail, now))
        whom = [one.customer_id for one in found]
        asked = self.notices.asked(self.program.program_id, versions.event.event_id, whom) if whom else set()
        return [one for one in found if one.customer_id not in asked]

    def _is_near(self, versions: Versions, now: datetime) -> bool:
        """Whether something of an event may be due: it changed lately, it starts about now, or it has ended."""
        event, first = versions.event, max((rule.days_before for rule in self.rules), default=0) + 1
        is_changed = versions.number > 1 and now - RECALLED < versions.since
        return is_changed or event.starts_at - first * _DAY <= now < event.ends_at + SURVEYED_FOR + RECALLED

    def _since(self, versions: Versions, now: datetime) -> datetime | None:
        """Since when registrations must have changed for something to be due; None: whenever.

        Days after an event there are surveys alone, of those of whom it became known lately that they came.
        """
        is_lately = versions.number > 1 and now - RECALLED < versions.since
        is_over = versions.event.ends_at + 2 * _DAY + RECALLED <= now
        return now - RECALLED - _DAY if is_over and not is_lately else None

    def _zones(self, people: Sequence[Registration]) -> dict[str, str]:
        if not people:
            return {}
        of = {one.customer_id: one.marketplace for one in people}
        return zones(guests(self.warehouse, of.keys(), rehearses=True), of, self.marketplaces)


def in_words(kinds: Iterable[Kind]) -> str:
    """How many of which kind: `3 confirmation, 12 reminder`."""
    counts = Counter(kinds)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
