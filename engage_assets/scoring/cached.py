"""Scores that are asked for once: a scorer behind a cache.

For scorers that wait for a network. Reading the cache takes about the CPU that a local model's scoring takes, and
writing it more, so beside a local model it saves nothing (bench/scoring.py).
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from engage_assets.domain.errors import ModelError
from engage_assets.domain.ports import ScoreCache, Scorer

_DIGEST: Final = 16
"""Bytes of a hash: no two of a billion rows are likely to share one (p < 1e-20)."""
_NUMBER: Final = np.dtype("<f8")

Bytes = npt.NDArray[np.uint8]


class CachingScorer:
    """Gives what `scorer` gives, to the last digit, and asks it only for rows that `cache` does not hold.

    A row without a score is never kept. The rows need customer_id and subject_id.
    """

    def __init__(self, scorer: Scorer, cache: ScoreCache, now: Callable[[], datetime], ttl: timedelta) -> None:
        self._scorer, self._cache, self._now, self._ttl = scorer, cache, now, ttl
        self.hits = 0
        """Rows whose score was kept."""
        self.misses = 0
        """Rows that the scorer was asked for."""

    @property
    def version(self) -> str:
        """The scorer's version."""
        return self._scorer.version

    @property
    def features(self) -> tuple[str, ...]:
        """Columns that the scorer takes."""
        return self._scorer.features

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the scorer gives."""
        return self._scorer.columns

    def score(self, features: pl.DataFrame) -> pl.DataFrame:
        """See Scorer."""
        if not set(self.features) <= set(features.columns):
            return self._scorer.score(features)  # which says what is missing
        now, keys = self._now(), _keys(features, self.features)
        kept = self._cache.get(self.version, keys, now=now, ttl=self._ttl)
        is_kept = (kept.bin.size() == _NUMBER.itemsize * len(self.columns)).fill_null(value=False)
        fresh = self._scorer.score(features.filter(~is_kept))
        self._put(keys.filter(~is_kept), fresh, now)
        self.hits += int(is_kept.sum())
        self.misses += fresh.height
        return self._joined(kept.filter(is_kept), fresh, is_kept.to_numpy())

    def unseen_categories(self, features: pl.DataFrame) -> dict[str, int]:
        """See Scorer."""
        return self._scorer.unseen_categories(features)

    def _put(self, keys: pl.DataFrame, fresh: pl.DataFrame, now: datetime) -> None:
        has_score = fresh.select(pl.all_horizontal(pl.col(self.columns).is_not_null()).alias("has_score"))["has_score"]
        if self._ttl > timedelta(0) and has_score.any():
            packed = _pieces(_matrix(fresh.filter(has_score), self.columns).view(np.uint8))
            self._cache.put(self.version, keys.filter(has_score), packed, now=now, ttl=self._ttl)

    def _joined(self, kept: pl.Series, fresh: pl.DataFrame, is_kept: npt.NDArray[np.bool_]) -> pl.DataFrame:
        values = np.empty((len(is_kept), len(self.columns)))
        values[is_kept] = np.frombuffer(b"".join(kept), _NUMBER).reshape(len(kept), len(self.columns))
        values[~is_kept] = _matrix(fresh, self.columns)
        return pl.DataFrame(values, schema=dict.fromkeys(self.columns, pl.Float64)).fill_nan(None)


def features_hash(rows: pl.DataFrame, features: Sequence[str]) -> pl.Series:
    """16 bytes of BLAKE2b over names, kinds and values of `features` in each row: Binary, never null.

    Every cell has its place and width (numbers as IEEE 754, little-endian; texts as their own hash; a mark for
    null), so that no two rows share the bytes that are hashed. It depends on neither process, machine nor Polars
    (whose own hash may change with a release). Values that differ in bits have different hashes, though a model
    may take them for equal: then a score is made again.
    """
    kinds = [[name, "text" if rows.schema[name] == pl.String else "number"] for name in features]
    begin = np.frombuffer(_digest(json.dumps(kinds).encode()), np.uint8)
    cells = [_cells(rows[name]) for name in features]
    packed = np.concatenate([np.broadcast_to(begin, (rows.height, _DIGEST)), *cells], axis=1)
    return pl.Series("features_hash", [_digest(one) for one in _pieces(packed)], dtype=pl.Binary)


def _keys(rows: pl.DataFrame, features: Sequence[str]) -> pl.DataFrame:
    missing = [name for name in ("customer_id", "subject_id") if name not in rows.columns]
    if missing:
        raise ModelError(f"scores are kept by customer and subject; the rows lack {', '.join(missing)}")
    return rows.select("customer_id", "subject_id").with_columns(features_hash(rows, features))


def _cells(column: pl.Series) -> Bytes:
    """One row of bytes per value: a mark for null, then the value."""
    mark = column.is_null().to_numpy().astype(np.uint8)[:, np.newaxis]
    if column.dtype == pl.String:
        known = column.fill_null("")
        digests = {text: _digest(text.encode()) for text in known.unique()}
        values = np.frombuffer(b"".join(digests[text] for text in known), np.uint8).reshape(-1, _DIGEST)
    else:
        numbers = column.cast(pl.Float64).fill_null(0.0).to_numpy().astype(_NUMBER)
        values = numbers[:, np.newaxis].view(np.uint8)
    return np.concatenate([mark, values], axis=1)


def _matrix(scored: pl.DataFrame, columns: Sequence[str]) -> npt.NDArray[np.float64]:
    return np.ascontiguousarray(scored.select(columns).to_numpy(), dtype=_NUMBER)


def _pieces(rows: Bytes) -> pl.Series:
    """Rows of bytes, each as one value."""
    width, whole = rows.shape[1], np.ascontiguousarray(rows).tobytes()
    return pl.Series([whole[start : start + width] for start in range(0, len(whole), width)], dtype=pl.Binary)


def _digest(content: bytes) -> bytes:
    return blake2b(content, digest_size=_DIGEST).digest()
