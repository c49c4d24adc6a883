"""The stages of contacting: lists, and messages rendered for them."""

from collections.abc import Iterator

import polars as pl

from engage_assets.channels import email, lists
from engage_assets.channels.exploration import Exploration
from engage_assets.defs.batch import Batch, as_frame, email_channel
from engage_assets.domain.tables import EMAIL_CAMPAIGNS, EMAIL_LIST, LIST_VERDICTS, empty_frame

MESSAGES = 5_000
"""Messages that are rendered at a time."""


def fill_lists(batch: Batch, scored: pl.LazyFrame) -> pl.DataFrame:
    """LIST_VERDICTS over all channels that have a list; all draw their explorationShare by the same lots."""
    program = batch.program
    exploration = Exploration(program.program_id, batch.partition, program.exploration_share)
    verdicts = [
        lists.fill(lists.judge_for_list(as_frame(scored), channel).to_native().collect(), channel, exploration)
        for channel in program.list_channels
    ]
    return pl.concat(verdicts or [empty_frame(LIST_VERDICTS)]).sort("customer_id", "record_id", "channel")


def list_for_email(batch: Batch, scored: pl.LazyFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """The e-mail list by rank: campaign, template and slot of each recipient; no rows without an e-mail channel."""
    channel = email_channel(batch.program)
    if channel is None:
        return empty_frame(EMAIL_LIST)
    return lists.email_list(
        scored,
        verdicts,
        program=batch.program,
        channel=channel,
        partition=batch.partition,
        marketplaces={code: batch.marketplaces[code] for code in batch.program.marketplaces},
    )


def render_campaigns(batch: Batch, listed: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """EMAIL_CAMPAIGNS, some thousand messages at a time, by rank."""
    channel = email_channel(batch.program)
    yield empty_frame(EMAIL_CAMPAIGNS)
    if channel is None:
        return
    rows = listed.sort("rank").collect()
    named = rows.join(subject_names(batch, rows), on="subject_id", how="left", maintain_order="left")
    for part in named.iter_slices(MESSAGES):
        yield email.render(part, program=batch.program, channel=channel, marketplaces=batch.marketplaces)


def subject_names(batch: Batch, rows: pl.DataFrame) -> pl.DataFrame:
    """`subject_id` and `subject_name` of the subjects of `rows`, where the deployment names them."""
    wanted = rows.lazy().select("subject_id").unique()
    products = batch.tables.get("products")
    if products is None or "name" not in products.collect_schema().names():
        return wanted.with_columns(subject_name=pl.lit(None, dtype=pl.String)).collect()
    names = products.select(subject_id="product_id", subject_name="name")
    return (
        names.join(wanted, on="subject_id", how="semi")
        .group_by("subject_id")
        .agg(pl.col("subject_name").max())
        .collect()
    )
