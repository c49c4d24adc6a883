"""What the demonstration does in a process of its own: said when it is asked for, and its mistakes too."""

import os

import click
import pytest

from engage_assets.cli.demo_aside import aside, say
from engage_assets.domain.errors import EngageError


def greet(name):
    click.echo(f"{name} says hello")
    click.echo("it took long", err=True)
    click.echo(f"process {os.getpid()}")


def fail():
    raise EngageError("there is nothing to greet")


def test_what_is_done_aside_is_said_later_in_order(capsys):
    with aside() as beside:
        first, failed, last = beside.begin(greet, "a"), beside.begin(fail), beside.begin(greet, "b")
        say(last)
        say(first)
        with pytest.raises(EngageError, match="nothing to greet"):
            say(failed)

    said = capsys.readouterr()
    assert said.err == "it took long\n" * 2
    lines = said.out.splitlines()
    assert lines[::2] == ["b says hello", "a says hello"]
    assert lines[1] == lines[3] != f"process {os.getpid()}"
