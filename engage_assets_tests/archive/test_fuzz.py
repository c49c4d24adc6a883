"""Whatever a record holds, it is archived or refused in words, and its neighbours are archived."""

import copy
import json
import random

import pytest

from engage_assets.archive.batches import read_range, write_files
from engage_assets_tests.archive.changes import ITEMS, RANGE, change, dynamo, line, records

PIECES = [
    None, True, 0, -1, 1e308, 2**63, "", "x", "2026-11-20T09:00:00Z", "9999-12-31T23:59:59Z", "\x00", "☃" * 50,
    [], [[[[]]]], {}, {"S": 1}, {"N": "x"}, {"M": {}}, {"L": [{}]}, {"NULL": True}, {"S": "a", "N": "1"}, {"SS": [1]},
    {"BOOL": "no"},
]  # fmt: skip


def places(value, path=()):
    """Paths to all that is in a value."""
    yield path
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in pairs:
        yield from places(one, (*path, key))


def mutate(body, chance):
    """Something in the body becomes something else, goes, or moves."""
    *parents, last = chance.choice([path for path in places(body) if path])
    place = body
    for key in parents:
        place = place[key]
    match chance.randrange(4):
        case 0:
            del place[last]
        case 1:
            place[last] = copy.deepcopy(chance.choice(PIECES))
        case 2:
            place[last] = dynamo(chance.choice(["x", True, ["x"], {"x": "y"}]))
        case 3 if isinstance(place, dict):
            place[chance.choice(["type", "date", "M", "S", "dynamodb", "kinesis"])] = place.pop(last)
    return body


def mutated(chance):
    """Bytes of a change that were changed somewhere; the events are never those of the good neighbours."""
    body = json.loads(json.dumps(change(chance.choice(ITEMS), chance.choice(["INSERT", "MODIFY", "REMOVE"]), "bad")))
    for _ in range(chance.randrange(1, 4)):
        body = mutate(body, chance)
    data = bytearray(line(body))
    for _ in range(chance.choice([0, 0, 1, 3])):
        at = chance.randrange(len(data))
        data[at : at + chance.randrange(3)] = chance.randbytes(chance.randrange(3))
    return bytes(data) if chance.random() < 0.9 else bytes(data[: chance.randrange(len(data) + 1)])


def torture(number, seed):
    """That many mutated records, each among good ones."""
    chance = random.Random(seed)
    for start in range(0, number, 200):
        bad = [mutated(chance) for _ in range(200)]
        neighbours = [change(chance.choice(ITEMS), event_id=f"good-{start}-{at}") for at in range(20)]
        bodies = chance.sample([*bad, *neighbours], 220)
        reading = read_range(RANGE, records(*bodies))
        assert not [refusal for refusal in reading.refusals if refusal.kind == "defect"]
        files = write_files(reading)
        ids = {entry.row.values["lineage"]["eventId"] for entry in reading.entries}
        assert ids >= {one["eventID"] for one in neighbours}
        assert files.counts.read == 220 == files.counts.archived + files.counts.errors + files.counts.duplicates
        assert all(json.loads(file.content)["error"]["message"] for file in files.errors)


def test_mutated_envelopes():
    torture(4000, seed=1)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(5))
def test_mutated_envelopes_for_long(seed):
    torture(20_000, seed=seed)
