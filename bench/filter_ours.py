"""The filter stage of engage_assets on the benchmark's day: contract, duplicates, facts, verdicts, written out.

usage: python bench/filter_ours.py prepare WAREHOUSE RAW         the connector's work: the day's records, sorted
       python bench/filter_ours.py music WAREHOUSE RAW PARTITION       the same of the music program
       python bench/filter_ours.py WAREHOUSE SENDS PARTITION OUT RAW [PROGRAM]  (as bench/filter_polars.py, and RAW)
"""

import sys
from datetime import date
from pathlib import Path

import measure
import polars as pl

from engage_assets.connectors.duckdb import DuckDBConnector
from engage_assets.connectors.warehouse import Warehouse
from engage_assets.defs import stages
from engage_assets.defs.batch import Batch
from engage_assets.domain.purchases import DELIVERIES
from engage_assets.filters import refused_by
from engage_assets.lake import write_parquet
from engage_assets.programs import load_folder


def prepare(warehouse: Path, raw: Path) -> None:
    """Write the day's records as the raw asset has them, with ids and sorted, which is not the filters' work."""
    deliveries = Warehouse(warehouse).scan(DELIVERIES, "ecommerce", required=True)  # NaN is null from here on
    assert deliveries is not None
    records = deliveries.with_columns(record_id=pl.col("delivery_id"), is_late=pl.lit(False))
    write_parquet(raw, records.sort("customer_id", "product_id", "record_id").collect())
    measure.report()


def prepare_music(warehouse: Path, raw: Path, partition: date) -> None:
    """Write the day's records as the connector reads them."""
    program = load_folder(Path("programs")).programs["music-feedback"]
    parts = DuckDBConnector(Warehouse(warehouse)).read(program, partition)
    write_parquet(raw, pl.concat([pl.DataFrame(pl.from_arrow(part)) for part in parts]))
    measure.report()


def main(
    warehouse: Path, sends: Path, partition: date, out: Path, raw: Path, program_id: str = "product-reviews"
) -> None:
    """Judge every record of the partition, in the product's own ranges, and write the rivals' columns."""
    folder = load_folder(Path("programs"))
    batch = Batch(folder.programs[program_id], partition, folder.marketplaces, Warehouse(warehouse))
    flags = [refused_by(spec.filter_id) for spec in batch.program.filters]
    files = sorted(path for path in sends.glob("*.parquet") if path.stem <= partition.isoformat())
    checked = pl.concat(stages.check_records(batch, pl.scan_parquet(raw)))
    candidates = stages.candidates_of(batch, checked).lazy()
    judged = stages.judge_candidates(batch, candidates, pl.scan_parquet(files), None)
    refused = stages.set_aside_of(checked).select("record_id", "reason")
    write_parquet(
        out,
        pl.concat(
            [refused, *(part.select("record_id", *flags, "reason", "quota_left") for part in judged)], how="diagonal"
        ),
    )
    reasons = pl.scan_parquet(out).group_by("reason").len().collect()
    measure.report(records=int(reasons["len"].sum()))


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        prepare(Path(sys.argv[2]), Path(sys.argv[3]))
    elif sys.argv[1] == "music":
        prepare_music(Path(sys.argv[2]), Path(sys.argv[3]), date.fromisoformat(sys.argv[4]))
    else:
        places = [Path(one) for one in sys.argv[4:6]]
        main(Path(sys.argv[1]), Path(sys.argv[2]), date.fromisoformat(sys.argv[3]), *places, *sys.argv[6:])
