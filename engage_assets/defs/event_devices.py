"""Notifications to whichever of a person's devices takes them: the newest first, the next where one is gone."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engage_assets.domain.ports import Line, Sender
from engage_assets.domain.sends import Answer, Letter

_GONE: Final = Answer("failed", "PUSH_GONE")


@dataclass(frozen=True)
class Devices:
    """A sender whose letters name no recipient: it knows the addresses of each send."""

    sender: Sender
    addresses: Mapping[str, Sequence[str]]
    """By send_id, the newest first. May grow while letters are handed over."""
    gone: Callable[[str], None]
    """Told of each address that its push service knows no more."""

    @property
    def transport(self) -> str:
        """See Sender."""
        return self.sender.transport

    @property
    def leaves_machine(self) -> bool:
        """See Sender."""
        return self.sender.leaves_machine

    @property
    def lines(self) -> int:
        """See Sender."""
        return self.sender.lines

    @property
    def per_second(self) -> float | None:
        """See Sender."""
        return self.sender.per_second

    def open(self) -> "DeviceLine":
        """A new line."""
        return DeviceLine(self.sender.open(), self.addresses, self.gone)


class DeviceLine:
    """Hands over one notification at a time, to one device."""

    def __init__(self, line: Line, addresses: Mapping[str, Sequence[str]], gone: Callable[[str], None]) -> None:
        self._line = line
        self._addresses = addresses
        self._gone = gone
        self._refused: set[str] = set()

    def hand_over(self, letter: Letter) -> Answer:
        """Hand over once: a device that is gone has surely not taken it, and the next one is asked."""
        for address in self._addresses.get(letter.send_id, ()):
            if address in self._refused:
                continue
            answer = self._line.hand_over(replace(letter, recipient=address))
            if (answer.state, answer.reason) != (_GONE.state, _GONE.reason):
                return answer
            self._refused.add(address)
            self._gone(address)
        return _GONE

    def close(self) -> None:
        """Close the connection."""
        self._line.close()
