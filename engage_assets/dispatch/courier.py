"""What one line does: take a letter, wait for permission, have it recorded, hand it over, keep the answer."""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from engage_assets.dispatch.backlog import Backlog, Job
from engage_assets.dispatch.gate import Gate
from engage_assets.dispatch.recorder import Recorder, Ticket
from engage_assets.dispatch.retries import Patience, RetryPolicy
from engage_assets.dispatch.watch import Watch
from engage_assets.domain.ports import Line
from engage_assets.domain.sends import Move, TransientRefusal

_FAULTS_IN_A_ROW: Final = 3
"""A line whose code fails so often without an answer between has a defect: it must not put a campaign in doubt."""
MISSED: Final = "SEND_WINDOW_MISSED"
UNAVAILABLE: Final = "TRANSPORT_UNAVAILABLE"
NO_ANSWER: Final = "NO_ANSWER"
DEFAULT_REASONS: Final = {"failed": "TRANSPORT_REFUSED", "in_doubt": NO_ANSWER}
"""For an answer that gives none."""
_TOLD_AT_ONCE: Final = 100
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True)
class Office:
    """What all lines of a pump share."""

    backlog: Backlog
    gate: Gate
    recorder: Recorder
    watch: Watch
    retries: RetryPolicy
    random: Callable[[], float]


class Courier:
    """One line and the letter on it. `run` belongs to one thread."""

    def __init__(self, office: Office, open_line: Callable[[], Line]) -> None:
        self.held: Job | None = None
        """The letter that it took and whose end it has not told yet."""
        self._office = office
        self._open_line = open_line
        self._ticket = Ticket()
        self._ended: list[Move] = []
        self._faults: list[Exception] = []

    def run(self) -> None:
        """Carry letters until the backlog is closed and empty, or the stop. Raises what it did not expect.

        Whatever happens, answers are recorded, and the letter that did not begin is given back.
        """
        line = self._open_line()
        try:
            while job := self._next():
                self._carry(line, job)
        finally:
            self._tell()
            if self.held:
                # Where it was handed over after all, the ledger leaves it as it is.
                self._office.recorder.release([self.held.letter.send_id])
            with suppress(Exception):
                line.close()

    def _next(self) -> Job | None:
        """The next letter that may begin now. Where that takes time, the last answer is recorded meanwhile."""
        while not self._office.watch.is_stopped:
            self.held = self._office.backlog.take_now()
            if self.held is None:
                self._tell()
                self.held = self._office.backlog.take()
            if self.held is None or self._may_begin(self.held):
                return self.held
        return None

    def _may_begin(self, job: Job) -> bool:
        """Wait for the throttle's turn and a closed breaker; False at the stop, and for a letter that is too late."""
        if self._is_off(job):
            return False
        self._wait(self._office.gate.turn(), job)
        while not self._is_off(job):
            wait = self._office.gate.ask()
            if not wait:
                return True
            self._wait(wait, job)
        return False

    def _is_off(self, job: Job) -> bool:
        """Whether a letter must not begin: skipped when it is too late, kept to be given back at the stop."""
        if self._office.watch.is_stopped:
            return True
        if self._office.watch.left(job.deadline) > 0:
            return False
        self._ended.append(Move(job.letter.send_id, "skipped", MISSED))
        self.held = None
        if len(self._ended) >= _TOLD_AT_ONCE:
            self._tell()
        return True

    def _carry(self, line: Line, job: Job) -> None:
        """Record the hand-over together with the last answer; once both are durable, hand over."""
        ended, self._ended = self._ended, []
        is_granted = self._office.recorder.begin(ended, job.letter.send_id, self._ticket)
        if is_granted:
            end = self._hand_over(line, job)
            self._ended.append(end)
        if is_granted or not self._office.recorder.is_failed:
            self.held = None
        if len(self._faults) >= _FAULTS_IN_A_ROW:
            raise self._faults[-1]

    def _hand_over(self, line: Line, job: Job) -> Move:
        """Hand over, again after each transient refusal while patience and window last; returns how it ended."""
        send_id, gate = job.letter.send_id, self._office.gate
        patience = Patience(self._office.retries, self._office.random)
        while True:
            try:
                answer = line.hand_over(job.letter)
            except TransientRefusal as refusal:
                gate.note(is_refused=not refusal.is_rate_limit)
                delay = patience.delay_after(refusal)
                if delay is None or not self._may_retry(delay, job):
                    return self._given_up(refusal, job)
            except Exception as fault:  # noqa: BLE001 – nobody can tell how far it came
                _LOG.warning("a line failed in the hand-over (%s): the send is in doubt", type(fault).__name__)
                gate.note(is_refused=True)
                self._faults.append(fault)
                return Move(send_id, "in_doubt", NO_ANSWER)
            else:
                # A connection that breaks in the middle is no better than one that cannot be made.
                gate.note(is_refused=answer.state == "in_doubt")
                self._faults.clear()
                return Move(send_id, answer.state, answer.reason or DEFAULT_REASONS.get(answer.state))

    def _may_retry(self, delay: float, job: Job) -> bool:
        """Wait before a retry; False where the stop or the end of the window came first."""
        self._wait(delay, job)
        return not self._office.watch.is_stopped and self._office.watch.left(job.deadline) > 0

    def _given_up(self, refusal: TransientRefusal, job: Job) -> Move:
        if refusal.otherwise:
            return Move(job.letter.send_id, refusal.otherwise.state, refusal.otherwise.reason)
        return Move(job.letter.send_id, "failed", UNAVAILABLE if self._office.watch.left(job.deadline) > 0 else MISSED)

    def _wait(self, seconds: float, job: Job) -> None:
        """Wait, but not beyond the letter's deadline; answers are recorded first."""
        if seconds > 0:
            self._tell()
            self._office.watch.pause(min(seconds, self._office.watch.left(job.deadline)))

    def _tell(self) -> None:
        ended, self._ended = self._ended, []
        self._office.recorder.record(ended)
