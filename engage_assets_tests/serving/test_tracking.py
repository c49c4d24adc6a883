from dataclasses import replace
from datetime import timedelta
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.domain.tokens import LENGTH
from engage_assets.serving.tracking import PIXEL, Suspects, event_id
from engage_assets_tests.serving.fakes import (
    NOW,
    SEND_ID,
    FakeContacts,
    FixedClock,
    a_send,
    a_signer,
    a_token,
    some_services,
)
from engage_assets_tests.serving.test_machines import PEOPLE
from engage_assets_tests.serving.visits import a_visitor

OTHER = "f" * 32
EXPIRY = NOW + timedelta(days=3)


def a_reader(tmp_path, agent=PEOPLE[0], **changes):
    services = some_services(tmp_path, **changes)
    return services, a_visitor(services, user_agent=agent)


def recorded(services):
    return [(one.kind, one.source, one.machine_rule) for one in services.contacts.interactions.values()]


def test_an_open_is_recorded_and_a_picture_is_given(tmp_path):
    services, reader = a_reader(tmp_path)
    answer = reader.get(f"/o/{a_token('open')}.gif")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, PIXEL, "image/gif")
    assert answer.headers["cache-control"] == "no-store"
    assert recorded(services) == [("open", "pixel", None)]


def test_a_click_leads_to_the_review_of_the_send_for_as_long_as_the_link_lives(tmp_path):
    services, reader = a_reader(tmp_path)
    answer = reader.get(f"/c/{a_token('click', expires_at=EXPIRY)}?url=https://evil.example&next=//evil.example")
    assert answer.status_code == 302
    place, token = answer.headers["location"].rsplit("/", 1)
    assert place == "../review"
    said = a_signer().read(token, "answer", NOW)
    assert (said.send_id, said.expires_at) == (SEND_ID, EXPIRY)
    assert recorded(services) == [("click", "redirect", None)]


def test_the_hidden_link_makes_what_follows_a_machine_for_a_while(tmp_path):
    clock = FixedClock()
    contacts = FakeContacts(a_send(), replace(a_send(), send_id=OTHER))
    services, reader = a_reader(tmp_path, clock=clock, contacts=contacts)
    assert reader.get(f"/h/{a_token('click')}").status_code == 302
    reader.get(f"/c/{a_token('click')}")
    reader.get(f"/o/{a_token('open')}.gif")
    reader.get(f"/o/{a_token('open', OTHER)}.gif")
    clock.time += timedelta(hours=2)
    reader.get(f"/c/{a_token('click')}")
    rules = [rule for _, _, rule in recorded(services)]
    assert rules == ["honeypot", "after_honeypot", "after_honeypot", None, None]


def test_a_head_request_is_answered_and_never_a_person(tmp_path):
    services, reader = a_reader(tmp_path)
    assert reader.send("HEAD", f"/o/{a_token('open')}.gif").status_code == 200
    assert reader.send("HEAD", f"/c/{a_token('click')}").status_code == 302
    assert [rule for _, _, rule in recorded(services)] == ["head", "head"]


def test_every_fetch_counts_and_neither_agent_nor_address_is_kept(tmp_path):
    services, reader = a_reader(tmp_path, agent="Barracuda-canary")
    for _ in range(3):
        reader.get(f"/o/{a_token('open')}.gif")
    assert recorded(services) == [("open", "pixel", "listed_agent")] * 3
    assert "canary" not in repr(services.contacts.interactions)


def test_a_send_that_was_never_handed_over_has_no_human_opens(tmp_path):
    services, reader = a_reader(tmp_path, contacts=FakeContacts(a_send(handed_over_at=None, state="planned")))
    reader.get(f"/o/{a_token('open')}.gif")
    assert recorded(services) == [("open", "pixel", "not_sent")]


@pytest.mark.parametrize(
    ("path", "purposes"),
    [("/o/{}.gif", ["click", "answer", "preferences"]), ("/c/{}", ["open", "answer"]), ("/h/{}", ["open", "answer"])],
)
def test_links_that_are_not_good_record_nothing(tmp_path, path, purposes):
    services, reader = a_reader(tmp_path)
    good = a_token("open" if "gif" in path else "click")
    bad = [
        *(a_token(purpose) for purpose in purposes),
        a_token("open" if "gif" in path else "click", expires_at=NOW - timedelta(seconds=1)),
        good[:-1] + ("A" if good[-1] != "A" else "E"),
        good + "=",
        "x",
        "%00",
        "é" * LENGTH,
    ]
    assert {reader.get(path.format(token)).status_code for token in bad} == {404}
    assert recorded(services) == []


def test_a_send_that_the_ledger_lost_gets_its_picture_but_no_page(tmp_path):
    services, reader = a_reader(tmp_path)
    assert reader.get(f"/o/{a_token('open', OTHER)}.gif").content == PIXEL
    assert reader.get(f"/c/{a_token('click', OTHER)}").status_code == 404
    assert recorded(services) == []


@given(st.lists(st.tuples(st.sampled_from(["open", "click"]), st.datetimes(), st.text()), unique=True, max_size=20))
def test_keys_of_fetches_are_stable_and_differ(fetches):
    keys = [event_id(SEND_ID, kind, at.replace(microsecond=0), part) for kind, at, part in fetches]
    assert keys == [event_id(SEND_ID, kind, at.replace(microsecond=9), part) for kind, at, part in fetches]
    assert len(set(keys)) == len({(kind, at.replace(microsecond=0), part) for kind, at, part in fetches})


def test_only_so_many_suspects_are_remembered(monkeypatch):
    monkeypatch.setattr("engage_assets.serving.tracking.REMEMBERED", 3)
    suspects, ids = Suspects(), [str(number) for number, _ in zip(count(), range(5), strict=False)]
    for send_id in [*ids, ids[2]]:
        suspects.add(send_id, NOW)
    assert [bool(suspects.followed_at(send_id)) for send_id in ids] == [False, False, True, True, True]
