"""Banners as they may be shown at this moment: whoever has answered, and whatever has closed, is asked at each look."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from engage_assets.channels.in_app import Words, ends_at, words_of
from engage_assets.domain.channel_specs import InAppChannel
from engage_assets.domain.forms import form_of
from engage_assets.domain.ports import CandidateKey
from engage_assets.domain.program import Program
from engage_assets.domain.responses import Interaction, InteractionKind, KnownSend
from engage_assets.domain.slots import known_zones
from engage_assets.domain.statuses import ASKED_BY
from engage_assets.domain.tokens import LIFETIME
from engage_assets.serving.answers import FLAGS
from engage_assets.serving.registration_visit import visit_of, with_registration
from engage_assets.serving.services import Services

Happened = Literal["displayed", "clicked"]
_KINDS: Final[dict[Happened, InteractionKind]] = {"displayed": "displayed", "clicked": "click"}
_SOURCE: Final = "app"
_REGISTRATION: Final = "registration"


@dataclass(frozen=True)
class Banner:
    """One banner that may be shown now."""

    send: KnownSend
    channel: InAppChannel
    words: Words
    ends_at: datetime
    token: str
    """For `click`: it counts the click and leads to the page on which the person answers."""

    @property
    def starts_at(self) -> datetime:
        """From when on it is shown, UTC."""
        return self.send.slot_at


def in_app_of(program: Program) -> InAppChannel | None:
    """The program's channel in an app, where it is enabled."""
    return next((one for one in program.enabled_channels if isinstance(one, InAppChannel)), None)


@dataclass(frozen=True)
class BannerDesk:
    """Looks for banners, and records what happened to them."""

    services: Services

    def shown(self, program: Program, customer_id: str) -> list[Banner]:
        """The banners that a customer may see now, the latest first. None is there for who has answered.

        Neither before its slot nor from its end on: `displayDuration`, or when its subject closes or is full. Its
        candidate must still wait in the store, as the sweep of opt-outs lets it. Nor is it there once it was displayed
        `displaysPerDay` times on the customer's day.
        """
        channel, now = in_app_of(program), self.services.clock.now()
        if channel is None or self.services.banners is None:
            return []
        since = now - timedelta(days=channel.config.display_duration)
        sends = self.services.banners.shown(program.program_id, channel.channel_id, channel.type, customer_id, since)
        counts = self.services.banners.displays([send.send_id for send in sends]) if sends else {}
        waiting = (send for send in sends if send.slot_at <= now and self._waits(send, channel, now, counts))
        found = (self._banner(program, channel, send, now) for send in waiting)
        return [one for one in found if one is not None]

    def happened(self, program: Program, banner_id: str, what: Happened) -> bool | None:
        """Record that a banner was displayed or clicked: whether that is new; None where there is no such banner.

        It counts once each, however often it comes; for `displaysPerDay` each display counts.
        """
        channel, now = in_app_of(program), self.services.clock.now()
        send = self.services.contacts.send(banner_id)
        if channel is None or send is None or send.state != "sent":
            return None
        if (send.program, send.channel) != (program.program_id, channel.channel_id):
            return None
        if what == "displayed" and self.services.banners is not None:
            self.services.banners.displayed(banner_id, self._day(send, self._candidate(send, now), now))
        kind = _KINDS[what]
        event = sha256(f"{banner_id}\x1f{kind}\x1f{_SOURCE}".encode()).hexdigest()[:32]
        return self.services.contacts.record([Interaction(event, banner_id, kind, now, _SOURCE)], now) > 0

    def _waits(
        self, send: KnownSend, channel: InAppChannel, now: datetime, counts: Mapping[str, tuple[date, int]]
    ) -> bool:
        candidate = self._candidate(send, now)
        if not (candidate and candidate[FLAGS[channel.type]] and candidate["status"] in ASKED_BY[channel.type]):
            return False
        day, displays = counts.get(send.send_id, (None, 0))
        is_today = day is not None and day >= self._day(send, candidate, now)
        return not is_today or displays < channel.config.displays_per_day

    def _candidate(self, send: KnownSend, now: datetime) -> Mapping[str, Any] | None:
        key = CandidateKey(send.customer_id, send.program, send.marketplace, send.subject_type, send.subject_id)
        return self.services.store.get(key, now)

    def _day(self, send: KnownSend, candidate: Mapping[str, Any] | None, now: datetime) -> date:
        """The date where the customer lives, as far as that is known; else where he shops."""
        market = self.services.marketplaces.get(send.marketplace)
        named = (candidate and candidate.get("time_zone"), market and market.time_zone)
        zone = next((one for one in named if one in known_zones()), "UTC")
        return now.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).date()

    def _banner(self, program: Program, channel: InAppChannel, send: KnownSend, now: datetime) -> Banner | None:
        name, closes = send.subject_name, None
        if form_of(program).name == _REGISTRATION:
            events, visit = self.services.events, visit_of(self.services, send)
            if events is None or visit.seats is None or with_registration(events, visit).state != "open":
                return None
            name, closes = visit.event.name, visit.seats.deadline
        end = ends_at(channel.config, send.slot_at, closes)
        if now >= end:
            return None
        market = self.services.marketplaces.get(send.marketplace)
        words = words_of(channel.config, name, send.locale, market.locale if market else None)
        token = self.services.signer.sign("click", send.send_id, send.slot_at + LIFETIME)
        return Banner(send, channel, words, end, token)
