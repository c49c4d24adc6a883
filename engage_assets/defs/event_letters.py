"""What a notice becomes: a mail with its calendar file, or the payload of a notification."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from engage_assets.channels import push
from engage_assets.channels.links import Links
from engage_assets.channels.message import CalendarPart, Letterpress
from engage_assets.channels.notices import Mail, Told, write
from engage_assets.defs.event_people import Guest
from engage_assets.defs.event_stages import config_of
from engage_assets.domain.channel_specs import PushChannel
from engage_assets.domain.events import SOURCE
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.notices import OF_ONE_CHANGE, Waiting, window_of
from engage_assets.domain.program import Program
from engage_assets.domain.registrations import SEATED, Registration
from engage_assets.domain.sends import Letter
from engage_assets.events.calendar import Method, Organizer, Wording, calendar_file, entry_uid, mime_type, sequence_of
from engage_assets.events.notices import Versions

_METHODS: Final[Mapping[str, Method]] = {
    "confirmation": "REQUEST",
    "promoted": "REQUEST",
    "moved": "REQUEST",
    "withdrawn": "CANCEL",
    "called_off": "CANCEL",
}
"""Kinds that bring a calendar file, and its method."""


@dataclass(frozen=True)
class Case:
    """A notice with all that its message tells."""

    notice: Waiting
    guest: Guest
    versions: Versions
    registration: Registration
    """As it stands now."""

    @property
    def is_of_one_change(self) -> bool:
        """Whether it tells one change of the registration, which may have changed again since."""
        return self.notice.kind in OF_ONE_CHANGE

    @property
    def has_seat(self) -> bool:
        """Whether it is told to somebody with a seat."""
        if self.is_of_one_change:
            return self.notice.kind in ("confirmation", "promoted")
        return self.registration.status in SEATED

    @property
    def deadline(self) -> datetime:
        """Until when its message may begin to go out; a reminder until the start."""
        until = self.notice.slot_at + window_of(self.notice.kind)
        if self.notice.kind != "reminder":
            return until
        return min(until, self.versions.event.starts_at - timedelta(microseconds=1))


@dataclass
class Stationery:
    """Makes the letters of a program's notices; what many mails share is made once."""

    program: Program
    marketplaces: Mapping[str, Marketplace]
    links: Links | None
    _mails: dict[tuple[Any, ...], Mail] = field(default_factory=dict)

    def letter(self, case: Case) -> Letter:
        """The mail of a notice. Equal input gives equal bytes. Raises EngageError where it cannot be built."""
        notice, market = case.notice, self.marketplaces[case.notice.marketplace]
        mail = self._mail(case, market)
        row = {**vars(notice), **mail.row()}
        press = Letterpress(self.marketplaces, self.links)
        return press.letter(
            row,
            name=case.guest.name,
            address=case.guest.address or "",
            calendar=_calendar(case, market, mail),
            is_solicitation=False,
        )

    def payload(self, case: Case, channel: PushChannel) -> Letter:
        """The notification of a notice; to which of a person's addresses it goes is the line's affair."""
        notice, market = case.notice, self.marketplaces[case.notice.marketplace]
        content = push.notification(
            channel.config,
            subject_type=SOURCE.subject_type,
            name=case.versions.event.name,
            starts_at=case.versions.event.starts_at,
            time_zone=case.guest.zone(market),
            language=push.language_of(case.guest.locale, market.locale),
            tag=notice.subject_id,
            links=self.links.of_push(notice.send_id, notice.slot_at, SOURCE.form) if self.links else None,
        )
        return Letter(notice.send_id, notice.campaign_id, "", "", content)

    def _mail(self, case: Case, market: Marketplace) -> Mail:
        event, number = case.versions.event, case.versions.number
        told = Told(
            kind=case.notice.kind,
            name=event.name,
            starts_at=event.starts_at,
            zone=case.guest.zone(market),
            has_seat=case.has_seat,
            is_revived=number > 1 and case.versions.history[number - 2].is_cancelled,
            join_link=event.join_link,
        )
        key = (event.event_id, event.known_at, told, case.guest.locale, case.notice.marketplace)
        if key not in self._mails:
            self._mails[key] = write(config_of(self.program).notice_template_id, told, case.guest.locale, market)
        return self._mails[key]


def _calendar(case: Case, market: Marketplace, mail: Mail) -> CalendarPart | None:
    """The entry as the registration's page gives it, but for the method and whom it names."""
    method = _METHODS.get(case.notice.kind)
    if method is None:
        return None
    event, organizer, standing = case.versions.event, Organizer.of(market), case.registration
    has_place = case.has_seat and method != "CANCEL"
    place = event.join_link if has_place else None
    changes, changed_at = standing.sequence, standing.changed_at
    if case.is_of_one_change:
        changes, changed_at = case.notice.sequence, case.notice.slot_at
    content = calendar_file(
        event,
        method=method,
        uid=entry_uid(event.event_id, standing.customer_id, organizer),
        sequence=sequence_of(len(case.versions.history), changes),
        stamp=max(event.known_at, changed_at),
        organizer=organizer,
        wording=Wording(mail.calendar_text if has_place else mail.subject, url=place, location=place),
        attendee=case.guest.address,
        is_tentative=not case.has_seat,
    )
    return CalendarPart(content, mime_type(method))
