"""Banners: when they open where a customer lives, until when they are shown, and what they say."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.channels.banner_words import KINDS, banner_types
from engage_assets.channels.in_app import banners, ends_at, opening, words_of
from engage_assets.channels.lists import email_list
from engage_assets.domain.channel_specs import EmailChannel, InAppChannel
from engage_assets.domain.keys import send_id
from engage_assets.domain.slots import known_zones
from engage_assets.domain.tables import IN_APP_BANNERS
from engage_assets.programs import load_folder
from engage_assets_tests.builders import a_candidate, candidates, instant
from engage_assets_tests.defs.homes import PROGRAMS

MONDAY = date(2026, 11, 23)
FOLDER = load_folder(PROGRAMS)
PROGRAM = FOLDER.programs["event-invitations"]
MAIL, IN_APP = (next(one for one in PROGRAM.channels if isinstance(one, kind)) for kind in (EmailChannel, InAppChannel))
FOUR_HOURS = timedelta(hours=4)


@pytest.mark.parametrize(
    ("zone", "local"),
    [
        ("Europe/Berlin", "2026-11-23 14:00"),
        ("America/New_York", "2026-11-23 14:00"),
        ("Asia/Kolkata", "2026-11-24 14:00"),  # 14:00 of Monday would come before Tuesday's mail
        ("Asia/Karachi", "2026-11-24 14:00"),  # 10:00 is the batch's deadline itself
        ("Asia/Tokyo", "2026-11-24 14:00"),
        ("Australia/Sydney", "2026-11-24 14:00"),
        ("Pacific/Honolulu", "2026-11-23 14:00"),
    ],
)
def test_a_banner_opens_four_hours_after_its_customers_mail(zone, local):
    assert opening(PROGRAM, IN_APP, MONDAY, zone)[0] == instant(local)
    mail = _slot(zone)
    assert opening(PROGRAM, IN_APP, MONDAY, zone)[1] == mail + FOUR_HOURS


def _slot(zone: str, partition: date = MONDAY) -> datetime:
    scored = candidates(a_candidate(time_zone=zone))
    verdicts = pl.DataFrame(
        {"record_id": ["d-1"], "channel": "email", "reason": "LISTED", "rank": 1, "is_exploration": False}
    )
    slot = email_list(scored.lazy(), verdicts, program=PROGRAM, channel=MAIL, partition=partition)["slot_at"].item()
    assert isinstance(slot, datetime)
    return slot


@given(st.sampled_from(sorted(known_zones())), st.integers(0, 400))
def test_it_opens_at_its_clock_time_after_the_mail_and_within_a_day_wherever_people_live(zone, weeks):
    monday = date(2024, 1, 1) + timedelta(weeks=weeks)
    local, at = opening(PROGRAM, IN_APP, monday, zone)
    shown = at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert local.time() == time(14)
    assert shown >= local, "14:00, or the end of a gap of the clock"
    batch = PROGRAM.cadence.batch_instant(monday) + PROGRAM.deadline
    assert batch < at <= batch + timedelta(hours=50)


def test_without_mail_it_opens_at_the_first_such_hour_after_the_batch():
    alone = PROGRAM.model_copy(update={"channels": (IN_APP,)})
    assert opening(alone, IN_APP, MONDAY, "Asia/Kolkata")[0] == instant("2026-11-23 14:00")


def test_the_earlier_of_duration_and_deadline_ends_it():
    at, week = instant("2026-11-23 13:00"), timedelta(days=7)
    assert ends_at(IN_APP.config, at, None) == at + week
    assert ends_at(IN_APP.config, at, at + week + FOUR_HOURS) == at + week
    assert ends_at(IN_APP.config, at, at + FOUR_HOURS) == at + FOUR_HOURS


@pytest.mark.parametrize(
    ("locale", "said"),
    [
        ("en-GB", ("en", "Join Kubernetes in practice", "Learn More")),
        ("de_AT", ("de", "Jetzt dabei sein: Kubernetes in practice", "Mehr erfahren")),
        ("xx", ("ja", "「Kubernetes in practice」に参加しませんか", "詳しく見る")),
        (None, ("ja", "「Kubernetes in practice」に参加しませんか", "詳しく見る")),
    ],
)
def test_the_words_are_in_the_persons_language_else_the_shops(locale, said):
    words = words_of(IN_APP.config, " Kubernetes\nin  practice", locale, "ja-JP")
    assert (words.language, words.title, words.call) == said


def test_every_kind_of_banner_speaks_every_language_and_needs_no_name():
    assert banner_types() == ("event-invitation",)
    for kind in KINDS.values():
        assert kind.keys() == {"en", "de", "fr", "ja", "pt"}
        assert all("{name}" in one.title and "{" not in one.plain_title + one.call for one in kind.values())
    assert words_of(IN_APP.config, "{name} %%x%%").title == "Join {name} %x%"
    assert words_of(IN_APP.config, None, "en").title == "Join our next event"


def test_a_banner_for_each_listed_row_by_rank():
    extra = {"in_app_eligible": True, "subject_type": "event"}
    rows = [
        a_candidate(
            record_id="r-1", customer_id="c-1", subject_id="e-1", time_zone="Asia/Tokyo", locale="ja-JP", **extra
        ),
        a_candidate(record_id="r-2", customer_id="c-2", subject_id="e-2", **extra),
        a_candidate(record_id="r-3", customer_id="c-3", subject_id="e-1", **extra),
    ]
    verdicts = pl.DataFrame(
        {"record_id": ["r-1", "r-2", "r-3"], "channel": "in-app", "reason": ["LISTED", "LISTED", "CAPACITY"]}
    ).with_columns(rank=pl.Series([2, 1, None], dtype=pl.Int64), is_exploration=pl.lit(value=False))
    told = pl.DataFrame(
        {
            "subject_id": ["e-1"], "subject_name": ["Kubernetes"], "subject_maker": [None],
            "subject_closes_at": [instant("2026-11-25 00:00")],
        },
        schema_overrides={"subject_maker": pl.String, "subject_closes_at": pl.Datetime("us")},
    )  # fmt: skip
    made = banners(
        candidates(*rows).lazy(), verdicts, told, program=PROGRAM, channel=IN_APP, marketplaces=FOLDER.marketplaces,
        partition=MONDAY,
    )  # fmt: skip
    assert made.schema == IN_APP_BANNERS.schema
    second, first = made.row(1, named=True), made.row(0, named=True)
    assert (first["customer_id"], first["title"], first["rank"]) == ("c-2", "Zu unserer nächsten Veranstaltung", 1)
    assert first["ends_at"] == first["slot_at"] + timedelta(days=7)
    assert (second["title"], second["locale"]) == ("「Kubernetes」に参加しませんか", "ja")
    assert second["campaign_id"] == "event-invitations:in-app:2026-11-23:DE:e-1:Asia~2FTokyo"
    assert (second["slot_at"], second["ends_at"]) == (instant("2026-11-24 05:00"), instant("2026-11-25 00:00"))
    parts = (PROGRAM.program_id, second["campaign_id"], "c-1", "e-1", "in-app", second["slot_at"])
    assert second["send_id"] == send_id(*parts)
