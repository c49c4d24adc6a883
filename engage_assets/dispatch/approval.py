"""Approval: bound to the audience that a person saw, and void when the audience has changed too much since."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import blake2b, sha256
from typing import Final

import numpy as np
import numpy.typing as npt

LIMIT: Final = 0.2
"""An approval is void when more than this share of its audience changed."""
_BYTES: Final = 8


@dataclass(frozen=True)
class Audience:
    """Whom a campaign asks about what, without names: enough to tell how far two audiences differ."""

    digest: str
    """SHA-256 (hexadecimal) over the sorted, distinct lines `customer U+001F subject`, each ended by a line feed."""
    members: bytes = field(repr=False)
    """The first 8 bytes of each line's BLAKE2b hash, sorted: 8 bytes a member, to be kept beside the digest."""

    @classmethod
    def of(cls, pairs: Iterable[tuple[str, str]]) -> "Audience":
        """The audience of (customer, subject) pairs, in any order; the same pair twice counts once."""
        lines = sorted({f"{customer}\x1f{subject}\n".encode() for customer, subject in pairs})
        members = sorted(blake2b(line, digest_size=_BYTES).digest() for line in lines)
        return cls(sha256(b"".join(lines)).hexdigest(), b"".join(members))

    @property
    def size(self) -> int:
        """How many members it has."""
        return len(self.members) // _BYTES


def change(approved: Audience, present: Audience) -> float:
    """Members that joined or left ÷ members approved. 0: the same; infinite: an empty audience was approved."""
    if approved.digest == present.digest:
        return 0.0
    changed = len(np.setxor1d(_hashes(approved), _hashes(present), assume_unique=True))
    return changed / approved.size if approved.size else float("inf")


def is_void(approved: Audience, present: Audience, limit: float = LIMIT) -> bool:
    """Whether an approval no longer holds: more than `limit` of its audience changed."""
    return change(approved, present) > limit


def _hashes(audience: Audience) -> npt.NDArray[np.uint64]:
    return np.frombuffer(audience.members, dtype=">u8").astype(np.uint64)
