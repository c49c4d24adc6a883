"""The product's own contract, duplicates and trust filter on the world's music: what the world says, to the record."""

from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import stages
from engage_assets.defs.batch import Batch
from engage_assets.domain.reasons import REASONS
from engage_assets.programs import load_folder
from engage_assets.sample.world import WorldSummary
from engage_assets_tests.sample.worlds import FIRST_DAY, both_worlds

EXACT = {code for stage in ("contract", "duplicate", "trust") for code in REASONS[stage]}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, WorldSummary]:
    warehouse = tmp_path_factory.mktemp("warehouse")
    return warehouse, both_worlds(warehouse)[1]


def decided(warehouse: Path, partition: date) -> Counter[str | None]:
    """Records of a partition by reason, as far as the filters; None: accepted."""
    folder = load_folder(Path("programs"))
    batch = Batch(folder.programs["music-feedback"], partition, folder.marketplaces, Warehouse(warehouse))
    parts = DuckDBConnector(batch.warehouse).read(batch.program, partition)
    raw = pl.concat([pl.DataFrame(pl.from_arrow(part)) for part in parts]).lazy()
    checked = pl.concat(stages.check_records(batch, raw))
    judged = pl.concat(stages.judge_candidates(batch, stages.candidates_of(batch, checked).lazy(), None, None))
    return Counter([*stages.set_aside_of(checked)["reason"], *judged["reason"]])


@pytest.mark.parametrize("day", [0, 13])
def test_reasons_are_those_of_the_world(made, day):
    partition = FIRST_DAY + timedelta(days=day)
    found, told = decided(made[0], partition), made[1].refusals(partition)
    assert {code: n for code, n in found.items() if code in EXACT} == {c: n for c, n in told.items() if c in EXACT}
    for code in ("OPTED_OUT", "SUBJECT_CLOSED"):
        assert found[code] == told.get(code, 0)
    for code in ("ALREADY_ANSWERED", "ENGAGEMENT_LOW"):
        assert found[code] >= told.get(code, 0)
    assert found[None] > 0.3 * found.total()
