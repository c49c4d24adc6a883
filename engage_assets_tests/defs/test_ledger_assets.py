"""The ledger's mirror: which days a run makes beside its own."""

from datetime import date, datetime, time, timedelta
from itertools import pairwise
from random import Random

import polars as pl

from engage_assets.defs.ledger_assets import MIRRORS, _missing_days
from engage_assets.defs.sheets import GIVEN_RESPONSES
from engage_assets.domain.responses import Response
from engage_assets.domain.tables import empty_frame
from engage_assets.lake import Lake
from engage_assets.ledger.contacts import SqlContacts
from engage_assets.ledger.ledger import SqlLedger
from engage_assets_tests.contracts.sends import NOW, a_send

DAY = date(2026, 11, 23)


def test_days_that_are_missing_or_have_the_columns_of_before_are_made_again(tmp_path):
    lake, ledger = Lake(tmp_path / "lake"), SqlLedger(f"sqlite:///{tmp_path}/ledger.db", Random(1))
    mirror = next(one for one in MIRRORS if one.key == GIVEN_RESPONSES)
    ledger.plan([a_send()], NOW)
    whole = empty_frame(mirror.table)
    for day, frame in ((19, whole), (20, whole.drop("version")), (21, whole.cast({"rating": pl.Float64})), (23, whole)):
        lake.write(mirror.key, f"2026-11-{day}", frame)

    assert list(_missing_days(mirror, ledger, lake, DAY, time(2))) == [date(2026, 11, day) for day in (20, 21, 22)]
    ledger.close()


def test_a_mirror_holds_each_version_on_the_day_on_which_it_was_recorded(tmp_path):
    lake, ledger = Lake(tmp_path / "lake"), SqlLedger(f"sqlite:///{tmp_path}/ledger.db", Random(1))
    contacts, mirror = SqlContacts(ledger.database), next(one for one in MIRRORS if one.key == GIVEN_RESPONSES)
    first = datetime(2026, 11, 20, 12)  # noqa: DTZ001 - instants are UTC without a zone
    words = "canary-2b91"
    for at, is_up in ((first, True), (first + timedelta(days=1), False)):
        said = Response("music-feedback", "c-1", "DE", "track", "t-1", None, at, text=words, is_positive=is_up)
        contacts.respond(said, at, may_edit=True)

    cuts = [first.replace(hour=2) + timedelta(days=days) for days in range(3)]
    for start, end in pairwise(cuts):
        lake.write(mirror.key, str(start.date()), mirror.read(ledger, start, end))

    log = pl.concat([lake.scan(mirror.key, f"2026-11-{day}").collect() for day in (20, 21)])
    assert log.select("version", "is_positive", "at", "changed_at", "has_text").rows() == [
        (1, True, first, first, True),
        (2, False, first, first + timedelta(days=1), True),
    ]
    assert words not in log.write_ndjson()
    assert not [path for path in (tmp_path / "lake").rglob("*.parquet") if words.encode() in path.read_bytes()]
    ledger.close()
