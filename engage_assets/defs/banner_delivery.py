"""Banners whose hour has come are opened for display: claimed in the ledger like any other send, with no transport."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

import polars as pl

from engage_assets.defs.batch import Batch, in_app_channel
from engage_assets.defs.delivery_checks import LATEST_SEND, Finding
from engage_assets.defs.delivery_facts import recipients, rules_now
from engage_assets.defs.planning import CHUNK, plan_sends
from engage_assets.domain.channel_specs import InAppChannel
from engage_assets.domain.keys import is_part_of
from engage_assets.domain.sends import ClaimRules, Claims
from engage_assets.domain.tables import IN_APP_BANNERS
from engage_assets.lake import among

if TYPE_CHECKING:
    from engage_assets.defs.delivery import Delivered, Postman

AFTER_MAIL: Final = timedelta(hours=25)
"""A banner opens within this after its customer's e-mail, also on the day on which clocks go back."""
OPENED_AT_ONCE: Final = 200
"""Banners that are opened at a time: a stop acts within one such batch."""
_NOT_ASKED: Final = "pace"
"""The check of a transport; banners have none."""


@dataclass(frozen=True)
class Opening:
    """Banners of one partition at one moment."""

    postman: "Postman"
    batch: Batch
    now: datetime
    since: datetime

    def open(self, done: "Delivered") -> None:
        """Plan the partition's banners, check, and open those whose slot lies in [since, now]."""
        channel, partition = in_app_channel(self.batch.program), self.batch.partition
        key, program = (self.batch.program.key, IN_APP_BANNERS.name), self.batch.program
        if channel is None or not self.postman.lake.path(key, partition.isoformat()).is_file():
            return
        banners = self.postman.lake.scan(key, partition.isoformat())
        keys = banners.select("send_id", "campaign_id", "customer_id", "subject_id", "slot_at").collect()
        plan_sends(self.postman.ledger, program, channel, banners, keys, self.now)
        due = self.postman.ledger.due(program.program_id, channel.channel_id, self.since, self.now)
        mine = keys.filter(pl.col("send_id").is_in(due))
        if mine.is_empty() or self._is_kept_back(keys, done):
            return
        wanted = among(banners, mine["send_id"])
        counts: Counter[str] = Counter()
        for rows in wanted.collect().iter_slices(CHUNK):
            if done.halted:
                break
            counts += self._open_chunk(rows, channel, done)
        done.opened[partition] = done.opened.get(partition, Counter()) + counts

    def _is_kept_back(self, keys: pl.DataFrame, done: "Delivered") -> bool:
        """Whether a check fails; what the partition's e-mail was kept back by is not told twice."""
        latest = LATEST_SEND + AFTER_MAIL
        found = self.postman.checker.findings(self.batch, keys, self.now, latest)
        failed = [one for one in found if not one.passed and one.check != _NOT_ASKED]
        told: list[Finding] = done.findings.setdefault(self.batch.partition, []) if failed else []
        known = {one.check for one in told if not one.passed}
        told += [one for one in failed if one.check not in known]
        return bool(failed)

    def _open_chunk(self, rows: pl.DataFrame, channel: InAppChannel, done: "Delivered") -> Counter[str]:
        rules = self._rules(rows, channel)
        counts: Counter[str] = Counter()
        campaigns = rows["campaign_id"].unique().sort().to_list()
        for some in rows.iter_slices(OPENED_AT_ONCE):
            held = self._held(campaigns, done)
            if done.halted:
                break
            claims = self._claim(some.filter(~pl.col("campaign_id").is_in(held))["send_id"].to_list(), channel, rules)
            counts["skipped"] += len(claims.refused)
            counts["skipped" if channel.shadow else "sent"] += len(claims.won)
        return counts

    def _rules(self, rows: pl.DataFrame, channel: InAppChannel) -> ClaimRules:
        """What the claim asks: the program's rules, and facts as of now."""
        postman, batch, now = self.postman, self.batch, self.postman.clock.now()
        people = recipients(batch, rows, rehearses=False)
        return rules_now(
            batch, rows, people, channel=channel, ledger=postman.ledger, store=postman.store, lake=postman.lake, now=now
        )

    def _claim(self, send_ids: Sequence[str], channel: InAppChannel, rules: ClaimRules) -> Claims:
        postman, now = self.postman, self.postman.clock.now()
        if not channel.shadow:
            assert postman.banners is not None
            return postman.banners.open(send_ids, now, rules)
        claims = postman.ledger.claim(send_ids, now, rules)
        postman.ledger.move(claims.won, "skipped", now, "SHADOW")
        return claims

    def _held(self, campaigns: Sequence[str], done: "Delivered") -> list[str]:
        """Campaigns that are paused; a stop of the whole program halts."""
        program = self.batch.program.program_id
        beginnings = {":".join(one.split(":")[:length]) for one in campaigns for length in range(1, one.count(":") + 2)}
        stops = self.postman.operations.stopped(sorted(beginnings | {program}))
        for stop in stops:
            if stop.target == program:
                done.halted = f"{stop.target} was stopped by {stop.who}: {stop.reason}"
        return [one for one in campaigns if any(is_part_of(one, stop.target) for stop in stops)]
