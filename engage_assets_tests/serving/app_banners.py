"""A service whose apps ask for banners, with everything real: its ledger, its catalogue, its registrations."""

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engage_assets.domain.events import Event
from engage_assets.domain.ports import CandidateKey
from engage_assets.domain.sends import ClaimRules, Send
from engage_assets.ledger.banners import SqlBanners
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.push_addresses import SqlPushSubscriptions
from engage_assets.serving.services import PushServices
from engage_assets_tests.serving.gatherings import NOW, Gathering, a_gathering

PROGRAM = "event-invitations"
_RULES = ClaimRules(types={"in-app": "in-app"})


class EverybodyWaits:
    """A store in which everybody waits for the app but those in `gone`, and those in `closed` for other channels."""

    def __init__(self) -> None:
        self.gone: set[str] = set()
        self.closed: set[str] = set()
        self.status = "delivered"
        self.zones: dict[str, str] = {}

    def get(self, key: CandidateKey, _now: datetime) -> dict[str, Any] | None:
        eligible = key.customer_id not in self.closed
        known = {"status": self.status, "in_app_eligible": eligible, "time_zone": self.zones.get(key.customer_id)}
        return None if key.customer_id in self.gone else known


def an_app_service(home: Path, database: Database, key: str | None = None, **event: Any) -> Gathering:
    """A gathering whose service has SQL's contacts and banners; `key`: with what browsers subscribe."""
    gathering = a_gathering(home, database, event or None)
    services = replace(
        gathering.services,
        store=EverybodyWaits(),
        contacts=SqlContacts(database),
        banners=SqlBanners(database),
        push=PushServices(SqlPushSubscriptions(database), key),
    )
    return Gathering(services, gathering.warehouse, gathering.event_id)


def a_banner_of(gathering: Gathering, customer: str, slot_at: datetime = NOW, **changes: Any) -> Send:
    """The send of a banner."""
    values = {
        "program": PROGRAM,
        "campaign_id": f"{PROGRAM}:in-app:{slot_at.date()}:DE:{gathering.event_id}",
        "customer_id": customer,
        "subject_type": "event",
        "subject_id": gathering.event_id,
        "subject_name": "A name of before",
        "channel": "in-app",
        "slot_at": slot_at,
        "cap_scope": PROGRAM,
        "marketplace": "DE",
        "locale": "en",
    }
    return Send(**(values | changes))


def open_banners(database: Database, *banners: Send, now: datetime | None = None) -> list[str]:
    """Plan banners, and open those that may open at `now` (the first one's slot)."""
    slot = banners[0].slot_at
    SqlLedger(database).plan(banners, slot - timedelta(hours=1))
    return SqlBanners(database).open([one.send_id for one in banners], now or slot, _RULES).won


class RememberedFacts:
    """EventFacts of one event in memory: as the catalogue states it, without files."""

    def __init__(self, event: Event) -> None:
        self.known = [event]

    def versions(self, event_id: str, now: datetime) -> list[Event]:
        return [one for one in self.known if one.event_id == event_id and one.known_at <= now]

    def elsewhere(self, _event_id: str, _now: datetime) -> frozenset[str]:
        return frozenset()

    def change(self, **changes: Any) -> None:
        self.known.append(replace(self.known[-1], **changes))
