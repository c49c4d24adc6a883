"""The stages of contacting: lists, and messages rendered for them."""

from collections.abc import Iterator

import polars as pl

from engage_assets.channels import email, filling, in_app, lists
from engage_assets.channels.exploration import Exploration
from engage_assets.defs.batch import Batch, as_frame, email_channel, in_app_channel
from engage_assets.domain.tables import EMAIL_CAMPAIGNS, EMAIL_LIST, IN_APP_BANNERS, LIST_VERDICTS, empty_frame

MESSAGES = 5_000
"""Messages that are rendered at a time."""


def fill_lists(batch: Batch, scored: pl.LazyFrame) -> pl.DataFrame:
    """LIST_VERDICTS over all channels that have a list; all draw their explorationShare by the same lots."""
    program = batch.program
    exploration = Exploration(program.program_id, batch.partition, program.exploration_share)
    judged = [
        (channel, lists.judge_for_list(as_frame(scored), channel).to_native().collect())
        for channel in program.list_channels
    ]
    if not judged:
        return empty_frame(LIST_VERDICTS)
    return filling.fill(judged, exploration, per_subject=batch.source.limits_per_subject)


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
    )


def render_campaigns(batch: Batch, listed: pl.LazyFrame) -> Iterator[pl.DataFrame]:
    """EMAIL_CAMPAIGNS, some thousand messages at a time, by rank."""
    channel = email_channel(batch.program)
    yield empty_frame(EMAIL_CAMPAIGNS)
    if channel is None:
        return
    rows = listed.sort("rank").collect()
    named = rows.join(told_of_subjects(batch, rows), on="subject_id", how="left", maintain_order="left")
    letters = email.Letters()
    for part in named.iter_slices(MESSAGES):
        yield email.render(
            part, program=batch.program, channel=channel, marketplaces=batch.marketplaces, letters=letters
        )


def render_banners(batch: Batch, scored: pl.LazyFrame, verdicts: pl.DataFrame) -> pl.DataFrame:
    """IN_APP_BANNERS, by rank; no rows without a channel in an app."""
    channel = in_app_channel(batch.program)
    if channel is None:
        return empty_frame(IN_APP_BANNERS)
    return in_app.banners(
        scored,
        verdicts,
        told_of_subjects(batch, lists.listed_rows(scored, verdicts, channel)),
        program=batch.program,
        channel=channel,
        marketplaces=batch.marketplaces,
        partition=batch.partition,
    )


def told_of_subjects(batch: Batch, rows: pl.DataFrame) -> pl.DataFrame:
    """`subject_id`; `subject_name`, `…_maker`, `…_starts_at`, `…_closes_at` of the subjects of `rows`, else null."""
    wanted, declared = rows.lazy().select("subject_id").unique(), batch.source.subjects
    table = batch.stated(batch.instant).get(declared.table.name)
    there = table.collect_schema().names() if table is not None else []
    if table is None or declared.name not in there:
        table, there = wanted.rename({"subject_id": declared.key}), [declared.key]
    columns = {"subject_name": declared.name, "subject_maker": declared.maker}
    told = {
        name: pl.col(column) if column in there else pl.lit(None, dtype=pl.String) for name, column in columns.items()
    }
    instants = {"subject_starts_at": declared.starts, "subject_closes_at": declared.closes}
    for name, instant in instants.items():
        told[name] = pl.col(instant) if instant in there and instant else pl.lit(None, dtype=pl.Datetime("us"))
    return (
        table.select(pl.col(declared.key).alias("subject_id"), **told)
        .join(wanted, on="subject_id", how="semi")
        .group_by("subject_id")
        .agg(pl.col(*told).max())
        .collect()
    )
