"""Notifications to all of a person's devices: one send, however many take it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engage_assets.domain.ports import Line, Sender
from engage_assets.domain.sends import Answer, Letter, TransientRefusal

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
    """Hands over one notification at a time, to each device of its person."""

    def __init__(self, line: Line, addresses: Mapping[str, Sequence[str]], gone: Callable[[str], None]) -> None:
        self._line = line
        self._addresses = addresses
        self._gone = gone
        self._refused: set[str] = set()
        self._send_id = ""
        self._answers: dict[str, Answer] = {}
        """Of the devices of this send that are not asked again when it is tried again."""

    def hand_over(self, letter: Letter) -> Answer:
        """Hand over to every device that is not known to be gone; those that are gone are forgotten.

        Sent where any took it, else in doubt where any may have, else as the first failed; PUSH_GONE where none is
        left. TransientRefusal where one did not take it for now: tried again, those alone are asked that did not
        answer, and given up, the send ends as the others answered.
        """
        if letter.send_id != self._send_id:
            self._send_id, self._answers = letter.send_id, {}
        refusal: TransientRefusal | None = None
        for address in self._addresses.get(letter.send_id, ()):
            if address in self._answers or address in self._refused:
                continue
            try:
                self._answers[address] = self._line.hand_over(replace(letter, recipient=address))
            except TransientRefusal as refused:
                refusal = refused
                continue
            if _is_gone(self._answers[address]):
                self._refused.add(address)
                self._gone(address)
        end = _together(self._answers.values())
        if refusal is None:
            return end
        is_taken = end.state in ("sent", "in_doubt")
        raise TransientRefusal(refusal.cause, is_rate_limit=refusal.is_rate_limit, otherwise=end if is_taken else None)

    def close(self) -> None:
        """Close the connection."""
        self._line.close()


def _is_gone(answer: Answer) -> bool:
    return (answer.state, answer.reason) == (_GONE.state, _GONE.reason)


def _together(answers: Iterable[Answer]) -> Answer:
    """What the answers of several devices come to."""
    known = [one for one in answers if not _is_gone(one)]
    ranks = {"sent": 0, "in_doubt": 1, "failed": 2}
    return min(known, key=lambda one: ranks[one.state], default=_GONE)
