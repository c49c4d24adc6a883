"""Playlists: scores of tracks out of people's answers, the playlists themselves, and what changed in them."""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import dagster as dg
import polars as pl

from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import playlist_stages as stages
from engage_assets.defs.describe import markdown_table, mistakes_as_failures, picture
from engage_assets.defs.desk import Desk, Result
from engage_assets.defs.intake_assets import RETRIES
from engage_assets.defs.playlist_sheets import playlist_sheets, playlist_specs
from engage_assets.domain.errors import EngageError
from engage_assets.domain.marketplaces import Marketplace
from engage_assets.domain.playlist_spec import Playlists
from engage_assets.domain.playlist_tables import BRIGADES, PLAYLIST_CHANGES, PLAYLISTS, TRACK_SCORES
from engage_assets.domain.ports import Clock, Ledger
from engage_assets.domain.program import Program
from engage_assets.home import Home
from engage_assets.lake import Lake
from engage_assets.playlists.changes import compare
from engage_assets.playlists.export import write_playlists
from engage_assets.playlists.filling import playlists_of
from engage_assets.playlists.pictures import slopes
from engage_assets.playlists.rules import broken_rules, came_and_went, overview

SHOWN: Final = 10
"""Rows of a table that the UI shows."""
_DAY: Final = timedelta(days=1)


def playlist_assets(program: Program, marketplaces: Mapping[str, Marketplace]) -> list[dg.AssetsDefinition]:
    """`track_scores`, `brigades`, `playlists` and `playlist_changes` of a program that fills playlists; else none."""
    if program.playlists is None:
        return []
    return [
        _score(program, program.playlists, marketplaces),
        _fill(program, program.playlists, marketplaces),
        _compare(program, program.playlists, marketplaces),
    ]


def playlist_folder(home: Home, program: Program, partition: date) -> Path:
    """Where the files of a partition's playlists lie."""
    return home.export / program.key / "playlist_files" / partition.isoformat()


def _key(program: Program, name: str) -> dg.AssetKey:
    return playlist_sheets(program)[name].asset_key


def _score(program: Program, rules: Playlists, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{program.key}__score_tracks",
        specs=playlist_specs(program, TRACK_SCORES.name, BRIGADES.name),
        check_specs=[
            dg.AssetCheckSpec(
                "no_brigade",
                asset=_key(program, BRIGADES.name),
                description="No answers of the day look concerted. Those that do count nothing, and deserve a look.",
            )
        ],
        retry_policy=RETRIES,
    )
    def score_tracks(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        ledger: dg.ResourceParam[Ledger],
        clock: dg.ResourceParam[Clock],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            require_past(rules, desk.partition, clock)
            batch = desk.batch(warehouse, marketplaces)
            day_before = stages.make_day_before(batch, rules, lake, ledger)
            if day_before is not None:
                context.instance.report_runless_asset_event(
                    dg.AssetMaterialization(_key(program, TRACK_SCORES.name), partition=day_before.isoformat())
                )
            with desk.open(TRACK_SCORES.name) as file:
                update = stages.update_of(batch, rules, lake, ledger, file)
            desk.write(BRIGADES.name, update.brigades)
        newly = update.scores.filter(pl.col("counted_on") == desk.partition)
        counted = update.answers.filter(pl.col("void").is_null()).height
        yield desk.result(
            TRACK_SCORES.name,
            {
                "answers_of_the_day": update.answers.height,
                "of_them_counted": counted,
                "tracks_counted_anew": newly["track_id"].n_unique(),
                "counts_taken_over": update.is_incremental,
                "not_counted": markdown_table(_voids(update.answers)),
                "best": markdown_table(_best(update.scores, rules)),
            },
        )
        check = desk.check(
            BRIGADES.name,
            "no_brigade",
            passed=update.brigades.is_empty(),
            metadata={"brigades": update.brigades.height},
            warn=True,
        )
        yield desk.result(BRIGADES.name, {"brigades": markdown_table(_largest(update.brigades))}, [check])

    return score_tracks


def require_past(rules: Playlists, partition: date, clock: Clock) -> None:
    """Refuse playlists of a day that is not over. Raises EngageError."""
    instant = rules.instant(partition)
    if clock.now() < instant:
        raise EngageError(
            f"playlists of {partition} are made at {instant:%Y-%m-%d %H:%M} UTC, which lies ahead (it is"
            f" {clock.now():%Y-%m-%d %H:%M} UTC): wait, or name an earlier partition"
        )


def _voids(answers: pl.DataFrame) -> pl.DataFrame:
    void = answers.filter(pl.col("void").is_not_null())
    return void.group_by(reason="void").agg(answers=pl.len()).sort("answers", "reason", descending=[True, False])


def _best(scores: pl.DataFrame, rules: Playlists) -> pl.DataFrame:
    enough = scores.filter(pl.col("answers") >= rules.minimum_answers)
    # Most scores are sorted for nothing.
    enough = enough.filter(pl.col("track_score") >= pl.col("track_score").top_k(SHOWN).min())
    best = enough.sort("track_score", "answers", "track_id", descending=[True, True, False]).head(SHOWN)
    return best.select("marketplace", "genre", "track_id", "track_score", "ups", "answers", "genre_approval")


def _largest(brigades: pl.DataFrame) -> pl.DataFrame:
    """Without customer ids, which Dagster's database shall not hold."""
    return brigades.drop("customer_id").head(SHOWN)


def _fill(program: Program, rules: Playlists, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{program.key}__fill_playlists",
        specs=playlist_specs(program, PLAYLISTS.name),
        check_specs=[
            dg.AssetCheckSpec(
                "rules_are_kept",
                asset=_key(program, PLAYLISTS.name),
                blocking=True,
                description="No playlist is too long, none holds a track twice, an old one, one with too few answers,"
                " or too many of one artist; places run from 1 and scores fall.",
            )
        ],
    )
    def fill_playlists(
        context: dg.AssetExecutionContext,
        lake: dg.ResourceParam[Lake],
        warehouse: dg.ResourceParam[Warehouse],
        home: dg.ResourceParam[Home],
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            playlists = playlists_of(stages.fill_listed(desk.read(TRACK_SCORES.name), rules, desk.partition))
            desk.write(PLAYLISTS.name, playlists)
            named = stages.track_names(desk.batch(warehouse, marketplaces), playlists)
            folder = playlist_folder(home, program, desk.partition)
            files = write_playlists(folder, playlists, named, context.partition_key)
        broken = broken_rules(playlists, rules, rules.instant(desk.partition).date())
        check = desk.check(PLAYLISTS.name, "rules_are_kept", passed=not broken, metadata={"broken": ", ".join(broken)})
        yield desk.result(
            PLAYLISTS.name,
            {
                "playlists": playlists["playlist_id"].n_unique(),
                "files": dg.MetadataValue.path(str(folder)),
                "files_written": len(files),
                "overview": markdown_table(overview(playlists)),
            },
            [check],
        )

    return fill_playlists


def _compare(program: Program, rules: Playlists, marketplaces: Mapping[str, Marketplace]) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"{program.key}__compare_playlists",
        specs=playlist_specs(program, PLAYLIST_CHANGES.name),
        check_specs=[
            dg.AssetCheckSpec(
                "changes_close",
                asset=_key(program, PLAYLIST_CHANGES.name),
                blocking=True,
                description="The playlists of the day before, less what went, plus what came, are today's.",
            )
        ],
    )
    def compare_playlists(
        context: dg.AssetExecutionContext, lake: dg.ResourceParam[Lake], warehouse: dg.ResourceParam[Warehouse]
    ) -> Iterator[Result]:
        desk = Desk(context, lake, program)
        with mistakes_as_failures():
            day_before = desk.partition - _DAY
            before = lake.scan((program.key, TRACK_SCORES.name), day_before.isoformat())
            now_scored = desk.read(TRACK_SCORES.name)
            then, now = stages.fill_both((before, day_before), (now_scored, desk.partition), rules)
            changes = compare(then, now)
            desk.write(PLAYLIST_CHANGES.name, changes)
        old, new = playlists_of(then), playlists_of(now)
        counts = changes.group_by("change", "reason").agg(tracks=pl.len()).sort("change", "reason")
        turned = came_and_went(changes)
        closes = old.height - turned["went"] + turned["came"] == new.height
        check = desk.check(PLAYLIST_CHANGES.name, "changes_close", passed=closes, metadata=turned)
        metadata = {**turned, "why": markdown_table(counts)}
        if changes.height:
            metadata["most_changed"] = _most_changed(
                changes, old, new, stages.track_names(desk.batch(warehouse, marketplaces), new)
            )
        yield desk.result(PLAYLIST_CHANGES.name, metadata, [check])

    return compare_playlists


def _most_changed(changes: pl.DataFrame, old: pl.DataFrame, new: pl.DataFrame, named: pl.DataFrame) -> dg.MetadataValue:
    """The picture of the playlist in which most has changed."""
    counts = changes.group_by("playlist_id").agg(pl.len()).sort("len", "playlist_id", descending=[True, False])
    chosen = counts["playlist_id"][0]
    names = dict(named.drop_nulls("name").select("track_id", "name").iter_rows())
    own = pl.col("playlist_id") == chosen
    return picture(chosen, slopes(old.filter(own), new.filter(own), names, chosen))
