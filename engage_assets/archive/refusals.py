"""Why a change is not archived: a kind to count by, and words that never quote the change."""

from typing import Literal

Kind = Literal[
    "not-json",
    "not-an-envelope",
    "unknown-type",
    "missing-field",
    "wrong-type",
    "impossible-date",
    "oversize",
    "defect",
]


class Refused(Exception):
    """A change that cannot be archived. The message names fields and types, never a value."""

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind: Kind = kind
        self.message = message
