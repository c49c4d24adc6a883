"""Run a batch and die by SIGKILL at one moment: python -m engage_assets_tests.defs.crash HOME MOMENTS….

For each moment a forked child runs the batch in a home of its own and is killed at the n-th file that
is about to become visible (or, for `write`, while that file is being written).
"""

import os
import signal
import sys
from pathlib import Path

import skops.io

import engage_assets.scoring.pipelines
from engage_assets.lake import ParquetFile
from engage_assets_tests.defs.homes import DAY, at, batch_instant


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def kill_at(moment: int, *, while_writing: bool) -> None:
    """Arrange that this process dies at the `moment`-th visible file."""
    seen = 0
    close, replace = ParquetFile.close, Path.replace

    def counted_close(self):
        nonlocal seen
        seen += 1
        if seen == moment and while_writing:
            die()  # rows are written, the footer is not
        close(self)

    def counted_replace(self, target):
        if seen == moment and not while_writing:
            die()
        return replace(self, target)

    ParquetFile.close = counted_close
    Path.replace = counted_replace


PAID_ONCE = (skops.io, engage_assets.scoring.pipelines)
"""Imported before the forks, as each child would take a second for them."""


def main(homes: list[str]) -> None:
    for number, home in enumerate(homes, start=1):
        child = os.fork()
        if child == 0:
            kill_at(number, while_writing=number % 2 == 0)
            at(Path(home), batch_instant()).run("product_reviews_batch", DAY)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"{home} {'killed' if os.WIFSIGNALED(status) else 'ended'}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
