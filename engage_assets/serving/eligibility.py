"""Whether a customer's candidates may still be contacted: asked of the ledger, now."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from engage_assets.domain.ports import Contacts
from engage_assets.domain.responses import Preferences
from engage_assets.serving.answers import FLAGS


@dataclass(frozen=True)
class Standing:
    """What the ledger says of a customer's candidates."""

    wanted: Preferences
    answered: frozenset[tuple[str, str, str]]
    """Program, subject type and subject of those that have an answer."""

    def allows(self, row: dict[str, Any], channel: str | None) -> bool:
        """Whether a candidate may be contacted through `channel` (None: through any)."""
        return not self.is_opted_out(row["program"]) and not self.is_answered(row) and self._has_a_way(row, channel)

    def is_opted_out(self, program: str) -> bool:
        """Whether the customer wants nothing more of a program."""
        return self.wanted.everything or program in self.wanted.programs

    def is_answered(self, row: dict[str, Any]) -> bool:
        """Whether the candidate's customer has answered about its subject."""
        return (row["program"], row["subject_type"], row["subject_id"]) in self.answered

    def _has_a_way(self, row: dict[str, Any], channel: str | None) -> bool:
        ways = [channel] if channel else list(FLAGS)
        return any(row[FLAGS[way]] and way not in self.wanted.channels for way in ways)


def standing(contacts: Contacts, customer_id: str, rows: Sequence[dict[str, Any]]) -> Standing:
    """Ask the ledger about a customer's candidates."""
    subjects = {(row["program"], row["subject_type"], row["subject_id"]) for row in rows}
    answered = {one for one in subjects if contacts.answered(one[0], customer_id, one[1], one[2])}
    return Standing(contacts.preferences(customer_id), frozenset(answered))
