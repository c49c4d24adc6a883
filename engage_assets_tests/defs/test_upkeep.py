"""Upkeep of the store: opt-outs remove waiting candidates, expired ones go and are not served."""

from datetime import timedelta

import polars as pl

from engage_assets_tests.defs.homes import PROGRAM, at, batch_instant


def test_opt_outs_of_the_warehouse_and_of_the_outbox_remove_waiting_candidates(own):
    now = batch_instant() + timedelta(hours=3)
    launcher = at(own, now)
    store = launcher.parts["store"]
    rows, _ = store.page(PROGRAM, "email", 0.0, 10, now)
    in_crm, given, stays = list(dict.fromkeys(row[0] for row in rows))[:3]
    path = own / "warehouse" / "crm" / "opt_outs.parquet"
    table = pl.read_parquet(path)
    new = pl.DataFrame([{"customer_id": in_crm, "at": now}, {"customer_id": stays, "at": now + timedelta(days=1)}])
    pl.concat([table, new.cast({"at": table.schema["at"]})], how="diagonal").write_parquet(path)
    launcher.parts["ledger"].opt_out(given, now)

    launcher.run("opt_outs_sweep")

    assert [bool(store.of_customer(one, PROGRAM, now)) for one in (in_crm, given, stays)] == [False, False, True]


def test_the_clean_up_deletes_what_has_expired_and_nothing_else(own):
    store = at(own).parts["store"]
    before = batch_instant() + timedelta(hours=1)
    rows, _ = store.page(PROGRAM, "email", 0.0, 1, before)
    end = rows[0][list(store.columns).index("expires_at")]

    at(own, end - timedelta(seconds=1)).run("candidates_clean_up")
    assert store.page(PROGRAM, "email", 0.0, 1, before)[0] == rows

    at(own, end).run("candidates_clean_up")
    assert store.page(PROGRAM, "email", 0.0, 1, before)[0] == []
