"""Whether the committed schemas fit those that were released or that files state. Knows nothing of Dagster."""

import json
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from engage_assets.archive.avro_files import open_container
from engage_assets.archive.live import live_files, partition_of
from engage_assets.archive.ports import Root
from engage_assets.archive.schemas import SCHEMAS, TYPES, Schema, refuse_evolution
from engage_assets.domain.errors import EngageError


class Older(NamedTuple):
    """A schema that files may state."""

    type: str
    schema: Schema


def released(folder: Path) -> dict[str, Older]:
    """The schemas of a folder, TYPE.avsc or TYPE-VERSION.avsc, by file. Raises EngageError where one is none."""
    found: dict[str, Older] = {}
    for path in sorted(folder.glob("*.avsc")):
        kind = path.stem.partition("-")[0]
        try:
            schema = json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise EngageError(f"{path}: not readable as JSON; bring back the released schema") from None
        if kind not in TYPES:
            raise EngageError(f"{path}: no type of the archive; call it TYPE.avsc with one of {', '.join(TYPES)}")
        found[path.name] = Older(kind, schema)
    if not found:
        raise EngageError(f"{folder}: holds no schema (TYPE.avsc)")
    return found


def stated(root: Root) -> dict[str, Older]:
    """The different schemas of an archive's files, by the first file that states it.

    Looks at the oldest and the newest file of each partition. Raises OSError, EngageError.
    """
    found: dict[str, Older] = {}
    known: set[str] = set()
    for partition, files in groupby(live_files(root), key=lambda file: partition_of(file.key)):
        keys = [file.key for file in files]
        for key in dict.fromkeys((keys[0], keys[-1])):
            text = open_container(root.get(key), key).schema
            if text not in known:
                known.add(text)
                found[key] = Older(partition.type, json.loads(text))
    return found


def compare(older: Mapping[str, Older], committed: Mapping[str, Schema] = SCHEMAS) -> Iterator[str]:
    """Why files of the committed schemas could not lie beside files of older ones, in lines."""
    for place, (kind, schema) in older.items():
        for fault in refuse_evolution(schema, committed[kind]):
            yield f"{place}: {fault}"
