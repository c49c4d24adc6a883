"""A whole partition through Dagster, as a user would run it."""

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest
from click.testing import CliRunner

from engage_assets.cli import main
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Send
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.stores.sqlite import SqliteCandidateStore
from engage_assets_tests.defs.homes import DAY, FIRST, PROGRAM, at, batch_instant, digests, train

STAGES = ("contract", "duplicate", "trust", "eligibility", "frequency-cap", "score", "list")


def decisions(home: Path, day: date = DAY) -> pl.DataFrame:
    return pl.read_parquet(home / "lake" / "product_reviews" / "decisions" / f"{day}.parquet")


def run(home: Path, day: date = DAY, **environment: str) -> dg.ExecuteInProcessResult:
    return at(home, batch_instant(day), **environment).run("product_reviews_batch", day)


def test_every_record_ends_in_one_reason_and_some_are_listed(decided):
    raw = pl.read_parquet(decided / "lake" / "product_reviews" / "raw_deliveries" / f"{DAY}.parquet")
    ended = decisions(decided)

    assert raw["record_id"].sort().equals(ended["record_id"].sort())
    assert ended["record_id"].is_unique().all()
    assert ended["reason"].null_count() == 0
    assert set(ended["stage"]) <= set(STAGES)
    listed = ended.filter(reason="LISTED")
    assert 0 < listed.height < ended.height
    assert (listed["channels"] == "email").all()
    assert (listed["score"] >= 0.7).all()


def test_each_listed_customer_has_a_message_at_ten_where_he_lives(decided):
    lake = decided / "lake" / "product_reviews"
    messages = pl.read_parquet(lake / "email_campaigns" / f"{DAY}.parquet")
    listed = decisions(decided).filter(reason="LISTED")

    assert messages["record_id"].sort().equals(listed["record_id"].sort())
    assert set(messages["slot_local"].dt.time()) == {time(10)}
    due = batch_instant() + timedelta(hours=2)
    assert messages["slot_at"].is_between(due, due + timedelta(days=1), closed="right").all()
    assert not messages["html"].str.contains("@example.invalid", literal=True).any()


def test_a_backfill_gives_the_same_bytes_and_is_mute(own):
    before = digests(own / "lake") | digests(own / "export")

    launcher = at(own, batch_instant() + timedelta(days=3))
    again = {"dagster/backfill": "b1"}
    launcher.run_partition(launcher.program(PROGRAM), DAY, jobs=["batch", "metrics", "export"], tags=again)

    after = digests(own / "lake") | digests(own / "export")
    assert {name: digest for name, digest in after.items() if name.endswith(".parquet")} == {
        name: digest for name, digest in before.items() if name.endswith(".parquet")
    }
    ledger = SqlLedger(launcher.home.ledger_url)
    assert ledger.first_event_at() is None
    ledger.close()
    assert not list((own / "outbox").rglob("*.eml"))


def test_the_store_holds_the_scored_candidates(decided):
    scored = pl.read_parquet(decided / "lake" / "product_reviews" / "scored_candidates" / f"{DAY}.parquet")
    stored = SqliteCandidateStore(decided / "candidates.db").of_partition(PROGRAM, DAY)

    assert (
        stored.select("customer_id", "subject_id", "score")
        .sort("customer_id", "subject_id")
        .equals(scored.select("customer_id", "subject_id", "score").sort("customer_id", "subject_id"))
    )


def test_the_export_is_one_statement_away_and_its_catalogue_true(decided):
    root = decided / "export" / "product_reviews"
    catalogue = {table["name"]: table for table in json.loads((root / "catalogue.json").read_text())["tables"]}
    counts = duckdb.sql(
        f"SELECT count(*) FROM read_parquet('{root}/decisions/*/data.parquet', hive_partitioning = true)"
    ).fetchall()

    assert counts == [(decisions(decided).height,)]
    assert [part["rows"] for part in catalogue["decisions"]["partitions"]] == [decisions(decided).height]
    assert all(
        column["description"] for column in catalogue["decisions"]["columns"] if column["name"] != "partition_date"
    )


def test_nothing_personal_reaches_the_lake_the_logs_or_dagster(decided, capsys):
    addresses = pl.read_parquet(decided / "warehouse" / "crm" / "customers.parquet")["email"].drop_nulls()
    names = pl.read_parquet(decided / "warehouse" / "crm" / "customers.parquet")["name"].drop_nulls().unique()
    kept = {
        folder: b"".join(
            path.read_bytes() for path in (decided / folder).rglob("*") if path.is_file() and path.suffix != ".parquet"
        )
        for folder in ("lake", "export", "dagster")
    }
    frames = [pl.read_parquet(path) for path in (decided / "lake").rglob("*.parquet")]
    texts = {value for frame in frames for column in frame.select(pl.col(pl.String)) for value in column.unique()}

    subjects = pl.read_parquet(decided / "lake" / "product_reviews" / "email_campaigns" / f"{DAY}.parquet")["subject"]

    assert not [folder for folder, content in kept.items() if b"@example.invalid" in content]
    # Subject lines stand in the campaigns' preview, but not in Dagster's records.
    assert not [subject for subject in subjects if subject.encode() in kept["dagster"] + kept["export"]]
    assert not set(addresses) & texts
    assert not {name for name in names if name in texts}
    assert addresses.len() > 100


def failed(home: Path, day: date = DAY) -> str:
    with pytest.raises(EngageError) as caught:
        run(home, day)
    return str(caught.value)


def table(home: Path, name: str) -> Path:
    return home / "warehouse" / f"{name}.parquet"


def test_a_missing_table_is_named_with_its_remedy(fresh):
    table(fresh, "crm/customers").unlink()
    said = failed(fresh)
    assert "table crm.customers is missing: put customers.parquet" in said
    assert "marketplace (string)" in said


def test_a_missing_column_and_a_wrong_type_are_named_together(fresh):
    path = table(fresh, "ecommerce/deliveries")
    pl.read_parquet(path).drop("product_id").with_columns(order_value=pl.lit("ten")).write_parquet(path)
    said = failed(fresh)
    assert "table ecommerce.deliveries" in said
    assert "column product_id is missing: expected string or integer" in said
    assert "column order_value: expected number, found String" in said


def test_a_missing_model_says_how_to_train_it(fresh):
    shutil.rmtree(fresh / "models")
    assert "engage train product-reviews" in failed(fresh)


def test_an_empty_day_gives_empty_partitions_that_close(fresh):
    empty = date(2025, 1, 1)
    result = run(fresh, empty)

    assert decisions(fresh, empty).height == 0
    assert {check.check_name for check in result.get_asset_check_evaluations() if not check.passed} <= {
        "every_row_has_a_batch",  # rows without day and arrival belong to no day, so each day counts them
        "features_keep_contract",  # nothing was known so early
    }


def test_a_day_on_which_everybody_is_refused(fresh):
    path = table(fresh, "crm/customer_trust")
    pl.read_parquet(path).with_columns(account_status=pl.lit("suspended")).write_parquet(path)
    run(fresh)

    ended = decisions(fresh)
    campaigns = pl.read_parquet(fresh / "lake" / "product_reviews" / "email_campaigns" / f"{DAY}.parquet")
    assert "LISTED" not in set(ended["reason"])
    assert ended.filter(reason="ACCOUNT_STATUS").height > ended.height / 2
    assert campaigns.height == 0
    assert campaigns.columns[0] == "campaign_id"


def test_facts_that_no_table_declares_are_not_evaluated_and_said_so(fresh):
    for name in ("crm/customer_trust", "ecommerce/returns", "crm/opt_outs"):
        table(fresh, name).unlink()
    with pytest.raises(EngageError, match=r"trust_score needs customer_trust"):
        run(fresh)

    program = (Path("programs") / "product-reviews.yaml").read_text().replace(', "trust_score"]', "]")
    folder = fresh / "programs"
    folder.mkdir()
    (folder / "product-reviews.yaml").write_text(program)
    shutil.copy("programs/marketplaces.yaml", folder)
    train(at(fresh, FIRST, ENGAGE_PROGRAMS=str(folder)))
    result = run(fresh, ENGAGE_PROGRAMS=str(folder))

    raw = next(
        event.materialization
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey(["product_reviews", "raw_deliveries"])
    )
    said = raw.metadata["not_evaluated"].value
    for code in ("RETURNED", "ACCOUNT_STATUS", "TRUST_SCORE_LOW", "FRAUD_SCORE_HIGH"):
        assert code in said
    assert not {"RETURNED", "ACCOUNT_STATUS"} & set(decisions(fresh)["reason"])


def test_a_partition_whose_instant_lies_ahead_is_refused(fresh):
    with pytest.raises(EngageError, match=r"lies ahead"):
        at(fresh, batch_instant() - timedelta(minutes=1)).run("product_reviews_batch", DAY)


@pytest.mark.parametrize("day", [date(2015, 12, 31), date(2099, 1, 1)])
def test_a_day_outside_the_partitions_is_named(decided, day):
    with pytest.raises(EngageError, match=rf"{day} is no partition: .* from 2016-01-01 to"):
        at(decided).run("product_reviews_batch", day)


def test_an_opt_out_given_on_the_command_line_holds_at_the_next_batch(decided, fresh, monkeypatch):
    customer = decisions(decided).filter(reason="LISTED")["customer_id"][0]
    monkeypatch.setenv("ENGAGE_HOME", str(fresh))
    monkeypatch.setenv("ENGAGE_NOW", (batch_instant() - timedelta(hours=1)).isoformat())

    said = CliRunner().invoke(main, ["opt-out", customer, "--channel", "email"])
    run(fresh)

    assert said.exit_code == 0
    assert set(decisions(fresh).filter(customer_id=customer)["reason"]) == {"OPTED_OUT"}


def alone(home: Path, asset: str) -> dg.ExecuteInProcessResult:
    """One asset of the day, as somebody asks for it in the UI."""
    launcher = at(home, batch_instant())
    job = launcher._definitions.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        asset_selection=[dg.AssetKey(["product_reviews", asset])],
        partition_key=str(DAY),
        instance=launcher.instance,
        raise_on_error=False,
    )


def said(result: dg.ExecuteInProcessResult) -> str:
    """What the step that failed said."""
    failure = next(event for event in result.all_node_events if event.is_step_failure)
    return failure.step_failure_data.user_failure_data.description


def made(result: dg.ExecuteInProcessResult) -> set[str]:
    return {event.asset_key.path[-1] for event in result.get_asset_materialization_events()}


def test_decisions_that_do_not_close_stop_the_campaigns(own):
    lake = own / "lake" / "product_reviews"
    path = lake / "decisions" / f"{DAY}.parquet"
    pl.read_parquet(path).head(-1).write_parquet(path)
    before = digests(lake / "email_campaigns")

    result = alone(own, "email_campaigns")

    assert not result.success
    assert "do not close" in said(result)
    assert digests(lake / "email_campaigns") == before


@pytest.mark.parametrize("asset", ["stored_candidates", "list_verdicts", "email_list", "decisions"])
def test_each_of_what_is_decided_together_can_be_made_alone(own, asset):
    lake = own / "lake" / "product_reviews"
    before = digests(lake)
    (lake / asset / f"{DAY}.parquet").unlink(missing_ok=True)
    times = {path: path.stat().st_mtime_ns for path in lake.rglob("*.parquet")}

    result = alone(own, asset)

    assert result.success
    assert made(result) == {asset}
    assert digests(lake) == before
    assert times == {path: path.stat().st_mtime_ns for path in times}  # the others were not written


def test_a_store_that_refuses_fails_the_run_and_leaves_lists_and_decisions(own):
    lake = own / "lake" / "product_reviews"
    path = lake / "decisions" / f"{DAY}.parquet"
    before = digests(lake)
    path.unlink()
    with closing(sqlite3.connect(own / "candidates.db")) as connection:
        connection.execute("PRAGMA user_version = 99")
    launcher = at(own, batch_instant())

    with pytest.raises(EngageError, match="candidate store of schema 99"):
        launcher.run("product_reviews_batch", DAY)

    assert digests(lake) == before
    assert path.is_file()


def test_what_was_sent_counts_in_the_next_days_cap(own):
    """Ask everybody of one day three times about other things: the next day refuses them by the cap."""
    launcher = at(own, batch_instant())
    ledger = SqlLedger(launcher.home.ledger_url)
    slot = batch_instant() + timedelta(hours=8)
    customers = pl.read_parquet(table(own, "ecommerce/deliveries"))["customer_id"].drop_nulls().unique().to_list()
    ledger.plan(
        [
            Send("product-reviews", "earlier", customer, f"other-{n}", "email", slot, "product-reviews")
            for customer in customers
            for n in range(3)
        ],
        batch_instant() + timedelta(hours=1),
    )
    ledger.close()
    following = DAY + timedelta(days=1)
    run(own, following)

    ended = decisions(own, following)
    assert "LISTED" not in set(ended["reason"])
    assert ended.filter(stage="frequency-cap").height > 0


def test_every_night_measures_the_decided_partitions_again(decided):
    """The partition of the day before, and each until 14 nights after its last slot; undecided ones are left out."""
    launcher = at(decided, batch_instant(), light=False)
    schedule = launcher._definitions.resolve_schedule_def("product_reviews_metrics_schedule")

    def asked(nights_later: int) -> list[tuple[str | None, object]]:
        tick = datetime.combine(DAY + timedelta(days=1 + nights_later), time(23, 59), UTC)
        context = dg.build_schedule_context(
            instance=launcher.instance,
            scheduled_execution_time=tick,
            repository_def=launcher._definitions.get_repository_def(),
            resources={"warehouse": launcher.parts["warehouse"]},
        )
        requests = schedule.evaluate_tick(context).run_requests or []
        return [(r.partition_key, r.run_config["ops"]["product_reviews__measure"]["config"]["as_of"]) for r in requests]

    assert asked(0) == [(str(DAY), str(DAY + timedelta(days=1)))]
    assert asked(15) == [(str(DAY), str(DAY + timedelta(days=16)))]  # Tokyo's slot comes on the second day
    assert asked(16) == []
