"""Listeners who are asked: by mail at their rates, by voice through the real routes."""

from collections import Counter
from datetime import datetime, timedelta
from types import SimpleNamespace

import polars as pl
import pytest

from engage_assets.sample.music_catalogue import draw_tracks
from engage_assets.sample.music_listeners import draw_listeners
from engage_assets.sample.music_people import Minds, feedback_forms, respond_by_mail
from engage_assets.sample.music_vocabulary import GENRES
from engage_assets.sample.music_voice import VoiceVisit, voice_visits
from engage_assets.sample.people import draw_people
from engage_assets.serving.app import create_app
from engage_assets_tests.builders import PRODUCT_REVIEWS, a_program
from engage_assets_tests.sample.worlds import FIRST_DAY
from engage_assets_tests.serving.clients import Client, a_key
from engage_assets_tests.serving.fake_prompts import FakePrompts
from engage_assets_tests.serving.fakes import FakeContacts, FakeStore, a_marketplace, a_row, some_services

SLOT, AT = datetime.fromisoformat("2026-10-20T09:00"), datetime.fromisoformat("2026-10-20T08:00")
VOICE = {
    "channelId": "speaker",
    "type": "voice",
    "config": {"prompt": "Did you enjoy {trackName}?", "responseOptions": ["yes", "no"]},
}


@pytest.fixture(scope="module")
def minds() -> Minds:
    return Minds(
        draw_listeners(1, draw_people(1, 400)), draw_tracks(1, 90, FIRST_DAY - timedelta(days=20), FIRST_DAY), 1
    )


def sends_to(minds: Minds, count: int) -> pl.DataFrame:
    who, what = minds.listeners["listener_id"], minds.tracks["track_id"]
    return pl.DataFrame(
        {
            "send_id": [f"{number:032x}" for number in range(count)],
            "customer_id": [who[number % len(who)] for number in range(count)],
            "subject_id": [what[number * 7 % len(what)] for number in range(count)],
            "slot_at": [SLOT] * count,
        },
        schema_overrides={"slot_at": pl.Datetime("us")},
    )


def test_people_answer_at_the_documented_rates(minds):
    answers = respond_by_mail(minds, sends_to(minds, 20_000))
    rates = {name: 1 - answers[name].null_count() / answers.height for name in answers.columns}
    assert rates["machine_opened_at"] == pytest.approx(0.15, abs=0.01)
    assert rates["opened_at"] == pytest.approx(0.30, abs=0.03)
    assert rates["clicked_at"] == pytest.approx(0.18, abs=0.03)
    assert rates["answered_at"] == pytest.approx(0.15, abs=0.03)
    given = answers.drop_nulls("answered_at")
    assert (given["opened_at"] <= given["clicked_at"]).all()
    assert (given["clicked_at"] <= given["answered_at"]).all()
    assert (given["opened_at"] > SLOT).all()


def test_an_answer_follows_from_the_send_alone(minds):
    sends = sends_to(minds, 300)
    whole = respond_by_mail(minds, sends)
    assert respond_by_mail(minds, sends[::-1]).sort("send_id").equals(whole.sort("send_id"))
    assert respond_by_mail(minds, sends[40:41]).equals(whole[40:41])
    assert respond_by_mail(minds, sends[:0]).is_empty()
    strangers = sends.with_columns(customer_id=pl.lit("x-0000001"))
    assert respond_by_mail(minds, strangers)["answered_at"].null_count() == 300


def test_who_likes_a_track_says_so_however_he_is_asked(minds):
    pairs = sends_to(minds, 2_000).select(listener_id="customer_id", track_id="subject_id").unique()
    told = minds.opinions(pairs)
    by_liking = told.group_by(pl.col("liked") > 0).agg(pl.col("is_up").mean()).sort("liked")["is_up"]
    assert by_liking[0] < 0.4
    assert by_liking[1] > 0.6
    assert minds.opinions(pairs[5:6]).equals(told[5:6])


def test_forms_hold_what_the_page_offers(minds):
    answers = respond_by_mail(minds, sends_to(minds, 2_000))
    forms = feedback_forms(answers, dict.fromkeys(answers["send_id"], "Pop"))
    assert forms.keys() == set(answers.drop_nulls("answered_at")["send_id"])
    fields = Counter(name for form in forms.values() for name, _ in form)
    assert fields["thumb"] == fields["comment"] == len(forms)
    assert {value for form in forms.values() for name, value in form if name == "thumb"} == {"up", "down"}
    assert {value for form in forms.values() for name, value in form if name == "tags"} <= set(GENRES)


def test_one_visit_a_session_of_who_allows_voice(minds):
    at = AT
    plays = pl.DataFrame(
        [
            ("c-0000001", "t-00001", at, at + timedelta(minutes=4)),
            ("c-0000001", "t-00002", at + timedelta(minutes=5), at + timedelta(minutes=9)),
            ("c-0000001", "t-00003", at + timedelta(minutes=40), at + timedelta(minutes=44)),
            ("c-0000002", "t-00001", at, at + timedelta(minutes=4)),
        ],
        schema=["listener_id", "track_id", "started_at", "ended_at"],
        orient="row",
    )
    customers = pl.DataFrame({"customer_id": ["c-0000001", "c-0000002"], "voice_allowed": [True, False]})
    found = voice_visits(minds, plays, customers, at, at + timedelta(days=1))
    assert [(one.track, one.at) for one in found] == [
        ("t-00001", at + timedelta(minutes=4)),
        ("t-00003", at + timedelta(minutes=44)),
    ]
    assert len({one.session for one in found}) == 2


@pytest.mark.parametrize(
    ("locale", "words"),
    [("ja-JP", {"はい", "うん", "いいえ", "違います"}), ("cy-GB", {"yes", "yeah", "sure", "no", "nope", "not really"})],
)
def test_a_listener_answers_the_real_service_in_his_language(minds, tmp_path, locale, words):
    """Nothing is to be asked about what just ended, but about another track: yes or no is understood and recorded."""
    key, show = a_key()
    store = FakeStore(a_row(customer_id="c-0000001", subject_id="t-00001", voice_eligible=True, locale=locale))
    programs = {"product-reviews": a_program(channels=[*PRODUCT_REVIEWS["channels"], VOICE])}
    parts = {"programs": programs, "marketplaces": {"DE": a_marketplace()}, "store": store, "writer": store}
    parts |= {"contacts": FakeContacts(keys=[key]), "prompts": FakePrompts(), "subject_name": lambda *_: "Slow Rain"}
    services = some_services(tmp_path, **parts)
    instants: list[datetime] = []
    client = Said(create_app(services), show)
    way = SimpleNamespace(client=client, url="", key=show["Authorization"].split()[1], set_clock=instants.append)

    for turn in range(8):
        visit = VoiceVisit(AT, "c-0000001", f"s-{turn}", "t-00002", minds)
        done = list(visit.pay(way))
        if done == ["ended", "prompted", "said"]:
            break
    assert done == ["ended", "prompted", "said"]
    assert set(client.words) <= words
    assert instants[-2:] == [AT, AT + timedelta(seconds=4)]


class Said(Client):
    """A client that keeps the words of answers."""

    @property
    def words(self) -> list[str]:
        return self.__dict__.setdefault("_words", [])

    def post(self, path, **more):
        self.words.extend([more["json"]["answer"]] if path.endswith("/answer") else [])
        return super().post(path, **more)
