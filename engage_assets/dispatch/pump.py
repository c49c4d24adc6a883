"""The pump: drives a transport's lines, so that a letter is handed over at most once and every end is recorded."""

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Lock, Thread
from types import TracebackType
from typing import Final, Self

from engage_assets.dispatch.backlog import Backlog, Job
from engage_assets.dispatch.breaker import Breaker
from engage_assets.dispatch.courier import Courier, Office
from engage_assets.dispatch.gate import Gate
from engage_assets.dispatch.recorder import Book, Recorder
from engage_assets.dispatch.retries import RetryPolicy
from engage_assets.dispatch.throttle import Throttle
from engage_assets.dispatch.watch import Watch
from engage_assets.domain.ports import Clock, Sender
from engage_assets.domain.sends import Letter

USUAL_RETRIES: Final = RetryPolicy()


class Pump:
    """Sends claimed letters over `sender.lines` connections, one letter at a time on each.

    **At most once.** A letter's `handed_over` is durable in the ledger before its line begins, and its answer is
    recorded afterwards, so at any moment at most `sender.lines` letters are handed over without a known answer. All
    lines share one thread that writes to the ledger: the answer to a letter and the hand-over of the next go into the
    same transaction as those of the other lines.

    **What becomes of a letter.** The transport's answer; or `failed` after the last retry (TRANSPORT_UNAVAILABLE);
    or `failed` where retries or a rate limit outlast its send window, `skipped` where its turn comes too late
    (SEND_WINDOW_MISSED); or `in_doubt` where a line raises what it must not (NO_ANSWER); or it is given back.

    **Stops.** `halt`, an error of the ledger, or a defect of a line: letters on their lines come to their end, without
    further retries, all others are given back to the ledger as `planned`.

    `random` gives 0–1 and spreads retries; `sleep` and `monotonic` are `time`'s. Use it in a `with` block: when the
    block is left by an error, the pump is halted and its threads are waited for.
    """

    def __init__(
        self,
        ledger: Book,
        sender: Sender,
        clock: Clock,
        *,
        random: Callable[[], float],
        sleep: Callable[[float], None],
        monotonic: Callable[[], float],
        retries: RetryPolicy = USUAL_RETRIES,
        breaker: Breaker | None = None,
        capacity: int = 256,
        renew_seconds: float = 60,
    ) -> None:
        self._watch = Watch(clock, monotonic=monotonic, sleep=sleep)
        self._backlog = Backlog(capacity)
        self._lock = Lock()
        self._error: BaseException | None = None
        self._halted: str | None = None
        self._is_over = False
        self._recorder = Recorder(
            ledger,
            self._watch,
            on_error=self._fail,
            held=self._held,
            lines=sender.lines,
            renew_seconds=renew_seconds,
        )
        gate = Gate(Throttle(sender.per_second), breaker or Breaker(), monotonic)
        office = Office(self._backlog, gate, self._recorder, self._watch, retries, random)
        self._couriers = [Courier(office, sender.open) for _ in range(sender.lines)]
        self._threads = [
            Thread(target=self._run, args=(courier,), name=f"dispatch-line-{number}", daemon=True)
            for number, courier in enumerate(self._couriers)
        ]
        self._recorder.start()
        for thread in self._threads:
            thread.start()

    def feed(self, letters: Iterable[Letter], deadline_at: datetime) -> None:
        """Queue claimed letters whose send window ends at `deadline_at` (UTC); blocks while the queue is full.

        After a halt letters are given back at once. Raises the error of the ledger or of a line, once everything has
        stopped and was given back.
        """
        if self._is_over:
            raise self._error or RuntimeError("this pump is finished; feed a new one")
        deadline = self._watch.deadline(deadline_at)
        left: list[str] = []
        try:
            left.extend(letter.send_id for letter in letters if not self._backlog.put(Job(letter, deadline)))
        finally:
            self._recorder.release(left)
        if self._error:
            self.finish()

    def finish(self) -> Counter[str]:
        """Wait until every letter has its end; returns letters by end: `sent`, `failed`, `in_doubt`, `skipped`.

        `released` are those given back, `lost` those whose claim another process had taken over meanwhile. Raises the
        error of the ledger or of a line.
        """
        self._backlog.close()
        for thread in self._threads:
            thread.join()
        self._recorder.close()
        self._is_over = True
        if self._error:
            raise self._error
        return Counter(self._recorder.counts)

    def halt(self, reason: str) -> None:
        """Kill switch, for any thread; does not wait. Letters on their lines come to their end, no other begins."""
        with self._lock:
            self._halted = self._halted or reason
        self._stop()

    @property
    def halted(self) -> str | None:
        """Why it was halted; None: it was not. Whoever claims letters asks this before each batch."""
        return self._halted

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.finish()
            return
        self.halt(kind.__name__ if kind else "error")
        try:
            self.finish()
        except Exception as other:  # noqa: BLE001 – the first error is the one to tell
            if other is not error:
                error.add_note(f"the pump had failed too: {type(other).__name__}")

    def _run(self, courier: Courier) -> None:
        try:
            courier.run()
        except BaseException as error:  # noqa: BLE001 – raised again in feed or finish
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        with self._lock:
            self._error = self._error or error
        self._stop()

    def _stop(self) -> None:
        self._watch.stop()
        self._recorder.release(self._backlog.stop())

    def _held(self) -> list[str]:
        """Sends whose lease must not end: those that wait and those on the lines."""
        on_lines = [job.letter.send_id for courier in self._couriers if (job := courier.held)]
        return [*self._backlog.waiting(), *on_lines]
