"""What must hold before anything is sent: each check says what it found, and one that fails keeps a partition back."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

import polars as pl

from engage_assets.defs.batch import Batch
from engage_assets.defs.stages import closes, closing_counts
from engage_assets.dispatch.approval import Audience, change, is_void
from engage_assets.dispatch.pace import finishes_within
from engage_assets.dispatch.volume import judge_volume
from engage_assets.domain.ports import CandidateStore, Operations, Sender
from engage_assets.domain.program import Program
from engage_assets.domain.tables import DECISIONS, EMAIL_CAMPAIGNS
from engage_assets.lake import Lake

LATEST_SEND: Final = timedelta(hours=26)
"""A list is sent at most this long, and its batch's deadline, after its batch instant."""
_WEEKS: Final = 12
"""Earlier weeks of which the same weekday tells what is usual."""
_TOLD: Final = 6
"""Campaigns that a check names one by one."""
NAMES: Final = ("volume", "lateness", "counts_close", "store_agrees", "pace", "approval")


@dataclass(frozen=True)
class Finding:
    """What one check found of one partition."""

    check: str
    passed: bool
    why: str


@dataclass(frozen=True)
class Checker:
    """What the checks read."""

    program: Program
    lake: Lake
    store: CandidateStore
    operations: Operations
    sender: Sender

    def findings(
        self, batch: Batch, messages: pl.DataFrame, now: datetime, latest: timedelta = LATEST_SEND
    ) -> Iterator[Finding]:
        """All checks of one partition; `messages`: campaign_id, customer_id, subject_id, slot_at of its campaigns.

        What needs a person's word (few records, few earlier days, `approval: required`) passes with an approval
        of each campaign's audience that is not void.
        """
        unapproved = self._unapproved(batch, messages)
        yield self._volume(batch, unapproved)
        yield _lateness(batch, messages, now, latest)
        yield self._closing(batch)
        yield self._agreement(batch)
        yield self._pace(messages)
        if self.program.approval == "required":
            yield Finding("approval", not unapproved, unapproved or "every campaign's audience is approved")

    def _volume(self, batch: Batch, unapproved: str) -> Finding:
        raw = (self.program.key, batch.source.raw_asset)
        count = self.lake.rows(raw, batch.partition.isoformat())
        earlier = [
            self.lake.rows(raw, day.isoformat())
            for weeks in range(1, _WEEKS + 1)
            if self.lake.path(raw, (day := batch.partition - timedelta(weeks=weeks)).isoformat()).is_file()
        ]
        verdict = judge_volume(count, earlier, self.program.minimum_volume)
        if verdict.action != "needs_approval":
            return Finding("volume", verdict.action == "ok", verdict.why)
        asked = f"; needs a person's approval: {unapproved}" if unapproved else "; approved by a person"
        return Finding("volume", not unapproved, verdict.why + asked)

    def _closing(self, batch: Batch) -> Finding:
        partition = batch.partition.isoformat()
        raw = self.lake.scan((self.program.key, batch.source.raw_asset), partition)
        counts = closing_counts(raw, self.lake.scan((self.program.key, DECISIONS.name), partition))
        said = ", ".join(f"{name} {count:,}" for name, count in counts.items())
        return Finding("counts_close", closes(counts), said)

    def _agreement(self, batch: Batch) -> Finding:
        """The store's items of this partition carry the scores of scored_candidates."""
        key = ["customer_id", "marketplace", "subject_id"]
        scored = self.lake.scan((self.program.key, "scored_candidates"), batch.partition.isoformat())
        stored = self.store.of_partition(self.program.program_id, batch.partition)
        other = stored.lazy().join(scored.select(*key, scored_as="score"), on=key, how="left")
        differing = other.filter(pl.col("score").ne_missing(pl.col("scored_as"))).select(pl.len()).collect().item()
        why = f"{stored.height:,} items of this partition, {differing:,} with another score than scored_candidates"
        return Finding("store_agrees", differing == 0, why)

    def _pace(self, messages: pl.DataFrame) -> Finding:
        """The most messages that fall due within one window can be sent within it."""
        due = messages.group_by("slot_at").len()["len"]
        most = int(due.max() or 0)  # type: ignore[arg-type]
        refusal = finishes_within(most, self.sender.per_second)
        pace = f"{self.sender.per_second:g} a second" if self.sender.per_second else "no limit"
        return Finding("pace", refusal is None, refusal or f"at most {most:,} messages a slot; transport: {pace}")

    def _unapproved(self, batch: Batch, messages: pl.DataFrame) -> str:
        """The campaigns whose present audience nobody approved, or whose approval is void; empty: none."""
        objections = [
            f"{campaign}: {why}"
            for (campaign,), rows in messages.sort("campaign_id").group_by("campaign_id", maintain_order=True)
            if (why := self._objection(str(campaign), audience_of(rows)))
        ]
        if len(objections) <= _TOLD:
            return "; ".join(objections)
        all_of_them = f"{self.program.program_id} --date {batch.partition}"
        return (
            f"{len(objections)} of {messages['campaign_id'].n_unique()} campaigns are not approved, or no longer; look"
            f" at them (`engage preview {all_of_them}`), then `engage approve {all_of_them}`; the first:"
            f" {objections[0]}"
        )

    def _objection(self, campaign: str, audience: Audience) -> str | None:
        approval = self.operations.approval(campaign)
        if approval is None:
            return f"not approved; look at it (`engage preview {campaign}`), then `engage approve {campaign}`"
        approved = Audience(approval.digest, approval.members)
        if is_void(approved, audience):
            return f"its audience changed by {change(approved, audience):.0%} since {approval.who} approved it"
        return None


def audience_of(messages: pl.DataFrame) -> Audience:
    """The audience of a campaign's messages."""
    return Audience.of(messages.select("customer_id", "subject_id").iter_rows())


def _lateness(batch: Batch, messages: pl.DataFrame, now: datetime, latest: timedelta) -> Finding:
    """List campaigns only: a send long after its batch was decided rests on stale facts."""
    limit = batch.instant + batch.program.deadline + latest
    due = messages.filter(pl.col("slot_at") <= now)
    why = f"the batch instant is {batch.instant:%Y-%m-%d %H:%M} UTC, so its lists are sent until {limit:%Y-%m-%d %H:%M}"
    return Finding("lateness", due.is_empty() or now <= limit, why)


def messages_of(lake: Lake, program: Program, partition: date) -> pl.LazyFrame:
    """The partition's messages, EMAIL_CAMPAIGNS."""
    return lake.scan((program.key, EMAIL_CAMPAIGNS.name), partition.isoformat())
