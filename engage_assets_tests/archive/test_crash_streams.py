"""Workers killed by SIGKILL between a Kinesis stream that re-shards and a bucket: nothing lost, nothing twice."""

import json
import random
import signal
import sqlite3
import threading
import time
from contextlib import closing
from datetime import timedelta

import pytest

from engage_assets.archive.s3 import S3Root
from engage_assets_tests.archive.changes import AT, ITEMS, change, line
from engage_assets_tests.archive.dying import archived, work_and_die, work_on
from engage_assets_tests.archive.servers import KEYS, REGION, new_client
from engage_assets_tests.archive.streams import KinesisStream, new_name
from engage_assets_tests.processes import PROCESSES


class Producer:
    """Puts changes, some of them twice and some bad ones among them, and splits and merges the shards meanwhile."""

    def __init__(self, stream, chance):
        self.stream, self.chance = stream, chance
        self.good = self.bad = 0

    def put(self, number):
        lines = []
        for at in range(self.good, self.good + number):
            name = "REMOVE" if at % 7 == 0 else "INSERT"
            lines.append((str(at), line(change(ITEMS[at % 4], name, f"c{at}", AT + timedelta(seconds=at)))))
        bad = [(f"bad{at}", b"no") for at in range(self.chance.randrange(3))]
        copies = self.chance.sample(lines, min(3, len(lines)))
        self.stream.put_lines([*lines, *bad, *((f"copy-{key}", data) for key, data in copies)])
        self.good += number
        self.bad += len(bad)

    def reshard(self):
        if len(self.stream.open_shards()) > 2:
            self.stream.merge()
        else:
            self.stream.split(self.chance.randrange(2))

    def expect(self, root):
        """(lost, archived more than once)."""
        found = archived(root)
        lost = sum(f"c{at}" not in found for at in range(self.good))
        assert len(found) <= self.good
        return lost, sum(found.values()) - len(found)


def environment(kinesis_url, s3_url):
    return {
        "AWS_ACCESS_KEY_ID": KEYS[0],
        "AWS_SECRET_ACCESS_KEY": KEYS[1],
        "AWS_REGION": REGION,
        "AWS_ENDPOINT_URL_KINESIS": kinesis_url,
        "AWS_ENDPOINT_URL_S3": s3_url,
    }


def begun(home):
    """Whether a range was left that is not archived as a whole."""
    with closing(sqlite3.connect(home / "state.sqlite")) as database:
        return database.execute("SELECT count(*) FROM shard WHERE first IS NOT NULL").fetchone() != (0,)


def a_root(s3_url):
    root = S3Root(new_client("s3", s3_url), new_name("bucket"), "archive/")
    root.client.create_bucket(Bucket=root.bucket)
    return root


def test_killed_while_shards_split_and_merge(tmp_path, kinesalite, moto):
    chance, root, kills = random.Random(3), a_root(moto.url), 0
    producer = Producer(KinesisStream(kinesalite, shards=2), chance)
    where = (tmp_path, environment(kinesalite.url, moto.url), producer.stream.name, f"s3://{root.bucket}/archive")
    for _ in range(4):
        producer.put(16)
        producer.reshard()
        producer.put(8)
        process = PROCESSES.Process(target=work_and_die, args=(*where, 8, chance.randrange(4, 40)))
        process.start()
        process.join(300)
        assert process.exitcode in {0, -signal.SIGKILL}
        kills += process.exitcode != 0
    assert kills >= 3, kills
    process = PROCESSES.Process(target=work_and_die, args=(*where, 7, 0))
    process.start()
    process.join(300)
    assert process.exitcode == 0
    assert producer.expect(root) == (0, 0)
    assert len(list(root.stored("errors/"))) == producer.bad


KILLS = 45
RECORDS = 20_000


@pytest.mark.soak
def test_over_forty_kills_between_kinesis_and_ceph(tmp_path, kinesalite, ceph):
    chance, start, kills, amid = random.Random(11), time.monotonic(), 0, 0
    s3_url = ceph["AWS_ENDPOINT_URL_S3"]
    root = a_root(s3_url)
    producer = Producer(KinesisStream(kinesalite, shards=3), random.Random(12))
    where = (tmp_path, environment(kinesalite.url, s3_url), producer.stream.name, f"s3://{root.bucket}/archive")

    def produce():
        while producer.good < RECORDS:
            producer.put(producer.chance.choice((5, 40, 200, 400)))
            if producer.chance.random() < 0.1:
                producer.reshard()
            time.sleep(producer.chance.random() * RECORDS / 200_000)

    producing = threading.Thread(target=produce)
    producing.start()
    while kills < KILLS:
        last = chance.choice((0, chance.randrange(2, 120)))
        process = PROCESSES.Process(target=work_on, args=(*where, chance.choice((50, 300, 1000)), last))
        process.start()
        process.join(chance.uniform(1.5, 4.0))
        process.kill()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        amid += begun(tmp_path)
    producing.join()
    process = PROCESSES.Process(target=work_and_die, args=(*where, 1000, 0))
    process.start()
    process.join(300)
    lost, twice = producer.expect(root)
    refused = len(list(root.stored("errors/")))
    figures = {
        "records": producer.good,
        "bad": producer.bad,
        "refused": refused,
        "shards": len(producer.stream.source().shards()),
        "kills": kills,
        "kills_amid_a_range": amid,
        "lost": lost,
        "twice": twice,
        "seconds": round(time.monotonic() - start),
    }
    print(json.dumps(figures))  # noqa: T201
    assert process.exitcode == 0
    assert (lost, twice, refused) == (0, 0, producer.bad)
    assert kills > 40
