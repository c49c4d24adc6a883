"""A transport, a ledger and a time that tests script. Nothing waits: sleeping moves the time."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from threading import Lock, Thread

from engage_assets.dispatch.pump import Pump
from engage_assets.domain.errors import EngageError
from engage_assets.domain.sends import Answer, Letter, TransientRefusal
from engage_assets_tests.builders import instant

START = instant("2026-11-20 09:00")
LEGAL = {
    "claimed": {"handed_over", "skipped", "failed"},
    "handed_over": {"sent", "failed", "in_doubt"},
}
REFUSALS = ("refuse", "limit", "partly")


class Time:
    """Seconds since START, for all threads; `stands` is a declared clock."""

    def __init__(self, *, stands=False):
        self.seconds = 0.0
        self.is_declared = stands
        self._lock = Lock()

    def now(self) -> datetime:
        return START if self.is_declared else START + timedelta(seconds=self.seconds)

    def monotonic(self):
        return self.seconds

    def sleep(self, seconds):
        with self._lock:
            self.seconds += seconds


class FakeLedger:
    """States by send, checked; `most_open` is how many were ever handed over without an answer."""

    def __init__(self, send_ids):
        self.states = dict.fromkeys(send_ids, "claimed")
        self.reasons = {}
        self.rounds = []
        self.renewed = []
        self.most_open = 0
        self.others = set()
        """Sends whose claim another owner has by now."""
        self.before_settle = lambda _moves: None

    def settle(self, moves, now):
        self.before_settle(moves)
        assert isinstance(now, datetime)
        lost = frozenset(move.send_id for move in moves if move.state == "handed_over" and move.send_id in self.others)
        kept = [move for move in moves if move.send_id not in lost]
        assert len({move.send_id for move in moves}) == len(moves)
        for move in kept:
            if move.state not in LEGAL.get(self.states[move.send_id], ()):
                raise EngageError(f"send {move.send_id}: {self.states[move.send_id]} → {move.state}")
        for move in kept:
            self.states[move.send_id] = move.state
            self.reasons[move.send_id] = move.reason
        self.rounds.append(moves)
        self.most_open = max(self.most_open, self.count("handed_over"))
        return lost

    def release(self, send_ids, now):
        for send_id in send_ids:
            if self.states[send_id] == "claimed":
                self.states[send_id] = "planned"

    def renew(self, send_ids, now):
        self.renewed.append(send_ids)

    def count(self, state):
        return sum(present == state for present in self.states.values())

    def ends(self):
        return Counter(self.states.values())


class FakeSender:
    """Lines whose answers are scripted by send: `sent`, `failed`, `in_doubt`, `refuse`, `limit`, `raise`
    or `partly` (refused for now, while some of the devices have it)."""

    transport = "fake"
    leaves_machine = False

    def __init__(self, ledger, time, script=None, *, lines=1, per_second=None, usual="sent"):
        self.lines = lines
        self.per_second = per_second
        self.usual = usual
        self.script = defaultdict(list, {send_id: list(outcomes) for send_id, outcomes in (script or {}).items()})
        self.calls = []
        """(send, second, outcome) of every try."""
        self.too_early = []
        """Sends whose line began before the ledger knew."""
        self.on_call = lambda _send_id: None
        self._ledger = ledger
        self._time = time
        self._lock = Lock()

    def open(self):
        return self

    def close(self):
        pass

    def hand_over(self, letter):
        send_id = letter.send_id
        with self._lock:
            if self._ledger.states[send_id] != "handed_over":
                self.too_early.append(send_id)
            outcome = self.script[send_id].pop(0) if self.script[send_id] else self.usual
            self.calls.append((send_id, self._time.seconds, outcome))
        self.on_call(send_id)
        if outcome in REFUSALS:
            otherwise = Answer("sent") if outcome == "partly" else None
            raise TransientRefusal(outcome, is_rate_limit=outcome == "limit", otherwise=otherwise)
        if outcome == "raise":
            raise RuntimeError("a defect")
        return Answer(outcome)

    def tries(self, send_id):
        return [second for one, second, _ in self.calls if one == send_id]

    def begun(self):
        return list(dict.fromkeys(send_id for send_id, _, _ in self.calls))


class Office:
    """A pump over fakes and the letters `s0`, `s1`, … that it is to send."""

    def __init__(self, letters, script=None, *, lines=1, per_second=None, usual="sent", stands=False, **options):
        self.letters = [a_letter(f"s{number}") for number in range(letters)]
        self.time = Time(stands=stands)
        self.ledger = FakeLedger([letter.send_id for letter in self.letters])
        self.sender = FakeSender(self.ledger, self.time, script, lines=lines, per_second=per_second, usual=usual)
        self._options = options

    def start(self):
        self.pump = Pump(
            self.ledger,
            self.sender,
            self.time,
            random=lambda: 0.5,
            sleep=self.time.sleep,
            monotonic=self.time.monotonic,
            **self._options,
        )
        return self.pump

    def send(self, seconds=7200):
        """Start, feed everything with a window of so many seconds, and finish."""
        pump = self.start()

        def feed_and_finish():
            pump.feed(self.letters, START + timedelta(seconds=seconds))
            return pump.finish()

        return in_time(feed_and_finish)


def a_letter(send_id):
    return Letter(send_id, "campaign", "shop@example.invalid", f"{send_id}@example.invalid", b"content")


def in_time(call):
    """What `call` returns or raises; fails where it hangs."""
    results, errors = [], []

    def run():
        try:
            results.append(call())
        except BaseException as error:  # noqa: BLE001 – raised below
            errors.append(error)

    thread = Thread(target=run, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert not thread.is_alive(), "it hangs"
    if errors:
        raise errors[0]
    return results[0]
