"""The ports of the serving service in memory, and one good service that tests change a part of."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.ports import CandidateKey, StatusChange
from engage_assets.domain.program import Program
from engage_assets.domain.responses import ApiKey, Interaction, KnownSend, Preferences, Response, Said, ServiceMinute
from engage_assets.domain.statuses import SERVED, may_follow
from engage_assets.domain.tokens import Signer
from engage_assets.serving.services import Services
from engage_assets.stores.columns import TYPES
from engage_assets_tests.builders import a_program, instant
from engage_assets_tests.serving.fake_prompts import FakePrompts

NOW = instant("2026-11-20 12:00")
SEND_ID = "0123456789abcdef0123456789abcdef"
TRACK_SEND_ID = "fedcba9876543210fedcba9876543210"
TAGS = ["Indie Rock", "Hip-Hop", "R&B / Soul"]
SIGNING_KEY = b"k" * 32
KEY = ("customer_id", "program", "marketplace", "subject_type", "subject_id")


class FixedClock:
    """A clock that a test sets: `clock.time = …`."""

    is_declared = False

    def __init__(self, time: datetime = NOW) -> None:
        self.time = time

    def now(self) -> datetime:
        return self.time


def a_row(**changes: Any) -> dict[str, Any]:
    """One stored candidate with every column; `changes` replace columns."""
    row = {
        "customer_id": "c-1",
        "program": "product-reviews",
        "marketplace": "DE",
        "subject_type": "product",
        "subject_id": "p-1",
        "record_id": "d-1",
        "event_at": instant("2026-11-19 14:30"),
        "time_zone": "Europe/Berlin",
        "locale": "de-DE",
        "connector_id": "athena-deliveries",
        "created_at": instant("2026-11-20 02:00"),
        "expires_at": instant("2026-12-20 02:00"),
        "email_eligible": True,
        "in_app_eligible": True,
        "push_eligible": False,
        "voice_eligible": False,
        "probability": 0.123456,
        "score": 0.8,
        "band": "high",
        "model_version": "review-propensity-v2-1",
        "partition_date": date(2026, 11, 19),
        "status": "active",
        "version": 1,
        "updated_at": instant("2026-11-20 02:30"),
    }
    assert row.keys() >= changes.keys(), f"no such column: {sorted(changes.keys() - row.keys())}"
    return row | changes


def key_of(row: Mapping[str, Any]) -> CandidateKey:
    """The key of a row."""
    return CandidateKey(**{name: row[name] for name in KEY})


class FakeStore:
    """CandidateReader and CandidateWriter over a dictionary."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.rows = {key_of(row): dict(row) for row in rows}
        self.is_warm = False

    @property
    def columns(self) -> Mapping[str, pl.DataType]:
        return TYPES

    def version(self) -> None:
        """It cannot tell."""

    def of_customer(
        self, customer_id: str, program_id: str | None, now: datetime, *, channel: str | None = None, limit: int = 1000
    ) -> list[dict[str, Any]]:
        found = [row for row in self._live(now) if row["customer_id"] == customer_id]
        found = [row for row in found if program_id in {None, row["program"]}]
        return [row for row in found if channel is None or row[_flag(channel)]][:limit]

    def page(
        self,
        program_id: str,
        channel: str,
        min_score: float,
        limit: int,
        now: datetime,
        *,
        exclude: frozenset[str] = frozenset(),
        after: str | None = None,
    ) -> tuple[list[tuple[Any, ...]], str | None]:
        if after is not None and not after.isdigit():
            raise EngageError("cursor: not one that this service gave; begin without one")
        start = int(after or 0)
        found = self._reachable(program_id, channel, min_score, now, exclude)
        rest = start + limit < len(found)
        return [tuple(row.values()) for row in found[start : start + limit]], str(start + limit) if rest else None

    def stream(
        self, program_id: str, channel: str, min_score: float, limit: int, now: datetime, *, exclude: frozenset[str]
    ) -> Iterator[pl.DataFrame]:
        found = self._reachable(program_id, channel, min_score, now, exclude)[:limit]
        for start in range(0, len(found), 1000):
            yield pl.DataFrame(found[start : start + 1000], schema=TYPES)

    def with_status(
        self, program_id: str, statuses: frozenset[str], on: date | None, limit: int, now: datetime
    ) -> list[dict[str, Any]]:
        found = [row for row in self._live(now) if row["program"] == program_id and row["status"] in statuses]
        return [row for row in found if on in {None, row["event_at"].date()}][:limit]

    def get(self, key: CandidateKey, now: datetime) -> dict[str, Any] | None:
        row = self.rows.get(key)
        return dict(row) if row and row["expires_at"] > now else None

    def statuses(self, keys: Sequence[CandidateKey], now: datetime) -> dict[CandidateKey, str]:
        return {key: row["status"] for key in keys if (row := self.get(key, now))}

    def warm(self) -> int:
        self.is_warm = True
        return 0

    def advance(self, changes: Sequence[StatusChange]) -> int:
        changed = 0
        for change in changes:
            row = self.rows.get(change.key)
            if row and row["status"] != change.status and may_follow(row["status"], change.status):
                row |= {"status": change.status, "version": row["version"] + 1, "updated_at": change.at}
                changed += 1
        return changed

    def suppress(self, customer_ids: Sequence[str], now: datetime, *, program: str | None, channel: str | None) -> int:
        found = [row for row in self.rows.values() if row["customer_id"] in customer_ids and row["status"] in SERVED]
        found = [row for row in found if program in {None, row["program"]}]
        for row in found:
            row |= {"updated_at": now}
            if channel is None:
                del self.rows[key_of(row)]
            else:
                row[_flag(channel)] = False
        return len(found)

    def delete(self, key: CandidateKey) -> bool:
        return self.rows.pop(key, None) is not None

    def _live(self, now: datetime) -> list[dict[str, Any]]:
        live = [dict(row) for row in self.rows.values() if row["expires_at"] > now]
        return sorted(live, key=lambda row: (-(row["score"] or 0), row["subject_id"], row["customer_id"]))

    def _reachable(
        self, program_id: str, channel: str, min_score: float, now: datetime, exclude: frozenset[str]
    ) -> list[dict[str, Any]]:
        served = SERVED - exclude
        live = [row for row in self._live(now) if row["program"] == program_id and row[_flag(channel)]]
        return [row for row in live if row["score"] >= min_score and row["status"] in served]


def _flag(channel: str) -> str:
    return f"{channel.replace('-', '_')}_eligible"


def a_send(**changes: Any) -> KnownSend:
    """A send that was handed over; `changes` replace fields."""
    send = KnownSend(
        send_id=SEND_ID,
        program="product-reviews",
        campaign_id="product-reviews:email:2026-11-19:DE",
        customer_id="c-1",
        marketplace="DE",
        subject_type="product",
        subject_id="p-1",
        subject_name="Kettle",
        channel="email",
        locale="de-DE",
        slot_at=instant("2026-11-20 09:00"),
        state="sent",
        handed_over_at=instant("2026-11-20 09:00:01"),
    )
    return replace(send, **changes)


def a_track_program(**changes: Any) -> Program:
    """A program that asks about tracks: its answers are thumbs."""
    query = "SELECT listener_id, track_id FROM track_plays"
    connector = {"connectorId": "plays", "type": "redshift", "config": {"database": "streaming", "query": query}}
    good = {"programId": "music-feedback", "dataConnectors": [connector], "feedback": {"tags": TAGS}}
    return a_program(**(good | changes))


def a_track_send(**changes: Any) -> KnownSend:
    """A send about a track; `changes` replace fields."""
    about = {"program": "music-feedback", "subject_type": "track", "subject_id": "t-1", "subject_name": "Midnight Rain"}
    return a_send(**({"send_id": TRACK_SEND_ID, "subject_maker": "Paper Lanterns", **about} | changes))


class FakeContacts:
    """Contacts over dictionaries; tests read its fields."""

    def __init__(self, *sends: KnownSend, keys: Sequence[ApiKey] = ()) -> None:
        self.sends = {send.send_id: send for send in sends}
        self.keys = {key.key_id: key for key in keys}
        self.interactions: dict[str, Interaction] = {}
        self.responses: list[Response] = []
        self.wanted: dict[str, Preferences] = {}
        self.minutes: dict[tuple[datetime, str], ServiceMinute] = {}
        self.is_down = False
        self.asked = 0
        """How often a key was looked up."""

    def send(self, send_id: str) -> KnownSend | None:
        return self.sends.get(send_id)

    def known_sends(self, send_ids: Sequence[str]) -> list[KnownSend | None]:
        return [self.send(send_id) for send_id in send_ids]

    def record(self, interactions: Sequence[Interaction], now: datetime) -> int:
        new = {one.event_id: one for one in interactions if one.send_id in self.sends}
        new = {event: one for event, one in new.items() if event not in self.interactions}
        self.interactions |= new
        return len(new)

    def respond(self, response: Response, now: datetime, *, may_edit: bool = False) -> Said:
        before = self.answer(response.program, response.customer_id, response.subject_type, response.subject_id)
        if before is None:
            self.responses.append(response)
            return "new"
        if not may_edit or replace(response, at=before.at, send_id=before.send_id, channel=before.channel) == before:
            return "unchanged"
        self.responses[self.responses.index(before)] = response
        return "edited"

    def answer(self, program: str, customer_id: str, subject_type: str, subject_id: str) -> Response | None:
        asked = (program, customer_id, subject_type, subject_id)
        there = {(one.program, one.customer_id, one.subject_type, one.subject_id): one for one in self.responses}
        return there.get(asked)

    def answered(self, program: str, customer_id: str, subject_type: str, subject_id: str) -> bool:
        return self.answer(program, customer_id, subject_type, subject_id) is not None

    def preferences(self, customer_id: str) -> Preferences:
        return self.wanted.get(customer_id, Preferences())

    def set_preferences(self, customer_id: str, wanted: Preferences, now: datetime) -> None:
        self.wanted[customer_id] = wanted

    def rating(self, subject_type: str, subject_id: str) -> tuple[int, int]:
        about = (subject_type, subject_id)
        stars = [one.rating for one in self.responses if (one.subject_type, one.subject_id) == about]
        return len(stars), sum(stars)

    def api_key(self, key_id: str) -> ApiKey | None:
        self.asked += 1
        if self.is_down:
            raise EngageError("the ledger does not answer")
        return self.keys.get(key_id)

    def measured(self, minutes: Sequence[ServiceMinute]) -> None:
        self.minutes |= {(one.minute, one.instance): one for one in minutes}


def a_marketplace(**changes: Any) -> Marketplace:
    """Germany; `changes` replace keys of the file, in camelCase."""
    return Marketplace.model_validate(
        {
            "name": "Deutschland",
            "timeZone": "Europe/Berlin",
            "locale": "de-DE",
            "currency": "EUR",
            "senderName": "The Shop",
            "senderAddress": "reviews@example.invalid",
            "replyTo": "hilfe@example.invalid",
            "postalAddress": "The Shop GmbH, Marktstraße 1, 10115 Berlin",
            "siteUrl": "https://de.shop.example",
        }
        | changes
    )


def a_signer() -> Signer:
    """A signer with one key."""
    return Signer({1: SIGNING_KEY}, signing=1)


def a_token(purpose: Any, send_id: str = SEND_ID, expires_at: datetime = NOW + timedelta(days=90)) -> str:
    """A valid token of `a_signer`."""
    return a_signer().sign(purpose, send_id, expires_at)


def some_services(photos: Path, **changes: Any) -> Services:
    """A service with one candidate and one send, without keys; `changes` replace parts."""
    store = FakeStore(a_row())
    services = Services(
        programs={"product-reviews": a_program()},
        marketplaces={"DE": a_marketplace()},
        store=store,
        writer=store,
        contacts=FakeContacts(a_send()),
        signer=a_signer(),
        clock=FixedClock(),
        photos=photos,
        webhook_secrets={"generic": b"g" * 32, "ses": b"s" * 32},
        explain=lambda _: (),
        prompts=FakePrompts(),
    )
    return replace(services, **changes)
