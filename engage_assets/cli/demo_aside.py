"""What the demonstration does beside the rest, in a process of its own: one core would else be at rest."""

import io
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, NamedTuple

import click


class Said(NamedTuple):
    """What was said meanwhile on standard output, and on standard error."""

    out: str
    err: str


class Aside:
    """Does one thing after the other, in the order in which they were given."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def begin(self, act: Callable[..., None], *arguments: Any) -> Future[Said]:
        """Call `act`; it and what it is called with can be pickled."""
        return self._pool.submit(_said, act, *arguments)


@contextmanager
def aside() -> Iterator[Aside]:
    """A process that is there while the block runs; what it has not begun by then is not done."""
    pool = ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"))  # threads do not survive a fork
    try:
        yield Aside(pool)
    finally:
        pool.shutdown(cancel_futures=True)


def say(said: Future[Said]) -> None:
    """Wait until it is done, and say what it said. Raises what it raised."""
    out, err = said.result()
    click.echo(err, nl=False, err=True)
    click.echo(out, nl=False)


def _said(act: Callable[..., None], *arguments: Any) -> Said:
    with redirect_stdout(io.StringIO()) as out, redirect_stderr(io.StringIO()) as err:
        act(*arguments)
    return Said(out.getvalue(), err.getvalue())
