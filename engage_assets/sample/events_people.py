"""The guests of the synthetic world when they are asked: by mail, by a banner in an app, and after an event.

Rates of `answer_by_mail`, as means over those whom events fit, of sends: opened by the person 38 %, clicked 22 %,
registered 15 %; opened by a machine 15 %. Of banners two of five are displayed, of these three of ten clicked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Final

import numpy as np
import polars as pl

from engage_assets.domain.events import Event
from engage_assets.sample.events_guests import draw_abroad, draw_guests, matches
from engage_assets.sample.events_history import attendance_chance, leanings
from engage_assets.sample.events_vocabulary import DIETARY, REMARKS
from engage_assets.sample.music_listeners import draw_listen_only
from engage_assets.sample.people import MACHINE_OPEN_RATE, Floats, delays_of, draw_people, draws, logistic
from engage_assets.sample.visits import Form

_OPEN, _CLICK, _REGISTER = -0.5, 0.35, 0.8  # log odds of each step: 38 %, then 22 ÷ 38 %, then 15 ÷ 22 %
_RATINGS: Final = (0.01, 0.02, 0.05, 0.22, 0.70)
"""Shares of 1 to 5 in surveys: 4.6 in the mean; the document reports 4.7."""
_WORDS: Final = 0.4
_ANSWERS: Final = 0.55
"""Share of those surveyed who answer."""
_SOON: Final = timedelta(days=2)


@dataclass(frozen=True)
class Guests:
    """Who comes to events, as they were drawn, and the events as the catalogue states them last."""

    guests: pl.DataFrame
    events: Mapping[str, Event]
    seed: int

    def leaning(self, pairs: pl.DataFrame) -> Floats:
        """Log odds, of no base, that the customer of each pair is drawn to its event; NaN where either is unknown."""
        held = [self.events[one] for one in pairs["subject_id"].unique().sort() if one in self.events]
        if not held:
            return np.full(pairs.height, np.nan)
        table = leanings(self.guests, held, matches(self.guests, held))
        rows = dict(zip(self.guests["customer_id"], range(self.guests.height), strict=True))
        columns = {event.event_id: place for place, event in enumerate(held)}
        places = [(rows.get(who), columns.get(what)) for who, what in pairs.iter_rows()]
        return np.array([table[row, at] if row is not None and at is not None else np.nan for row, at in places])

    def coming(self, customers: Sequence[str]) -> dict[str, float]:
        """The chance that each of some customers comes who registered."""
        chances = dict(zip(self.guests["customer_id"], attendance_chance(self.guests).tolist(), strict=True))
        return {customer: chances.get(customer, 0.0) for customer in customers}


@cache
def all_guests(seed: int, shoppers: int) -> pl.DataFrame:
    """The guests of a world with so many shoppers."""
    both = pl.concat([draw_people(seed, shoppers), draw_listen_only(seed, shoppers)])
    return draw_guests(seed, pl.concat([both, draw_abroad(seed, both.height)]))


def answer_by_mail(guests: Guests, sends: pl.DataFrame) -> pl.DataFrame:
    """How guests answer invitations by mail. One row per send, in the order of `sends`.

    `sends` needs send_id, customer_id, subject_id (an event) and slot_at (UTC). Columns: send_id; machine_opened_at,
    opened_at, clicked_at, answered_at (registers; null: never) as `people.respond` has them; cancelled_at (null:
    never). An answer follows from the seed and the send's id alone. Unknown guests and events never answer.
    """
    lean = guests.leaning(sends.select("customer_id", "subject_id"))
    ids = sends["send_id"].to_list()
    chosen, later = draws(ids, guests.seed, 7), draws([f"later {one}" for one in ids], guests.seed, 2)
    opened = chosen[0] < logistic(_OPEN + 0.4 * lean)
    clicked = opened & (chosen[1] < logistic(_CLICK + 0.4 * lean))
    answered = clicked & (chosen[2] < logistic(_REGISTER + 0.4 * lean))
    cancelled = answered & (later[0] < 0.1)
    steps = sends.select("send_id", at="slot_at").with_columns(
        delays_of("to_open", chosen[3], timedelta(hours=7), timedelta(days=4)),
        delays_of("to_click", chosen[4], timedelta(minutes=6), timedelta(hours=1)),
        delays_of("to_answer", chosen[5], timedelta(minutes=3), timedelta(minutes=40)),
        delays_of("to_scan", chosen[6] / MACHINE_OPEN_RATE % 1.0, timedelta(seconds=20), timedelta(minutes=1)),
        delays_of("to_cancel", later[1], timedelta(hours=30), _SOON),
        opened=opened,
        clicked=clicked,
        answered=answered,
        cancelled=cancelled,
        scanned=chosen[6] < MACHINE_OPEN_RATE,
    )
    clicked_at = pl.col("at") + pl.col("to_open") + pl.col("to_click")
    return steps.select(
        "send_id",
        machine_opened_at=pl.when("scanned").then(pl.col("at") + pl.col("to_scan")),
        opened_at=pl.when("opened").then(pl.col("at") + pl.col("to_open")),
        clicked_at=pl.when("clicked").then(clicked_at),
        answered_at=pl.when("answered").then(clicked_at + pl.col("to_answer")),
        cancelled_at=pl.when("cancelled").then(clicked_at + pl.col("to_answer") + pl.col("to_cancel")),
    )


def registration_form(send_id: str) -> Form:
    """What is typed into the page of a registration: some say what they do not eat."""
    place = int(send_id[-2:], 16)
    wish = DIETARY[place % len(DIETARY)] if place < 50 else ""
    return (("act", "register"), ("dietary", wish))


def look_at_banners(guests: Guests, banners: pl.DataFrame) -> pl.DataFrame:
    """What becomes of banners, in the order of `banners` (send_id, customer_id, subject_id, slot_at).

    Columns: the given ones; displayed_at (the person opens the app; null: never), clicks and registers (flags).
    """
    lean = guests.leaning(banners.select("customer_id", "subject_id"))
    chosen = draws([f"app {one}" for one in banners["send_id"]], guests.seed, 4)
    return banners.with_columns(
        delays_of("to_app", chosen[1], timedelta(hours=30), timedelta(days=6)),
        looks=pl.Series(chosen[0] < 0.42),
        clicks=pl.Series(chosen[2] < logistic(-0.85 + 0.4 * np.nan_to_num(lean))),
        registers=pl.Series(chosen[3] < logistic(0.1 + 0.4 * np.nan_to_num(lean))),
    ).select(
        *banners.columns,
        "clicks",
        "registers",
        displayed_at=pl.when("looks").then(pl.col("slot_at") + pl.col("to_app")),
    )


def survey_form(send_id: str, seed: int) -> Form | None:
    """What is said in a survey; None: nothing."""
    chance, stars, said, place = draws([f"survey {send_id}"], seed, 4)[:, 0]
    if chance >= _ANSWERS:
        return None
    rating = 1 + int(np.searchsorted(np.cumsum(_RATINGS)[:-1], stars, side="right"))
    words = REMARKS[rating]
    return (("rating", str(rating)), ("text", words[int(place * len(words))] if said < _WORDS else ""))


def delay(name: str, seed: int, mean: timedelta, longest: timedelta) -> timedelta:
    """How long somebody takes over something: exponential, cut, in whole seconds."""
    found: timedelta = delays_of("delay", draws([name], seed, 1)[0], mean, longest)[0]
    return found


def stays(guests: Guests, event: Event, customers: Sequence[str]) -> list[tuple[str, datetime, datetime]]:
    """Who of those with a seat is there from when to when: some come late, leave early, or drop out in between.

    By instant of joining, then customer.
    """
    chances = guests.coming(customers)
    names = [f"{event.event_id} {customer}" for customer in customers]
    chosen = draws(names, guests.seed, 5)
    found: list[tuple[str, datetime, datetime]] = []
    for customer, (comes, late, when, leaves, breaks) in zip(customers, chosen.T.tolist(), strict=True):
        if comes >= chances[customer]:
            continue
        minutes = event.duration_minutes
        arrives = event.starts_at + timedelta(seconds=int(60 * (when * minutes * 0.6 if late < 0.2 else 8 * when - 6)))
        goes = event.ends_at + timedelta(seconds=int(60 * (3 - minutes * 0.4 * max(0.0, leaves - 0.7) / 0.3)))
        goes = max(goes, arrives + timedelta(minutes=2))
        if breaks < 0.15:
            middle = arrives + (goes - arrives) / 2
            middle = middle.replace(microsecond=0)
            found += [(customer, arrives, middle), (customer, middle + (goes - middle) / 4, goes)]
        else:
            found.append((customer, arrives, goes))
    return sorted(
        ((who, first, last.replace(microsecond=0)) for who, first, last in found), key=lambda one: (one[1], one[0])
    )
