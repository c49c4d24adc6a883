"""The whole partition, raw to rendered campaigns: through Dagster, or the same functions called directly.

usage: python bench/partition.py direct|dagster|model HOME PARTITION [PROGRAM]
HOME is a folder of bench/generate.py, of bench/generate_music.py with PROGRAM music-feedback, or of
bench/generate_events.py with PROGRAM event-invitations (not `direct`). `model` trains the
models that the other two score with, and makes Dagster's database.
"""

import os
import resource
import shutil
import sys
import time
from datetime import date
from pathlib import Path

import measure
import polars as pl


def peak() -> int:
    """Peak memory so far, MiB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def direct(home: Path, partition: date, program_id: str) -> None:
    """Every stage as a plain call, with the same files written."""
    from engage_assets.connectors.duckdb import DuckDBConnector
    from engage_assets.connectors.warehouse import Warehouse
    from engage_assets.defs import feature_stages, list_stages, scoring_stages, stages
    from engage_assets.defs.batch import Batch
    from engage_assets.defs.sheets import features_name
    from engage_assets.domain.tables import SENDS_LOG
    from engage_assets.home import Home
    from engage_assets.lake import Lake
    from engage_assets.ledger.ledger import SqlLedger
    from engage_assets.programs import load_folder
    from engage_assets.stores.sqlite import SqliteCandidateStore

    place, day, folder = Home(home), partition.isoformat(), load_folder(Path("programs"))
    program = folder.programs[program_id]
    warehouse, lake, seconds, peaks = Warehouse(place.warehouse), Lake(place.lake), {}, {}
    batch = Batch(program, partition, folder.marketplaces, warehouse)
    began = time.perf_counter()

    def done(stage: str) -> None:
        nonlocal began
        seconds[stage], peaks[stage] = round(time.perf_counter() - began, 2), peak()
        began = time.perf_counter()

    def write(name: str, frames) -> pl.LazyFrame:
        lake.write((program.key, name), day, frames)
        return lake.scan((program.key, name), day)

    ledger = SqlLedger(place.ledger_url)
    lake.write(("ledger", "opt_outs"), day, ledger.opt_outs(batch.instant))
    ledger.send_events(batch.instant, batch.instant)
    batch.check()
    connector = DuckDBConnector(warehouse)
    raw = write(batch.source.raw_asset, connector.read(program, partition))
    connector.unread(program, partition)
    done("raw")
    with lake.open((program.key, "candidates"), day) as kept, lake.open((program.key, "set_aside"), day) as refused:
        for part in stages.check_records(batch, raw):
            kept.add(stages.candidates_of(batch, part))
            refused.add(stages.set_aside_of(part))
    candidates, set_aside = (lake.scan((program.key, name), day) for name in ("candidates", "set_aside"))
    done("candidates")
    sends = lake.history(("ledger", SENDS_LOG.name), partition)
    opt_outs = lake.scan(("ledger", "opt_outs"), day)
    names = ("filter_verdicts", "filtered_candidates")
    with lake.open((program.key, names[0]), day) as judged, lake.open((program.key, names[1]), day) as kept:
        for part in stages.judge_candidates(batch, candidates, sends, opt_outs):
            judged.add(part)
            kept.add(stages.accepted_of(batch, part))
    verdicts, accepted = (lake.scan((program.key, name), day) for name in names)
    done("filters")
    known = {}
    for view in program.used_views:
        known[view.view] = write(features_name(view), feature_stages.view_features(batch, accepted, view))
        feature_stages.profile_of(batch, view, known[view.view], as_of=batch.instant)
    done("features")
    scorer = scoring_stages.scorer_of(place.models, program)
    scored = write("scored_candidates", scoring_stages.score(batch, accepted, known, scorer))
    done("score")
    store = SqliteCandidateStore(place.candidates)
    counts = store.put(program, partition, scoring_stages.storable(scored), batch.instant)
    scoring_stages.differing(scored, store.of_partition(program.program_id, partition), counts)
    done("store")
    filled = list_stages.fill_lists(batch, scored)
    list_verdicts = write("list_verdicts", filled)
    listed = write("email_list", list_stages.list_for_email(batch, scored, filled))
    done("lists")
    decisions = write("decisions", stages.decide_records(batch, set_aside, verdicts, scored, list_verdicts))
    assert stages.closes(stages.closing_counts(raw, decisions))
    done("decisions")
    campaigns = write("email_campaigns", list_stages.render_campaigns(batch, listed))
    done("campaigns")
    measure.report(stages=seconds, peaks_mib=peaks, messages=campaigns.select(pl.len()).collect().item())


def launched(home: Path, partition: date):
    """What `engage run` works with, on the day of the partition."""
    from engage_assets.defs.launch import Launcher

    return Launcher({**os.environ, "ENGAGE_HOME": str(home), "ENGAGE_NOW": f"{partition}T23:59:00", "DAGSTER_HOME": ""})


def dagster(home: Path, partition: date, program_id: str) -> None:
    """The batch job of the partition, in one run."""
    launcher = launched(home, partition)
    program = launcher.program(program_id)
    launcher = launcher.changed(ENGAGE_NOW=program.cadence.batch_instant(partition).isoformat())
    launcher.run_partition(program, partition, jobs=["batch"])
    measure.report(messages=launcher.lake.rows((program.key, "email_campaigns"), partition.isoformat()))


def model(home: Path, partition: date, program_id: str) -> None:
    """Train the program's models on the day's own records, with labels that follow the features and chance.

    The benchmark's world has no past to learn from; what is timed is scoring.
    """
    from engage_assets.connectors.warehouse import Warehouse
    from engage_assets.defs import scoring_stages, training_stages
    from engage_assets.defs.batch import Batch
    from engage_assets.home import Home
    from engage_assets.programs import load_folder
    from engage_assets.scoring import registry, training
    from engage_assets.scoring.combined import save_combination
    from engage_assets.scoring.evaluation import Verdict

    place, folder = Home(home), load_folder(Path("programs"))
    program = folder.programs[program_id]
    batch = Batch(program, partition, folder.marketplaces, Warehouse(place.warehouse))
    entities = some_records(batch)
    versions, given = [], []
    for number, spec in enumerate(program.scoring_models):
        rows = batch.features.join_in_turn(entities, list(spec.features)).sort("n")
        # Where subjects are given features are made instant by instant: so there are few.
        minutes = pl.col("n") // 1_000 * 1_000 if batch.asked is not None else pl.col("n")
        rows = rows.with_columns(as_of=batch.instant - pl.duration(minutes=minutes))
        given.append(labelled(rows, spec.features, number))
        trained = training.train(spec, given[-1], as_of=partition)
        verdict = Verdict(deploy=True, metric=spec.metric, reasons=("the benchmark's own label",), figures={})
        registry.register(place.models / program.program_id, trained, verdict, who="benchmark", at=batch.instant)
        versions.append(trained.version)
    if len(versions) > 1:
        members = scoring_stages.members_of(place.models, program)
        save_combination(training_stages.combine(batch, members, given), place.models / program.program_id)
    launched(home, partition).instance.get_asset_keys()  # an instance is set up once, not once a day
    measure.report(version=", ".join(versions))


def some_records(batch):
    """40,000 pairs of the day's records, the first ones by key, a minute apart; at once where subjects are given."""
    source, end = batch.source, pl.lit(batch.instant).cast(pl.Datetime("us"))
    raw = batch.warehouse.scan(source.table, batch.program.connector.config.place, required=True)
    if batch.asked is not None:
        subjects = pl.LazyFrame({"subject_id": [one.subject_id for one in batch.asked]})
        pairs = raw.select(customer_id=source.customer).unique().join(subjects, how="cross")
        end += pl.duration(minutes=pl.col("n"))  # makers of features work through instants one by one
    else:
        day = raw.filter(pl.col(source.day).cast(pl.Date) == batch.partition)
        pairs = day.select(customer_id=source.customer, subject_id=source.subject)
    chosen = pairs.drop_nulls().unique().sort("customer_id", "subject_id").head(40_000).with_row_index("n")
    return chosen.with_columns(as_of=end - pl.duration(minutes=pl.col("n"))).collect()


def labelled(rows: pl.DataFrame, features, seed: int) -> pl.DataFrame:
    """The rows with a label that leans on how large their features are."""
    import numpy as np

    ranks = [rows[name].rank().fill_null(rows.height / 2).to_numpy() / rows.height for name in features]
    pull = 3 * np.mean(ranks, axis=0) - 3
    return rows.with_columns(
        label=pl.Series(np.random.default_rng(seed + 1).random(rows.height) < 1 / (1 + np.exp(-pull)))
    )


def clean(home: Path, program_id: str) -> None:
    """Remove what an earlier run of the partition wrote, so that each run does the same work.

    Dagster's own records stay.
    """
    for name in (
        "candidates.db",
        "candidates.db-wal",
        "candidates.db-shm",
        "ledger.db",
        "ledger.db-wal",
        "ledger.db-shm",
    ):
        (home / name).unlink(missing_ok=True)
    shutil.rmtree(home / "lake" / program_id.replace("-", "_"), ignore_errors=True)


if __name__ == "__main__":
    way, where, when = sys.argv[1], Path(sys.argv[2]).absolute(), date.fromisoformat(sys.argv[3])
    which = sys.argv[4] if len(sys.argv) > 4 else "product-reviews"
    if way != "model":
        clean(where, which)
    {"direct": direct, "dagster": dagster, "model": model}[way](where, when, which)
