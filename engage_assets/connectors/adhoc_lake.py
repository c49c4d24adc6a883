"""Assets of the lake as tables for ad-hoc SQL: `lake.<program>_<asset>`, all partitions at once."""

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from engage_assets.connectors.adhoc import Catalog
from engage_assets.domain.errors import QueryError

_PARTITION: Final = re.compile(r"\d{4}-\d\d-\d\d")
_NO_WORD: Final = re.compile(r"\W")


def lake_catalog(root: Path, without: Collection[str] = ()) -> Catalog:
    """Every Parquet asset below a lake's root; `partition` is a row's partition, null of an asset without.

    Folders of the root that are named in `without` are left out. Raises QueryError where two assets have one name.
    """
    assets: dict[tuple[str, ...], list[Path]] = {}
    for path in sorted(root.rglob("*.parquet")):
        parts = path.relative_to(root).parts
        if not path.name.startswith(".") and parts[0] not in without:
            key = parts[:-1] if len(parts) > 1 and _PARTITION.match(path.stem) else (*parts[:-1], path.stem)
            assets.setdefault(key, []).append(path)
    names: dict[str, tuple[str, ...]] = {}
    for key in sorted(assets):
        other = names.setdefault(_name(key).lower(), key)
        if other != key:
            raise QueryError(
                f"{root}: {'/'.join(other)} and {'/'.join(key)} are both {_name(key)} in SQL; give one another name"
            )
    views = {_name(key): _view(assets[key]) for key in names.values()}
    return Catalog(views, [path for paths in assets.values() for path in paths])


def _name(key: tuple[str, ...]) -> str:
    return f"lake.{_NO_WORD.sub('_', '_'.join(key))}"


def _view(paths: list[Path]) -> str:
    files = ", ".join("'" + str(path).replace("'", "''") + "'" for path in paths)
    is_partitioned = _PARTITION.match(paths[0].stem) is not None
    partition = "parse_filename(lake_file, true)" if is_partitioned else "CAST(NULL AS VARCHAR)"
    return (
        f"SELECT * EXCLUDE (lake_file), {partition} AS partition"  # noqa: S608 - paths of our own files, quoted
        f" FROM read_parquet([{files}], union_by_name = true, filename = 'lake_file')"
    )
