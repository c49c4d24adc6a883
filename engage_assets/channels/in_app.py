"""Banners in an app: who is listed, from when to when each is shown, and what it says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import polars as pl

from engage_assets.channels.banner_words import KINDS, language_of
from engage_assets.channels.lists import in_campaigns, listed_rows
from engage_assets.channels.merge import one_line
from engage_assets.channels.send_ids import send_ids
from engage_assets.domain.channel_specs import EmailChannel, InAppChannel, InAppConfig
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.program import Program
from engage_assets.domain.slots import next_slot
from engage_assets.domain.tables import IN_APP_BANNERS


@dataclass(frozen=True)
class Words:
    """What one banner says."""

    language: str
    title: str
    call: str


def words_of(config: InAppConfig, name: str | None, *locales: str | None) -> Words:
    """The words about a subject, in the language of the first locale that the kind of banner knows."""
    language = language_of(config.banner_type, *locales)
    words, called = KINDS[config.banner_type][language], one_line(name)
    title = words.title.replace("{name}", called) if called else words.plain_title
    return Words(language, title, words.call)


def ends_at(config: InAppConfig, opens_at: datetime, closes_at: datetime | None) -> datetime:
    """Until when a banner is shown: `displayDuration` days after it opened, or when its subject closes if earlier."""
    over = opens_at + timedelta(days=config.display_duration)
    return over if closes_at is None else min(over, closes_at)


def opening(program: Program, channel: InAppChannel, partition: date, zone: str) -> tuple[datetime, datetime]:
    """When banners of a partition open in `zone`: the local date and time, and its instant.

    The first `opensAt` after the slot of the partition's e-mail; without e-mail, after the batch's deadline.
    """
    after = program.cadence.batch_instant(partition) + program.deadline
    for mail in program.enabled_channels:
        if isinstance(mail, EmailChannel):
            _, after = next_slot(
                zone if mail.config.timezone == "local" else mail.config.timezone, mail.config.send_time, after
            )
    return next_slot(zone, channel.config.opens_at, after)


def banners(
    scored: pl.LazyFrame,
    verdicts: pl.DataFrame,
    told: pl.DataFrame,
    *,
    program: Program,
    channel: InAppChannel,
    marketplaces: Mapping[str, Marketplace],
    partition: date,
) -> pl.DataFrame:
    """IN_APP_BANNERS of the rows that the channel's list holds, by rank.

    `told`: of each subject `subject_id`, `subject_name`, `subject_maker` and `subject_closes_at`. See `opening` and
    `ends_at` for when a banner is shown.
    """
    listed = listed_rows(scored, verdicts, channel)
    rows = in_campaigns(listed, program, channel, partition).join(
        told, on="subject_id", how="left", maintain_order="left"
    )
    config, zones = channel.config, rows["time_zone"].to_list()
    slots = {zone: opening(program, channel, partition, zone) for zone in set(zones)}
    spoken = rows.select("subject_name", "locale", "marketplace").iter_rows()
    words = [words_of(config, name, locale, marketplaces[code].locale) for name, locale, code in spoken]
    slot_at = [slots[zone][1] for zone in zones]
    ends = [ends_at(config, at, closes) for at, closes in zip(slot_at, rows["subject_closes_at"], strict=True)]
    made = rows.with_columns(
        slot_local=pl.Series([slots[zone][0] for zone in zones], dtype=pl.Datetime("us")),
        slot_at=pl.Series(slot_at, dtype=pl.Datetime("us")),
        ends_at=pl.Series(ends, dtype=pl.Datetime("us")),
        banner_type=pl.lit(config.banner_type),
        placement=pl.lit(config.placement),
        displays_per_day=pl.lit(config.displays_per_day, dtype=pl.Int64),
        locale=pl.Series([one.language for one in words], dtype=pl.String),
        title=pl.Series([one.title for one in words], dtype=pl.String),
        call=pl.Series([one.call for one in words], dtype=pl.String),
    )
    return made.with_columns(send_ids(made, program.program_id, channel.channel_id)).select(IN_APP_BANNERS.names)
