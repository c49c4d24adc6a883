"""Raw log records as files: one NDJSON file per service and UTC day, as summaries read them."""

from datetime import date
from pathlib import Path

import polars as pl


def write_days(warehouse: Path, service: str, records: pl.DataFrame) -> dict[date, int]:
    """Write records to `logs/<service>/<day>.ndjson` below the warehouse, each file whole or not there.

    `records` has at (UTC instant), body, and the attributes as further columns (texts; null: not logged). There are no
    record ids, so that records equal in all fields count as one. Returns the records by day.
    """
    folder = warehouse / "logs" / service
    folder.mkdir(parents=True, exist_ok=True)
    lines = records.sort("at", "body", maintain_order=True).select(
        day=pl.col("at").dt.date(),
        line=pl.struct(
            timestamp=pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
            body="body",
            attributes=pl.struct(pl.exclude("at", "body")),
            resource=pl.struct(pl.lit(service).alias("service.name")),
        ).struct.json_encode(),
    )
    written = {}
    for (day,), part in lines.group_by("day", maintain_order=True):
        aside = folder / f".{day}.tmp"
        aside.write_text("\n".join(part["line"]) + "\n", encoding="utf-8")
        aside.replace(folder / f"{day}.ndjson")
        written[day] = part.height
    return written
