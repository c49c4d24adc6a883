"""The guests' visits: what follows from invitations, banners and notices."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

import polars as pl

from engage_assets.sample.events_mail import Received
from engage_assets.sample.events_people import (
    Guests,
    answer_by_mail,
    delay,
    look_at_banners,
    registration_form,
    survey_form,
)
from engage_assets.sample.events_visits import AppVisit, DeviceVisit, FormVisit, LinkVisit, NotificationVisit
from engage_assets.sample.people import draws
from engage_assets.sample.visits import Form, MailVisit, Visit, mail_visits

_CANCEL: Final[Form] = (("act", "cancel"),)
_MINUTE: Final = timedelta(minutes=1)
_DEVICES: Final = 0.6
"""Share of those who register that let a device remind them."""
_READ: Final = 0.7
"""Share of the mails to registered people that are opened."""
_OPENED, _TAPPED = 0.9, 0.8


def mailed(guests: Guests, sends: pl.DataFrame) -> list[Visit]:
    """What becomes of invitations by mail (send_id, customer_id, subject_id, slot_at)."""
    answers = answer_by_mail(guests, sends)
    given = answers.drop_nulls("answered_at")
    visits = mail_visits(sends, answers, {one: registration_form(one) for one in given["send_id"]})
    whose = dict(sends.select("send_id", "customer_id").iter_rows())
    for send_id, at, cancelled_at in given.select("send_id", "answered_at", "cancelled_at").iter_rows():
        if draws([f"device {send_id}"], guests.seed, 1)[0, 0] < _DEVICES:
            visits.append(DeviceVisit(at + _MINUTE, send_id, whose[send_id]))
        if cancelled_at is not None:
            visits.append(FormVisit(cancelled_at, send_id, "cancel", _CANCEL))
    return visits


def shown(guests: Guests, program: str, banners: pl.DataFrame) -> Iterator[Visit]:
    """What becomes of banners (send_id, customer_id, subject_id, slot_at): some register, and let a device remind."""
    looks = look_at_banners(guests, banners.select("send_id", "customer_id", "subject_id", "slot_at"))
    for row in looks.drop_nulls("displayed_at").iter_rows(named=True):
        send_id, at = row["send_id"], row["displayed_at"]
        visit = AppVisit(at, program, row["customer_id"], row["subject_id"], row["clicks"])
        yield visit
        if row["clicks"] and row["registers"]:
            yield FormVisit(at + 4 * _MINUTE, visit.whose, "register", registration_form(send_id))
            if draws([f"device {send_id}"], guests.seed, 1)[0, 0] < _DEVICES:
                yield DeviceVisit(at + 5 * _MINUTE, visit.whose, row["customer_id"])


def noticed(guests: Guests, notices: Sequence[Received]) -> Iterator[Visit]:
    """What becomes of notices: mails are opened, surveys answered, notifications opened and followed."""
    for one in notices:
        if one.customer_id is None:
            yield from _on_a_device(guests, one)
            continue
        yield MailVisit(one.at + _MINUTE / 2, one.send_id, "delivered")
        opened_at = one.at + delay(one.send_id, guests.seed, timedelta(hours=2), timedelta(hours=20))
        form = survey_form(one.send_id, guests.seed) if one.kind == "survey" else None
        if form or draws([f"read {one.send_id}"], guests.seed, 1)[0, 0] < _READ:
            yield MailVisit(opened_at, one.send_id, "open")
        if form:
            yield LinkVisit(opened_at + _MINUTE, one.send_id, "follow")
            yield FormVisit(opened_at + 3 * _MINUTE, one.send_id, "survey", form)


def _on_a_device(guests: Guests, one: Received) -> Iterator[Visit]:
    opened, tapped = draws([f"device {one.send_id}"], guests.seed, 2)[:, 0]
    yield NotificationVisit(one.at + _MINUTE / 4, one.send_id, one.content, ("displayed",))
    if opened < _OPENED:
        acts = ("open", "click") if tapped < _TAPPED else ("open",)
        at = one.at + _MINUTE + delay(one.send_id, guests.seed, timedelta(minutes=40), timedelta(hours=10))
        yield NotificationVisit(at, one.send_id, one.content, acts)
