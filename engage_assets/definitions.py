"""The front door for Dagster: the program folder and the environment → `defs`."""

import os
from pathlib import Path

import dagster as dg

from engage_assets.defs.abilities import load_programs
from engage_assets.defs.build import build_definitions
from engage_assets.deployment import resources


@dg.definitions
def defs() -> dg.Definitions:
    """The programs of `ENGAGE_PROGRAMS` (default: `programs` in the working directory) on this deployment."""
    folder = Path(os.environ.get("ENGAGE_PROGRAMS") or "programs")
    return build_definitions(load_programs(folder), resources(os.environ))
