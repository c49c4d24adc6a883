"""Seed letters: copies of a campaign's first message for the team, so that somebody sees what goes out."""

import hashlib
from collections.abc import Mapping
from typing import Any

import polars as pl

from engage_assets.channels.headers import checked_address
from engage_assets.channels.message import Letterpress
from engage_assets.domain.channel_specs import EmailChannel
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.sends import Letter

PREFIX = "[Seed] "
"""What a seed's subject line begins with."""


def seed_letters(rows: pl.DataFrame, *, channel: EmailChannel, marketplaces: Mapping[str, Marketplace]) -> list[Letter]:
    """For each campaign in `rows` (EMAIL_CAMPAIGNS), a copy of its first message to each address of `seedList`.

    Greeting without a name, links without tracking; by the campaigns' order, then the list's. Their send ids are keys
    of campaign and place on the list: equal for equal input, and unlike those of all sends. Raises EngageError, naming
    the place on the list but not the address, where one is none.
    """
    seeds = [
        checked_address(address, f"channels.config.seedList: entry {place} of {channel.channel_id}")
        for place, address in enumerate(channel.config.seed_list, start=1)
    ]
    firsts = rows.unique("campaign_id", keep="first", maintain_order=True).to_dicts() if seeds else []
    press = Letterpress(marketplaces)
    return [_seed(press, row, place, seed) for row in firsts for place, seed in enumerate(seeds, start=1)]


def _seed(press: Letterpress, first: Mapping[str, Any], place: int, address: str) -> Letter:
    key = hashlib.sha256(f"seed\x1f{first['campaign_id']}\x1f{place}".encode()).hexdigest()[:32]
    row = {**first, "send_id": key, "subject": PREFIX + first["subject"]}
    return press.letter(row, name=None, address=address)
