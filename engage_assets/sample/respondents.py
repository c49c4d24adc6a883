"""Who answers what: the simulated people of each kind of form, from the tables of the world that they live in."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import polars as pl

from engage_assets.sample.events_catalogue import event_of
from engage_assets.sample.events_life import mailed, noticed, shown
from engage_assets.sample.events_mail import Received
from engage_assets.sample.events_people import Guests, all_guests
from engage_assets.sample.events_visits import platform_visits
from engage_assets.sample.music_catalogue import quality_of
from engage_assets.sample.music_listeners import draw_listen_only, draw_listeners, shoppers
from engage_assets.sample.music_people import Minds, feedback_forms, respond_by_mail
from engage_assets.sample.music_voice import voice_visits
from engage_assets.sample.people import draw_people, respond
from engage_assets.sample.visits import Form, Visit, mail_visits

PLATFORM_TIME: Final = timedelta(days=15)
"""Events that are held so long after a batch are told of by their platform."""
VOICE_TIME: Final = timedelta(days=2)
"""The assistant is simulated for so long after the batch."""
_REVIEWS: Final = {
    1: "Broke after a day.",
    2: "Not what I expected.",
    3: "It does what it should.",
    4: "Good value, would buy again.",
    5: "Excellent, I use it every day.",
}


Tables = Mapping[str, pl.DataFrame]


@dataclass(frozen=True)
class Asked:
    """What was asked: the messages that were sent (send_id, customer_id, subject_id, slot_at), and since when."""

    sends: pl.DataFrame
    since: datetime
    """The batch instant."""
    program: str = ""
    banners: pl.DataFrame = field(default_factory=pl.DataFrame)
    """What an app may show (send_id, customer_id, subject_id, slot_at)."""
    notices: Sequence[Received] = ()
    """What people were told beside."""


@dataclass(frozen=True)
class Respondents:
    """The people who answer a kind of form: the tables that tell of them, by noun and path, and what they do."""

    tables: Mapping[str, str]
    visits: Callable[[int, Tables, Asked], list[Visit]]

    def read(self, warehouse: Path) -> Tables:
        """The tables, out of a warehouse of the sample."""
        return {name: _table(warehouse / path) for name, path in self.tables.items()}


def _table(path: Path) -> pl.DataFrame:
    """A table that is one file, or a folder of such."""
    single = path.with_name(f"{path.name}.parquet")
    return pl.read_parquet(single if single.is_file() else path / "*.parquet")


def _reviewers(seed: int, tables: Tables, asked: Asked) -> list[Visit]:
    answers = respond(draw_people(seed, shoppers(tables["customers"])), tables["products"], asked.sends, seed)
    answers = answers.rename({"reviewed_at": "answered_at"})
    forms: dict[str, Form] = {}
    for send_id, rating in answers.drop_nulls("rating").select("send_id", "rating").iter_rows():
        # Few write, as few do.
        text = _REVIEWS[rating] if int(send_id[:2], 16) % 2 else ""
        forms[send_id] = (("rating", str(rating)), ("text", text))
    return mail_visits(asked.sends, answers, forms)


def _listeners(seed: int, tables: Tables, asked: Asked) -> list[Visit]:
    customers = shoppers(tables["customers"])
    everyone = pl.concat([draw_people(seed, customers), draw_listen_only(seed, customers)])
    tracks = tables["tracks"].with_columns(quality_of(seed, tables["tracks"]))
    minds = Minds(draw_listeners(seed, everyone), tracks, seed)
    answers = respond_by_mail(minds, asked.sends)
    named = asked.sends.select("send_id", track_id="subject_id").join(tracks, on="track_id", how="left")
    forms = feedback_forms(answers, dict(named.select("send_id", "genre").iter_rows()))
    spoken = voice_visits(minds, tables["plays"], tables["customers"], asked.since, asked.since + VOICE_TIME)
    return [*mail_visits(asked.sends, answers, forms), *spoken]


def _guests(seed: int, tables: Tables, asked: Asked) -> list[Visit]:
    versions = tables["events"].sort("known_at", "event_id")
    events = {row["event_id"]: event_of(row) for row in versions.iter_rows(named=True)}
    guests = Guests(all_guests(seed, shoppers(tables["customers"])), events, seed)
    until = asked.since + PLATFORM_TIME
    return [
        *mailed(guests, asked.sends),
        *(shown(guests, asked.program, asked.banners) if asked.banners.height else ()),
        *noticed(guests, asked.notices),
        *platform_visits(asked.program, guests, asked.since, until),
    ]


RESPONDENTS: Final[Mapping[str, Respondents]] = {
    "review": Respondents({"customers": "crm/customers", "products": "ecommerce/products"}, _reviewers),
    "feedback": Respondents(
        {"customers": "crm/customers", "tracks": "streaming/tracks", "plays": "streaming/plays"}, _listeners
    ),
    "registration": Respondents({"customers": "crm/customers", "events": "events/events"}, _guests),
}
"""By the form of a program's source."""
