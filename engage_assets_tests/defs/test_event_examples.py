"""Whom models about events learn from before a program sends: customers of that time, by what was known then."""

from datetime import date, datetime, time, timedelta
from pathlib import Path

import polars as pl
import pytest

from engage_assets.defs.batch import Batch
from engage_assets.defs.event_examples import unasked_examples
from engage_assets.domain.tables import CUSTOMER_TRUST
from engage_assets_tests.defs.homes import at
from engage_assets_tests.defs.small_events import make_events, path_of

MONDAY = date(2026, 11, 23)
SUNDAY = MONDAY - timedelta(days=1)
LATER = datetime.combine(MONDAY - timedelta(weeks=12), time(12))


def found(home: Path, **statuses: list[tuple[datetime, str]]) -> pl.DataFrame:
    """Examples of a world in which some customers have these versions of their account, `c_000` for c-000."""
    path = path_of(home / "warehouse", CUSTOMER_TRUST)
    rows = pl.read_parquet(path)
    names = {name.replace("_", "-"): versions for name, versions in statuses.items()}
    changed = [(name, known, status, 0.9, 0.1) for name, versions in names.items() for known, status in versions]
    others = rows.filter(~pl.col("customer_id").is_in(list(names)))
    pl.concat([others, pl.DataFrame(changed, schema=rows.schema, orient="row")]).write_parquet(path)
    launcher = at(home, SUNDAY)
    program = launcher.program("event-invitations")
    batch = Batch(program, SUNDAY, launcher.folder.marketplaces, launcher.parts["warehouse"])
    return unasked_examples(batch, program.scoring_models[1], SUNDAY).collect()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    make_events(tmp_path / "warehouse", last_monday=MONDAY)
    return tmp_path


def test_who_was_no_customer_in_good_standing_then_is_no_example(home):
    long_ago = datetime(2020, 1, 1)  # noqa: DTZ001 - UTC, as all instants
    examples = found(
        home,
        c_001=[(long_ago, "active")],
        c_025=[(LATER, "active")],
        c_013=[(long_ago, "active"), (LATER, "suspended")],
        c_037=[],
    )

    def instants(customer: str) -> pl.Series:
        return examples.filter(customer_id=customer)["as_of"]

    always = instants("c-001")
    assert always.min() < LATER < always.max()
    assert instants("c-025").to_list() == always.filter(always > LATER).to_list()
    assert instants("c-013").to_list() == always.filter(always <= LATER).to_list()
    assert instants("c-037").is_empty()
