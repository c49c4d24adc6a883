"""What every command of `engage` begins with: the deployment, and mistakes said plainly."""

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from engage_assets.domain.errors import EngageError

if TYPE_CHECKING:
    from engage_assets.defs.launch import Launcher

DAY = click.DateTime(formats=["%Y-%m-%d"])


@contextmanager
def plain_errors() -> Iterator[None]:
    """Show a mistake as its message, without a traceback."""
    try:
        yield
    except EngageError as error:
        for line in error.args:
            click.echo(click.style("error: ", fg="red") + str(line), err=True)
        sys.exit(1)


def launcher(**changes: str) -> "Launcher":
    """The deployment of this environment, with some variables changed."""
    from engage_assets.defs.launch import Launcher  # noqa: PLC0415 - --help and validate need no Dagster

    return Launcher({**os.environ, **changes})


def operator() -> str:
    """Who acts, for the audit log: `ENGAGE_OPERATOR`, else the machine's user."""
    return os.environ.get("ENGAGE_OPERATOR") or getpass.getuser()
