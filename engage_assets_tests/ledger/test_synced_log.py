"""What a power cut would leave: files as they stood when the disk was last waited for."""

import os
import shutil
import sqlite3
from contextlib import closing
from random import Random

import pytest

from engage_assets.domain.errors import EngageError
from engage_assets.ledger import synced_log
from engage_assets.ledger.database import Database
from engage_assets.ledger.ledger import SqlLedger
from engage_assets.ledger.prompts import SETTLED
from engage_assets_tests.contracts.sends import NOW, a_send

_SYNC = synced_log._SYNC


class Disk:
    """A folder as the disk has it."""

    def __init__(self, folder, copy) -> None:
        self.folder, self.copy = folder, copy
        self.syncs = 0

    def sync(self, descriptor: int) -> None:
        """As fdatasync, which has the disk take all of the log."""
        assert os.fstat(descriptor).st_ino == (self.folder / "ledger.db-wal").stat().st_ino
        _SYNC(descriptor)
        self.syncs += 1
        shutil.rmtree(self.copy, ignore_errors=True)
        self.copy.mkdir()
        for name in ("ledger.db", "ledger.db-wal"):
            shutil.copyfile(self.folder / name, self.copy / name)

    def customers(self) -> set[str]:
        """Who stands in the ledger after the cut."""
        with closing(sqlite3.connect(self.copy / "ledger.db")) as left:
            assert left.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            return {customer for (customer,) in left.execute("SELECT customer_id FROM sends")}


@pytest.fixture
def disk(tmp_path, monkeypatch):
    disk = Disk(tmp_path / "home", tmp_path / "disk")
    monkeypatch.setattr(synced_log, "_SYNC", disk.sync)
    return disk


@pytest.fixture
def ledger(disk):
    database = Database(f"sqlite:///{disk.folder}/ledger.db", Random(1), **SETTLED)
    yield SqlLedger(database)
    database.close()


def test_what_was_settled_outlives_a_power_cut_whatever_is_carried_over_meanwhile(disk, ledger):
    settled: set[str] = set()
    drawn = Random(5)
    for number in range(60):
        ledger.plan([a_send(f"c-{number}")], NOW)
        if drawn.random() < 0.5:
            ledger.database.settle()
            settled = {f"c-{one}" for one in range(number + 1)}
        if drawn.random() < 0.2:
            ledger.database.carry_over()
        if settled:
            assert disk.customers() >= settled
    assert disk.syncs > 20


def test_a_commit_does_not_wait_for_the_disk(disk, ledger):
    ledger.plan([a_send("c-1")], NOW)
    with ledger.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 1
    assert disk.syncs == 0


def test_a_log_that_others_made_anew_is_found(disk, ledger):
    ledger.plan([a_send("c-1")], NOW)
    ledger.database.settle()
    ledger.database.engine.dispose()  # the last connection takes the log with it
    assert not (disk.folder / "ledger.db-wal").exists()
    ledger.database.settle()

    ledger.plan([a_send("c-2")], NOW)
    ledger.database.settle()

    assert disk.customers() == {"c-1", "c-2"}


def test_a_disk_that_failed_once_is_not_trusted_again(disk, ledger, monkeypatch):
    def fail(_descriptor):
        raise OSError(5, "Input/output error")

    ledger.plan([a_send("c-1")], NOW)
    monkeypatch.setattr(synced_log, "_SYNC", fail)
    with pytest.raises(EngageError, match=r"ledger.db-wal: the disk did not take .*Input/output error.* mend the disk"):
        ledger.database.settle()
    monkeypatch.setattr(synced_log, "_SYNC", disk.sync)
    with pytest.raises(EngageError, match="in doubt"):
        ledger.database.settle()


def test_a_database_without_a_log_is_durable_by_itself():
    database = Database("sqlite://")
    database.settle()
    database.close()
