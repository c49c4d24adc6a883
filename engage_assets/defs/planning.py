"""Lists are written to the ledger as planned, so that claims of several programs can be compared."""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from engage_assets.domain.channel_specs import ListSection
from engage_assets.domain.ports import Ledger
from engage_assets.domain.program import Program
from engage_assets.domain.sends import Send

CHUNK: Final = 5_000
"""Messages whose recipients and facts are looked up at a time."""


def plan_sends(
    ledger: Ledger, program: Program, channel: ListSection, messages: pl.LazyFrame, keys: pl.DataFrame, now: datetime
) -> None:
    """Write the sends of a partition's campaigns as planned; an unchanged list once.

    `messages`: rows of the channel's campaigns; `keys`: `send_id` and `campaign_id` of all of them.
    """
    digests = {
        str(campaign): hashlib.sha256("".join(rows["send_id"].sort()).encode()).hexdigest()
        for (campaign,), rows in keys.sort("campaign_id").group_by("campaign_id", maintain_order=True)
    }
    new = [campaign for campaign, digest in digests.items() if not ledger.is_planned(campaign, digest)]
    names = ("campaign_id", "customer_id", "subject_id", "slot_at", "marketplace", "subject_type", "subject_name")
    told = ("subject_maker",) if "subject_maker" in messages.collect_schema() else ()  # files of before have none
    wanted = messages.filter(pl.col("campaign_id").is_in(new)).select(*names, *told, "locale")
    for rows in wanted.collect_batches(chunk_size=CHUNK):
        ledger.plan([_send(row, program, channel) for row in rows.iter_rows(named=True)], now)
    for campaign in new:
        ledger.mark_planned(campaign, digests[campaign], now)


def _send(row: Mapping[str, Any], program: Program, channel: ListSection) -> Send:
    return Send(
        program=program.program_id,
        channel=channel.channel_id,
        cap_scope=program.scope,
        priority=program.program_priority,
        **row,
    )
