"""Where a notice is asked once more, claimed, and made into a letter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from engage_assets.channels.links import Links
from engage_assets.defs.event_due import Lookout
from engage_assets.defs.event_letters import Case, Stationery
from engage_assets.defs.event_people import NOBODY, Guest, guests, silenced
from engage_assets.dispatch.pump import Pump
from engage_assets.domain.channel_specs import PushChannel
from engage_assets.domain.errors import EngageError
from engage_assets.domain.notices import PushSubscriptions, Waiting
from engage_assets.domain.operations import address_hash
from engage_assets.domain.ports import Clock, Ledger, Operations, Sender
from engage_assets.domain.registrations import Registration
from engage_assets.domain.sends import ClaimRules, Letter
from engage_assets.events.notices import NO_ADDRESS, SUPERSEDED, Notice, Versions, outdated
from engage_assets.watermark import Watermark


@dataclass(frozen=True)
class Bureau:
    """What a delivery of notices needs."""

    lookout: Lookout
    ledger: Ledger
    operations: Operations
    push_addresses: PushSubscriptions
    sender: Sender
    push_sender: Sender
    clock: Clock
    watermark: Watermark
    links: Links | None = None

    @property
    def program_id(self) -> str:
        """Whose notices they are."""
        return self.lookout.program.program_id


@dataclass
class Desk:
    """Claims notices through one kind of channel and makes their letters."""

    bureau: Bureau
    since: datetime
    """Slots from this instant on may be sent; see Watermark."""
    addresses: dict[str, list[str]] = field(default_factory=dict)
    """Where a person takes notifications, by send_id."""
    _people: dict[str, Guest] = field(default_factory=dict)
    _silent: dict[str, frozenset[str]] = field(default_factory=dict)
    """By channel, who wants nothing through it."""
    _events: dict[str, Versions] = field(default_factory=dict)
    _standing: dict[tuple[str, str], Registration] = field(default_factory=dict)
    """By event and customer, as they are once their notices are claimed."""

    def __post_init__(self) -> None:
        lookout = self.bureau.lookout
        self._stationery = Stationery(lookout.program, lookout.marketplaces, self.bureau.links)

    def look_up(self, notices: Sequence[Waiting]) -> None:
        """The people of some notices as they are now."""
        bureau, lookout = self.bureau, self.bureau.lookout
        customers = {one.customer_id for one in notices}
        self._people = guests(lookout.warehouse, customers, rehearses=not bureau.sender.leaves_machine)
        pushed = [one for one in notices if self._is_push(one)]
        known = bureau.push_addresses.of([one.customer_id for one in pushed]) if pushed else {}
        self.addresses.update({one.send_id: known.get(one.customer_id, []) for one in pushed})
        self._silent = {one: self._silenced(one, customers) for one in sorted({one.channel for one in notices})}

    def carry(self, notices: Sequence[Waiting], pump: Pump) -> None:
        """Ask the catalogue once more, claim, and hand over what was won."""
        ledger, clock, channels = self.bureau.ledger, self.bureau.clock, self.bureau.lookout.channels
        self._events = self.bureau.lookout.histories(clock.now())
        claims = ledger.claim([one.send_id for one in notices], clock.now(), self._rules(notices))
        is_won = set(claims.won)
        won = [one for one in notices if one.send_id in is_won]
        shadows = {one.send_id for one in won if channels[one.channel].shadow}
        if shadows:
            ledger.move(sorted(shadows), "skipped", clock.now(), "SHADOW")
        self._standing = self._standing_of([one for one in won if one.send_id not in shadows])
        invalid = []
        for notice in won:
            if notice.send_id in shadows:
                continue
            try:
                letter, deadline = self._letter(notice)
            except EngageError:
                invalid.append(notice.send_id)
            else:
                pump.feed([letter], deadline)
        if invalid:
            ledger.move(invalid, "failed", clock.now(), "MESSAGE_INVALID")

    def forget(self, address: str) -> None:
        """A push service knows an address no more."""
        self.bureau.push_addresses.gone(address, self.bureau.clock.now())

    def _standing_of(self, won: Sequence[Waiting]) -> dict[tuple[str, str], Registration]:
        """What the registrations of claimed notices are now, in one look."""
        whose = {(one.subject_id, one.customer_id) for one in won}
        return self.bureau.lookout.registrations.of_customers(self.bureau.program_id, whose) if whose else {}

    def _rules(self, notices: Sequence[Waiting]) -> ClaimRules:
        reasons = {one.send_id: reason for one in notices if (reason := self._reason(one))}
        hashes = {customer: address_hash(one.address) for customer, one in self._people.items() if one.address}
        types = {channel_id: channel.type for channel_id, channel in self.bureau.lookout.channels.items()}
        return ClaimRules(addresses=hashes, barred=reasons, types=types)

    def _silenced(self, channel: str, customers: set[str]) -> frozenset[str]:
        lookout = self.bureau.lookout
        known = lookout.channels.get(channel)
        ways = {channel, known.type if known else channel}
        place = lookout.program.connector.config.place
        return silenced(lookout.warehouse, place, customers, ways, self.bureau.clock.now())

    def _reason(self, notice: Waiting) -> str | None:
        """The first thing that forbids a notice, the registration aside."""
        if notice.slot_at < self.since:
            return "SEND_WINDOW_MISSED"
        lookout = self.bureau.lookout
        if notice.channel not in lookout.channels or notice.marketplace not in lookout.marketplaces:
            return SUPERSEDED
        guest = self._people.get(notice.customer_id)
        if guest is None:
            return "UNKNOWN_CUSTOMER"
        if guest.is_test:
            return "TEST_ACCOUNT"
        if notice.customer_id in self._silent[notice.channel]:
            return "OPTED_OUT"
        return self._outdated(notice, guest) or self._unreachable(notice, guest)

    def _outdated(self, notice: Waiting, guest: Guest) -> str | None:
        lookout = self.bureau.lookout
        zone = guest.zone(lookout.marketplaces[notice.marketplace])
        told = Notice(
            notice.kind, notice.subject_id, notice.customer_id, notice.marketplace, notice.channel, notice.slot_at,
            notice.sequence,
        )  # fmt: skip
        return outdated(told, self._events.get(notice.subject_id), zone, lookout.rules, self.bureau.clock.now())

    def _unreachable(self, notice: Waiting, guest: Guest) -> str | None:
        if self._is_push(notice):
            return None if self.addresses.get(notice.send_id) else NO_ADDRESS
        return None if guest.address else "CHANNEL_INELIGIBLE"

    def _is_push(self, notice: Waiting) -> bool:
        return isinstance(self.bureau.lookout.channels.get(notice.channel), PushChannel)

    def _letter(self, notice: Waiting) -> tuple[Letter, datetime]:
        """The letter, and until when it may begin to go out. Raises EngageError where it cannot be built."""
        lookout, standing = self.bureau.lookout, self._standing.get((notice.subject_id, notice.customer_id))
        if standing is None:
            raise EngageError(f"send {notice.send_id}: its registration is gone")
        case = Case(notice, self._people.get(notice.customer_id, NOBODY), self._events[notice.subject_id], standing)
        channel = lookout.channels[notice.channel]
        if isinstance(channel, PushChannel):
            return self._stationery.payload(case, channel), case.deadline
        return self._stationery.letter(case), case.deadline
