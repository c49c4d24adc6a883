"""Names in requests: which programs and channels there are, and in which statuses a candidate is given."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Path

from engage_assets.domain.program import Program
from engage_assets.domain.statuses import ASKED_BY, SERVED
from engage_assets.serving.documents import Key
from engage_assets.serving.problems import unknown

ProgramId = Annotated[Key, Path(description="programId.", examples=["product-reviews"])]
CustomerId = Annotated[Key, Path(description="The customer.", examples=["c-1042"])]


def program_of(programs: Mapping[str, Program], program_id: str) -> Program:
    """A program by its id; 404 with those that are there."""
    if program_id not in programs:
        raise unknown("program", list(programs))
    return programs[program_id]


def channel_type(programs: Mapping[str, Program], name: str, program: Program | None = None) -> str:
    """The type of a channel given by its id or type, among those in use in `program` (None: in any program).

    404 with those that are there.
    """
    among = [program] if program else list(programs.values())
    channels = [channel for one in among for channel in one.enabled_channels]
    types = {channel.type: channel.type for channel in channels} | {one.channel_id: one.type for one in channels}
    if name not in types:
        raise unknown("channel", sorted({channel.channel_id for channel in channels}))
    return types[name]


def least_score(program: Program, channel: str) -> float:
    """The minScore of a program's channel of that type; 0 where it has none."""
    return next((one.min_score for one in program.list_channels if one.type == channel), 0.0)


def given_statuses(channel: str | None) -> frozenset[str]:
    """Statuses in which a customer's candidates are given: those that the channel takes."""
    return ASKED_BY[channel] if channel else SERVED
