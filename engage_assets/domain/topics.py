"""Topics: names compared in one plain form, their synonyms, and how near two of them stand in the tree."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SPACES: Final = "[\t-\r \x1c-\x1f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000_-]"
"""What counts as a space in a name, as a pattern that every engine reads alike."""
ALIKE: Final = {"ς": "σ", "i\u0307": "i"}
"""Lower-case letters that one engine writes like this and another like that."""
SAME: Final = 10
NEARNESS: Final = (SAME, 7, 4)
"""Tenths of similarity by steps in the tree: none, one up or down, two (siblings included)."""


def plain(name: str) -> str:
    """The name as names are compared: trimmed, lower-case, with `_`, `-` and spaces alike."""
    found = re.sub(SPACES, " ", name).strip(" ").lower()
    for written, alike in ALIKE.items():
        found = found.replace(written, alike)
    return found


@dataclass(frozen=True)
class Topics:
    """The topic tree. Names are plain ones; a name that the tree lacks is its own topic and near to nothing."""

    topic_of: Mapping[str, str]
    """The topic that each name of the tree stands for: itself, or that of which it is a synonym."""
    parents: Mapping[str, str]
    names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """All names of each topic of the tree."""
    children: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Any]]) -> "Topics":
        """Read TOPICS rows. A topic's own name wins over a synonym of another; of several the first by name counts."""
        stated = sorted(
            (plain(row["topic"]), plain(row.get("parent") or ""), tuple(row.get("synonyms") or ()))
            for row in rows
            if row["topic"] and plain(row["topic"])
        )
        topic_of = {topic: topic for topic, _, _ in stated}
        for topic, _, synonyms in stated:
            for name in sorted(plain(one) for one in synonyms if one):
                topic_of.setdefault(name, topic)
        parents: dict[str, str] = {}
        for topic, parent, _ in stated:
            above = topic_of.setdefault(parent, parent) if parent else ""
            if above and above != topic:
                parents.setdefault(topic, above)
        topic_of.pop("", None)
        return cls(topic_of, parents, _grouped(topic_of), _grouped(parents))

    def canonical(self, name: str) -> str:
        """The topic that a plain name stands for."""
        return self.topic_of.get(name, name)

    def distinct(self, names: Iterable[str]) -> list[str]:
        """The topics that names stand for, each once, by name; blank names are none."""
        found = {self.canonical(plain(name)) for name in names}
        return sorted(found - {""})

    def words(self, names: Iterable[str]) -> tuple[str, ...]:
        """All plain names of the topics that `names` stand for."""
        return tuple(sorted({word for topic in self.distinct(names) for word in self._names(topic)}))

    def near(self, topic: str) -> dict[str, int]:
        """By plain name how similar it is to a topic, in tenths; what is missing is not similar at all."""
        found: dict[str, int] = {}
        ring, seen = {topic}, {topic}
        for tenths in NEARNESS:
            found |= {word: tenths for one in ring for word in self._names(one)}
            ring = {next_one for one in ring for next_one in self._beside(one)} - seen
            seen |= ring
        return found

    def _names(self, topic: str) -> frozenset[str]:
        return self.names.get(topic, frozenset({topic}))

    def _beside(self, topic: str) -> set[str]:
        above = self.parents.get(topic)
        return {*self.children.get(topic, ()), *([above] if above else [])}


def _grouped(values: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Keys by value."""
    found: dict[str, set[str]] = {}
    for key, value in values.items():
        found.setdefault(value, set()).add(key)
    return {value: frozenset(keys) for value, keys in found.items()}
