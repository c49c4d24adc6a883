"""A worker between a Kinesis stream and a bucket that dies at a moment of its own, or when somebody kills it."""

import io
import os
import signal
from collections import Counter

import fastavro

from engage_assets.archive import worker
from engage_assets.archive.aws import open_client
from engage_assets.archive.kinesis import KinesisSource
from engage_assets.archive.opening import open_root, open_source
from engage_assets.archive.s3 import S3Root
from engage_assets_tests.archive.workers import Clock, an_archive, watch


def work_and_die(home, environment, stream, root, batch, last):
    """Archive what there is and die by SIGKILL at the `last` moment that another process could see; with 0 at none.

    Pauses pass in no time.
    """
    os.environ |= environment
    _die_at(last)
    clock = Clock()
    source = KinesisSource(stream, open_client("kinesis", 1), clock=clock, sleep=clock.sleep, chance=lambda: 0.5)
    worker.run(an_archive(home, source=source, root=open_root(root), errors=open_root(f"{root}/errors"), batch=batch))


def work_on(home, environment, stream, root, batch, last):
    """As above, but on and on, and on the machine's time as a user's worker does."""
    os.environ |= environment
    _die_at(last)
    archive = an_archive(
        home,
        source=open_source(f"kinesis:{stream}"),
        root=open_root(root),
        errors=open_root(f"{root}/errors"),
        batch=batch,
        linger=0.5,
        clock=RealClock(),
    )
    worker.run(archive, is_until_idle=False)


class RealClock(Clock):
    """The machine's."""

    def __call__(self):
        import time

        return time.time()

    def sleep(self, seconds):
        import time

        time.sleep(seconds)


def _die_at(last):
    seen = 0

    def moment():
        nonlocal seen
        seen += 1
        if seen == last:
            os.kill(os.getpid(), signal.SIGKILL)

    watch(moment)
    put = S3Root.put

    def watched(root, key, content):
        moment()
        put(root, key, content)
        moment()

    S3Root.put = watched


def archived(root):
    """How often each change lies in a root."""
    found = Counter()
    for stored in root.stored("data/"):
        found.update(row["lineage"]["eventId"] for row in fastavro.reader(io.BytesIO(root.get(stored.key))))
    return found
