"""Random histories: workers die, are robbed, meet full disks and clocks that jump; nothing is lost, nothing twice."""

import random
from collections import Counter
from datetime import timedelta

import pytest

from engage_assets.archive.batches import Counts
from engage_assets.archive.error_files import error_keys, read_error
from engage_assets.archive.folder import FolderRoot
from engage_assets.archive.replay import replay
from engage_assets.archive.state import State
from engage_assets.archive.worker import run
from engage_assets_tests.archive.changes import AT, ITEMS, change, line
from engage_assets_tests.archive.workers import Clock, an_archive, event_ids, totals_of_files, write_stream


class Dead(BaseException):
    """The end of a worker in this process."""


class Fate:
    """What befalls a worker before or after each of its steps: death, a thief, a full disk, a jump of the clock."""

    def __init__(self, chance, clock, rob):
        self.chance, self.clock, self.rob = chance, clock, rob
        self.is_dead = False

    def meet(self, troubles):
        if self.is_dead:
            raise Dead
        match self.chance.choices(["none", *troubles], [12, *[1] * len(troubles)])[0]:
            case "death":
                self.is_dead = True
                raise Dead
            case "full":
                raise OSError(28, "No space left on device")
            case "thief":
                self.clock.now += 61
                self.rob()
            case "clock":
                self.clock.now += self.chance.choice([-7200, -61, 61, 7200, 86_400 * 30])


class FatefulState(State):
    """A state whose steps meet a fate."""

    fate: Fate

    def claim(self, *arguments):
        self.fate.meet(["death", "full", "thief", "clock"])
        result = super().claim(*arguments)
        self.fate.meet(["death"])
        return result

    def commit(self, *arguments):
        self.fate.meet(["death", "full", "thief"])
        super().commit(*arguments)
        self.fate.meet(["death"])

    def release(self, lease):
        if not self.fate.is_dead:
            super().release(lease)


class FatefulRoot(FolderRoot):
    """A root whose puts meet a fate."""

    def meeting(self, fate):
        object.__setattr__(self, "fate", fate)
        return self

    def put(self, key, content):
        self.fate.meet(["death", "full", "thief"])
        super().put(key, content)
        self.fate.meet(["death", "full"])


def deliveries(chance):
    """Changes of three shards, some of them bad, some more than once, also on other shards."""
    shards = {}
    for name in "abc":
        numbers = [chance.randrange(40) for _ in range(chance.randrange(30))]
        shards[name] = [b"no" if number % 9 == 8 else body(number) for number in numbers]
    return shards


def body(number):
    name = "REMOVE" if number % 7 == 0 else "INSERT"
    return change(ITEMS[number % 4], name, str(number), AT + timedelta(seconds=number))


def live(home, chance, owner, thieving=None):
    """The life of a worker; says whether it ended by itself with nothing left to do."""
    clock = thieving or Clock(1_800_000_000.0 + chance.randrange(100_000))
    state = FatefulState(home / "state.sqlite")
    state.fate = fate = Fate(chance, clock, lambda: thieving or live(home, chance, f"{owner}-thief", clock))
    archive = an_archive(
        home,
        batch=chance.randrange(1, 9),
        owner=owner,
        clock=clock,
        state=state,
        root=FatefulRoot(home / "root").meeting(fate),
        errors=FatefulRoot(home / "errors", is_private=True).meeting(fate),
        workers=chance.choice([1, 4]),
    )
    try:
        summary = run(archive, max_batches=chance.choice([None, 3]))
    except Dead:
        return False
    finally:
        state.close()
    return not summary.stopped and not summary.held


def history(home, seed):
    chance = random.Random(seed)
    shards = deliveries(chance)
    write_stream(home / "changes", shards)
    fixed = set()
    for number in range(chance.randrange(1, 12)):
        live(home, chance, owner=f"worker-{number if chance.random() < 0.5 else 0}")
        fixed |= correct(home, chance)
    state = State(home / "state.sqlite")
    archive = an_archive(home, state=state, owner="last", clock=Clock(3_000_000_000.0))
    run(archive)
    assert {key for key in error_keys(archive.errors) if "replayed" in read_error(archive.errors, key)} == fixed
    expect_exact(home, state, shards, fixed)
    state.close()


def correct(home, chance):
    """Replay an error file with a corrected copy, whether or not its range is committed; says which."""
    state = State(home / "state.sqlite")
    archive = an_archive(home, state=state, owner="a person", clock=Clock(1_800_100_000.0))
    open_ones = [key for key in error_keys(archive.errors) if "replayed" not in read_error(archive.errors, key)]
    keys = chance.sample(open_ones, min(len(open_ones), chance.randrange(2)))
    for key in keys:
        assert replay(archive, corrected={key: line(change(event_id=key))}).counts.archived == 1
    state.close()
    return set(keys)


def expect_exact(home, state, shards, fixed):
    lines = [body for bodies in shards.values() for body in bodies]
    good = {body["eventID"] for body in lines if body != b"no"} | fixed
    assert event_ids(home) == Counter(good)
    counts = sum((day.counts for day in state.days()), Counts())
    assert (counts.read, counts.archived, counts.errors) == (len(lines) + len(fixed), len(good), lines.count(b"no"))
    assert counts.read == counts.archived + counts.errors + counts.duplicates
    assert sum(1 for path in (home / "errors").rglob("*.json")) == counts.errors == state.errors_there()
    assert {key: total[:2] for key, total in state.totals().items()} == totals_of_files(home)
    assert all(shard.pending is None for shard in state.shards())


@pytest.mark.parametrize("seed", range(25))
def test_nothing_is_lost_and_nothing_is_twice(tmp_path, seed):
    history(tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(100, 400))
def test_nothing_is_lost_and_nothing_is_twice_in_many_histories(tmp_path, seed):
    history(tmp_path, seed)
