"""A campaign of a few people in a home of its own, delivered without Dagster on a clock that the test sets."""

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl

from engage_assets.channels import email
from engage_assets.channels.dry_run import DryRunSender
from engage_assets.clocks import SharedClock
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs.batch import Batch, email_channel
from engage_assets.defs.delivery import Delivered, Postman, deliver_due
from engage_assets.defs.delivery_checks import Checker, audience_of
from engage_assets.domain.operations import Approval
from engage_assets.domain.program import Program
from engage_assets.domain.sources import INPUT_TABLES
from engage_assets.domain.tables import DECISIONS, LIST_COLUMNS, Table, frame_schema
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.operations import SqlOperations
from engage_assets.ledger.outbox import SqlOutbox
from engage_assets.programs import load_folder
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets.watermark import Watermark
from engage_assets_tests.builders import a_candidate, a_customer, a_program, candidates, instant

PROGRAMS = Path(__file__).parent.parent.parent / "programs"
DAY = date(2026, 11, 19)
INSTANT = instant("2026-11-20 02:00")
SLOT = instant("2026-11-20 09:00")
"""10:00 in Vienna, where the people of these tests live."""


class SmallCampaign:
    """One campaign of partition 2026-11-19; every person has one message, due at `SLOT` unless said otherwise."""

    def __init__(self, root: Path, people: Sequence[str], program: Program | None = None, sender: Any = None) -> None:
        self.home = Home(root)
        self.program = program or a_program()
        self.clock = SharedClock(root / "now")
        self.marketplaces = load_folder(PROGRAMS).marketplaces
        self.lake = Lake(self.home.lake)
        self.store = SqliteCandidateStore(self.home.candidates)
        self.sender = sender or DryRunSender(self.home.outbox)
        self.people = list(people)
        self.open_ledger()
        self.input("customers", *(a_customer(customer_id=one, email=f"{one}@example.invalid") for one in people))
        self.input("deliveries")
        self.store_candidates()
        self.render(*({"customer_id": one} for one in people))
        self.records(len(people))
        for weeks in range(1, 5):
            self.records(len(people), DAY - timedelta(weeks=weeks))
        self.at(SLOT)

    def open_ledger(self) -> None:
        """Open the database anew, as after a restore."""
        self.database = Database(self.home.ledger_url, random.Random())
        self.ledger = SqlLedger(self.database)
        self.operations = SqlOperations(self.database)

    def at(self, now: datetime) -> None:
        self.home.root.mkdir(parents=True, exist_ok=True)
        self.clock.set(now)

    def input(self, name: str, *rows: dict[str, Any]) -> None:
        """Write an input table of the warehouse."""
        table: Table = INPUT_TABLES[name]
        path = self.home.warehouse / (table.database or "ecommerce") / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame(list(rows), schema=table.schema).write_parquet(path)

    def store_candidates(self) -> None:
        rows = [a_candidate(customer_id=one, expires_at=INSTANT + timedelta(days=30)) for one in self.people]
        self.store.put(self.program, DAY, [candidates(*rows)], INSTANT)
        scored = candidates(*rows).select("customer_id", "marketplace", "subject_id", "score")
        self.lake.write((self.program.key, "scored_candidates"), str(DAY), scored)

    def render(self, *changes: dict[str, Any]) -> None:
        """Render the campaign: one listed row per change."""
        row = {
            "record_id": "d-1",
            "marketplace": "DE",
            "subject_type": "product",
            "subject_id": "p-1",
            "rank": 1,
            "score": 0.8,
            "event_at": INSTANT,
            "locale": "de-DE",
            "time_zone": "Europe/Vienna",
            "campaign_id": f"{self.program.program_id}:email:{DAY}:DE",
            "template_id": "review-request-v3",
            "slot_local": SLOT + timedelta(hours=1),
            "slot_at": SLOT,
            "subject_name": "Kettle",
        }
        schema = {**frame_schema(LIST_COLUMNS), "subject_name": pl.String()}
        listed = pl.DataFrame([row | change for change in changes], schema=schema)
        channel = email_channel(self.program)
        assert channel is not None
        messages = email.render(listed, program=self.program, channel=channel, marketplaces=self.marketplaces)
        self.lake.write((self.program.key, "email_campaigns"), str(DAY), messages)

    def records(self, count: int, day: date = DAY, *, decided: int | None = None) -> None:
        """Input records of a day, and as many decisions unless said otherwise."""
        ids = [f"r-{number}" for number in range(count)]
        self.lake.write((self.program.key, "raw_deliveries"), str(day), pl.DataFrame({"record_id": ids}))
        made = pl.DataFrame(
            {"record_id": ids[: count if decided is None else decided]}, schema={"record_id": pl.String}
        )
        rows = made.with_columns(reason=pl.lit("LISTED"))
        self.lake.write((self.program.key, DECISIONS.name), str(day), rows)

    def approve(self) -> None:
        for (campaign,), rows in self.messages().group_by("campaign_id"):
            audience = audience_of(rows)
            self.operations.approve(Approval(str(campaign), audience.digest, audience.members, "ada", self.clock.now()))

    def approve_all(self, day: date) -> None:
        """A word for every campaign of a partition, once."""
        rows = self.lake.scan((self.program.key, "email_campaigns"), str(day)).collect()
        for (campaign,), some in rows.group_by("campaign_id"):
            if self.operations.approval(str(campaign)) is None:
                audience = audience_of(some)
                self.operations.approve(
                    Approval(str(campaign), audience.digest, audience.members, "ada", self.clock.now())
                )

    def messages(self) -> pl.DataFrame:
        return self.lake.scan((self.program.key, "email_campaigns"), str(DAY)).collect()

    def deliver(self, now: datetime | None = None, program: Program | None = None) -> Delivered:
        """One tick."""
        if now:
            self.at(now)
        chosen = program or self.program
        postman = Postman(
            program=chosen,
            marketplaces=self.marketplaces,
            lake=self.lake,
            ledger=self.ledger,
            operations=self.operations,
            store=self.store,
            checker=Checker(chosen, self.lake, self.store, self.operations, self.sender),
            sender=self.sender,
            clock=self.clock,
            watermark=Watermark(self.home.watermark),
        )
        return deliver_due(postman, Batch(chosen, DAY, self.marketplaces, Warehouse(self.home.warehouse)))

    def outbox(self) -> list[str]:
        """Send ids of the messages that went out."""
        return sorted(path.stem for path in self.home.outbox.rglob("*.eml"))

    def fates(self) -> dict[str, tuple[str, str | None]]:
        """Present state and reason of each customer's send."""
        events = self.ledger.send_events(None, self.clock.now() + timedelta(days=400))
        last = events.group_by("customer_id", maintain_order=True).last()
        return {row["customer_id"]: (row["state"], row["reason"]) for row in last.iter_rows(named=True)}

    @property
    def waiting(self) -> SqlOutbox:
        return SqlOutbox(self.database)
