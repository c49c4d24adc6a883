"""Names of records in a stream: those of `records.number`, in order, wherever the batches are cut."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from engage_assets.connectors import records
from engage_assets.connectors.naming import CANONICAL, named
from engage_assets.domain.music import SOURCE
from engage_assets_tests.builders import rows_of

PLAYS = st.lists(
    st.fixed_dictionaries(
        {
            "listener_id": st.sampled_from([None, "l-1", "l-2"]),
            "track_id": st.sampled_from([None, "t-1", "t-2"]),
            "device_id": st.sampled_from(["a", "b"]),
        }
    ),
    max_size=40,
)
ORDER = ["listener_id", "track_id", "record_id"]


@given(PLAYS, st.sampled_from([ORDER[:1], ORDER[:2]]), st.integers(1, 9), st.booleans())
def test_names_and_order_do_not_depend_on_the_batches(plays, run, size, is_by_hand):
    rows = rows_of(SOURCE.table, *plays)
    told = rows.to_dicts()
    texts = [None if is_by_hand and row["device_id"] == "b" else records.canonical(row).decode() for row in told]
    given = rows.with_columns(pl.Series(CANONICAL, texts, dtype=pl.String), is_late=False).sort(run)
    found = pl.concat(named(iter([given.clear(), *given.iter_slices(size)]), SOURCE, run))
    wanted = rows.with_columns(pl.Series("record_id", records.number(told, None), dtype=pl.String), is_late=False)
    assert found.equals(wanted.select(found.columns).sort(ORDER))
